"""lartpc calibrate with a detector of wires: segments and frames in, the detector's parameters out."""

import functools
import math
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.fitting import fitted_of_events, given_bounds, given_constraints, names_of, prepare, showing
from lartpc.cli.info import versions
from lartpc.cli.options import CLOSURE_OPTIONS, PIXEL_OPTIONS, load_wires, number, pairs
from lartpc.cli.progress import announce_compilation, progress_bar
from lartpc.cli.wires import check_common, refuse, response_given, say_left_out, wire_simulation

# Options of calibrate that are of pixels, or not made for wires.
OF_PIXELS = (
    "layout",
    *PIXEL_OPTIONS,
    "per_module",
    "per_run",
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
    *CLOSURE_OPTIONS,
)


class ChargeScale(click.ParamType):
    """A relative width above 0, or `free`, which is infinite."""

    name = "charge_scale"

    def convert(self, value, parameter, context):
        from lartpc.checks import as_number, short

        found = math.inf if value == "free" else as_number(value)
        if found is None or not found > 0.0:
            raise InputError(f"--charge-scale: found {short(value)}, allowed is a relative width above 0, or free")
        return found


charge_scale_option = click.option(
    "--charge-scale",
    type=ChargeScale(),
    metavar="WIDTH|free",
    help="With wires: of the charge of each track, an unknown factor, known to this width about 1, as 0.02, or not.",
)


def calibrate_wires(data, output, options):
    """`lartpc calibrate SEGMENTS FRAMES`; `options` by their names. Whether the result is good."""
    started = time.perf_counter()
    refuse(OF_PIXELS)
    if len(data) != 2:
        raise InputError(f"found {len(data)} files, allowed with wires are SEGMENTS and FRAMES")
    folder = prepare(output, options["resume"], options["overwrite"])
    detector = load_wires(options["detector"], options["bad_channels"])

    from lartpc import read_segments
    from lartpc.fit.calibrate import Journal
    from lartpc.fit.store import Kept, setup_of_frames, write_result
    from lartpc.fit.unknowns import check_start, unknowns_of
    from lartpc.fit.waveforms import SEVEN, at_start, fit_waveforms
    from lartpc.plots.figure import write_figure
    from lartpc.plots.fit import convergence_figure, correlation_figure, parameters_figure
    from lartpc.plots.waveformresiduals import waveform_residuals_figure

    fitted = names_of(options["fit"], SEVEN)
    fixes = pairs("fix", options["fix"])
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them")
    start = {name: number("start", name, value) for name, value in pairs("start", options["start"]).items()}
    simulation = wire_simulation(detector, at_start(detector.parameters.replace(**fixes), fitted, start), options)
    if options["per_event"] is not None:
        fitted = fitted_of_events(fitted, read_segments(data[0]).of_events(options["events"]), options)
    constraints = given_constraints(options["constrain"], fitted)
    varied = unknowns_of(simulation, fitted, start, given_bounds(options["bounds"]), constraints)
    check_start(varied)
    segments, frames, objective = objective_of(*data, simulation, varied, options)
    setup = setup_of_frames(
        objective,
        segments,
        frames,
        fit=list(fitted),
        start=varied.start.tolist(),
        bounds=varied.bounds.tolist(),
        constraints=[[list(one.names), one.values.tolist(), one.covariance.tolist()] for one in constraints],
        charge_scale=None if options["charge_scale"] is None else str(options["charge_scale"]),
    )
    with Kept(folder, fitted, setup, options["resume"], options["overwrite"]) as kept:
        result = fit_waveforms(objective, truth=frames.truth, journal=Journal(kept.done, showing(kept, fitted)))
    parameters = simulation.parameters.as_dict()
    more = {
        "versions": versions(),
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "fixed": {name: value for name, value in parameters.items() if name not in fitted},
        "recombination": simulation.recombination,
        "response": response_given(options) or "computed",
        "detector": detector.name,
        "frames": {"tag": frames.frames.tag, "regions_left_out": vars(frames.left_out)},
        "unread": detector.unread.tolist(),
    }
    tracks = sum(len(one.event) for one in objective.tracks)
    known = "free" if options["charge_scale"] == math.inf else options["charge_scale"]
    if tracks:
        more["charge_scale"] = {"width": known, "tracks": tracks}
    write_result(folder, result, more)
    pictures = {
        "parameters.png": parameters_figure(result, kept.evaluations),
        "convergence.png": convergence_figure(result, kept.evaluations),
        "correlation.png": correlation_figure(result),
        "residuals.png": waveform_residuals_figure(result.verdicts[0], detector),
    }
    for name, figure in pictures.items():
        write_figure(folder / name, figure)
    click.echo(str(result))
    if tracks:
        click.echo(f"charges of {tracks} tracks: " + ("free" if known == "free" else f"known to {100.0 * known:g} %"))
    say_left_out(frames)
    click.echo(f"{folder}: fit.json, history.h5, {', '.join(pictures)}; {time.perf_counter() - started:.1f} s")
    return result.good


def objective_of(data, target, simulation, varied, options):
    """The segments of --events in `data`, the `FrameTarget` of `target`, and their `WaveformObjective`."""
    check_common(varied.names, simulation)

    from lartpc import read_segments
    from lartpc.fit.frametarget import FrameTarget
    from lartpc.fit.unknowns import check_events
    from lartpc.losses.waveforms import WaveformObjective

    segments = read_segments(data, options["offset"]).of_events(options["events"])
    check_events(varied.names, segments.events)
    frames = FrameTarget(target, simulation.detector, options["tag"], options["trust_me"])
    frames.check(simulation, varied.names)
    announce_compilation(options["device"])
    bar = functools.partial(progress_bar, doing="fitting")
    of_tracks = options.get("charge_scale")
    return segments, frames, WaveformObjective(simulation, segments, frames.read, varied, bar, of_tracks)
