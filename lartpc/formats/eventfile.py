"""Files of energy deposits that need not fit into memory: whole events, some at a time."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

from lartpc.data.segments import Segments, no_events, within
from lartpc.files import hdf5
from lartpc.formats.edepsim import from_table, moved
from lartpc.formats.present import (
    PARTICLES,
    Numbering,
    check_ids,
    event_field,
    numbering_of,
    present_dtype,
    present_rows,
    present_segments,
)

MOST = 32768  # segments that are read together, where one event has no more


class _Index(NamedTuple):
    """Where the segments of each event are, by ascending event id, (n_events,)."""

    event_id: np.ndarray
    counts: np.ndarray
    first: np.ndarray  # block of the first row
    last: np.ndarray  # block of the last row


class EventFile:
    """The energy deposits of a file, in parts of whole events, of up to `most` segments each, by ascending event id.

    Iterates over `Segments`; `len` is the number of parts. Rows of an event need not be together, nor events in order;
    where they are, no part of the file is read more than a few times. `events`: a range of event ids, half-open as
    Python's, to take; None: all. `offset` is added to x, y and z of the segments, in the file's frame [cm].

    Looks at every row first: raises InputError as `read_segments` does, and where no event is in the range.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        events: range | None = None,
        most: int = MOST,
        offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        self.path, self.events, self.offset = path, events, offset
        with hdf5.open_hdf5(path) as file:
            table = self._table(file)
            self.dtype = present_dtype(table.dtype)
            self._index, self._before, ends = self._look(table)
        if events is not None and self.n_segments == 0:
            raise no_events(path, events, ends)
        self._cuts = _cuts(self._index.counts, most)
        self.numbering = numbering_of(path)

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def __iter__(self) -> Iterator[Segments]:
        return (self.read(k)[0] for k in range(len(self)))

    @property
    def event_id(self) -> np.ndarray:
        """The ids of its `events`, ascending."""
        return self._index.event_id

    @property
    def n_segments(self) -> int:
        """How many there are of all `events`."""
        return int(self._before[-1])

    def read(self, k: int) -> tuple[Segments, np.ndarray]:
        """Part k, in the order of the file, and (n,) the index of each segment among those of all `events`."""
        chosen = slice(self._cuts[k], self._cuts[k + 1])
        event_id = self._index.event_id[chosen]
        events = range(int(event_id[0]), int(event_id[-1]) + 1)
        raws, rows, indices = [], [], []
        with hdf5.open_hdf5(self.path) as file:
            table = self._table(file)
            for block in _blocks(self._index.first[chosen], self._index.last[chosen]):
                raw, own = self._block(table, block)
                mine = within(own, events)
                at = np.flatnonzero(mine)
                raws.append(raw[at])
                rows.append(block * hdf5.BLOCK + at)
                indices.append(self._before[block] + np.cumsum(within(own, self.events))[at] - 1)
        return from_table(np.concatenate(raws), self.path, np.concatenate(rows)), np.concatenate(indices)

    def copy_segments(self, file: h5py.File) -> None:
        """Copy the segments of `events` in the present format, in their order."""
        copied = file.create_dataset("segments", (self.n_segments,), self.dtype, track_times=False)
        copied.attrs["zbeam"] = True
        with hdf5.open_hdf5(self.path) as source:
            table = self._table(source)
            for block, begin in enumerate(self._before[:-1]):
                raw, own = self._block(table, block)
                at = np.flatnonzero(within(own, self.events))
                part = present_segments(from_table(raw[at], self.path, block * hdf5.BLOCK + at), self.numbering)
                copied[begin : begin + len(part)] = part

    def copy_tables(self, file: hdf5.NewFile) -> None:
        """Copy the tables that the file holds of the particles of `events`, in the present format."""
        copy_tables(self.path, file, self.events, self.numbering)

    def copy_input(self, file: hdf5.NewFile) -> None:
        """Copy all tables of `events` as they are, under their own names in the group `input`."""
        copy_as_they_are(self.path, file, self.events)

    def _table(self, file: h5py.File) -> h5py.Dataset:
        return hdf5.open_table(file, "segments", "tracks")

    def _block(self, table: h5py.Dataset, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a block, and their event ids."""
        raw = moved(hdf5.read_rows(table, block * hdf5.BLOCK, (block + 1) * hdf5.BLOCK), self.offset)
        return raw, raw[event_field(raw.dtype)].astype(np.int64)

    def _look(self, table: h5py.Dataset) -> tuple[_Index, np.ndarray, np.ndarray]:
        """The index, how many segments of `events` come before each block and in all, the ends of all event ids."""
        index, parts, waiting = _index(np.zeros(0, dtype=np.int64), 0), [], 0
        before, ends = [0], np.zeros(0, dtype=np.int64)
        for block in range(max(1, -(-len(table) // hdf5.BLOCK))):  # without rows the fields are looked at all the same
            raw = hdf5.read_rows(table, block * hdf5.BLOCK, (block + 1) * hdf5.BLOCK)
            rows = block * hdf5.BLOCK + np.arange(len(raw))
            event_id = from_table(raw, self.path, rows).event_id
            ends = np.sort(np.append(ends, event_id))[[0, -1]] if len(raw) else ends
            own = event_id[within(event_id, self.events)]
            before.append(before[-1] + len(own))
            parts.append(_index(own, block))
            waiting += len(parts[-1].event_id)
            if waiting > len(index.event_id) + hdf5.BLOCK:  # so that the work and memory are those of the events
                index, parts, waiting = _merged([index, *parts]), [], 0
        return _merged([index, *parts]), np.array(before), ends


def copy_tables(path: str | os.PathLike | None, file: hdf5.NewFile, events: range | None, numbering: Numbering) -> None:
    """Copy what the file at `path` (None: there is none) holds of the events' particles, of a range if given, in the
    present format; what is no table of events as it is."""
    if path is None:
        return
    with hdf5.open_hdf5(path) as source:
        for name in PARTICLES:
            if name not in source:
                continue
            if isinstance(source[name], h5py.Dataset) and source[name].ndim:
                hdf5.check_stored(path, name, source[name])
            dtype: Any = getattr(source[name], "dtype", None)
            field = event_field(dtype)
            if field is None:
                source.copy(name, file)
            else:
                check_ids(path, name, dtype, source[name].ndim)
                changed = functools.partial(present_rows, name=name, numbering=numbering)
                _copy_rows(source[name], file.growing(name, changed(np.zeros(0, dtype=dtype)).dtype), events, changed)


def copy_as_they_are(path: str | os.PathLike, file: hdf5.NewFile, events: range | None) -> None:
    """Copy the tables of a file's segments and particles, of a range of events if given, into the group `input`."""
    with hdf5.open_hdf5(path) as source:
        for name in ("segments", "tracks", *PARTICLES):
            if name not in source:
                continue
            if events is None or event_field(getattr(source[name], "dtype", None)) is None:
                source.copy(name, file.require_group("input"))
            else:
                _copy_rows(source[name], file.growing(f"input/{name}", source[name].dtype), events, lambda rows: rows)


def _copy_rows(
    table: h5py.Dataset, copied: h5py.Dataset, events: range | None, changed: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Append the rows of `events`, as `changed` gives them."""
    copied.attrs.update(table.attrs)
    for start in range(0, len(table), hdf5.BLOCK):
        rows = hdf5.read_rows(table, start, start + hdf5.BLOCK)
        hdf5.append(copied, changed(rows[within(rows[event_field(rows.dtype)], events)]))


def _index(event_id: np.ndarray, block: int) -> _Index:
    """Of the rows of one block."""
    found, count = np.unique(event_id, return_counts=True)
    at = np.full(len(found), block)
    return _Index(found, count, at, at)


def _merged(parts: list[_Index]) -> _Index:
    """Of the rows of several parts in ascending order of blocks."""
    event_id, count, first, last = (np.concatenate(column) for column in zip(*parts, strict=True))
    found, event = np.unique(event_id, return_inverse=True)
    counts = np.zeros(len(found), dtype=np.int64)
    np.add.at(counts, event, count)
    lowest, highest = np.full(len(found), np.iinfo(np.int64).max), np.full(len(found), -1)
    np.minimum.at(lowest, event, first)
    np.maximum.at(highest, event, last)
    return _Index(found, counts, lowest, highest)


def _cuts(count: np.ndarray, most: int) -> np.ndarray:
    """Where the events are cut into parts of up to `most` segments, or of one event."""
    ends = np.cumsum(count)
    cuts, before = [0], 0
    while cuts[-1] < len(ends):
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(ends, before + most, side="right"))))
        before = ends[cuts[-1] - 1]
    return np.array(cuts)


def _blocks(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The blocks in which events with such first and last blocks may lie, ascending."""
    change = np.zeros(last.max() - first.min() + 2, dtype=np.int64)
    np.add.at(change, first - first.min(), 1)
    np.add.at(change, last - first.min() + 1, -1)
    return first.min() + np.flatnonzero(np.cumsum(change[:-1]) > 0)
