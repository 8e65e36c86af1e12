"""Measured hits, looked up by event and pixel so that a simulation can be compared with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .chain import Batch, Windows
from .detector import Detector
from .errors import InputError
from .hits import Hits
from .simulation import to_numpy
from .windows import namespace


class Aligned(NamedTuple):
    """Target hits of the pixels of some windows: (n_pixels, max_hits), of which the first `count` (n_pixels,) used.

    A hit's time is at part `part` (0 to 1) of tick `tick`.
    """

    count: Any
    tick: Any
    part: Any
    time: Any  # [us]
    charge: Any  # [e]
    unmatched: int  # hits of the batch's events on pixels that have no window


class Target:
    """Hits ordered by event, pixel and time.

    Raises InputError: no hit, a time or charge that is not finite, a pixel that the detector does not have or one with
    more than max_hits.
    """

    def __init__(self, hits: Hits, detector: Detector) -> None:
        if len(hits) == 0:
            raise InputError("target: has no hits, so there is nothing to fit")
        self.detector = detector
        self.n_pixels = int((detector.n_x * detector.n_y).sum())
        outside = (hits.pixel_id < 0) | (hits.pixel_id >= self.n_pixels)
        if outside.any():
            raise InputError(f"target: pixel {hits.pixel_id[outside][0]} is not on detector {detector.name}")
        for name in ("t", "charge"):
            wrong = np.flatnonzero(~np.isfinite(getattr(hits, name)))
            if len(wrong):
                raise InputError(f"target: {name} of hit {wrong[0]} is {getattr(hits, name)[wrong[0]]}, not finite")
        order = np.lexsort((hits.t, hits.pixel_id, hits.event_id))
        self.event, self.pixel = hits.event_id[order], hits.pixel_id[order]
        self.t, self.charge = hits.t[order], hits.charge[order].astype(np.float64)
        new = np.append(True, (np.diff(self.event) != 0) | (np.diff(self.pixel) != 0))
        self.first = np.append(np.flatnonzero(new), len(new))
        counts = np.diff(self.first)
        if counts.max() > detector.max_hits:
            at = self.first[np.argmax(counts)]
            raise InputError(
                f"target: event {self.event[at]} has {counts.max()} hits on pixel {self.pixel[at]}, "
                f"allowed are up to {detector.max_hits}"
            )

    def align(self, windows: Windows, batch: Batch, dtype: Any) -> Aligned:
        """The hits of the pixels in `windows`, as arrays of the device."""
        d = self.detector
        event_id = to_numpy(batch.event_id)
        # Of all hits, those of the batch's events, as (event, pixel) keys in the order of the windows.
        pixel_event, pixel_id = self.event[self.first[:-1]], self.pixel[self.first[:-1]]
        present = np.unique(to_numpy(batch.event))
        index = np.searchsorted(event_id, pixel_event)
        known = np.isin(pixel_event, event_id[present])
        key = np.where(known, index * self.n_pixels + pixel_id, -1)
        window_key = to_numpy(windows.event) * self.n_pixels + to_numpy(windows.pixel)
        at = np.minimum(np.searchsorted(window_key, key), max(len(window_key) - 1, 0))
        matched = known & (window_key[at] == key) if len(window_key) else np.zeros(len(key), dtype=bool)
        shape = (len(window_key), d.max_hits)
        count = np.zeros(shape[0], dtype=np.int64)
        lengths = np.diff(self.first)
        count[at[matched]] = lengths[matched]
        row = np.repeat(at[matched], lengths[matched])
        hit = np.arange(len(self.t))[np.repeat(matched, lengths)]
        column = hit - np.repeat(self.first[:-1][matched], lengths[matched])
        tick = np.ceil(self.t[hit] / d.tick)
        values = {"tick": tick.astype(np.int64), "part": self.t[hit] / d.tick - (tick - 1.0)}
        values |= {"time": self.t[hit], "charge": self.charge[hit]}
        arrays = {}
        for name, value in values.items():
            kind = {"tick": np.int64, "time": np.float64}.get(name, dtype)
            arrays[name] = np.zeros(shape, dtype=kind)
            arrays[name][row, column] = value
        unmatched = int(lengths[known].sum() - lengths[matched].sum())
        xp = namespace(windows.event)
        columns = (count, *(arrays[name] for name in ("tick", "part", "time", "charge")))
        return Aligned(*(xp.asarray(column) for column in columns), unmatched)
