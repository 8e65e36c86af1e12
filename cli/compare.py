"""lartpc compare: segments, hits and parameters in, whether the one makes the other out."""

import json
import shlex
import sys
import time

import click
from click.core import ParameterSource

from lartpc import InputError
from lartpc.cli.fitting import aim_of, prepare
from lartpc.cli.info import versions
from lartpc.cli.options import (
    config_option,
    detector_option,
    device_option,
    events_option,
    folder_option,
    layout_option,
    load_detector,
    overwrite_option,
    pairs,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    set_option,
    t0_option,
    with_pixel_values,
)


@click.command(epilog="Example: lartpc compare muons.h5 hits.h5 -o comparison --fit fit/fit.json")
@click.argument("segments")
@click.argument("target")
@folder_option
@config_option
@detector_option
@layout_option
@events_option
@pixel_options
@click.option("--fit", "fitted", metavar="FILE", help="fit.json with parameters, recombination and response.")
@set_option
@rounded_option
@t0_option
@recombination_option
@response_option
@device_option
@overwrite_option
@click.pass_context
def compare(context, segments, target, output, detector, layout, fitted, changes, overwrite, **options):
    """Whether a model, fitted or not, describes the hits in TARGET, which the energy deposits in SEGMENTS made.

    Prints the verdict with its reasons, and writes it into DIR as verdict.json, with a picture of the residuals. Exit
    code 1 where the model does not describe the target.
    """
    started = time.perf_counter()
    folder = prepare(output, None, overwrite, ("verdict.json", "residuals.png"))
    if options["t0"] == "fit":
        raise InputError("--t0 fit: allowed with calibrate only; --set t0_offset=VALUE shifts the model")
    fit = read_fit(fitted) if fitted is not None else {}

    from lartpc import Simulation, read_segments

    whole = read_segments(segments)
    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    if fit and fit["detector"] != chosen.name:
        raise InputError(f"{fitted}: fit of detector {fit['detector']}, allowed is --detector of that")
    parameters = chosen.parameters.replace(**fit.get("values", {}))
    parameters = parameters.replace(**pairs("set", changes))
    parameters.check_single(**chosen.counts)
    chain = {name: options[name] for name in ("recombination", "response", "device")}
    for name in ("recombination", "response"):
        if fit and context.get_parameter_source(name) is ParameterSource.DEFAULT:
            chain[name] = fit[name]
    simulation = Simulation(chosen, parameters, **chain)
    deposits, aim = aim_of(target, whole, simulation, None, (detector, layout), {**options, "closure": False})

    from lartpc import compare as run
    from lartpc.fit.store import write_verdict
    from lartpc.plots.figure import write_figure
    from lartpc.plots.residuals import residuals_figure

    verdict = run(simulation, deposits, aim)
    more = {
        "versions": versions(),
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "parameters": parameters.as_dict(),
        **chain,
        "detector": chosen.name,
    }
    write_verdict(folder, verdict, more)
    write_figure(folder / "residuals.png", residuals_figure(verdict, chosen))
    click.echo(str(verdict))
    click.echo(f"{folder}: verdict.json, residuals.png; {time.perf_counter() - started:.1f} s")
    if not verdict.describes:
        sys.exit(1)


def read_fit(path):
    """Values, detector, recombination and response of a fit.json."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        values = dict(content["fixed"]) | {name: row["value"] for name, row in content["parameters"].items()}
        return {"values": values, **{name: content[name] for name in ("detector", "recombination", "response")}}
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise InputError(f"--fit {path}: is no fit.json that lartpc calibrate writes") from failure
