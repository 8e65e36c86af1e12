"""Energy deposits: files of edep-sim's HDF5 format, three generations of it, read by field name."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from . import hdf5
from .errors import InputError

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
_LATEST = 5e15  # [us] 160 years: later ones (nuclei decay) are taken to be then, so that ticks fit into 64 bits
_OPTIONAL = {
    "segment_id": ("segment_id",),
    "traj_id": ("traj_id", "local_trackID", "trackID"),
    "pdg_id": ("pdg_id", "pdgId"),
}


@dataclasses.dataclass
class Segments:
    """Straight energy deposits, columns of shape (n,), in the simulation frame: z is the drift axis [cm, MeV, us].

    `raw` is the table as read, in the file's frame (x is the drift axis, z the beam), and `source` its path; both are
    None for segments that were made, not read.
    """

    event_id: np.ndarray  # int64
    segment_id: np.ndarray  # int64
    traj_id: np.ndarray  # int64, 0 where the file has none
    pdg_id: np.ndarray  # int64, 0 where the file has none
    x_start: np.ndarray  # float32 or wider, as all up to dEdx
    y_start: np.ndarray
    z_start: np.ndarray
    x_end: np.ndarray
    y_end: np.ndarray
    z_end: np.ndarray
    dE: np.ndarray  # [MeV]
    dEdx: np.ndarray  # [MeV/cm]
    t0: np.ndarray  # float64 [us]
    raw: np.ndarray | None = None
    source: str | None = None

    def __len__(self) -> int:
        return len(self.event_id)

    @property
    def events(self) -> np.ndarray:
        """The event ids that occur, ascending."""
        return np.unique(self.event_id)

    def of_events(self, events: range | None) -> Segments:
        """Those whose event ids lie in a range, half-open as Python's; all where it is None. InputError: none does."""
        if events is None:
            return self
        found = self.select(within(self.event_id, events))
        if len(found) == 0:
            raise no_events(self.source, events, self.event_id)
        return found

    def select(self, rows: np.ndarray) -> Segments:
        """The given rows (indices, or a mask of shape (n,)) of every column, `raw` included."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Segments(**{k: v[rows] if isinstance(v, np.ndarray) else v for k, v in columns.items()})


def read_segments(path: str | os.PathLike) -> Segments:
    """Read energy deposits from the dataset `segments` (in the oldest files `tracks`) of an HDF5 file.

    Fields are found by name, in any order and float width. Rows of an event need not be together; no row at all is
    valid. Raises InputError, one line: no such file, no HDF5, truncated, no such dataset, a field missing or of the
    wrong type, a value that is not finite (names its row), a negative dE or dEdx.
    """
    with hdf5.open_hdf5(path) as file:
        return from_table(hdf5.read_table(file, "segments", "tracks"), path)


def within(event_id: np.ndarray, events: range | None) -> np.ndarray:
    """Which event ids (n,) lie in a range; all where it is None."""
    if events is None:
        return np.ones(len(event_id), dtype=bool)
    return (event_id >= events.start) & (event_id < events.stop)


def no_events(path: str | os.PathLike | None, events: range, event_id: np.ndarray) -> InputError:
    """The error that none of the ids (n,) lies in the range."""
    low = "" if events.start <= -(2**63) else events.start
    high = "" if events.stop >= 2**63 else events.stop
    found = f"event ids from {event_id.min()} to {event_id.max()}" if len(event_id) else "no event at all"
    return InputError(f"{path or 'segments'}: no event in {low}:{high}, found {found}")


def from_table(raw: np.ndarray, path: str | os.PathLike, rows: np.ndarray | None = None) -> Segments:
    """`Segments` of a structured array like that of `read_segments`, with its errors; `path` names it in messages.

    `rows` (n,): where in the file they are, None for all of it.
    """
    rows = np.arange(len(raw)) if rows is None else rows
    width = np.result_type(np.float32, *(_column(path, raw, names, "iuf") for names in _FLOATS.values()))
    floats = {name: _column(path, raw, names, "iuf").astype(width) for name, names in _FLOATS.items()}
    t0 = _column(path, raw, _TIME, "iuf").astype(np.float64)
    ids = {"event_id": _whole(path, raw, EVENT, rows)}
    for name, names in _OPTIONAL.items():
        if any(n in raw.dtype.names for n in names):
            ids[name] = _whole(path, raw, names, rows)
        else:
            ids[name] = rows if name == "segment_id" else np.zeros(len(raw), dtype=np.int64)
    segments = Segments(**ids, **floats, t0=t0, raw=raw, source=os.fspath(path))
    _validate(path, segments, rows)
    segments.t0 = np.clip(t0, -_LATEST, _LATEST)
    return segments


def write_segments(path: str | os.PathLike, segments: Segments, overwrite: bool = False) -> None:
    """Write the columns as an HDF5 file of edep-sim's present format, dataset `segments`, in the file's frame.

    Raises InputError where the file exists (without `overwrite`) or cannot be written.
    """
    with hdf5.new_hdf5(path, overwrite) as file:
        file.create_dataset("segments", data=file_table(segments), track_times=False)


def file_table(segments: Segments) -> np.ndarray:
    """The columns as a table of edep-sim's present format, shape (n,), in the file's frame.

    Scratch columns, which the simulation of larnd-sim fills, are 0.
    """
    s = segments
    width = s.x_start.dtype.str
    event = "u4" if not len(s) or (s.event_id.min() >= 0 and s.event_id.max() < 2**32) else "i8"
    table = np.zeros(
        len(s),
        dtype=[
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
        ],
    )
    for name, (file_name,) in _FLOATS.items():
        table[file_name] = getattr(s, name)
    for axis in "xyz":
        table[axis] = 0.5 * (table[f"{axis}_start"] + table[f"{axis}_end"])
    for name in ("event_id", "segment_id", "traj_id", "pdg_id"):
        table[name] = getattr(s, name)
    table["vertex_id"] = table["file_vertex_id"] = s.event_id
    table["file_traj_id"] = s.traj_id
    table["t0"] = table["t0_start"] = table["t0_end"] = s.t0
    table["dx"] = np.sqrt((s.x_end - s.x_start) ** 2 + (s.y_end - s.y_start) ** 2 + (s.z_end - s.z_start) ** 2)
    return table


def _column(path: str | os.PathLike, raw: np.ndarray, names: tuple[str, ...], kinds: str) -> np.ndarray:
    """The first field of `names` that the table has, of a type among `kinds`."""
    found = next((name for name in names if name in raw.dtype.names), None)
    if found is None:
        wanted = f"{names[0]!r}" + (f" (or {', '.join(map(repr, names[1:]))})" if len(names) > 1 else "")
        raise InputError(f"{path}: segments have no field {wanted}, found {', '.join(raw.dtype.names)}")
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


def _validate(path: str | os.PathLike, segments: Segments, rows: np.ndarray) -> None:
    for name, file_names in {**_FLOATS, "t0": _TIME}.items():
        column = getattr(segments, name)
        field = next(n for n in file_names if n in segments.raw.dtype.names)
        wrong = ~np.isfinite(column)
        allowed = "a finite number"
        if name in ("dE", "dEdx"):
            wrong |= column < 0
            allowed += ", 0 or above"
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{path}: segments row {rows[row]}: {field} is {column[row]:g}, allowed is {allowed}")
