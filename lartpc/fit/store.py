"""The folder of a fit or scan: history.h5, fit.json or scan.h5, pictures. Each file is complete or absent."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lartpc.checks import short
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.files.atomic import new_file
from lartpc.fit.frametarget import FrameTarget
from lartpc.fit.problem import Evaluation
from lartpc.fit.runs import Run
from lartpc.fit.scan import Scan
from lartpc.fit.target import Target
from lartpc.goodness.verdict import Verdict
from lartpc.losses.waveforms import WaveformObjective
from lartpc.simulation.simulation import Simulation

HISTORY, RESULT, SCAN, VERDICT = "history.h5", "fit.json", "scan.h5", "verdict.json"
RESULTS = (RESULT, SCAN)
SCALARS = ("batch", "value", "events", "hits", "unmatched", "mean_square")
RANKS = {"values": 1, "gradient": 1, "information": 2, "spread": 2}  # of an evaluation's fields that are arrays
PAUSE = 1.0  # [s] between two writings of history.h5


def setup_of(
    simulation: Simulation, segments: Segments, target: Target, loss: str | None, **more: Any
) -> dict[str, Any]:
    """What tells a fit or scan from others, so that a history is continued with its own only: `more` comes first."""
    told = described(simulation, target)
    first = {name: told.pop(name) for name in ("hits", "detector")}
    of_segments = [len(segments), float(segments.dE.sum(dtype="f8"))]
    return {"segments": of_segments, **first, **more, "loss": loss or target.loss, **told}


def described(simulation: Simulation, target: Target) -> dict[str, Any]:
    """The part of it that is of the target and the model."""
    detector = dataclasses.replace(simulation.without_pixels(target.unread).detector, name="", notes=())
    return {
        "hits": [len(target.hits), float(target.hits.charge.sum(dtype="f8"))],
        "detector": digest_of((detector, simulation.response)),
        "parameters": simulation.parameters.as_dict(),
        "rounded": target.rounded,
        "recombination": simulation.recombination,
    }


def setup_of_runs(runs: Sequence[Run], loss: str | None, **more: Any) -> dict[str, Any]:
    """The same of a fit of runs: `more` comes first, then what is of each."""
    several = len(runs) > 1
    of_runs = [setup_of(run.simulation, run.segments, Target.of(run.target), loss) for run in runs]
    own = {f"run {k}: {key}" if several else key: one[key] for k, one in enumerate(of_runs) for key in one}
    return {**more, **own}


def setup_of_frames(
    objective: WaveformObjective, segments: Segments, frames: FrameTarget, **more: Any
) -> dict[str, Any]:
    """The same of a fit or scan of frames of wires, by the samples that it takes of them."""
    simulation = objective.simulation
    others = tuple(one._replace(file="") for one in simulation.detector.others)  # which are told by what is in them
    detector = dataclasses.replace(simulation.detector, name="", others=others)
    return {
        "segments": [len(segments), float(segments.dE.sum(dtype="f8"))],
        "frames": [frames.frames.tag, digest_of((objective.regions, objective.data))],
        "detector": digest_of((detector, simulation.response, simulation.others)),
        **more,
        "parameters": simulation.parameters.as_dict(),
        "recombination": simulation.recombination,
    }


def digest_of(value: Any) -> str:
    """A short digest of dataclasses and sequences."""
    digest = hashlib.sha256()
    for leaf in _leaves(value):
        digest.update(leaf)
    return digest.hexdigest()[:16]


def _leaves(value: Any) -> Iterator[bytes]:
    """The values in dataclasses and sequences, as bytes."""
    if dataclasses.is_dataclass(value):
        value = tuple(getattr(value, field.name) for field in dataclasses.fields(value))
    if isinstance(value, tuple | list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()


class Kept:
    """The evaluations of a fit or scan, kept in a folder while it goes on: pass `done` and the object to `calibrate`.

    `done`: those in the folder, where they are to be continued (`resume`). In a `with` block: the first is written at
    once, later ones every `PAUSE`, all at its end. Raises InputError where the folder has those of another `setup`, and
    where it has some that were not there when the fit began and are not to be replaced (`overwrite`).
    """

    def __init__(
        self, folder: Path, names: Sequence[str], setup: dict[str, Any], resume: bool = False, overwrite: bool = False
    ) -> None:
        self.folder, self.names, self.setup = folder, names, setup
        self.done = read_history(folder, setup) if resume else []
        self.evaluations: list[Evaluation] = []
        self.written = -float("inf")
        self.overwrite = resume or overwrite

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: Any, failure: Any, trace: Any) -> None:
        if kind is None or len(self.evaluations) >= len(self.done):  # else interrupted before it was as far as before
            self.write()

    def __call__(self, evaluation: Evaluation) -> None:
        self.evaluations.append(evaluation)
        now = time.monotonic()
        if now - self.written > PAUSE and len(self.evaluations) >= len(self.done):
            self.write()
            self.written = now

    def write(self) -> None:
        """Write history.h5, and remove the results that it replaces."""
        if self.evaluations:
            self.folder.mkdir(exist_ok=True)
            for name in RESULTS if self.overwrite else ():
                (self.folder / name).unlink(missing_ok=True)
            write_history(self.folder, self.evaluations, self.names, self.setup, self.overwrite)
            self.overwrite = True


def write_history(
    folder: Path, history: Sequence[Evaluation], names: Sequence[str], setup: dict[str, Any], overwrite: bool = True
) -> None:
    """Write history.h5, in place of another with `overwrite`: a dataset for each field of `Evaluation`, and `setup`."""
    with hdf5.new_hdf5(folder / HISTORY, overwrite) as file:
        file.attrs["setup"] = json.dumps(setup, sort_keys=True)
        file.attrs["names"] = json.dumps(list(names))
        for name in Evaluation._fields:
            file[name] = [getattr(evaluation, name) for evaluation in history]


def read_history(folder: Path, setup: dict[str, Any]) -> list[Evaluation]:
    """The evaluations in history.h5, none where it does not exist. Raises InputError where `setup` is another one, or a
    dataset is missing, no array of its kind, or has another shape than it was written with.
    """
    path = folder / HISTORY
    if not path.exists():
        return []
    with hdf5.open_hdf5(path) as file:
        try:
            before = dict(json.loads(file.attrs["setup"]))
            n = len(json.loads(file.attrs["names"]))
        except (KeyError, ValueError, TypeError):
            raise InputError(f"{path}: is not the history of a fit, so there is nothing to --resume") from None
        columns: dict[str, Any] = {}
        for name in Evaluation._fields:
            columns[name] = hdf5.read_array(file, name, "O" if name == "phase" else "iuf")
            shape = (len(columns["phase"]), *(n,) * RANKS.get(name, 0))
            if columns[name].shape != shape:
                raise InputError(f"{path}: {name!r} has the shape {columns[name].shape}, allowed is {shape}")
    check_setup(path, before, json.loads(json.dumps(setup)))
    columns["phase"] = [phase.decode() for phase in columns["phase"]]
    scalars = {name: column.tolist() for name, column in columns.items() if name in SCALARS}
    return [Evaluation(*row) for row in zip(*{**columns, **scalars}.values(), strict=True)]


def check_setup(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise InputError where what tells a fit from others is not what it was."""
    for key in now:
        if before.get(key) != now[key]:
            raise InputError(
                f"{path}: {key} was {short(before.get(key))}, now {short(now[key])}: "
                "--resume continues the same fit only"
            )


def write_result(folder: Path, result: Any, more: dict[str, Any]) -> None:
    """Write fit.json, in place of another."""
    with new_file(folder / RESULT, overwrite=True) as path:
        path.write_text(json.dumps({**result.as_dict(), **more}, indent=1) + "\n")


def write_verdict(folder: Path, verdict: Verdict, more: dict[str, Any]) -> None:
    """Write verdict.json, in place of another, into the folder, which is made where there is none."""
    folder.mkdir(exist_ok=True)
    content = {**verdict.as_dict(), "left_out": verdict.cleaning.as_dict(), **more}
    with new_file(folder / VERDICT, overwrite=True) as path:
        path.write_text(json.dumps(content, indent=1) + "\n")


def write_scan(folder: Path, scan: Scan, attrs: dict[str, Any]) -> None:
    """Write scan.h5, in place of another: a dataset for each array of `Scan`, the rest and `attrs` as attributes."""
    with hdf5.new_hdf5(folder / SCAN, overwrite=True) as file:
        for name, value in {**scan._asdict(), **attrs}.items():
            if isinstance(value, np.ndarray):
                file[name] = value
            elif value is not None:
                file.attrs[name] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
