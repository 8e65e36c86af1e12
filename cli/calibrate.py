"""lartpc calibrate: segments and hits in, the detector's parameters out."""

import dataclasses
import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.fitting import check_target, cut_segments, fitted_names, given_truth, prepare, showing
from lartpc.cli.info import versions
from lartpc.cli.options import (
    closure_options,
    detector_option,
    device_option,
    events_option,
    fit_option,
    folder_option,
    layout_option,
    load_detector,
    loss_option,
    number,
    overwrite_option,
    pairs,
    per_module_option,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    with_pixel_values,
)
from lartpc.cli.progress import announce_compilation, progress_bar


@click.command(epilog="Example: lartpc calibrate muons.h5 hits.h5 -o fit --fit eField,lifetime")
@click.argument("segments")
@click.argument("target", required=False)
@folder_option
@detector_option
@layout_option
@events_option
@pixel_options
@fit_option
@per_module_option
@click.option("--fix", multiple=True, metavar="NAME=VALUE", help="Value of a parameter that is not fitted.")
@click.option("--start", multiple=True, metavar="NAME=VALUE", help="Where to start [default: the nominal value].")
@loss_option
@rounded_option
@click.option(
    "--optimizer",
    type=click.Choice(["gauss-newton", "trust-region", "l-bfgs-b", "minuit", "adam"]),
    help="[default: gauss-newton where the loss is one of squares, else l-bfgs-b]",
)
@recombination_option
@response_option
@click.option("--iterations", type=click.IntRange(1), help="Iterations, at most [default: by the optimizer].")
@click.option("--epochs", type=click.IntRange(1), help="Passes of adam through all batches [default: 80].")
@click.option("--batch-length", type=click.FloatRange(0.0, min_open=True), help="Of adam's batches [cm; default: 100].")
@click.option(
    "--errors",
    type=click.Choice(["gauss-newton", "hessian", "profile"]),
    default="gauss-newton",
    show_default=True,
    help="How a likelihood's errors are made.",
)
@closure_options("parameters drawn with --seed")
@click.option("--resume", is_flag=True, help="Continue the fit in DIR.")
@device_option
@overwrite_option
def calibrate(segments, target, output, detector, layout, names, fix, start, loss, resume, overwrite, **options):
    """Fit the parameters of the detector to the hits in TARGET, which the energy deposits in SEGMENTS made.

    TARGET is what lartpc simulate writes, or a file of LArPix packets (then --rounded goes without saying).

    All at once, with errors and correlations, by default by Gauss-Newton on the likelihood of the hit list. Writes
    fit.json, history.h5 and pictures into DIR, and prints a table. Exit code 1 where the fit has not converged.
    """
    started = time.perf_counter()
    folder = prepare(output, resume, overwrite)
    check_target(target, options)

    from lartpc import Simulation, Target, read_segments

    whole = read_segments(segments)
    deposits = whole.of_events(options["events"])
    chosen = with_pixel_values(load_detector(detector, layout), options)
    fitted = fitted_names(names, options["per_module"], chosen.n_modules)
    recombination, device, seed, optimizer = (
        options[name] for name in ("recombination", "device", "seed", "optimizer")
    )
    fixes = pairs("fix", fix)
    fixed = chosen.parameters.replace(**fixes)
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them")
    simulation = Simulation(chosen, fixed, recombination=recombination, response=options["response"], device=device)
    if options["closure"]:
        from lartpc.fit.closure import closure, draw_truth

        announce_compilation(device)
        truth = draw_truth(simulation, fitted, seed, given_truth(fitted, "fitted", options))
        deposits = cut_segments(deposits, options)
        drawn = {"noise": options["noise"] is not False, "seed": seed, "optimizer": optimizer}
        deposits, aim = closure(simulation, deposits, truth, **drawn)
    else:
        aim = Target.read(target, whole, chosen, detector, layout).of_events(options["events"])
        aim.check(chosen, deposits)
        announce_compilation(device)
    aim = dataclasses.replace(aim, rounded=aim.rounded or options["rounded"])
    given = {name: number("start", name, value) for name, value in pairs("start", start).items()}

    from lartpc import calibrate as run
    from lartpc import write_hits
    from lartpc.fit.calibrate import Journal
    from lartpc.fit.store import Kept, setup_of, write_result
    from lartpc.fit.unknowns import unknowns_of
    from lartpc.plots.fit import convergence_figure, correlation_figure, parameters_figure, write_figure

    minimiser = with_options(optimizer, loss or aim.loss, options)
    setup = setup_of(
        simulation,
        deposits,
        aim,
        loss,
        fit=list(fitted),
        start=sorted(start),
        optimizer=optimizer,
        batches=[minimiser.batch_length, seed] if optimizer == "adam" else None,
        response=options["response"],
    )
    with Kept(folder, fitted, setup, resume) as kept:
        result = run(
            simulation,
            deposits,
            aim,
            unknowns_of(simulation, fitted, given),
            loss=loss,
            optimizer=minimiser,
            errors=options["errors"],
            journal=Journal(kept.done, showing(kept, fitted), functools.partial(progress_bar, doing="fitting")),
        )
    more = {
        "versions": versions(),
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "seed": seed,
        "fixed": {name: value for name, value in fixed.as_dict().items() if name not in fitted},
        "recombination": recombination,
        "response": options["response"],
        "detector": chosen.name,
    }
    if options["closure"]:
        write_hits(folder / "target.h5", aim.hits, deposits, aim.settings, overwrite=True)
    write_result(folder, result, more)
    write_figure(folder / "parameters.png", parameters_figure(result, kept.evaluations))
    write_figure(folder / "convergence.png", convergence_figure(result, kept.evaluations))
    write_figure(folder / "correlation.png", correlation_figure(result))
    click.echo(str(result))
    click.echo(f"{folder}: fit.json, history.h5, parameters.png, convergence.png, correlation.png; ", nl=False)
    click.echo(f"{time.perf_counter() - started:.1f} s")
    if not result.converged:
        sys.exit(1)


def with_options(name, loss, options):
    """The optimizer of a name, by default the loss's own, with --iterations or, for adam, --epochs and the like."""
    from lartpc.fit.optimizers import OPTIMIZERS, find_optimizer
    from lartpc.losses.catalogue import SQUARES

    squares = loss in SQUARES
    chosen = type(find_optimizer(None, squares)) if name is None else OPTIMIZERS[name]
    own = ("epochs", "batch_length") if name == "adam" else ("iterations",)
    for option in ("iterations", "epochs", "batch_length"):
        if options[option] is not None and option not in own:
            allowed = "--epochs" if option == "iterations" else "with --optimizer adam only"
            with_adam = "with --optimizer adam " if option == "iterations" else ""
            raise InputError(f"--{option.replace('_', '-')}: {with_adam}allowed {'is ' if with_adam else ''}{allowed}")
    given = {option: options[option] for option in own if options[option] is not None}
    return find_optimizer(chosen(**given, **({"seed": options["seed"]} if name == "adam" else {})), squares)
