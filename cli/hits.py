"""lartpc calibrate HITS: the detector's parameters from hits alone."""

import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.fitting import fitted_names, given_bounds, given_constraints, hits_alone, prepare
from lartpc.cli.info import versions
from lartpc.cli.options import number, pairs
from lartpc.cli.progress import announce_compilation, progress_bar
from lartpc.cli.runs import detector_of

# Options of calibrate that need the true deposits, with what they are where they are not given.
OF_SEGMENTS = {
    "loss": None,
    "optimizer": None,
    "errors": "gauss-newton",
    "iterations": None,
    "epochs": None,
    "batch_length": None,
    "estimate_thresholds": False,
    "per_event": None,
    "t0": None,
    "offset": (0.0, 0.0, 0.0),
}
RESULTS = ("fit.json", "joint.h5", "parameters.png", "convergence.png", "correlation.png")


def hits_options(command):
    """The decorator with the options of a calibration from hits alone."""
    options = (
        click.option(
            "--particle",
            "particles",
            default="proton",
            show_default=True,
            metavar="NAME,...",
            help="Without segments: of which stopping tracks are used; proton, muon, pion+.",
        ),
        *track_options("Without segments: "),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), command)


def track_options(condition=""):
    """The options on what is known of tracks, with a `condition` for their help."""
    return (
        click.option(
            "--t0-width",
            type=click.FloatRange(0.0, min_open=True),
            metavar="US",
            help=f"{condition}How well times are known, about those of the events.  [default: they are]",
        ),
        click.option(
            "--t0-of",
            type=click.Choice(["event", "track"]),
            default="event",
            show_default=True,
            help=f"{condition}Whose these times are: tracks of an event share one, or each has its own.",
        ),
        click.option(
            "--track-density",
            type=click.FloatRange(1.0, 1.6),
            metavar="G/CM3",
            help=f"{condition}Density of the argon that tracks lose energy in; 1 % is 0.3 % of Ab.  [default: 1.38]",
        ),
    )


def check_no_hits_option(options):
    """Raise InputError for options of `hits_options` with segments."""
    absent_of = {"particles": "proton", "t0_width": None, "t0_of": "event", "track_density": None}
    for name, absent in absent_of.items():
        if options[name] != absent:
            raise InputError(f"--{name.replace('_', '-').removesuffix('s')}: is for HITS alone, found SEGMENTS")


def calibrate_from_hits(given, output, names, per_run, start, resume, overwrite, options):
    """Fit the parameters and all tracks to the hits of each of the runs `given`."""
    started = time.perf_counter()
    for name, absent in OF_SEGMENTS.items():
        if options[name] != absent:
            raise InputError(f"--{name.replace('_', '-')}: needs SEGMENTS, found a file of hits alone")

    from lartpc import Simulation, calibrate_hits_of_runs
    from lartpc.fit.agreement import check_agreement
    from lartpc.fit.store import write_result
    from lartpc.generator.transport import DENSITY
    from lartpc.plots.figure import write_figure
    from lartpc.plots.fit import convergence_figure, correlation_figure, parameters_figure
    from lartpc.reconstruction.calibrate import Journal
    from lartpc.reconstruction.checkpoint import Checkpoint, setup_of
    from lartpc.reconstruction.reconstruct import KNOWN, STOPPABLE
    from lartpc.reconstruction.result import evaluation, result_of
    from lartpc.reconstruction.used import HitRun

    folder = prepare(output, resume, overwrite, RESULTS)
    particles = [name.strip() for name in options["particles"].split(",")]
    for name in particles:
        if name not in STOPPABLE:
            raise InputError(f"--particle {name}: allowed are {', '.join(STOPPABLE)}")
    density = DENSITY if options["track_density"] is None else options["track_density"]
    width = KNOWN.width if options["t0_width"] is None else options["t0_width"]
    detectors = [detector_of(run) for run in given]
    fitted = fitted_names(names, options["per_module"], max(one.n_modules for one in detectors))
    apart = [name.strip() for name in per_run.split(",")] if per_run is not None else []
    runs, told = [], []
    for run, detector in zip(given, detectors, strict=True):
        fixes = pairs("fix", run["fix"])
        if any(name in fitted for name in fixes):
            raise InputError("--fix: names a parameter that --fit names too, allowed is one of them")
        chain = {name: run[name] for name in ("recombination", "response", "device")}
        simulation = Simulation(detector, detector.parameters.replace(**fixes), **chain)
        target = hits_alone(run["target"], detector, (run["detector"], run["layout"]), run)
        runs.append(HitRun(simulation, target))
        fixed = {name: value for name, value in simulation.parameters.as_dict().items() if name not in fitted}
        told.append({"fixed": fixed, **chain, "detector": detector.name})
    varied = unknowns_of_given(runs, fitted, apart, start, options)
    for run in runs:
        check_agreement(run.target, run.simulation, fitted)
    setting = {
        "particles": particles,
        "t0": KNOWN._replace(width=width),
        "t0_of": options["t0_of"],
        "density": density,
    }
    checkpoint = Checkpoint(folder, setup_of(runs, varied, setting), resume, overwrite)
    history = []

    def report(phase, state, reduced, left, hits):
        history.append(evaluation(varied, phase, state, reduced, hits))
        shown = ", ".join(f"{name} {value:.5g}" for name, value in zip(varied.names, state.theta, strict=True))
        click.echo(f"{phase} {len(history)}: F {state.value:.6g}, {left:.2g} errors to go; {shown}")

    announce_compilation(options["device"])
    bar = functools.partial(progress_bar, doing="fitting tracks", unit="step")
    journal = Journal(checkpoint.saved, checkpoint.save, report, bar)
    result = result_of(calibrate_hits_of_runs(runs, varied, journal=journal, **setting))
    more = {"versions": versions(), "command": shlex.join(["lartpc", *sys.argv[1:]])}
    write_result(folder, result, {**more, **(told[0] if len(runs) == 1 else {"runs": told})})
    write_figure(folder / "parameters.png", parameters_figure(result.fit, history))
    write_figure(folder / "convergence.png", convergence_figure(result.fit, history))
    write_figure(folder / "correlation.png", correlation_figure(result.fit))
    click.echo(str(result))
    click.echo(f"{folder}: {', '.join(RESULTS)}; {time.perf_counter() - started:.1f} s")
    if not result.good:
        sys.exit(1)


def unknowns_of_given(runs, fitted, apart, start, options):
    """The unknowns of all runs, with --start, --bounds and --constrain."""
    from lartpc.fit.runs import names_of_runs, unknowns_of_runs

    begin = {name: number("start", name, value) for name, value in pairs("start", start).items()}
    bounds = given_bounds(options["bounds"])
    detectors = [run.simulation.detector for run in runs]
    constraints = given_constraints(options["constrain"], names_of_runs(fitted, apart, detectors)[0])
    return unknowns_of_runs([run.simulation for run in runs], fitted, apart, begin, bounds, constraints)
