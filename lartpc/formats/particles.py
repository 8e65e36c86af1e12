"""Tables of trajectories and vertices for inputs that have none, from what the segments say of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.arrays import run_starts

_IDS: list[Any] = [("event_id", "u4"), ("vertex_id", "u8"), ("file_vertex_id", "u8")]
# The types are those of edep-sim's converter.
TRAJECTORY = np.dtype(
    [
        *_IDS,
        *(("traj_id", "u4"), ("file_traj_id", "u4"), ("parent_id", "i4"), ("primary", "?")),
        *(("E_start", "f4"), ("pxyz_start", "f4", (3,)), ("xyz_start", "f4", (3,)), ("t_start", "f8")),
        *(("E_end", "f4"), ("pxyz_end", "f4", (3,)), ("xyz_end", "f4", (3,)), ("t_end", "f8")),
        *(("pdg_id", "i4"), ("start_process", "u4"), ("start_subprocess", "u4")),
        *(("end_process", "u4"), ("end_subprocess", "u4"), ("dist_travel", "f4")),
    ]
)
VERTEX = np.dtype([*_IDS, *((name, "f4") for name in ("x_vert", "y_vert", "z_vert", "t_vert", "t_event"))])


def trajectories_of(table: np.ndarray) -> np.ndarray:
    """A row for each trajectory of whole events' segments, a table of the present format in the file's frame.

    It begins and ends with its first and last deposit [cm, us]; dist_travel is the length of its segments. What
    segments do not say of it is 0: energies, momenta, processes; parent_id is -1, as of a primary.
    """
    order, start = _groups(table, "event_id", "file_vertex_id", "file_traj_id")
    first, last = table[order[start]], table[order[np.append(start[1:], len(order))[: len(start)] - 1]]
    made = np.zeros(len(start), dtype=TRAJECTORY)
    for name in ("event_id", "vertex_id", "file_vertex_id", "traj_id", "file_traj_id", "pdg_id"):
        made[name] = first[name]
    made["parent_id"], made["primary"] = -1, True
    for k, axis in enumerate("xyz"):
        made["xyz_start"][:, k], made["xyz_end"][:, k] = first[f"{axis}_start"], last[f"{axis}_end"]
    made["t_start"], made["t_end"] = first["t0"], last["t0"]
    if len(start):
        made["dist_travel"] = np.add.reduceat(table["dx"][order].astype(np.float64), start)
    return made


def vertices_of(table: np.ndarray) -> np.ndarray:
    """A row for each vertex of whole events' segments, at its first deposit; t_event is the event's first [us]."""
    order, start = _groups(table, "event_id", "file_vertex_id")
    first = table[order[start]]
    made = np.zeros(len(start), dtype=VERTEX)
    for name in ("event_id", "vertex_id", "file_vertex_id"):
        made[name] = first[name]
    for axis in "xyz":
        made[f"{axis}_vert"] = first[f"{axis}_start"]
    made["t_vert"] = first["t0"]
    event = np.unique(first["event_id"], return_inverse=True)[1]
    earliest = np.full(event.max() + 1 if len(event) else 0, np.inf)
    np.minimum.at(earliest, event, first["t0"])
    made["t_event"] = earliest[event]
    return made


MADE = {"trajectories": (TRAJECTORY, trajectories_of), "vertices": (VERTEX, vertices_of)}


def _groups(table: np.ndarray, *names: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows by these ids, and by time within; and where each group begins."""
    order = np.lexsort((table["t0"], *(table[name] for name in names[::-1])))
    return order, run_starts(*(table[name][order] for name in names))
