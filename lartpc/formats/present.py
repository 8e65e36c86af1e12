"""Tables of any generation of edep-sim's files under the names, and with the columns, of the present one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np

from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.edepsim import file_table, segment_dtype

PARTICLES = ("trajectories", "vertices", "mc_hdr", "mc_stack")  # tables that are copied beside the segments
# Columns that a simulation fills.
SCRATCH = ("n_electrons", "n_photons", "long_diff", "tran_diff", "pixel_plane", "t", "t_start", "t_end")
_NAMES = {
    "eventID": "event_id",
    "vertexID": "vertex_id",
    "trackID": "file_traj_id",
    "local_trackID": "traj_id",
    "parentID": "parent_id",
    "pdgId": "pdg_id",
}


IDS = ("event_id", "vertex_id", "file_vertex_id", "traj_id", "file_traj_id")


class Numbering(NamedTuple):
    """How vertices are numbered in a file: file_vertex_id = by_event event_id + by_vertex vertex_id, or as it is there.

    It has to be the same in every table, and another for each vertex of the file.
    """

    given: bool
    by_event: int
    by_vertex: int


AS_VERTEX = Numbering(False, 0, 1)


def names_of(dtype: np.dtype) -> dict[str, str]:
    """Present name to the table's own name of every field; one whose present name is there, too, keeps its own."""
    own = hdf5.fields_of(dtype)
    return {name if _NAMES.get(name, name) in own else _NAMES[name]: name for name in own}


def numbering_of(path: str | os.PathLike | None) -> Numbering:
    """That of the file at `path` (None: there is none). Raises InputError: no HDF5 file, damaged.

    file_vertex_id is kept where every table has it. Else it is vertex_id where no two events share one, or the events
    come in; without vertex_id it is event_id.
    """
    if path is None:
        return AS_VERTEX
    with hdf5.open_hdf5(path) as file:
        tables = [table for name in ("segments", "tracks", *PARTICLES) if (table := _events_table(file, name))]
        names = [names_of(table.dtype) for table in tables]
        if not names or "vertex_id" not in names[0]:
            return Numbering(False, 1, 0) if names and "file_vertex_id" not in names[0] else Numbering(True, 0, 0)
        if all("file_vertex_id" in own for own in names):
            return Numbering(True, 0, 0)
        pairs = np.zeros((0, 2), dtype=np.uint64)
        for table, own in zip(tables, names, strict=True):
            if "vertex_id" not in own:
                continue
            for start in range(0, len(table), hdf5.BLOCK):
                rows = hdf5.read_rows(table, start, start + hdf5.BLOCK)
                found = np.stack([rows[own[name]].astype(np.uint64) for name in ("vertex_id", "event_id")], axis=1)
                pairs = np.unique(np.concatenate((pairs, found)), axis=0)
    vertex = pairs[:, 0]
    if len(np.unique(vertex)) == len(vertex):
        return AS_VERTEX
    return Numbering(False, int(vertex.max()) + 1, 1)


def present_dtype(dtype: np.dtype) -> np.dtype:
    """The type of `present_segments` of a table of the given type: its own fields first, in their order and widths.

    Scratch columns that have no room for what a simulation fills in are of the present type.
    """
    own = names_of(dtype)
    added = segment_dtype()
    kinds = {name: dtype[field] for name, field in own.items()}
    fields = [(name, kind if _has_room(name, kind, added) else added[name]) for name, kind in kinds.items()]
    return np.dtype(fields + [(name, added[name]) for name in hdf5.fields_of(added) if name not in own])


def _has_room(name: str, own: np.dtype, added: np.dtype) -> bool:
    """Whether a field of type `own` holds what there may be of that name: numbers as wide as those of `added`."""
    return name not in SCRATCH or (own.kind in "iuf" and own.itemsize >= added[name].itemsize)


def present_segments(segments: Segments, numbering: Numbering = AS_VERTEX) -> np.ndarray:
    """The table of `segments` in the present format, shape (n,), in the file's frame.

    All that it has as read is kept, under the present names. Files without t0 hold the time of the deposit in t: it is
    kept as t0. Scratch columns that it lacks are 0, which the simulation of larnd-sim fills. Raises InputError where
    ids of vertices are no whole numbers.
    """
    made = file_table(segments)
    if segments.raw is None:
        return made
    check_ids(segments.source, "segments", segments.raw.dtype)
    own = names_of(segments.raw.dtype)
    table = np.zeros(len(made), dtype=present_dtype(segments.raw.dtype))
    for name in hdf5.fields_of(table.dtype):
        kept = name in own and (name not in SCRATCH or segments.raw.dtype[own[name]].kind in "iuf")
        table[name] = segments.raw[own[name]] if kept else made[name]
    _number(table, own, numbering)
    return table


def present_rows(rows: np.ndarray, name: str, numbering: Numbering) -> np.ndarray:
    """Rows of one of `PARTICLES`, which `check_ids` passed, in the present format, with the ids that tell their event,
    vertex and trajectory."""
    own = names_of(rows.dtype)
    fields: list[tuple[str, Any]] = [(present, rows.dtype[field]) for present, field in own.items()]
    wanted = {"vertex_id": "u8", "file_vertex_id": "u8"}
    if name == "trajectories" and ("traj_id" in own or "file_traj_id" in own):
        wanted |= {"traj_id": "u4", "file_traj_id": "u4"}
    if "event_id" in own:
        fields += [(present, kind) for present, kind in wanted.items() if present not in own]
    table = np.zeros(len(rows), dtype=fields)
    for present, field in own.items():
        table[present] = rows[field]
    if "event_id" not in own:
        return table
    if "vertex_id" not in own:
        table["vertex_id"] = table["event_id"]
    for present, other in (("traj_id", "file_traj_id"), ("file_traj_id", "traj_id")):
        if present in wanted and present not in own:
            table[present] = table[other]
    _number(table, own, numbering)
    return table


def event_field(dtype: np.dtype | None) -> str | None:
    """The field of event ids, None where a dataset has none."""
    return None if dtype is None else names_of(dtype).get("event_id")


def check_ids(path: str | os.PathLike | None, name: str, dtype: np.dtype, ndim: int = 1) -> None:
    """Raise InputError where an id of events, vertices or trajectories in a table is no column of whole numbers."""
    for present, field in names_of(dtype).items():
        if present in IDS and (dtype[field].kind not in "iu" or ndim != 1):
            found = f"{ndim} axes of {dtype[field]}"
            raise InputError(f"{path}: {name} field {field!r}: found {found}, allowed is a column of whole numbers")


def _number(table: np.ndarray, own: Mapping[str, str], numbering: Numbering) -> None:
    if "vertex_id" not in own:
        table["vertex_id"] = table["event_id"]
    if numbering.given and "file_vertex_id" in own:
        return
    event, vertex = table["event_id"].astype(np.uint64), table["vertex_id"].astype(np.uint64)
    number = np.uint64(numbering.by_event) * event + np.uint64(numbering.by_vertex) * vertex
    table["file_vertex_id"] = number


def _events_table(file: h5py.File, name: str) -> h5py.Dataset | None:
    """The table of that name, None where there is none, or one without whole numbers of events."""
    found = file.get(name)
    field = event_field(found.dtype) if isinstance(found, h5py.Dataset) else None
    if field is None or found.ndim != 1:
        return None
    own = names_of(found.dtype)
    ids = [found.dtype[own[one]] for one in ("event_id", "vertex_id") if one in own]
    return found if all(kind.kind in "iu" for kind in ids) else None
