"""What runs a fit is of: files on the command line or in a YAML list, and what is loaded of each."""

import os
from typing import NamedTuple

import click

from lartpc import InputError
from lartpc.cli.fitting import aim_of, check_target, fitted_of_events, given_truth
from lartpc.cli.options import EventRange, load_detector, pairs, with_pixel_values

# What a run of a YAML list may have of its own; options of the command line of these names are for all the others.
OF_RUN = (
    "segments",
    "target",
    "detector",
    "layout",
    "events",
    "response",
    "thresholds",
    "gains",
    "pedestals",
    "bad_channels",
    "fix",
)
FILES = ("segments", "target", "layout", "thresholds", "gains", "pedestals", "bad_channels")
SEVERAL = ("layout", "thresholds", "gains", "pedestals")


class Loaded(NamedTuple):
    """A run that is loaded, and what fit.json tells of it."""

    run: object
    fitted: tuple  # names of what is fitted in it
    told: dict


def runs_given(data, options):
    """The options of each run, with its `segments` and `target`; without them, None: the hits are all there is, or with
    --closure the segments.
    """
    if len(data) == 1 and data[0].endswith((".yaml", ".yml")):
        runs = listed(data[0])
    elif all(":" in one and not os.path.exists(one) for one in data):
        runs = [dict(zip(("segments", "target"), pair(one), strict=True)) for one in data]
    elif len(data) == 1 and not options["closure"] and holds_hits(data[0]):
        runs = [{"segments": None, "target": data[0]}]
    elif len(data) <= 2:
        runs = [{"segments": data[0], "target": data[1] if len(data) == 2 else None}]
    else:
        raise InputError(f"found {len(data)} files, allowed are SEGMENTS TARGET, or SEGMENTS:TARGET of each run")
    alone = [run["segments"] is None for run in runs]
    if any(alone) and not all(alone):
        raise InputError(f"{data[0]}: run {alone.index(True)}: has no segments, allowed are all runs with or without")
    for run in runs:
        check_target(run["target"], options)
    return [{**options, **run} for run in runs]


def holds_hits(path):
    """Whether a file is one of hits or packets."""
    from lartpc.files.hdf5 import open_hdf5
    from lartpc.formats.packetfile import has_packets

    if has_packets(path):
        return True
    with open_hdf5(path) as file:
        return "hits" in file


def pair(text):
    """Segments and target of SEGMENTS:TARGET; a colon in a name does no harm where the files exist."""
    parts = text.split(":")
    ways = [(":".join(parts[:k]), ":".join(parts[k:])) for k in range(1, len(parts))]
    return next((way for way in ways if all(map(os.path.exists, way))), ways[0])


def listed(path):
    """The runs of a YAML list; names of files in it are from its folder."""
    from lartpc.files.yamlfile import check_keys, read_yaml

    content = read_yaml(path)
    if not isinstance(content, list) or not content or not all(isinstance(run, dict) for run in content):
        raise InputError(f"{path}: is no list of runs, allowed is a list of mappings with segments and target")
    folder, runs = os.path.dirname(path), []
    for k, run in enumerate(content):
        check_keys(f"{path}: run {k}", run, OF_RUN)
        if "target" not in run:
            raise InputError(f"{path}: run {k}: has no target")
        own = {key: of_yaml(f"{path}: run {k}", key, value, folder) for key, value in run.items()}
        runs.append({"segments": None, **own})
    return runs


def of_yaml(what, key, value, folder):
    """A value of a YAML list as the option of that name has it."""
    from lartpc.checks import short

    if key == "fix":
        if not isinstance(value, dict):
            raise InputError(f"{what}: fix: found {short(value)}, allowed is a mapping of NAME: VALUE")
        return tuple(f"{name}={number}" for name, number in value.items())
    if key == "events":
        return EventRange().convert(str(value), None, None)
    several = key in SEVERAL or (key == "response" and isinstance(value, list))
    if several:
        value = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in (value if several else [value])):
        raise InputError(f"{what}: {key}: found {short(value)}, allowed is the name of a file")
    if several:
        return tuple(os.path.join(folder, one) for one in value)
    here = os.path.join(folder, value)
    return here if key in FILES or os.path.exists(here) else value  # a file, or what is built in


def load_run(options, detector, fitted):
    """A run with its `options`; `detector`: as they have it, loaded; `fitted`: of what is fitted in any."""
    from lartpc import Run, Simulation, read_segments

    whole = read_segments(options["segments"], options["offset"])
    fitted = fitted_of_events(fitted, whole.of_events(options["events"]), options)
    fixes = pairs("fix", options["fix"])
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them")
    fixed = detector.parameters.replace(**fixes)
    chain = {name: options[name] for name in ("recombination", "response", "device")}
    simulation = Simulation(detector, fixed, **chain)
    truth = None
    if options["closure"]:
        from lartpc.fit.closure import draw_truth

        truth = draw_truth(simulation, fitted, options["seed"], given_truth(fitted, "fitted", options))
    files = (options["detector"], options["layout"])
    deposits, aim = aim_of(options["target"], whole, simulation, truth, files, options, options["optimizer"])
    told = {
        "fixed": {name: value for name, value in fixed.as_dict().items() if name not in fitted},
        "recombination": options["recombination"],
        "response": options["response"],
        "detector": detector.name,
        "packets": None if aim.received is None else aim.received._asdict(),
    }
    return Loaded(Run(simulation, deposits, aim), fitted, told)


def detector_of(run):
    """The detector of a run, with what is known of its pixels and channels, whose options are taken out of it."""
    return with_pixel_values(load_detector(run["detector"], run["layout"]), run, (run["detector"], run["layout"]))


data_argument = click.argument(
    "data", nargs=-1, required=True, metavar="HITS | SEGMENTS TARGET | SEGMENTS:TARGET... | YAML"
)
