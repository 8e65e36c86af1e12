"""lartpc compare: segments, hits and parameters in, whether the one makes the other out."""

import functools
import shlex
import sys
import time

import click
from click.core import ParameterSource

from lartpc import InputError
from lartpc.cli.fitting import aim_of, prepare
from lartpc.cli.info import versions
from lartpc.cli.options import (
    PIXEL_OPTIONS,
    config_option,
    detector_option,
    device_option,
    events_option,
    folder_option,
    is_wires,
    layout_option,
    load_detector,
    load_wires,
    offset_option,
    overwrite_option,
    pairs,
    pixel_detector_option,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    say,
    set_option,
    t0_option,
    tag_option,
    with_pixel_values,
)
from lartpc.cli.progress import announce_compilation
from lartpc.cli.wires import check_no_wires, refuse, response_given, say_left_out, wire_simulation

# Options of compare that are of pixels.
OF_PIXELS = ("layout", *PIXEL_OPTIONS, "rounded", "t0")


def model_options(command, named=pixel_detector_option):
    """The decorator with the options of `model_of`; `named`: that of the detector."""
    return simulation_options(t0_option(command), named)


def simulation_options(command, named=pixel_detector_option):
    """The decorator with the options of `simulation_of`, and what `--rounded` and `--events` say of a target."""
    fit = click.option("--fit", "fitted", metavar="FILE", help="fit.json with parameters, recombination and response.")
    run = click.option("--run", type=click.IntRange(0), help="Which run of --fit, where that is of several.")
    options = (
        config_option,
        named,
        layout_option,
        events_option,
        pixel_options,
        fit,
        run,
        set_option,
        rounded_option,
    )
    options += (recombination_option, response_option, device_option)
    return functools.reduce(lambda made, option: option(made), reversed(options), command)


@click.command(epilog="Example: lartpc compare muons.h5 hits.h5 -o comparison --fit fit/fit.json")
@click.argument("segments")
@click.argument("target")
@folder_option
@functools.partial(model_options, named=detector_option)
@offset_option
@tag_option
@overwrite_option
@click.pass_context
def compare(context, segments, target, output, detector, layout, fitted, changes, overwrite, **options):
    """Whether a model, fitted or not, describes the hits in TARGET, which the energy deposits in SEGMENTS made.

    Prints the verdict with its reasons, and writes it into DIR as verdict.json, with a picture of the residuals. Exit
    code 1 where the model does not describe the target.

    With a detector of wires TARGET is a file of frames, and mean squares of residuals of each plane are compared.
    """
    started = time.perf_counter()
    folder = prepare(output, None, overwrite, ("verdict.json", "residuals.png"))
    compared = compare_frames if is_wires(detector) else compare_hits
    simulation, chain, verdict, figure = compared(context, segments, target, detector, layout, fitted, changes, options)

    from lartpc.fit.store import write_verdict
    from lartpc.plots.figure import write_figure

    more = {
        "versions": versions(),
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "parameters": simulation.parameters.as_dict(),
        **chain,
        "detector": simulation.detector.name,
    }
    write_verdict(folder, verdict, more)
    write_figure(folder / "residuals.png", figure(verdict, simulation.detector))
    click.echo(str(verdict))
    click.echo(f"{folder}: verdict.json, residuals.png; {time.perf_counter() - started:.1f} s")
    if not verdict.describes:
        sys.exit(1)


def compare_hits(context, segments, target, detector, layout, fitted, changes, options):
    """The simulation, its own options, the verdict, and what draws it."""
    check_no_wires(options)
    simulation, deposits, aim, chain = model_of(context, segments, target, detector, layout, fitted, changes, options)

    from lartpc import compare as run
    from lartpc.fit.agreement import doubts
    from lartpc.plots.residuals import residuals_figure

    for line in doubts(aim, simulation):
        say(line)
    return simulation, chain, run(simulation, deposits, aim), residuals_figure


def compare_frames(context, segments, target, detector, layout, fitted, changes, options):
    """The same with a detector of wires."""
    refuse(OF_PIXELS)
    simulation, chain = simulation_of_wires(detector, fitted, changes, options)

    from lartpc import compare_waveforms, read_segments
    from lartpc.fit.agreement import doubts
    from lartpc.fit.frametarget import FrameTarget
    from lartpc.plots.waveformresiduals import waveform_residuals_figure

    deposits = read_segments(segments, options["offset"]).of_events(options["events"])
    frames = FrameTarget(target, simulation.detector, options["tag"])
    for line in doubts(frames, simulation):
        say(line)
    announce_compilation(options["device"])
    verdict = compare_waveforms(simulation, deposits, frames.read)
    say_left_out(frames)
    told = {"tag": frames.frames.tag, "regions_left_out": vars(frames.left_out)}
    return simulation, {**chain, "frames": told}, verdict, waveform_residuals_figure


def model_of(context, segments, target, detector, layout, fitted, changes, options, estimated=False):
    """The simulation that `model_options` ask for, the segments, the `Target`, and the options of the simulation.

    `estimated`: thresholds of pixels will be, so that a target with some that are not known is allowed.
    """
    if options["t0"] == "fit":
        raise InputError("--t0 fit: allowed with calibrate only; --set t0_offset=VALUE shifts the model")

    from lartpc import read_segments

    whole = read_segments(segments, options.get("offset", (0.0, 0.0, 0.0)))
    simulation, chain = simulation_of(context, detector, layout, fitted, changes, options, estimated)
    files = detector, layout
    return simulation, *aim_of(target, whole, simulation, None, files, {**options, "closure": False}), chain


def simulation_of(context, detector, layout, fitted, changes, options, estimated=False):
    """The simulation that `simulation_options` ask for, and its own options; `estimated`: as of `model_of`."""
    check_run(fitted, options)

    from lartpc import Simulation
    from lartpc.fit.thresholds import with_table

    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    parameters, fit = parameters_of(chosen, fitted, changes, options)
    chain = {name: options[name] for name in ("recombination", "response", "device")}
    for name in ("recombination", "response"):
        if fit and context.get_parameter_source(name) is ParameterSource.DEFAULT:
            chain[name] = fit[name]
    return Simulation(with_table(chosen) if estimated else chosen, parameters, **chain), chain


def simulation_of_wires(detector, fitted, changes, options):
    """The same with a detector of wires."""
    check_run(fitted, options)
    chosen = load_wires(detector, options["bad_channels"])
    parameters, fit = parameters_of(chosen, fitted, changes, options)
    simulation = wire_simulation(chosen, parameters, options, fit)
    response = response_given(options, fit) or "computed"
    return simulation, {
        "recombination": simulation.recombination,
        "response": response,
        "device": options["device"],
    }


def check_run(fitted, options):
    """Raise InputError where a run of no fit is named."""
    if options["run"] is not None and fitted is None:
        raise InputError("--run: allowed with --fit only")


def parameters_of(chosen, fitted, changes, options):
    """The parameters of a detector with those of --fit and --set, and what `values_of` gives of --fit."""
    from lartpc.fit.runs import has

    fit = values_of(fitted, options["run"]) if fitted is not None else {}
    if fit and fit["detector"] != chosen.name:
        raise InputError(f"{fitted}: fit of detector {fit['detector']}, allowed is --detector of that")
    values = fit.get("values", {})  # of several runs, also those of modules that others have
    values = {name: values[name] for name in values if options["run"] is None or has(chosen, name)}
    parameters = chosen.parameters.replace(**values)
    parameters = parameters.replace(**pairs("set", changes))
    parameters.check_single(**chosen.counts)
    return parameters, fit


def values_of(path, run):
    """Values, detector, recombination and response of a fit.json, of a `run` where it is of several."""
    from lartpc.fit.fitfile import read_fit

    otherwise = f"--fit {path}: is no fit.json that lartpc calibrate writes"
    rows, content = read_fit(path, otherwise)
    try:
        several = len(content.get("runs", ()))
        if several and (run is None or run >= several):
            raise InputError(f"--run: found {run}, allowed is 0 to {several - 1}: --fit is of {several} runs")
        if not several and run is not None:
            raise InputError(f"--run: found {run}, allowed with a fit of several runs only")
        told = content["runs"][run] if several else content
        own = f".run{run}"
        fitted = {
            name.removesuffix(own): value
            for name, (value, _) in rows.items()
            if name.endswith(own) or ".run" not in name
        }
        values = dict(told["fixed"]) | fitted
        names = [told["detector"], told["recombination"]]
        names += told["response"] if isinstance(told["response"], list) else [told["response"]]
        if not all(isinstance(name, str) for name in names):
            raise InputError(otherwise)
        return {"values": values, **{name: told[name] for name in ("detector", "recombination", "response")}}
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise InputError(otherwise) from failure
