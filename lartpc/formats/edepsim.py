"""Energy deposits in files of edep-sim's HDF5 format, three generations of it, read by field name."""

from __future__ import annotations

import os

import numpy as np

from lartpc.data.segments import Segments
from lartpc.data.selection import lengths
from lartpc.exceptions import InputError
from lartpc.files import hdf5

# column: the names it has in files, in order of preference. The file's x is the drift axis, the simulation's z.
_FLOATS = {
    "x_start": ("z_start",),
    "y_start": ("y_start",),
    "z_start": ("x_start",),
    "x_end": ("z_end",),
    "y_end": ("y_end",),
    "z_end": ("x_end",),
    "dE": ("dE",),
    "dEdx": ("dEdx",),
}
# Files that have t0 use t as a scratch column; the oldest have no t0, and t is when the energy was deposited.
_TIME = ("t0", "t0_start", "t")
EVENT = ("event_id", "eventID")
_FARTHEST = 1e9  # [cm] of a coordinate
_LATEST = 5e15  # [us] 160 years: later ones (nuclei decay) are taken to be then, so that ticks fit into 64 bits
_OPTIONAL = {
    "segment_id": ("segment_id",),
    "traj_id": ("traj_id", "local_trackID", "trackID"),
    "pdg_id": ("pdg_id", "pdgId"),
}


def read_segments(path: str | os.PathLike, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Segments:
    """Read energy deposits from the dataset `segments` (in the oldest files `tracks`) of an HDF5 file.

    `offset` is added to their x, y and z, in the file's frame [cm]. Fields are found by name, in any order and float
    width. Rows of an event need not be together; no row at all is valid. Raises InputError, one line: no such file, no
    HDF5, truncated, no such dataset, a field missing or of the wrong type, a value that is not finite (names its row),
    a negative dE or dEdx, a coordinate beyond `_FARTHEST`.
    """
    with hdf5.open_hdf5(path) as file:
        return from_table(moved(hdf5.read_table(file, "segments", "tracks"), offset), path)


def moved(raw: np.ndarray, offset: tuple[float, float, float]) -> np.ndarray:
    """A structured array of segments with `offset` added, in place, to all its columns of x, y and z [cm]."""
    for axis, change in zip("xyz", offset, strict=True):
        for name in (axis, f"{axis}_start", f"{axis}_end"):
            if change and name in hdf5.fields_of(raw.dtype):
                raw[name] += raw.dtype[name].type(change)
    return raw


def from_table(raw: np.ndarray, path: str | os.PathLike, rows: np.ndarray | None = None) -> Segments:
    """`Segments` of a structured array like that of `read_segments`, raising as it does; `path` names it in messages.

    `rows` (n,): where in the file they are, None for all of it.
    """
    rows = np.arange(len(raw)) if rows is None else rows
    width = np.result_type(np.float32, *(_column(path, raw, names, "iuf") for names in _FLOATS.values()))
    floats = {name: _column(path, raw, names, "iuf").astype(width) for name, names in _FLOATS.items()}
    t0 = _column(path, raw, _TIME, "iuf").astype(np.float64)
    ids = {"event_id": _whole(path, raw, EVENT, rows)}
    for name, names in _OPTIONAL.items():
        if any(n in hdf5.fields_of(raw.dtype) for n in names):
            ids[name] = _whole(path, raw, names, rows)
        else:
            ids[name] = rows if name == "segment_id" else np.zeros(len(raw), dtype=np.int64)
    segments = Segments(**ids, **floats, t0=t0, raw=raw, source=os.fspath(path))
    _validate(path, segments, raw, rows)
    segments.t0 = np.clip(t0, -_LATEST, _LATEST)
    return segments


def no_segments(path: str | os.PathLike) -> Segments:
    """Those of a file that has none."""
    return from_table(np.zeros(0, dtype=segment_dtype()), path)


def write_segments(path: str | os.PathLike, segments: Segments, overwrite: bool = False) -> None:
    """Write the columns as an HDF5 file of edep-sim's present format, dataset `segments`, in the file's frame.

    Raises InputError where the file exists (without `overwrite`) or cannot be written.
    """
    with hdf5.new_hdf5(path, overwrite) as file:
        file.create_dataset("segments", data=file_table(segments), track_times=False)


def segment_dtype(width: str = "f4", event: str = "u4") -> np.dtype:
    """Of a table of edep-sim's present format, with floats of `width` and event ids of type `event`."""
    return np.dtype(
        [
            ("event_id", event),
            ("vertex_id", "u8"),
            ("file_vertex_id", "u8"),
            ("segment_id", "u4"),
            ("z_end", width),
            ("traj_id", "u4"),
            ("file_traj_id", "u4"),
            ("tran_diff", "f4"),
            ("z_start", width),
            ("x_end", width),
            ("y_end", width),
            ("n_electrons", "u4"),
            ("pdg_id", "i4"),
            ("x_start", width),
            ("y_start", width),
            ("t_start", "f4"),
            ("t0_start", "f8"),
            ("t0_end", "f8"),
            ("t0", "f8"),
            ("dx", "f4"),
            ("long_diff", "f4"),
            ("pixel_plane", "i4"),
            ("t_end", "f4"),
            ("dEdx", width),
            ("dE", width),
            ("t", "f4"),
            ("y", width),
            ("x", width),
            ("z", width),
            ("n_photons", "f4"),
        ]
    )


def file_table(segments: Segments) -> np.ndarray:
    """The columns as a table of edep-sim's present format, shape (n,), in the file's frame.

    Scratch columns, which the simulation of larnd-sim fills, are 0.
    """
    s = segments
    width = s.x_start.dtype.str
    event = "u4" if not len(s) or (s.event_id.min() >= 0 and s.event_id.max() < 2**32) else "i8"
    table = np.zeros(len(s), dtype=segment_dtype(width, event))
    for name, (file_name,) in _FLOATS.items():
        table[file_name] = getattr(s, name)
    for axis in "xyz":
        table[axis] = 0.5 * (table[f"{axis}_start"] + table[f"{axis}_end"])
    for name in ("event_id", "segment_id", "traj_id", "pdg_id"):
        table[name] = getattr(s, name)
    table["vertex_id"] = table["file_vertex_id"] = s.event_id
    table["file_traj_id"] = s.traj_id
    table["t0"] = table["t0_start"] = table["t0_end"] = s.t0
    table["dx"] = lengths(s)
    return table


def _column(path: str | os.PathLike, raw: np.ndarray, names: tuple[str, ...], kinds: str) -> np.ndarray:
    """The first field of `names` that the table has, of a type among `kinds`."""
    found = next((name for name in names if name in hdf5.fields_of(raw.dtype)), None)
    if found is None:
        wanted = f"{names[0]!r}" + (f" (or {', '.join(map(repr, names[1:]))})" if len(names) > 1 else "")
        raise InputError(f"{path}: segments have no field {wanted}, found {', '.join(hdf5.fields_of(raw.dtype))}")
    column = raw[found]
    if column.ndim != 1 or column.dtype.kind not in kinds:
        allowed = "whole numbers" if "f" not in kinds else "numbers"
        raise InputError(f"{path}: segments field {found!r} has type {raw.dtype[found]}, allowed are {allowed}")
    return column


def _whole(path: str | os.PathLike, raw: np.ndarray, names: tuple[str, ...], rows: np.ndarray) -> np.ndarray:
    column = _column(path, raw, names, "iu")
    if column.dtype.kind == "u" and np.any(column > np.iinfo(np.int64).max):
        row = int(np.argmax(column > np.iinfo(np.int64).max))
        raise InputError(f"{path}: segments row {rows[row]}: {names[0]} is {column[row]}, allowed is up to 2^63 - 1")
    return column.astype(np.int64)


def _validate(path: str | os.PathLike, segments: Segments, raw: np.ndarray, rows: np.ndarray) -> None:
    for name, file_names in {**_FLOATS, "t0": _TIME}.items():
        column = getattr(segments, name)
        field = next(n for n in file_names if n in hdf5.fields_of(raw.dtype))
        wrong = ~np.isfinite(column)
        allowed = "a finite number"
        if name in ("dE", "dEdx"):
            wrong |= column < 0
            allowed += ", 0 or above"
        elif name != "t0":
            wrong |= np.abs(column) > _FARTHEST
            allowed += f" up to {_FARTHEST:g} cm"
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{path}: segments row {rows[row]}: {field} is {column[row]:g}, allowed is {allowed}")
