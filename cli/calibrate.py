"""lartpc calibrate: segments and hits in, the detector's parameters out."""

import dataclasses
import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.fitting import (
    aim_of,
    check_target,
    fitted_names,
    given_bounds,
    given_constraints,
    given_truth,
    prepare,
    showing,
)
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
    t0_option,
    trust_option,
    with_pixel_values,
)
from lartpc.cli.progress import progress_bar
from lartpc.cli.thresholds import channels_of


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
@click.option("--bounds", multiple=True, metavar="NAME=LOW:HIGH", help="How far a parameter may go [default: far].")
@click.option(
    "--constrain",
    multiple=True,
    metavar="NAME=VALUE+-ERROR|FILE",
    help="What is known of a parameter besides TARGET; FILE: fit.json of another fit. May be repeated.",
)
@loss_option
@rounded_option
@t0_option
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
@click.option(
    "--estimate-thresholds", is_flag=True, help="Fit the threshold of each pixel, too; writes thresholds.npz into DIR."
)
@closure_options("parameters drawn with --seed")
@trust_option
@click.option("--resume", is_flag=True, help="Continue the fit in DIR.")
@device_option
@overwrite_option
def calibrate(segments, target, output, detector, layout, names, fix, start, loss, resume, overwrite, **options):
    """Fit the parameters of the detector to the hits in TARGET, which the energy deposits in SEGMENTS made.

    TARGET is what lartpc simulate writes, or a file of LArPix packets (then --rounded goes without saying).

    All at once, with errors and correlations, by default by Gauss-Newton on the likelihood of the hit list. Writes
    fit.json, history.h5 and pictures into DIR, and prints a table. Exit code 1 where the result is not to be used: the
    minimiser has not converged, or the model does not describe the target.
    """
    started = time.perf_counter()
    folder = prepare(output, resume, overwrite)
    check_target(target, options)
    estimated = options["estimate_thresholds"]
    if estimated and (loss not in (None, "likelihood") or options["errors"] != "gauss-newton"):
        raise InputError("--estimate-thresholds: needs --loss likelihood and --errors gauss-newton")

    from lartpc import Simulation, read_segments
    from lartpc.fit.thresholds import check_ids, with_table
    from lartpc.fit.unknowns import unknowns_of

    whole = read_segments(segments)
    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    if estimated:
        chosen, channels = with_table(chosen), channels_of(chosen, detector, layout)
        check_ids(chosen, channels)
    fitted = fitted_names(names, options["per_module"], chosen.n_modules)
    recombination, device, seed, optimizer = (
        options[name] for name in ("recombination", "device", "seed", "optimizer")
    )
    fixes = pairs("fix", fix)
    fixed = chosen.parameters.replace(**fixes)
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them")
    simulation = Simulation(chosen, fixed, recombination=recombination, response=options["response"], device=device)
    constraints = given_constraints(options["constrain"], fitted)
    truth = None
    if options["closure"]:
        from lartpc.fit.closure import draw_truth

        truth = draw_truth(simulation, fitted, seed, given_truth(fitted, "fitted", options))
    deposits, aim = aim_of(target, whole, simulation, truth, (detector, layout), options, optimizer)
    given = {name: number("start", name, value) for name, value in pairs("start", start).items()}

    from lartpc import calibrate as run
    from lartpc import write_hits
    from lartpc.fit.calibrate import Journal
    from lartpc.fit.jointly import calibrate_with_thresholds
    from lartpc.fit.store import Kept, setup_of, write_result
    from lartpc.fit.zero import OFFSET, with_offset
    from lartpc.plots.figure import write_figure
    from lartpc.plots.fit import convergence_figure, correlation_figure, parameters_figure
    from lartpc.plots.residuals import residuals_figure

    if options["t0"] == "fit" and OFFSET in fixes:
        raise InputError(f"--fix {OFFSET}: is what --t0 fit fits, allowed is one of them")
    open_zero = aim.received is not None and aim.received.fit and OFFSET not in fixes
    if open_zero or options["t0"] == "fit":
        varied = with_offset(simulation, deposits, aim, fitted, given, given_bounds(options["bounds"]), constraints)
    else:
        varied = unknowns_of(simulation, fitted, given, given_bounds(options["bounds"]), constraints)
    fitted = varied.names
    minimiser = with_options(optimizer, loss or aim.loss, options)
    setup = setup_of(
        simulation,
        deposits,
        aim,
        loss,
        fit=list(fitted),
        start=sorted(start),
        bounds=varied.bounds.tolist(),
        constraints=[[list(one.names), one.values.tolist(), one.covariance.tolist()] for one in constraints],
        optimizer=optimizer,
        batches=[minimiser.batch_length, seed] if optimizer == "adam" else None,
        response=options["response"],
        **({"thresholds": "estimated"} if estimated else {}),
    )
    with Kept(folder, fitted, setup, resume) as kept:
        journal = Journal(kept.done, showing(kept, fitted), functools.partial(progress_bar, doing="fitting"))
        given = {"optimizer": minimiser, "journal": journal}
        if estimated:
            result, thresholds = calibrate_with_thresholds(simulation, deposits, aim, varied, **given)
        else:
            result = run(simulation, deposits, aim, varied, loss=loss, errors=options["errors"], **given)
    more = {
        "versions": versions(),
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "seed": seed,
        "fixed": {name: value for name, value in fixed.as_dict().items() if name not in fitted},
        "recombination": recombination,
        "response": options["response"],
        "detector": chosen.name,
        "packets": None if aim.received is None else aim.received._asdict(),
    }
    if options["closure"]:
        write_hits(folder / "target.h5", aim.hits, deposits, aim.settings, overwrite=True)
    if estimated:
        more["thresholds"] = thresholds.as_dict()
        thresholds.write(folder / "thresholds.npz", chosen, channels, overwrite=True)
    write_result(folder, result, more)
    write_figure(folder / "parameters.png", parameters_figure(result, kept.evaluations))
    write_figure(folder / "convergence.png", convergence_figure(result, kept.evaluations))
    write_figure(folder / "correlation.png", correlation_figure(result))
    write_figure(folder / "residuals.png", residuals_figure(result.verdict, chosen))
    click.echo(str(result))
    if estimated:
        click.echo(str(thresholds))
    pictures = "parameters.png, convergence.png, correlation.png, residuals.png"
    click.echo(f"{folder}: fit.json, history.h5, {pictures}; ", nl=False)
    click.echo(f"{time.perf_counter() - started:.1f} s")
    if not result.good:
        sys.exit(1)


def with_options(name, loss, options):
    """The optimizer of a name, by default the loss's own, with --iterations or, for adam, --epochs and the like."""
    from lartpc.fit.optimizers import find_optimizer
    from lartpc.losses.catalogue import SQUARES

    chosen = find_optimizer(name, loss in SQUARES)
    own = {field.name for field in dataclasses.fields(chosen)}
    known = ("iterations", "epochs", "batch_length")
    given = {option: options[option] for option in known if options[option] is not None}
    for option in given:
        if option not in own and option == "iterations":
            raise InputError("--iterations: with --optimizer adam allowed is --epochs")
        if option not in own:
            raise InputError(f"--{option.replace('_', '-')}: allowed with --optimizer adam only")
    return dataclasses.replace(chosen, **given, **({"seed": options["seed"]} if "seed" in own else {}))
