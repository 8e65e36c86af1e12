"""What the commands share that compare a simulation with a target: the folder, the history in it, the target."""

import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from lartpc.cli.options import PIXEL_VALUES, load_channels, number, pairs
from lartpc.exceptions import InputError

NEVER = 1e9  # threshold [e] of a pixel that no channel reads: that it has no hit says nothing


def fitted_names(names, per_module, n_modules):
    """The NAME,... of --fit, by default the six of the paper; those of --per-module once for each module."""
    from lartpc.fit.calibrate import SIX
    from lartpc.parameters import SINGLE

    fitted = tuple(name.strip() for name in names.split(",")) if names is not None else SIX
    apart = [name.strip() for name in per_module.split(",")] if per_module is not None else []
    for name in apart:
        if name not in SINGLE:
            raise InputError(f"--per-module {name}: allowed are {', '.join(SINGLE)}")
        if name not in fitted:
            raise InputError(f"--per-module {name}: is not fitted")
    of_modules = {name: tuple(f"{name}.{m}" for m in range(n_modules)) for name in apart}
    return tuple(single for name in fitted for single in of_modules.get(name, (name,)))


class Keeper:
    """Keeps the evaluations of the block in DIR, the first at once, later ones every second or so, and all at its end.

    Shows them too, where `shown`. Where the loss is not finite the block ends in a line and exit code 1.
    """

    def __init__(self, folder, names, setup, history, shown=True):
        self.folder, self.names, self.setup, self.history, self.shown = folder, names, setup, history, shown
        self.lines, self.written = [], -float("inf")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None or len(self.lines) >= len(self.history):  # else interrupted before it was as far as before
            self.write()
        if isinstance(error, FloatingPointError):
            click.echo(f"lartpc: {error}", err=True)
            sys.exit(1)

    def __call__(self, evaluation):
        self.lines.append(evaluation)
        if self.shown and (evaluation.batch < 0 or len(self.lines) % 50 == 0):
            shown = ", ".join(f"{name} {value:.5g}" for name, value in zip(self.names, evaluation.values, strict=True))
            click.echo(f"{evaluation.phase} {len(self.lines)}: loss {evaluation.value:.6g}; {shown}")
        now = time.monotonic()
        if now - self.written > 1.0 and len(self.lines) >= len(self.history):
            self.write()
            self.written = now

    def write(self):
        from lartpc.fit.store import RESULTS, write_history

        if self.lines:
            self.folder.mkdir(exist_ok=True)
            for name in RESULTS:  # those of what is being replaced
                (self.folder / name).unlink(missing_ok=True)
            write_history(self.folder, self.lines, self.names, self.setup)


def prepare(output, resume, overwrite):
    """The folder, which need not exist yet; InputError where it holds results that were not to be replaced."""
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{output}: is a file, allowed is the name of a folder")
    there = [name for name in ("fit.json", "scan.h5", "history.h5") if (folder / name).exists()]
    if there and not (resume or overwrite):
        raise InputError(f"{folder / there[0]}: exists already; --resume continues it, --overwrite replaces it")
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


def given_truth(names, doing, options):
    """The NAME=VALUE of --truth, which may name those of `names`, the parameters that are being `doing`."""
    given = pairs("truth", options["truth"])
    for name in given:
        if name not in names:
            raise InputError(f"--truth {name}: is not {doing}; --fix sets it for target and model alike")
    return given


def draw_target(simulation, deposits, truth, options):
    """Hits of the `deposits` with parameters `truth`, and whether they have noise, for --closure."""
    from lartpc.simulation.simulation import Simulation

    noise = options["noise"] is not False
    source = Simulation(
        simulation.detector,
        truth,
        recombination=simulation.recombination,
        response=simulation.response,
        noise=noise,
        seed=options["seed"],
        device=simulation.device,
    )
    return source(deposits).hits, noise


def cut_segments(deposits, options):
    """The segments that pass --cuts with the NAME=VALUE of --cut, all where neither is given."""
    from lartpc.data.selection import Cuts, selected

    if not options["cuts"] and not options["cut"]:
        return deposits
    found = {name: number("cut", name, value) for name, value in pairs("cut", options["cut"]).items()}
    for name in found:
        if name not in Cuts._fields:
            raise InputError(f"--cut {name}: is not known, allowed are {', '.join(Cuts._fields)}")
    return deposits.select(selected(deposits, Cuts(**found)))


class Measured(NamedTuple):
    """A target read from a file."""

    hits: Any
    truth: Any  # parameters, None where not simulated
    noise: bool
    rounded: bool  # only clock ticks and ADC counts are known
    thresholds: Any  # of the pixels for `Simulation`, None where the detector's


def read_target(path, chosen, deposits, detector, layout, events=None):
    """The `Measured` of a file of hits or packets, of which to take the given range of `events`.

    `deposits`: those of all events; `detector` and `layout`: the options that `chosen` came from.
    """
    import numpy as np

    from lartpc.data.hits import Hits
    from lartpc.data.segments import within
    from lartpc.detector.pixelvalues import PixelValues, with_values
    from lartpc.formats.hitfile import read_attrs, read_hits
    from lartpc.formats.packetfile import has_packets, read_packets
    from lartpc.parameters import Parameters

    rounded, thresholds = has_packets(path), None
    if rounded:
        channels = load_channels(chosen, detector, layout, f"{path}: a file of packets")
        hits = read_packets(path, deposits, channels, chosen)
        unread = channels.unread(chosen)
        given = chosen.thresholds or PixelValues(np.zeros(0, dtype=np.int64), np.zeros(0), chosen.threshold)
        thresholds = with_values(given, unread, NEVER)
    else:
        hits = read_hits(path)
    try:
        attrs = read_attrs(path)
        truth = Parameters().replace(**attrs["parameters"]) if "parameters" in attrs else None
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: attribute 'parameters' is damaged: {error}") from None
    if attrs.get("detector", chosen.name) != chosen.name:
        raise InputError(f"{path}: hits of detector {attrs['detector']}, but --detector is {chosen.name}")
    for name in PIXEL_VALUES:
        if attrs.get(name) == "pixels" and getattr(chosen, name) is None:
            raise InputError(f"{path}: hits with {name} of pixels, which are not in the file: give --{name} FILE")
    if attrs.get("events") is not None:
        needed = deposits.of_events(events).events
        missing = needed[~within(needed, range(*attrs["events"]))]
        if len(missing):
            raise InputError(f"{path}: holds no hits of event {missing[0]}, --events selects those that it has")
    if events is not None:
        hits = Hits(**{name: column[within(hits.event_id, events)] for name, column in vars(hits).items()})
    return Measured(hits, truth, bool(attrs.get("noise", True)), rounded, thresholds)
