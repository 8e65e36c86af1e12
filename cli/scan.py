"""lartpc scan: the loss and its derivatives along parameters, or over the plane of two."""

import functools
import shlex
import sys
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import click

from lartpc import InputError
from lartpc.cli.fitting import aim_of, check_target, fitted_names, given_truth, names_of, prepare
from lartpc.cli.options import (
    CLOSURE_OPTIONS,
    PIXEL_OPTIONS,
    closure_options,
    config_option,
    detector_option,
    device_option,
    events_option,
    folder_option,
    is_wires,
    layout_option,
    load_detector,
    load_wires,
    loss_option,
    number,
    offset_option,
    overwrite_option,
    pairs,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    t0_option,
    tag_option,
    trust_option,
    with_pixel_values,
)
from lartpc.cli.progress import progress_bar
from lartpc.cli.wirefit import objective_of
from lartpc.cli.wires import check_no_wires, refuse, say_left_out, wire_simulation

# Options of scan that are of pixels.
OF_PIXELS = (
    "layout",
    *PIXEL_OPTIONS,
    "loss",
    "rounded",
    "t0",
    *CLOSURE_OPTIONS,
)


@click.command(epilog="Example: lartpc scan muons.h5 --closure -o scan --over eField=0.49:0.51 --over lifetime --plane")
@click.argument("segments")
@click.argument("target", required=False)
@folder_option
@config_option
@detector_option
@layout_option
@events_option
@pixel_options
@click.option(
    "--over",
    multiple=True,
    metavar="NAME[=LOW:HIGH]",
    help="A parameter, and from where to where [default: its range]. May be repeated.  [default: the six of the paper]",
)
@click.option("--points", type=click.IntRange(2), default=21, show_default=True, help="Values of each parameter.")
@click.option("--plane", is_flag=True, help="The landscape of two parameters together, not each alone.")
@click.option(
    "--profile", is_flag=True, help="The least loss in the parameters of --fit that are not held at the point."
)
@click.option("--fit", "names", metavar="NAME,...", help="With --profile: what is fitted [default: the six].")
@click.option("--fix", multiple=True, metavar="NAME=VALUE", help="Value of a parameter while it is not varied.")
@loss_option
@rounded_option
@t0_option
@trust_option
@offset_option
@tag_option
@recombination_option
@response_option
@closure_options("nominal parameters")
@click.option("--resume", is_flag=True, help="Continue the scan in DIR.")
@device_option
@overwrite_option
def scan(
    segments,
    target,
    output,
    detector,
    layout,
    over,
    points,
    plane,
    profile,
    names,
    fix,
    loss,
    resume,
    overwrite,
    **options,
):
    """Evaluate a loss of the hits in TARGET, which the energy deposits in SEGMENTS made, with its exact derivatives.

    Along each parameter alone, the others fixed, or over the plane of two. With --profile the others are fitted at each
    point, by default within three errors of the best value, and intervals and contours of 68 and 95 % are told. Writes
    scan.h5, scan.png and history.h5 into DIR, and prints where the loss is lowest.

    With a detector of wires TARGET is a file of frames, and the loss is the likelihood of its samples.
    """
    started = time.perf_counter()
    folder = prepare(output, resume, overwrite)
    if names is not None and not profile:
        raise InputError("--fit: allowed with --profile only")
    asked = {"points": points, "plane": plane, "profile": profile, "names": names, "over": over, "fix": fix}
    if is_wires(detector):
        model = scan_of_frames(segments, target, asked, {**options, "detector": detector})
    else:
        model = scan_of_hits(segments, target, detector, layout, loss, asked, options)

    from lartpc import __version__
    from lartpc.fit.calibrate import Journal
    from lartpc.fit.store import Kept, write_scan
    from lartpc.plots import scan as scanplot
    from lartpc.plots.figure import write_figure

    with Kept(folder, list(model.varied), model.setup, resume, overwrite) as kept:
        result = model.run(Journal(kept.done, kept, functools.partial(progress_bar, doing="scanning", unit="point")))
    attrs = {"lartpc_version": __version__, "command": shlex.join(["lartpc", *sys.argv[1:]]), "setup": model.setup}
    write_scan(folder, result, {**attrs, "detector": model.detector, "seed": options["seed"]})
    write_figure(folder / "scan.png", scanplot.figure(result))
    click.echo(str(result))
    click.echo(f"{folder}: scan.h5, scan.png, history.h5; {time.perf_counter() - started:.1f} s")


class Model(NamedTuple):
    """What is scanned."""

    detector: str
    varied: Collection[str]  # names in the order of the history's columns
    setup: dict[str, Any]
    run: Callable[[Any], Any]  # of a journal, the `Scan`


def scan_of_hits(segments, target, detector, layout, loss, asked, options):
    """The `Model` of a file of hits."""
    check_no_wires(options)
    check_target(target, options)
    points, plane, profile = (asked[name] for name in ("points", "plane", "profile"))
    if profile and loss is not None:
        raise InputError("--loss: allowed without --profile only, which takes that of the target")
    if options["t0"] == "fit":
        raise InputError("--t0 fit: allowed with calibrate only; --over t0_offset scans it")

    from lartpc import Simulation, read_segments
    from lartpc.fit.calibrate import SIX

    whole = read_segments(segments, options["offset"])
    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    fixes = pairs("fix", asked["fix"])
    fixed = chosen.parameters.replace(**fixes)
    fitted = fitted_names(asked["names"], None, chosen.n_modules) if profile else None
    ranges = ranges_of(asked["over"], SIX, fitted)
    if any(name in ranges for name in fixes) and (plane or options["closure"]):
        raise InputError("--fix: names a parameter that --over names too, allowed is one of them; see --truth")

    fixed = fixed.replace(**given_truth(ranges, "scanned", options))

    from lartpc import scan as run
    from lartpc.fit.profile import check, profile_scan
    from lartpc.fit.scan import check_grid
    from lartpc.fit.store import setup_of
    from lartpc.fit.unknowns import unknowns_of

    chain = {name: options[name] for name in ("recombination", "response", "device")}
    simulation = Simulation(chosen, fixed, **chain)
    if profile:
        varied = unknowns_of(simulation, fitted)
        check(ranges, varied, points, plane)
    else:
        check_grid(simulation, ranges, points, plane)
    deposits, aim = aim_of(target, whole, simulation, fixed, (detector, layout), options)
    setup = setup_of(simulation, deposits, aim, loss, response=options["response"], **told(ranges, fitted, asked))
    given = {"over": ranges, "points": points, "plane": plane}
    if profile:
        return Model(
            chosen.name,
            fitted,
            setup,
            lambda journal: profile_scan(simulation, deposits, aim, varied, **given, journal=journal),
        )
    return Model(
        chosen.name, ranges, setup, lambda journal: run(simulation, deposits, aim, loss=loss, **given, journal=journal)
    )


def scan_of_frames(segments, target, asked, options):
    """The `Model` of a file of frames of wires."""
    refuse(OF_PIXELS)
    if target is None:
        raise InputError("TARGET: found none, allowed with wires is a file of frames")

    from lartpc.fit.profile import check
    from lartpc.fit.store import setup_of_frames
    from lartpc.fit.unknowns import unknowns_of
    from lartpc.fit.waveforms import SEVEN, at_start, check_ranges, scan_waveforms

    points, plane, profile = (asked[name] for name in ("points", "plane", "profile"))
    detector, names = load_wires(options["detector"], options["bad_channels"]), asked["names"]
    fitted = names_of(names, SEVEN) if profile else None
    ranges = ranges_of(asked["over"], SEVEN, fitted)
    fixes = pairs("fix", asked["fix"])
    if any(name in (fitted or ranges) for name in fixes) and (plane or profile):
        raise InputError("--fix: names a parameter that is varied, allowed is one that is not")
    parameters = at_start(detector.parameters.replace(**fixes), fitted or tuple(ranges))
    simulation = wire_simulation(detector, parameters, options)
    varied = unknowns_of(simulation, fitted or tuple(ranges))
    if profile:
        check(ranges, varied, points, plane)
    else:
        check_ranges(simulation, ranges, points, plane)
    deposits, frames, objective = objective_of(segments, target, simulation, varied, options)
    setup = setup_of_frames(objective, deposits, frames, **told(ranges, fitted, asked))
    given = {"points": points, "plane": plane, "profile": profile, "truth": frames.truth}
    say_left_out(frames)
    return Model(
        detector.name,
        varied.names,
        setup,
        lambda journal: scan_waveforms(objective, ranges, **given, journal=journal),
    )


def told(ranges, fitted, asked):
    """What tells a scan from others."""
    over = [[name, *(limits or ())] for name, limits in ranges.items()]
    return {"over": over, "fit": fitted and list(fitted), "points": asked["points"], "plane": asked["plane"]}


def ranges_of(texts, default, fitted):
    """Name to (low, high), of the NAME or NAME=LOW:HIGH of --over; of the `default` names where there are none.

    In a profile, whose `fitted` names are not None, those of which no range is given have None.
    """
    found = given_ranges(texts or default)
    if fitted is None:
        return found
    own = [text.partition("=")[0].strip() for text in texts if "=" in text]
    return {name: limits if name in own else None for name, limits in found.items() if texts or name in fitted}


def given_ranges(texts):
    """Name to (low, high), of NAME or NAME=LOW:HIGH each."""
    from lartpc.checks import nearest
    from lartpc.parameters import TABLE, is_known, parameter

    found = {}
    for text in texts:
        name, given, limits = (part.strip() for part in text.partition("="))
        if not is_known(name):
            raise InputError(f"--over {name}: is not known, nearest is {nearest(name, TABLE)}")
        if name in found:
            raise InputError(f"--over {name}: is named twice")
        low, colon, high = limits.partition(":")
        if given and not colon:
            raise InputError(f"--over {text}: allowed is NAME or NAME=LOW:HIGH")
        found[name] = (number("over", name, low), number("over", name, high)) if given else parameter(name).range
    return found
