"""Energy deposits as a table."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from lartpc.exceptions import InputError


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
    def repeated(self) -> int:
        """Segments whose id another one of their event has, as where files with the same ids are joined."""
        order = np.lexsort((self.segment_id, self.event_id))
        event_id, segment_id = self.event_id[order], self.segment_id[order]
        return int(np.sum((event_id[1:] == event_id[:-1]) & (segment_id[1:] == segment_id[:-1])))

    @property
    def events(self) -> np.ndarray:
        """The event ids that occur, ascending."""
        return np.unique(self.event_id)

    def begins(self, events: np.ndarray) -> np.ndarray:
        """The time of the first deposit [us] of each of `events` (n,), ids ascending; infinite where it has none."""
        first = np.full(len(events), np.inf)
        known = np.isin(self.event_id, events)
        np.minimum.at(first, np.searchsorted(events, self.event_id[known]), self.t0[known])
        return first

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


def within(event_id: np.ndarray, events: range | None) -> np.ndarray:
    """Which event ids (n,) lie in a range; all where it is None."""
    if events is None:
        return np.ones(len(event_id), dtype=bool)
    return (event_id >= events.start) & (event_id < events.stop)


def no_events(path: str | os.PathLike | None, events: range, event_id: np.ndarray) -> InputError:
    """The InputError that none of the ids (n,) lies in the range."""
    low = "" if events.start <= -(2**63) else events.start
    high = "" if events.stop >= 2**63 else events.stop
    found = f"event ids from {event_id.min()} to {event_id.max()}" if len(event_id) else "no event at all"
    return InputError(f"{path or 'segments'}: no event in {low}:{high}, found {found}")
