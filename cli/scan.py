"""lartpc scan: the loss and its derivatives along parameters, or over the plane of two."""

import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.fitting import aim_of, check_target, fitted_names, given_truth, prepare
from lartpc.cli.options import (
    closure_options,
    config_option,
    device_option,
    events_option,
    folder_option,
    layout_option,
    load_detector,
    loss_option,
    number,
    overwrite_option,
    pairs,
    pixel_detector_option,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    t0_option,
    trust_option,
    with_pixel_values,
)
from lartpc.cli.progress import progress_bar


@click.command(epilog="Example: lartpc scan muons.h5 --closure -o scan --over eField=0.49:0.51 --over lifetime --plane")
@click.argument("segments")
@click.argument("target", required=False)
@folder_option
@config_option
@pixel_detector_option
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
    """
    started = time.perf_counter()
    folder = prepare(output, resume, overwrite)
    check_target(target, options)
    if names is not None and not profile:
        raise InputError("--fit: allowed with --profile only")
    if profile and loss is not None:
        raise InputError("--loss: allowed without --profile only, which takes that of the target")
    if options["t0"] == "fit":
        raise InputError("--t0 fit: allowed with calibrate only; --over t0_offset scans it")

    from lartpc import Simulation, read_segments

    whole = read_segments(segments)
    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    fixes = pairs("fix", fix)
    fixed = chosen.parameters.replace(**fixes)
    ranges = ranges_of(over)
    if profile:
        fitted = fitted_names(names, None, chosen.n_modules)
        own = [text.partition("=")[0].strip() for text in over if "=" in text]
        ranges = {name: limits if name in own else None for name, limits in ranges.items() if over or name in fitted}
    if any(name in ranges for name in fixes) and (plane or options["closure"]):
        raise InputError("--fix: names a parameter that --over names too, allowed is one of them; see --truth")

    fixed = fixed.replace(**given_truth(ranges, "scanned", options))

    from lartpc import __version__
    from lartpc import scan as run
    from lartpc.fit.calibrate import Journal
    from lartpc.fit.profile import check, profile_scan
    from lartpc.fit.scan import check_grid
    from lartpc.fit.store import Kept, setup_of, write_scan
    from lartpc.fit.unknowns import unknowns_of
    from lartpc.plots import scan as scanplot
    from lartpc.plots.figure import write_figure

    chain = {name: options[name] for name in ("recombination", "response", "device")}
    simulation = Simulation(chosen, fixed, **chain)
    if profile:
        varied = unknowns_of(simulation, fitted)
        check(ranges, varied, points, plane)
    else:
        check_grid(simulation, ranges, points, plane)
    deposits, aim = aim_of(target, whole, simulation, fixed, (detector, layout), options)
    setup = setup_of(
        simulation,
        deposits,
        aim,
        loss,
        over=[[name, *(limits or ())] for name, limits in ranges.items()],
        fit=list(fitted) if profile else None,
        points=points,
        plane=plane,
        response=options["response"],
    )
    with Kept(folder, list(fitted if profile else ranges), setup, resume, overwrite) as kept:
        journal = Journal(kept.done, kept, functools.partial(progress_bar, doing="scanning", unit="point"))
        given = {"over": ranges, "points": points, "plane": plane, "journal": journal}
        if profile:
            result = profile_scan(simulation, deposits, aim, varied, **given)
        else:
            result = run(simulation, deposits, aim, loss=loss, **given)
    attrs = {"lartpc_version": __version__, "command": shlex.join(["lartpc", *sys.argv[1:]]), "setup": setup}
    write_scan(folder, result, {**attrs, "detector": chosen.name, "seed": options["seed"]})
    write_figure(folder / "scan.png", scanplot.figure(result))
    click.echo(str(result))
    click.echo(f"{folder}: scan.h5, scan.png, history.h5; {time.perf_counter() - started:.1f} s")


def ranges_of(texts):
    """Name to (low, high), of the NAME or NAME=LOW:HIGH of --over; of the six where there are none."""
    from lartpc.checks import nearest
    from lartpc.fit.calibrate import SIX
    from lartpc.parameters import TABLE, is_known, parameter

    found = {}
    for text in texts or SIX:
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
