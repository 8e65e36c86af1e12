"""What the commands share that compare a simulation with a target: the folder, the target, what is shown."""

import dataclasses
import os
from pathlib import Path

import click

from lartpc import InputError
from lartpc.cli.options import check_no_input, number, pairs
from lartpc.cli.progress import announce_compilation

RESULTS = ("fit.json", "scan.h5", "history.h5")


def names_of(text, default):
    """The names of NAME,..., or the default where there is no text."""
    return tuple(name.strip() for name in text.split(",")) if text is not None else default


def fitted_names(names, per_module, n_modules):
    """The NAME,... of --fit, by default the six of the paper; those of --per-module once for each module."""
    from lartpc.fit.calibrate import SIX
    from lartpc.fit.unknowns import per_module as single

    fitted = names_of(names, SIX)
    apart = [name.strip() for name in per_module.split(",")] if per_module is not None else []
    return single(fitted, apart, n_modules)


def fitted_of_events(fitted, deposits, options):
    """The names `fitted`, with those of --per-event once for each event of `deposits`, which are those of --events."""
    from lartpc.fit.unknowns import per_event
    from lartpc.fit.zero import OFFSET

    if options["per_event"] is None:
        return fitted
    if options["closure"] and options["optimizer"] == "adam":
        raise InputError("--per-event: with --optimizer adam allowed without --closure only, where tracks are events")
    apart = [name.strip() for name in options["per_event"].split(",")]
    added = [OFFSET] if OFFSET in apart and OFFSET not in fitted else []
    return per_event((*fitted, *added), apart, cut_segments(deposits, options).events)


def showing(kept, names):
    """A report that shows an evaluation, of batches every fiftieth, once it is `kept`."""
    from lartpc.fit.shown import listed

    def report(evaluation):
        kept(evaluation)
        count = len(kept.evaluations)
        if evaluation.batch < 0 or count % 50 == 0:
            shown = [f"{name} {value:.5g}" for name, value in zip(names, evaluation.values, strict=True)]
            click.echo(f"{evaluation.phase} {count}: loss {evaluation.value:.6g}; {listed(shown, names)}")

    return report


def prepare(output, resume, overwrite, results=RESULTS):
    """The folder, which need not exist yet; InputError where it holds results that were not to be replaced.

    `resume` is None where nothing can be continued.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{output}: is a file, allowed is the name of a folder")
    for name in results:
        check_no_input(folder / name)
    for name in results:
        if (folder / name).exists() and not (folder / name).is_file():
            raise InputError(f"{folder / name}: is a folder or device, a file is needed there")
    there = [name for name in results if (folder / name).exists()]
    resumed = "" if resume is None else "--resume continues it, "
    if there and not (resume or overwrite):
        raise InputError(f"{folder / there[0]}: exists already; {resumed}--overwrite replaces it")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{output}: folder {folder.absolute().parent} does not exist")
    if not os.access(folder if folder.exists() else folder.absolute().parent, os.W_OK):
        raise InputError(f"{output}: cannot be written to")
    return folder


def check_target(target, options):
    """Raise InputError unless there is a TARGET or --closure, and options of the latter with it only."""
    if options["closure"] == (target is not None):
        raise InputError("TARGET: allowed is either a file of hits or --closure")
    for name, absent in (("truth", ()), ("cuts", False), ("cut", ()), ("noise", None)):
        if not options["closure"] and options[name] != absent:
            raise InputError(f"--{name}: allowed with --closure only")
    if options["closure"] and options["t0"] not in (None, "fit"):
        raise InputError(f"--t0 {options['t0']}: allowed is fit with --closure")


def given_truth(names, doing, options):
    """The NAME=VALUE of --truth, which may name those of `names`, the parameters that are being `doing`."""
    given = pairs("truth", options["truth"])
    for name in given:
        if name not in names:
            raise InputError(f"--truth {name}: is not {doing}; --fix sets it for target and model alike")
    return given


def given_bounds(texts):
    """Name to (low, high), of the NAME=LOW:HIGH of --bounds."""
    from lartpc.checks import short

    found = {}
    for name, limits in pairs("bounds", texts).items():
        low, colon, high = limits.partition(":")
        if not colon:
            raise InputError(f"--bounds {name}: found {short(limits)}, allowed is LOW:HIGH")
        found[name] = number("bounds", name, low), number("bounds", name, high)
    return found


def given_constraints(texts, fitted):
    """The `Constraint` of each NAME=VALUE+-ERROR or file of --constrain."""
    from lartpc.fit.constraint import Constraint

    found = []
    for text in texts:
        name, equals, measured = text.partition("=")
        value, sign, error = measured.replace("\u00b1", "+-").partition("+-")
        if os.path.isfile(text):
            found.append(Constraint.read(text, fitted))
        elif not equals or not sign:
            raise InputError(f"--constrain {text}: is no file, allowed is NAME=VALUE+-ERROR or a fit.json")
        elif name not in fitted:
            raise InputError(f"--constrain {name}: is not fitted, allowed are {', '.join(fitted)}")
        else:
            found.append(Constraint.of(name, number("constrain", name, value), number("constrain", name, error)))
    return found


def aim_of(target, whole, simulation, truth, files, options, optimizer=None):
    """The segments and the `Target` of a fit or scan: TARGET's of --events, or with --closure drawn at `truth`.

    `whole`: the segments of all events; `files`: the detector's YAML and its layouts.
    """
    from lartpc import Target

    deposits = whole.of_events(options["events"])
    if options["closure"]:
        from lartpc.fit.closure import closure

        announce_compilation(options["device"])
        drawn = {"noise": options["noise"] is not False, "seed": options["seed"], "optimizer": optimizer}
        deposits, aim = closure(simulation, cut_segments(deposits, options), truth, **drawn)
    else:
        aim = Target.read(target, whole, simulation.detector, *files, options["t0"]).of_events(options["events"])
        if aim.received is not None:
            click.echo(f"{target}: {aim.received}")
        aim.check(simulation.detector, deposits)
        announce_compilation(options["device"])
    return deposits, dataclasses.replace(
        aim, rounded=aim.rounded or options["rounded"], trusted=options.get("trust_me", ())
    )


def cut_segments(deposits, options):
    """The segments that pass --cuts with the NAME=VALUE of --cut, all where neither is given."""
    from lartpc.data.selection import cut

    if not options["cuts"] and not options["cut"]:
        return deposits
    return cut(deposits, {name: number("cut", name, value) for name, value in pairs("cut", options["cut"]).items()})


def hits_alone(path, detector, files, options):
    """The `Target` of a file of hits or packets without segments, of --events; `files`: the YAML and the layouts."""
    from lartpc import Target

    target = Target.read(path, None, detector, *files).of_events(options["events"])
    target.check_detector(detector)
    if len(target.hits) == 0:
        raise InputError(f"{path}: has no hits" + (" in the --events" if options["events"] is not None else ""))
    if target.received is not None:
        click.echo(f"{path}: {target.received}")
    return dataclasses.replace(target, rounded=target.rounded or options["rounded"], trusted=options["trust_me"])
