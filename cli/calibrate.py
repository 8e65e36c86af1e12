"""lartpc calibrate: segments and hits in, the detector's parameters out."""

import dataclasses
import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.fitting import fitted_names, given_bounds, given_constraints, prepare, showing
from lartpc.cli.hits import calibrate_from_hits, check_no_hits_option, hits_options
from lartpc.cli.info import versions
from lartpc.cli.options import (
    closure_options,
    config_option,
    detector_option,
    device_option,
    events_option,
    fit_option,
    folder_option,
    is_wires,
    layout_option,
    loss_option,
    number,
    offset_option,
    overwrite_option,
    pairs,
    per_event_option,
    per_module_option,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    t0_option,
    tag_option,
    trust_option,
)
from lartpc.cli.progress import progress_bar
from lartpc.cli.runs import data_argument, detector_of, load_run, runs_given
from lartpc.cli.thresholds import channels_of
from lartpc.cli.wirefit import calibrate_wires, charge_scale_option
from lartpc.cli.wires import check_no_wires


@click.command(epilog="Example: lartpc calibrate muons.h5 hits.h5 -o fit --fit eField,lifetime")
@data_argument
@folder_option
@config_option
@detector_option
@layout_option
@events_option
@offset_option
@tag_option
@pixel_options
@fit_option
@per_module_option
@click.option("--per-run", metavar="NAME,...", help="Of these, one value a run, where there are several.")
@per_event_option
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
@charge_scale_option
@hits_options
@closure_options("parameters drawn with --seed")
@trust_option
@click.option("--resume", is_flag=True, help="Continue the fit in DIR.")
@device_option
@overwrite_option
def calibrate(data, output, names, per_run, start, loss, resume, overwrite, **options):
    """Fit the parameters of the detector to the hits in TARGET, which the energy deposits in SEGMENTS made.

    HITS alone: the tracks that made them are found, and fitted together with the parameters.

    TARGET is what lartpc simulate writes, or a file of LArPix packets (then --rounded goes without saying). Several
    runs: SEGMENTS:TARGET of each, or a YAML list of mappings with segments and target, and whatever else is a run's
    own: detector, layout, events, response, thresholds, gains, pedestals, bad_channels, fix.

    All at once, with errors and correlations, by default by Gauss-Newton on the likelihood of the hit list. Writes
    fit.json, history.h5 and pictures into DIR, and prints a table. Exit code 1 where the result is not to be used: the
    minimiser has not converged, or the model does not describe the target.

    With a detector of wires TARGET is a file of frames, as lartpc simulate writes and Wire-Cell does, and by default
    alpha_emb, beta_90, R_anisotropy, lifetime, vdrift, tran_diff and long_diff are fitted to the samples.
    """
    if is_wires(options["detector"]):
        given = {**options, "fit": names, "start": start, "resume": resume, "overwrite": overwrite}
        if not calibrate_wires(data, output, given):
            sys.exit(1)
        return
    check_no_wires(options)
    given = runs_given(data, options)
    if given[0]["segments"] is None:
        calibrate_from_hits(given, output, names, per_run, start, resume, overwrite, {**options, "loss": loss})
        return
    started = time.perf_counter()
    check_no_hits_option(options)
    folder = prepare(output, resume, overwrite)
    estimated = options["estimate_thresholds"]
    if estimated and (loss not in (None, "likelihood") or options["errors"] != "gauss-newton"):
        raise InputError("--estimate-thresholds: needs --loss likelihood and --errors gauss-newton")
    for option in ("per_event", "estimate_thresholds"):
        if len(given) > 1 and options[option]:
            raise InputError(f"--{option.replace('_', '-')}: allowed with one run, found {len(given)}")
    if estimated and options["per_event"]:
        raise InputError("--estimate-thresholds: allowed without --per-event")

    from lartpc import calibrate_runs, write_hits
    from lartpc.fit.calibrate import Journal
    from lartpc.fit.jointly import calibrate_with_thresholds
    from lartpc.fit.store import Kept, setup_of_runs, write_result
    from lartpc.fit.thresholds import check_ids, with_table
    from lartpc.plots.figure import write_figure
    from lartpc.plots.fit import convergence_figure, correlation_figure, parameters_figure
    from lartpc.plots.residuals import residuals_figure

    detectors = [detector_of(run) for run in given]
    if estimated:
        channels = channels_of(detectors[0], given[0]["detector"], given[0]["layout"])
        detectors = [with_table(detectors[0])]
        check_ids(detectors[0], channels)
    fitted = fitted_names(names, options["per_module"], max(detector.n_modules for detector in detectors))
    apart = [name.strip() for name in per_run.split(",")] if per_run is not None else []
    loaded = [load_run(run, detector, fitted) for run, detector in zip(given, detectors, strict=True)]
    runs = [run.run for run in loaded]
    fixed = {name for run in given for name in pairs("fix", run["fix"])}
    varied = unknowns_given(runs, loaded[0].fitted, apart, fixed, start, options)
    optimizer, seed = options["optimizer"], options["seed"]
    minimiser = with_options(optimizer, loss or runs[0].target.loss, options)
    setup = setup_of_runs(
        runs,
        loss,
        fit=list(varied.names),
        start=sorted(start),
        bounds=varied.bounds.tolist(),
        constraints=[[list(one.names), one.values.tolist(), one.covariance.tolist()] for one in varied.constraints],
        optimizer=optimizer,
        batches=[minimiser.batch_length, seed] if optimizer == "adam" else None,
        response=[run.told["response"] for run in loaded],
        **({"thresholds": "estimated"} if estimated else {}),
    )
    with Kept(folder, varied.names, setup, resume, overwrite) as kept:
        report = showing(kept, varied.names)
        journal = Journal(kept.done, report, functools.partial(progress_bar, doing="fitting"))
        if estimated:
            (own,) = varied.of_run
            result, thresholds = calibrate_with_thresholds(*runs[0], own, optimizer=minimiser, journal=journal)
        else:
            rest = {"loss": loss, "optimizer": minimiser, "errors": options["errors"]}
            result = calibrate_runs(runs, varied, journal=journal, **rest)
    of_runs = [run.told for run in loaded]
    more = {
        "versions": versions(),
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "seed": seed,
        **(of_runs[0] if len(runs) == 1 else {"runs": of_runs}),
    }
    if options["closure"]:
        target = runs[0].target
        write_hits(folder / "target.h5", target.hits, runs[0].segments, target.settings, overwrite=True)
    if estimated:
        more["thresholds"] = thresholds.as_dict()
        thresholds.write(folder / "thresholds.npz", detectors[0], channels, overwrite=True)
    write_result(folder, result, more)
    write_figure(folder / "parameters.png", parameters_figure(result, kept.evaluations))
    write_figure(folder / "convergence.png", convergence_figure(result, kept.evaluations))
    write_figure(folder / "correlation.png", correlation_figure(result))
    pictures = ["parameters.png", "convergence.png", "correlation.png"]
    for k, (verdict, detector) in enumerate(zip(result.verdicts, detectors, strict=True)):
        pictures.append("residuals.png" if len(runs) == 1 else f"residuals-run{k}.png")
        write_figure(folder / pictures[-1], residuals_figure(verdict, detector))
    click.echo(str(result))
    if estimated:
        click.echo(str(thresholds))
    click.echo(f"{folder}: fit.json, history.h5, {', '.join(pictures)}; ", nl=False)
    click.echo(f"{time.perf_counter() - started:.1f} s")
    if not result.good:
        sys.exit(1)


def unknowns_given(runs, fitted, apart, fixed, start, options):
    """The unknowns of all runs, with --start, --bounds and --constrain, and the zero of time where that is open.

    `fixed`: the names of what is fixed in any run.
    """
    from lartpc.fit.runs import names_of_runs, unknowns_of_runs
    from lartpc.fit.zero import OFFSET, with_offset

    begin = {name: number("start", name, value) for name, value in pairs("start", start).items()}
    bounds = given_bounds(options["bounds"])
    detectors = [run.simulation.detector for run in runs]
    constraints = given_constraints(options["constrain"], names_of_runs(fitted, apart, detectors)[0])
    asked = {"--t0 fit": options["t0"] == "fit", "--per-event": options["per_event"] is not None}
    for option in (option for option in asked if asked[option] and OFFSET in fixed):
        raise InputError(f"--fix {OFFSET}: is what {option} fits, allowed is one of them")
    packets = [run.target.received for run in runs if run.target.received is not None]
    if any(asked.values()) or (any(received.fit for received in packets) and OFFSET not in fixed):
        return with_offset(runs, fitted, apart, begin, bounds, constraints)
    return unknowns_of_runs([run.simulation for run in runs], fitted, apart, begin, bounds, constraints)


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
