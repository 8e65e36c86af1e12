"""Commands with detectors of wires: their detector, and what is theirs of simulate."""

import functools
import math
import os
import time

import click
from click.core import ParameterSource

from lartpc import InputError
from lartpc.cli.options import PIXEL_OPTIONS, check_output, is_wires, load_detector, load_parameters, load_wires
from lartpc.cli.progress import announce_compilation, progress_bar

# Options of simulate that are of pixels.
OF_PIXELS = (
    "layout",
    "noise_hits",
    "packets",
    "packet_version",
    "gzip",
    "keep_input",
    "waveforms",
    *PIXEL_OPTIONS,
)


OF_WIRES = ("tag", "charge_scale", "sensor", "sensor_threshold")


def load_either(detector, layout):
    """The `WireDetector`, or of pixels the `Detector`, that --detector and --layout name."""
    if not is_wires(detector):
        return load_detector(detector, layout)
    if layout:
        raise InputError("--layout: found with wires, allowed only with pixels")
    return load_wires(detector)


def simulate_wires(segments, output, options):
    """`lartpc simulate` with a detector of wires; `options` by their names.

    Lines on what may be wrong with the segments, and whether somebody wants the result: not where most segments are
    outside every TPC, or all charge comes when nothing is read.
    """
    started = time.perf_counter()
    refuse(OF_PIXELS)
    sensor = sensor_given(output, options)

    from lartpc import EventFile

    detector = load_wires(options["detector"], options["bad_channels"])
    simulation = wire_simulation(detector, load_parameters(detector, options["changes"]), options)
    deposits = EventFile(segments, options["events"], offset=options["offset"])
    if len(deposits):
        announce_compilation(options["device"])

    from lartpc.simulation.wirefiles import simulate_wire_file

    summary = simulate_wire_file(
        simulation,
        deposits,
        output,
        noise=options["noise"],
        sensor=sensor,
        attrs={"response": response_given(options) or "computed"},
        overwrite=options["overwrite"],
        progress=functools.partial(progress_bar, unit="part"),
    )
    click.echo(report(output, summary, len(detector.unread), time.perf_counter() - started))
    late = summary.channels > 0 and summary.unread == summary.channels
    wanted = 2 * summary.kept >= summary.segments and not late
    return ([] if wanted else doubts(deposits, detector, late)), wanted


def sensor_given(output, options):
    """The file of --sensor and its threshold, or None. InputError: a wrong one, or an output that cannot be written."""
    path, threshold = options["sensor"], options["sensor_threshold"]
    if path is None and threshold is not None:
        raise InputError("--sensor-threshold: allowed with --sensor only")
    if threshold is not None and not 0.0 <= threshold < math.inf:
        raise InputError(f"--sensor-threshold: found {threshold:g}, allowed is a number from 0 [ADC]")
    for one in [output] if path is None else [output, path]:
        check_output(one, options["overwrite"])
    return None if path is None else (path, threshold or 0.0)


def doubts(deposits, detector, late):
    """Why nobody wants the result."""
    from lartpc.formats.contents import deposits_of, hints

    found = deposits_of(deposits, detector)
    if not late:
        return hints(found, detector)
    first, last = detector.first_tick * detector.tick, (detector.first_tick + detector.n_ticks) * detector.tick
    times = " to ".join(f"{time:.6g}" for time in found.times)
    return [f"no charge comes while {detector.name} reads, {first:g} to {last:g} us: the segments have t0 {times} us"]


def refuse(names):
    """Raise InputError for options of these names that were given, which are of pixels."""
    for name in names:
        if not is_default(name):
            option = next(one for one in click.get_current_context().command.params if one.name == name)
            raise InputError(f"{option.opts[0]}: found with wires, allowed only with pixels")


def check_no_wires(options):
    """Raise InputError for options of wires, with pixels."""
    for name in OF_WIRES:
        if options.get(name) is not None:
            raise InputError(f"--{name.replace('_', '-')}: found with pixels, allowed only with wires")


def check_common(names, simulation):
    """Raise InputError where one of `names` is of a single module, or a simulation has values of single events."""
    from lartpc.parameters import event_of

    single = [name for name in names if "." in name and event_of(name) is None]
    for name in (*single, *simulation.parameters.of_events):
        raise InputError(f"fit: found {name}, allowed with wires are parameters of all TPCs, or t0_offset of an event")


def wire_simulation(detector, parameters, options, fit=None, **more):
    """The `WireSimulation` of --recombination, --response, --seed and --device.

    Of the first two, where they were not given, as `fit`, the content of a fit.json, has them. `more`: other arguments.
    """
    from lartpc import WireSimulation

    given = {} if is_default("recombination") else {"recombination": options["recombination"]}
    return WireSimulation(
        detector,
        parameters,
        **({"recombination": fit["recombination"]} if fit else {}) | given,
        response=response_given(options, fit),
        seed=options.get("seed", 0),
        device=options.get("device", "cpu"),
        **more,
    )


def response_given(options, fit=None):
    """The file of --response, or else of a `fit`; None: that of the detector's planes, which is computed."""
    if is_default("response"):
        return fit["response"] if fit and fit["response"] != "computed" else None
    response = options["response"]
    if response in ("parametric", "electrostatic") and not os.path.exists(response):
        raise InputError(f"--response: found {response} with wires, allowed is FILE; without it is that of the planes")
    if isinstance(response, list):
        raise InputError(f"--response: found {len(response)} files, allowed with wires is one")
    return response


def say_left_out(frames):
    """Print what the fit of a `FrameTarget` left out."""
    if str(frames.left_out):
        click.echo(f"regions left out: {frames.left_out}")


def is_default(name):
    """Whether an option was not given; a command that another one invokes is given none."""
    source = click.get_current_context().get_parameter_source(name)
    return source in (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def report(output, s, n_off, seconds):
    """What went in and what came out, in one line; with `n_off` channels off."""
    off = f"; {n_off} channels are off" if n_off else ""
    outside = f", {s.segments - s.kept} dropped (outside every TPC)" if s.kept < s.segments else ""
    late = f", {s.unread} of them when nothing is read" if s.unread else ""
    full = f"; {s.saturated} samples are at an end of the ADC's range" if s.saturated else ""
    return (
        f"{output}: {s.segments} segments read, {s.kept} kept{outside}; {s.energy:.1f} MeV deposited, "
        f"{s.electrons:.4g} e freed, {s.drifted:.4g} e at the anodes; {s.channels} channels see charge{late}; "
        f"{s.frames} frames{off}{full}; {seconds:.1f} s"
    )
