"""The segments of all events of a file of frames, as they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from lartpc.data.segments import Segments
from lartpc.formats.wiresegments import EVENTS, SEGMENTS, WireSegments
from lartpc.reconstruction.wiremodel import Read, simulated
from lartpc.reconstruction.wiresegments import DEDX, LARGEST_EVENT, SegmentsFit, pieces_in, segments_from_waveforms
from lartpc.simulation.wires import WireSimulation


class _Event(NamedTuple):
    """Of one event: segments, and rows of both tables."""

    segments: Segments
    table: np.ndarray
    event: np.ndarray


def reconstruct_frames(
    simulation: WireSimulation,
    read: Read,
    events: Iterable[int],
    *,
    dEdx: float = DEDX,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda events: events,
) -> WireSegments:
    """`segments_from_waveforms` of some events, by their ids; those without charge, or with too much, have no segments.

    Raises InputError: dEdx not above 0, and as `read` does.
    """
    rows = [_of_event(simulation, read, event_id, dEdx) for event_id in progress(events)]
    names = [name for name, column in vars(rows[0].segments).items() if isinstance(column, np.ndarray)]
    columns: dict[str, Any] = {name: np.concatenate([getattr(row.segments, name) for row in rows]) for name in names}
    columns["segment_id"] = np.arange(len(columns["event_id"]))
    table = np.concatenate([row.table for row in rows])
    table["segment_id"] = columns["segment_id"]
    return WireSegments(Segments(**columns), table, np.concatenate([row.event for row in rows]))


def _of_event(simulation: WireSimulation, read: Read, event_id: int, dEdx: float) -> _Event:
    start = pieces_in(simulation, read, event_id, dEdx=dEdx)
    event = np.zeros(1, dtype=EVENTS)
    event["event_id"], event["found"] = event_id, len(start.dE)
    if not 0 < len(start.dE) <= LARGEST_EVENT:
        return _Event(
            start.select(slice(0, 0)).sources().segments(np.zeros(0, dtype=np.int64)),
            np.zeros(0, dtype=SEGMENTS),
            event,
        )
    fit = segments_from_waveforms(simulation, read, event_id, start)
    event["segments"], event["converged"], event["good"] = len(start.dE), fit.converged, fit.good
    event["mean_square"], event["samples"] = fit.mean_square, fit.samples
    segments = fit.pieces.sources().segments(np.full(len(start.dE), event_id))
    segments.traj_id = fit.pieces.chain
    return _Event(segments, table_of(simulation, fit, event_id), event)


def table_of(simulation: WireSimulation, fit: SegmentsFit, event_id: int) -> np.ndarray:
    """Rows as `SEGMENTS` has them; places in the file's frame, x along the drift."""
    steps = simulated(simulation, fit.pieces.sources(), apart=True, settled=False).steps
    table = np.zeros(len(fit.pieces.dE), dtype=SEGMENTS)
    table["event_id"] = event_id
    table["charge"] = np.bincount(steps.segment, steps.electrons, len(table))
    table["charge_error"] = table["charge"] * fit.errors[:, 3]
    table["dE_error"] = fit.pieces.dE * fit.errors[:, 3]
    for axis, error in zip("zyx", fit.errors[:, :3].T, strict=True):
        table[f"{axis}_error"] = error
    return table
