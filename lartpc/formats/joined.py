"""Several files of energy deposits as one, whose ids are distinct."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np

from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.edepsim import from_table
from lartpc.formats.eventfile import EventFile
from lartpc.formats.present import PARTICLES, Numbering, check_ids, event_field, present_rows, present_segments

# Ids that are of a file, not of an event in it. In /segments all of them are, and in the other tables as far as there.
IDS = ("event_id", "vertex_id", "file_vertex_id", "segment_id", "file_traj_id")


class Joined(NamedTuple):
    """A file with the tables of others, and what was added to the ids of each of them, one by one."""

    path: str
    added: list[dict[str, int]]


@contextlib.contextmanager
def joined(paths: Sequence[str | os.PathLike]) -> Iterator[Joined]:
    """The segments and particles of `paths`, one after the other in the present format, in a file that is removed.

    To the ids of a file that has an event id which one before has, the first that is free is added. Raises InputError
    as `EventFile` does, and for tables of different columns.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "joined.h5")
        free = dict.fromkeys(IDS, 0)
        events, added = np.zeros(0, dtype=np.int64), []
        with hdf5.new_hdf5(target) as file:
            for path in paths:
                source = EventFile(path)
                shared = len(np.intersect1d(source.event_id, events)) > 0
                added.append(dict(free) if shared else dict.fromkeys(IDS, 0))
                more = added[-1]["event_id"]
                ends = [int(end) for end in (source.event_id.min(initial=0), source.event_id.max(initial=0))]
                _check_room(path, "segments", "event_id", ends, (-(2**63), 2**63 - 1 - more))
                events = np.union1d(events, source.event_id + more)
                highest = _append(file, path, source.numbering, added[-1])
                free = {name: max(free[name], highest.get(name, -1) + 1) for name in IDS}
        yield Joined(target, added)


def _append(file: hdf5.NewFile, path: str | os.PathLike, numbering: Numbering, added: dict[str, int]) -> dict[str, int]:
    """Append the tables of a file with something added to its ids; the highest ids then."""
    highest: dict[str, int] = {}
    with hdf5.open_hdf5(path) as source:
        table = hdf5.open_table(source, "segments", "tracks")
        for start in range(0, max(len(table), 1), hdf5.BLOCK):
            rows = hdf5.read_rows(table, start, start + hdf5.BLOCK)
            part = present_segments(from_table(rows, path, start + np.arange(len(rows))), numbering)
            _add(file, "segments", part, path, added, highest)
        for name in PARTICLES:
            table = source.get(name)
            if not isinstance(table, h5py.Dataset) or event_field(table.dtype) is None:
                continue
            check_ids(path, name, table.dtype, table.ndim)
            for start in range(0, max(len(table), 1), hdf5.BLOCK):
                rows = present_rows(hdf5.read_rows(table, start, start + hdf5.BLOCK), name, numbering)
                _add(file, name, rows, path, added, highest)
    return highest


def _add(
    file: hdf5.NewFile,
    name: str,
    rows: np.ndarray,
    path: str | os.PathLike,
    added: dict[str, int],
    highest: dict[str, int],
) -> None:
    fields: Any = hdf5.fields_of(rows.dtype)
    table = file[name] if name in file else file.growing(name, rows.dtype)
    if set(hdf5.fields_of(table.dtype)) != set(fields):
        other = ", ".join(sorted(set(hdf5.fields_of(table.dtype)) ^ set(fields)))
        raise InputError(
            f"{path}: {name} differ from those of the files before in {other}, allowed are the same columns"
        )
    for one in (one for one in IDS if one in fields and len(rows)):
        low, high = int(rows[one].min()), int(rows[one].max())
        kinds = np.iinfo(rows.dtype[one]), np.iinfo(table.dtype[one])
        least, most = max(kind.min for kind in kinds), min(kind.max for kind in kinds) - added[one]
        _check_room(path, name, one, (low, high), (least, most))
        rows[one] += np.asarray(added[one], dtype=rows.dtype[one])
        highest[one] = max(highest.get(one, -1), high + added[one])
    same = np.zeros(len(rows), dtype=table.dtype)
    for one in fields:
        same[one] = rows[one]
    hdf5.append(table, same)


def _check_room(path: str | os.PathLike, name: str, field: str, found: Sequence[int], allowed: tuple[int, int]) -> None:
    """Raise InputError where ids from the lowest to the highest `found` are not within what is `allowed`."""
    low, high = found
    least, most = allowed
    if low < least or high > most:
        wrong = low if low < least else high
        raise InputError(f"{path}: {name} {field}: found {wrong}, allowed beside the files before is {least} to {most}")
