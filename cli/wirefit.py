"""lartpc calibrate with a detector of wires: segments and frames in, the detector's parameters out."""

import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.fitting import given_bounds, given_constraints, prepare, showing
from lartpc.cli.info import versions
from lartpc.cli.options import load_wires, number, pairs
from lartpc.cli.progress import announce_compilation, progress_bar
from lartpc.cli.wires import refuse, response_given, wire_simulation

# Options of calibrate that are of pixels, or not made for wires.
OF_PIXELS = (
    "layout",
    "max_hits",
    "dead_time",
    "bad_channels",
    "thresholds",
    "gains",
    "pedestals",
    "per_module",
    "per_run",
    "per_event",
    "loss",
    "rounded",
    "t0",
    "optimizer",
    "iterations",
    "epochs",
    "batch_length",
    "errors",
    "estimate_thresholds",
    "particles",
    "t0_width",
    "t0_of",
    "track_density",
    "closure",
    "truth",
    "noise",
    "cuts",
    "cut",
    "seed",
)


def calibrate_wires(data, output, options):
    """`lartpc calibrate SEGMENTS FRAMES`; `options` by their names. Whether the result is good."""
    started = time.perf_counter()
    refuse(OF_PIXELS)
    if len(data) != 2:
        raise InputError(f"found {len(data)} files, allowed with wires are SEGMENTS and FRAMES")
    folder = prepare(output, options["resume"], options["overwrite"])
    detector = load_wires(options["detector"])

    from lartpc import calibrate_waveforms, read_segments
    from lartpc.fit.calibrate import Journal
    from lartpc.fit.frametarget import FrameTarget
    from lartpc.fit.store import Kept, setup_of_frames, write_result
    from lartpc.fit.unknowns import unknowns_of
    from lartpc.fit.waveforms import SEVEN, at_start
    from lartpc.plots.figure import write_figure
    from lartpc.plots.fit import convergence_figure, correlation_figure, parameters_figure

    fitted = SEVEN if options["fit"] is None else tuple(name.strip() for name in options["fit"].split(","))
    fixes = pairs("fix", options["fix"])
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them")
    simulation = wire_simulation(detector, at_start(detector.parameters.replace(**fixes), fitted), options)
    for name in (*fitted, *simulation.parameters.of_events):
        if "." in name:
            raise InputError(f"fit: found {name}, allowed with wires are parameters of all TPCs and events")
    start = {name: number("start", name, value) for name, value in pairs("start", options["start"]).items()}
    constraints = given_constraints(options["constrain"], fitted)
    varied = unknowns_of(simulation, fitted, start, given_bounds(options["bounds"]), constraints)
    segments = read_segments(data[0], options["offset"]).of_events(options["events"])
    frames = FrameTarget(data[1], detector, options["tag"], options["trust_me"])
    frames.check(simulation, fitted)
    announce_compilation(options["device"])
    setup = setup_of_frames(
        simulation,
        segments,
        frames,
        fit=list(fitted),
        start=varied.start.tolist(),
        bounds=varied.bounds.tolist(),
        constraints=[[list(one.names), one.values.tolist(), one.covariance.tolist()] for one in constraints],
    )
    with Kept(folder, fitted, setup, options["resume"], options["overwrite"]) as kept:
        report = showing(kept, fitted)
        journal = Journal(kept.done, report, functools.partial(progress_bar, doing="fitting"))
        result = calibrate_waveforms(simulation, segments, frames.read, varied, truth=frames.truth, journal=journal)
    parameters = simulation.parameters.as_dict()
    more = {
        "versions": versions(),
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "fixed": {name: value for name, value in parameters.items() if name not in fitted},
        "recombination": simulation.recombination,
        "response": response_given(options) or "computed",
        "detector": detector.name,
        "frames": {"tag": frames.frames.tag, "regions_left_out": vars(frames.left_out)},
    }
    write_result(folder, result, more)
    pictures = {
        "parameters.png": parameters_figure(result, kept.evaluations),
        "convergence.png": convergence_figure(result, kept.evaluations),
        "correlation.png": correlation_figure(result),
    }
    for name, figure in pictures.items():
        write_figure(folder / name, figure)
    click.echo(str(result))
    if str(frames.left_out):
        click.echo(f"regions left out: {frames.left_out}")
    click.echo(f"{folder}: fit.json, history.h5, {', '.join(pictures)}; {time.perf_counter() - started:.1f} s")
    return result.good
