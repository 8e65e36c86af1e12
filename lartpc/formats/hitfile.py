"""The HDF5 file of hits and waveforms, with the segments they came from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from lartpc import __version__
from lartpc.checks import short
from lartpc.data.hits import Hits, WaveformTable
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.eventfile import copy_tables
from lartpc.formats.present import numbering_of, present_segments

_HIT = np.dtype(
    [
        ("event_id", "i8"),
        ("pixel_id", "i8"),
        ("tpc", "i2"),
        ("ix", "i4"),
        ("iy", "i4"),
        ("hit", "i2"),
        ("x", "f8"),
        ("y", "f8"),
        ("z_anode", "f8"),
        ("t", "f8"),
        ("charge", "f4"),
        ("adc", "f4"),
    ]
)
# What those attributes of a file hold that are read again, and how that is told.
_ATTRS: dict[str, tuple[Any, str]] = {
    "detector": (str, "a name"),
    "events": (list, "two event ids"),
    "geometry": (dict, "JSON of an object"),
    "noise": (bool, "true or false"),
    "parameters": (dict, "JSON of an object"),
    "readout": (dict, "JSON of an object"),
    "recombination": (str, "a name"),
    "response": ((str, list), "a name or a list of them"),
    **dict.fromkeys(("thresholds", "gains", "pedestals"), (str, "detector or pixels")),
}
_WINDOW = np.dtype([("event_id", "i8"), ("pixel_id", "i8"), ("start_tick", "i8"), ("offset", "i8"), ("ticks", "i4")])


def write_hits(
    path: str | os.PathLike,
    hits: Hits,
    segments: Segments,
    attrs: Mapping[str, Any],
    overwrite: bool = False,
    waveforms: WaveformTable | None = None,
) -> None:
    """Write `/hits`, `/segments`, what else the segments' file holds of the particles, and `/waveforms` if given.

    `attrs` (parameters, detector, seed ...) become attributes of the file, mappings and lists as JSON, with the
    version of lartpc. Nothing depends on time or place: the same input gives the same bytes. Raises InputError where
    the file exists (without `overwrite`) or cannot be written.
    """
    with hdf5.new_hdf5(path, overwrite) as file:
        HitWriter(file, waveforms is not None).append(hits, waveforms)
        numbering = numbering_of(segments.source)
        table = present_segments(segments, numbering)
        file.create_dataset("segments", data=table, track_times=False).attrs["zbeam"] = True
        copy_tables(segments.source, file, None, numbering)
        write_attrs(file, attrs)


class HitWriter:
    """Writes `/hits` of a new file and, where it shall have them, `/waveforms`, some events at a time."""

    def __init__(self, file: hdf5.NewFile, waveforms: bool) -> None:
        self.file = file
        self.hits = file.growing("hits", _HIT)
        if waveforms:
            self.windows = file.growing("waveforms/windows", _WINDOW)
            self.current = file.growing("waveforms/current", np.float32, chunk=2**19)

    def append(self, hits: Hits, waveforms: WaveformTable | None) -> None:
        """Write the hits of events that follow those before, in their order. Raises what writing has failed with."""
        hdf5.append(self.hits, table_of(hits, _HIT)[order_of(hits)])
        if waveforms is not None:
            windows = table_of(waveforms, _WINDOW)
            windows["offset"] += len(self.current)
            hdf5.append(self.windows, windows)
            hdf5.append(self.current, waveforms.current)
        self.file.check()


def order_of(hits: Hits) -> np.ndarray:
    """The rows of hits in the order that files have them in, (n,)."""
    return np.lexsort((hits.hit, hits.pixel_id, hits.event_id))


def write_attrs(file: h5py.File | h5py.Dataset, attrs: Mapping[str, Any]) -> None:
    """Write `attrs` and the version of lartpc as attributes of the file or table, mappings and lists as JSON."""
    for name, value in {**attrs, "lartpc_version": __version__}.items():
        structured = value is None or isinstance(value, Mapping | list | tuple)
        file.attrs[name] = json.dumps(value, sort_keys=True) if structured else value


def write_unread(file: h5py.File, pixel: np.ndarray) -> None:
    """Write `/unread`: the ids of pixels, or channels of wires, that are not read; nothing where all are."""
    if len(pixel):
        file.create_dataset("unread", data=pixel, track_times=False)


def read_unread(path: str | os.PathLike) -> np.ndarray:
    """Read `/unread`, ascending; empty where the file has none. Raises InputError: no HDF5 file, no whole numbers."""
    with hdf5.open_hdf5(path) as file:
        column = hdf5.read_column(file, "unread") if "unread" in file else np.zeros(0, dtype=np.int64)
    if column.dtype.kind not in "iu" or column.ndim != 1:
        raise InputError(f"{path}: unread: found {column.ndim} axes of {column.dtype}, allowed are pixel ids")
    return np.unique(column.astype(np.int64))


def read_hits(path: str | os.PathLike) -> Hits:
    """Read `/hits`. Raises InputError: no HDF5 file, or no hits of lartpc in it."""
    with hdf5.open_hdf5(path) as file:
        return Hits(**columns_of(path, "hits", hdf5.read_table(file, "hits"), _HIT))


def read_waveforms(path: str | os.PathLike) -> WaveformTable | None:
    """Read `/waveforms`, None where the file has none. Raises InputError: no HDF5 file, or not lartpc's waveforms."""
    with hdf5.open_hdf5(path) as file:
        if "waveforms" not in file:
            return None
        windows = columns_of(path, "waveforms/windows", hdf5.read_table(file, "waveforms/windows"), _WINDOW)
        current = hdf5.read_column(file, "waveforms/current")
    if not np.isfinite(current).all():
        raise InputError(f"{path}: waveforms/current: found a number that is not finite, allowed are finite ones")
    check_windows(path, windows, len(current), "waveforms/current")
    return WaveformTable(**windows, current=current)


def check_windows(path: str | os.PathLike, windows: Mapping[str, np.ndarray], samples: int, of: str) -> None:
    """Raise InputError where one of `/waveforms/windows`, by columns, is no part of the `samples` of the dataset."""
    offset, ticks = windows["offset"], windows["ticks"]
    wrong = (offset < 0) | (ticks < 1) | (offset > samples) | (ticks > samples - offset)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path}: waveforms/windows row {row}: found offset {offset[row]} and ticks {ticks[row]}, allowed are "
            f"parts of the {samples} samples of {of}"
        )


def read_attrs(path: str | os.PathLike) -> dict[str, Any]:
    """The attributes that `write_hits` was given, and `lartpc_version`. InputError: no HDF5 file, damaged."""
    with hdf5.open_hdf5(path) as file:
        plain = attrs_of(path, file)
    for name, (kind, allowed) in _ATTRS.items():
        if name in plain and not (plain[name] is None or isinstance(plain[name], kind)):
            raise InputError(f"{path}: attribute {name!r} is {short(plain[name])}, allowed is {allowed}")
    events = plain.get("events")
    if events is not None and not (len(events) == 2 and all(isinstance(one, int) for one in events)):
        raise InputError(f"{path}: attribute 'events' is {short(events)}, allowed are two event ids")
    return plain


def attrs_of(path: str | os.PathLike, of: h5py.File | h5py.Dataset) -> dict[str, Any]:
    """The attributes that `write_attrs` gave a file or a table of it. InputError: damaged."""
    return {name: _plain(path, name, value) for name, value in hdf5.read_attributes(of).items()}


def _plain(path: str | os.PathLike, name: str, value: Any) -> Any:
    if isinstance(value, str) and (value[:1] in ("{", "[") or value == "null"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as failure:
            raise InputError(f"{path}: attribute {name!r} is damaged: {failure}") from None
    return value.item() if isinstance(value, np.generic) else value


def table_of(columns: Any, dtype: np.dtype) -> np.ndarray:
    """The attributes of `columns` that are fields of `dtype` as a table of that type (n,)."""
    table = np.zeros(len(columns), dtype=dtype)
    for name in hdf5.fields_of(dtype):
        table[name] = getattr(columns, name)
    return table


def columns_of(path: str | os.PathLike, what: str, table: np.ndarray, dtype: np.dtype) -> dict[str, np.ndarray]:
    """The columns of a table by the fields of `dtype`, of their types. Raises InputError, naming `what` of the file:
    one that it lacks, that is no number, or that cannot be of that type.
    """
    for name in hdf5.fields_of(dtype):
        if name not in hdf5.fields_of(table.dtype):
            raise InputError(f"{path}: {what} have no field {name!r}, found {', '.join(hdf5.fields_of(table.dtype))}")
        if table[name].ndim != 1 or table[name].dtype.kind not in "iuf":
            raise InputError(f"{path}: {what} field {name!r} has type {table.dtype[name]}, allowed are numbers")
        _check_numbers(path, what, name, table[name], dtype[name])
    return {name: table[name].astype(dtype[name]) for name in hdf5.fields_of(dtype)}


def _check_numbers(path: str | os.PathLike, what: str, name: str, column: np.ndarray, dtype: np.dtype) -> None:
    """Raise InputError for a number (n,) that is not finite, or cannot be in a column of the type `dtype`."""
    if column.dtype.kind == "f":
        column = column.astype(np.float64)  # limits of whole numbers are beyond those of half precision
    if dtype.kind == "f":
        low, high, allowed = float(np.finfo(dtype).min), float(np.finfo(dtype).max), "finite numbers"
        wrong = ~((column >= low) & (column <= high))
    else:
        limits = np.iinfo(dtype)
        allowed = f"whole numbers from {limits.min} to {limits.max}"
        wrong = ~((column >= limits.min) & (column <= limits.max) & (column == np.floor(column)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{path}: {what} row {row}: {name} is {column[row]:g}, allowed are {allowed}")
