"""The folder of a fit or scan: history.h5, fit.json or scan.h5, pictures. Each file is complete or absent."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.files.atomic import new_file
from lartpc.fit.problem import Evaluation
from lartpc.fit.result import FitResult
from lartpc.fit.scan import Scan


def fingerprint(deposits, hits, simulation):
    """What tells segments, hits, and detector with values of pixels and response from others, for `setup`."""
    digest = hashlib.sha256()
    for part in leaves((dataclasses.replace(simulation.detector, name=""), simulation.response)):
        digest.update(part)
    return {
        "segments": [len(deposits), float(deposits.dE.sum(dtype="f8"))],
        "hits": [len(hits), float(hits.charge.sum(dtype="f8"))],
        "detector": digest.hexdigest()[:16],
    }


def leaves(value):
    """The values in dataclasses and sequences, as bytes."""
    import numpy as np

    if dataclasses.is_dataclass(value):
        value = tuple(getattr(value, field.name) for field in dataclasses.fields(value))
    if isinstance(value, tuple | list):
        for one in value:
            yield from leaves(one)
    else:
        yield value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()


HISTORY, RESULT, SCAN = "history.h5", "fit.json", "scan.h5"
RESULTS = (RESULT, SCAN)
SCALARS = ("batch", "value", "events", "hits", "unmatched", "mean_square")


def write_history(folder: Path, history: Sequence[Evaluation], names: Sequence[str], setup: dict[str, Any]) -> None:
    """Replace history.h5: one row an evaluation, a dataset for each field of `Evaluation`, and `setup` as JSON."""
    with hdf5.new_hdf5(folder / HISTORY, overwrite=True) as file:
        file.attrs["setup"] = json.dumps(setup, sort_keys=True)
        file.attrs["names"] = json.dumps(list(names))
        for name in Evaluation._fields:
            file[name] = [getattr(evaluation, name) for evaluation in history]


def read_history(folder: Path, setup: dict[str, Any]) -> list[Evaluation]:
    """The evaluations in history.h5, none where it does not exist. Raises InputError where `setup` is another one."""
    path = folder / HISTORY
    if not path.exists():
        return []
    with hdf5.open_hdf5(path) as file:
        try:
            before = json.loads(file.attrs["setup"])
            columns = {name: file[name][()] for name in Evaluation._fields}
        except (KeyError, ValueError):
            raise InputError(f"{path}: is not the history of a fit, so there is nothing to --resume") from None
    now = json.loads(json.dumps(setup))
    for key in now:
        if before.get(key) != now[key]:
            raise InputError(
                f"{path}: {key} was {before.get(key)!r}, now {now[key]!r}: --resume continues the same fit only"
            )
    columns["phase"] = [phase.decode() for phase in columns["phase"]]
    scalars = {name: column.tolist() for name, column in columns.items() if name in SCALARS}
    return [Evaluation(*row) for row in zip(*{**columns, **scalars}.values(), strict=True)]


def write_result(folder: Path, result: FitResult, more: dict[str, Any]) -> None:
    """Write fit.json, in place of another."""
    with new_file(folder / RESULT, overwrite=True) as path:
        path.write_text(json.dumps({**result.as_dict(), **more}, indent=1) + "\n")


def write_scan(folder: Path, scan: Scan, attrs: dict[str, Any]) -> None:
    """Write scan.h5, in place of another: a dataset for each array of `Scan`, the rest and `attrs` as attributes."""
    with hdf5.new_hdf5(folder / SCAN, overwrite=True) as file:
        for name, value in {**scan._asdict(), **attrs}.items():
            if isinstance(value, np.ndarray):
                file[name] = value
            elif value is not None:
                file.attrs[name] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
