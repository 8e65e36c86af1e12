"""Measured hits, looked up by event and pixel so that a simulation can be compared with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import all_to_numpy, namespace, run_starts, to_numpy
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.detector.digitization import charge_of, whole_ticks
from lartpc.exceptions import InputError
from lartpc.frontend.frontend import FEW_READS, Pixels
from lartpc.kernels.runtime.slots import GAIN_FACTOR, PEDESTAL_OFFSET
from lartpc.losses.hitlist import HitList, make_hit_list, present_events
from lartpc.response.windows import Windows
from lartpc.simulation.batches import Batch

LATEST = 5e15  # [us] as of segments, so that ticks fit into 64 bits
SOON = 1e-2  # [ticks] between the end of the busy time and a hit within which this waited for it


class Aligned(NamedTuple):
    """Target hits of the pixels of some windows: (n_pixels, most), of which the first `count` (n_pixels,) used.

    A hit's time is at `fraction` (0 to 1) of tick `tick`. Where the readout is rounded, that is the middle of the
    tick, `charge` the middle of the ADC count, and the charge lies from `low` to `high`, infinite where clipped.
    """

    count: Any
    tick: Any
    fraction: Any
    time: Any  # [us]
    charge: Any  # [e]
    unmatched: int  # hits of the batch's events on pixels that have no window
    deferred: Any  # (n_pixels,) whether of the last hit no more is used than that it began: see `until_deferred`
    ignored: Any  # (n_pixels,) whether nothing is known, not even that there was no hit
    low: Any = None  # [e], None where the readout is exact
    high: Any = None


class TargetHits:
    """Hits ordered by event, pixel and time.

    `rounded`: as the detector's clock and ADC give them. Of a time no more is used than its tick k, from t_{k-1}
    (excluded) to t_k, and of the charge no more than the ADC count. `ignored` (k, 2): event and pixel ids of which
    nothing is used.

    Raises InputError: no hit, a time or charge that is not finite (rounded: a count that the ADC does not have), a
    pixel that the detector does not have or one with more hits than it can have.
    """

    def __init__(
        self, hits: Hits, detector: Detector, rounded: bool = False, ignored: np.ndarray | None = None
    ) -> None:
        self.ignored = np.zeros((0, 2), dtype=np.int64) if ignored is None else ignored
        hits = hits.select(~in_rows(hits.event_id, hits.pixel_id, self.ignored)) if len(self.ignored) else hits
        if len(hits) == 0:
            raise InputError("target: has no hits, so there is nothing to fit")
        self.detector = detector
        outside = (hits.pixel_id < 0) | (hits.pixel_id >= detector.n_pixels)
        if outside.any():
            raise InputError(f"target: pixel {hits.pixel_id[outside][0]} is not on detector {detector.name}")
        self.rounded = rounded
        for name in ("t", "adc" if rounded else "charge"):
            wrong = np.flatnonzero(~np.isfinite(getattr(hits, name)))
            if len(wrong):
                raise InputError(f"target: {name} of hit {wrong[0]} is {getattr(hits, name)[wrong[0]]}, not finite")
        far = np.flatnonzero(np.abs(hits.t) > LATEST)
        if len(far):
            raise InputError(f"target: t of hit {far[0]} is {hits.t[far[0]]:g}, allowed are up to {LATEST:g} us")
        tick = whole_ticks(hits.t, detector.tick) if rounded else np.ceil(hits.t / detector.tick)
        order = np.lexsort((tick if rounded else hits.t, hits.pixel_id, hits.event_id))
        self.event, self.pixel, self.tick = hits.event_id[order], hits.pixel_id[order], tick[order].astype(np.int64)
        if rounded:
            self.fraction = np.full(len(hits), 0.5)
            self.t = (self.tick - 0.5) * detector.tick
            self.charge, self.low, self.high = charge_of(hits.adc[order], detector, self.pixel)
        else:
            self.fraction = hits.t[order] / detector.tick - (self.tick - 1.0)
            self.t, self.charge = hits.t[order], hits.charge[order].astype(np.float64)
        self.first = np.append(run_starts(self.event, self.pixel), len(hits))
        counts = np.diff(self.first)
        if counts.max() > detector.most_hits:
            at = self.first[np.argmax(counts)]
            raise InputError(
                f"target: event {self.event[at]} has {counts.max()} hits on pixel {self.pixel[at]}, "
                f"allowed are up to {detector.max_hits}: see --max-hits"
            )

    def align(self, windows: Windows, batch: Batch, dtype: Any) -> Aligned:
        """The hits of the pixels in `windows`, as arrays of the device."""
        d = self.detector
        event_id = to_numpy(batch.event_id)
        # Of all hits, those of the batch's events and TPCs, as (event, pixel) keys in the order of the windows.
        pixel_event, pixel_id = self.event[self.first[:-1]], self.pixel[self.first[:-1]]
        present = present_events(batch)
        index = np.searchsorted(event_id, pixel_event)
        known = np.isin(pixel_event, event_id[present]) & np.isin(d.tpc_of(pixel_id), to_numpy(batch.wanted))
        key = np.where(known, index * d.n_pixels + pixel_id, -1)
        event, pixel = all_to_numpy([windows.event, windows.pixel])
        window_key = event * d.n_pixels + pixel
        at = np.minimum(np.searchsorted(window_key, key), max(len(window_key) - 1, 0))
        matched = known & (window_key[at] == key) if len(window_key) else np.zeros(len(key), dtype=bool)
        lengths = np.diff(self.first)
        most = max(d.max_hits or FEW_READS, int(lengths[matched].max(initial=0)))
        shape = (len(window_key), most)
        count = np.zeros(shape[0], dtype=np.int64)
        count[at[matched]] = lengths[matched]
        row = np.repeat(at[matched], lengths[matched])
        hit = np.arange(len(self.t))[np.repeat(matched, lengths)]
        column = hit - np.repeat(self.first[:-1][matched], lengths[matched])
        values = {"tick": self.tick, "fraction": self.fraction, "time": self.t, "charge": self.charge}
        if self.rounded:
            values |= {"low": self.low, "high": self.high}
        arrays = {}
        for name, value in values.items():
            kind = {"tick": np.int64, "time": np.float64}.get(name, dtype)
            arrays[name] = np.zeros(shape, dtype=kind)
            arrays[name][row, column] = value[hit]
        unmatched = int(lengths[known].sum() - lengths[matched].sum())
        xp = namespace(windows.event)
        columns = {name: xp.asarray(array) for name, array in arrays.items()}
        none_deferred = xp.zeros(len(count), dtype=bool)
        ignored = xp.asarray(in_rows(event_id[event], pixel, self.ignored))
        of_pixels = {"count": xp.asarray(count), "deferred": none_deferred, "ignored": ignored}
        return Aligned(unmatched=unmatched, **of_pixels, **columns)

    def hit_list(self, batch: Batch) -> HitList:
        """All hits of the batch's events, also on pixels without a window, numbered as `present_events(batch)` says.

        The ADC values are those of the charges, by the gains and pedestals of the pixels.
        """
        events = to_numpy(batch.event_id)[present_events(batch)]
        at = np.flatnonzero(np.isin(self.event, events))
        _, _, _, x, y = self.detector.locate(self.pixel[at])
        hits, _ = make_hit_list(
            namespace(batch.event),
            len(events),
            np.searchsorted(events, self.event[at]),
            pixel=self.pixel[at],
            x=x,
            y=y,
            time=self.t[at],
            charge=self.charge[at],
            adc=self.detector.adc(self.charge[at], self.pixel[at]),
        )
        return hits


def in_rows(event_id: np.ndarray, pixel_id: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether each event and pixel (n,) is one of the `rows` (k, 2)."""
    if len(rows) == 0:
        return np.zeros(len(event_id), dtype=bool)
    events = np.unique(rows[:, 0])
    most = max(int(pixel_id.max(initial=0)), int(rows[:, 1].max())) + 1
    known = np.searchsorted(events, rows[:, 0]) * most + rows[:, 1]
    at = np.searchsorted(events, event_id)
    there = np.append(events, -1)[at] == event_id
    return there & np.isin(at * most + pixel_id, known)


def regained(target: Aligned, pixels: Pixels, electronics: Any) -> Aligned:
    """The charges of ADC counts by the gains and pedestals that `electronics` (n_pixels, 4) makes of the detector's."""
    factor, shift = electronics[:, GAIN_FACTOR, None], electronics[:, PEDESTAL_OFFSET, None] / pixels.gain[:, None]
    charges = {name: getattr(target, name) / factor - shift for name in ("charge", "low", "high")}
    return target._replace(**charges)


def until_deferred(target: Aligned, detector: Detector) -> Aligned:
    """The hits of each pixel up to the first that began as soon as the ADC was free, which has `deferred` set.

    The threshold had been reached at some time since the reset, which one no time or charge tells. What is used is that
    it was, before the ADC was free or, where the readout is rounded, before the end of that tick. To stop there, at a
    moment that the data before it give, leaves information out and biases nothing.
    """
    xp = namespace(target.fraction)
    wait = xp.diff(target.tick, axis=1) + xp.diff(target.fraction, axis=1)
    deferred = xp.arange(target.fraction.shape[1]) < target.count[:, None]
    deferred[:, :1] = False
    deferred[:, 1:] &= xp.abs(wait - detector.dead_ticks) < SOON
    any_deferred = deferred.any(axis=1)
    count = xp.where(any_deferred, deferred.argmax(axis=1) + 1, target.count)
    fraction = target.fraction
    if target.low is not None:
        fraction = fraction.copy()
        rows = xp.flatnonzero(any_deferred)
        fraction[rows, count[rows] - 1] = 1.0
    unmatched = target.unmatched + int((target.count - count + any_deferred).sum())
    return target._replace(count=count, fraction=fraction, unmatched=unmatched, deferred=any_deferred)
