"""Events of LArPix packets, and the zero of their times."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from lartpc.charge.velocity import longest_drift
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError

ZEROS = ("first-deposit", "trigger", "absolute", "fit")
_EARLY = 10.0  # [us] that charge freed just above the anode may come before its trigger, by the response's own length
_TOGETHER = 10.0  # [us] within which triggers are one: each io_group has its own clock
_CLOCK = 100.0  # [us] that a trigger is off its event's first deposit, at most, where both are by the same clock
_SLACK = 1.5  # times the longest drift that packets may come after their event's first deposit


class Triggers(NamedTuple):
    """Moments of triggers, ascending, each once for all packets that tell it; n of them."""

    time: np.ndarray  # (n,) ticks, the earliest of its packets
    event: np.ndarray  # (n,) event id, -1 where not known
    apart: int  # of these, told by packets that differ in time


class Expected(NamedTuple):
    """When the segments say that packets come, in ticks."""

    events: np.ndarray  # (n,) ids, ascending
    first: np.ndarray  # (n,) ticks of the first deposits
    early: int  # that a packet may come before the first deposit
    clock: int  # that a trigger may be off it
    window: int  # that a packet may come after it

    def of(self, event: np.ndarray) -> np.ndarray:
        """Ticks of the first deposits of events (n,) given by their ids; 0 where they have none."""
        at = np.minimum(np.searchsorted(self.events, event), max(len(self.events) - 1, 0))
        return np.where(np.isin(event, self.events), self.first[at] if len(self.events) else 0, 0)


class Zeros(NamedTuple):
    """The zero of time of n events, in ticks of the clock."""

    tick: np.ndarray  # (n,)
    known: np.ndarray  # (n,) bool
    by_clock: int  # events whose times are those of the clock
    by_trigger: int
    fit: bool  # a common offset is left to be fitted


def expected(segments: Segments, detector: Detector) -> Expected:
    """When packets of `segments` come."""
    drift = longest_drift(detector, detector.parameters)
    early, clock, window = (round(time / detector.tick) for time in (_EARLY, _CLOCK, _SLACK * drift))
    return Expected(segments.events, first_ticks(segments.events, segments, detector), early, clock, window)


def first_ticks(events: np.ndarray, segments: Segments, detector: Detector) -> np.ndarray:
    """The tick of the first deposit of each event (n,) int64, 0 where it has none; `events` ascending."""
    first = segments.begins(events)
    return np.floor(np.where(np.isfinite(first), first, 0.0) / detector.tick).astype(np.int64)


def moments(time: np.ndarray, event: np.ndarray, tick: float) -> Triggers:
    """The triggers that packets (n,) tell, of event ids where these are not negative: those of one event, or of
    unknown ones, within 10 us are one."""
    order = np.lexsort((time, event))
    time, event = time[order], event[order]
    begins = np.ones(len(time), dtype=bool)
    begins[1:] = (np.diff(time) > round(_TOGETHER / tick)) | (np.diff(event) != 0)
    start = np.flatnonzero(begins)
    apart = int(np.sum(time[np.append(start[1:], len(time)) - 1] > time[start])) if len(start) else 0
    again = np.argsort(time[start], kind="stable")
    return Triggers(time[start][again], event[start][again], apart)


def told_events(time: np.ndarray, triggers: Triggers, due: Expected, path: str | os.PathLike) -> np.ndarray:
    """The event id (n,) of packets of data by the last trigger before each, or where there is none by the clock; or -1.

    A trigger is of the event whose first deposit is within 100 us of it, where that holds for most triggers with
    charge; else they are in the order of the event ids, all of them or those with charge. InputError: neither.
    """
    n = len(due.events)
    if not n:  # nothing says more than the triggers
        return np.searchsorted(triggers.time, time + due.early, side="right") - min(len(triggers.time), 1)
    if not len(triggers.time):
        own = by_clock(time, due)
        if n == 1 and not (own >= 0).any():
            own = np.zeros(len(time), dtype=np.int64)
        if len(time) and np.mean(own >= 0) < 0.5:
            raise InputError(
                f"{path}: found no mc_packets_assn and no trigger for the {n} events of the segments, and times that "
                "are not theirs, allowed is one of the three"
            )
    else:
        at = np.searchsorted(triggers.time, time + due.early, side="right") - 1
        charged = np.bincount(at[at >= 0], minlength=len(triggers.time)) > 0
        owner = np.append(_owners(triggers.time, charged, due, path), -1)
        own = owner[at]
    return np.where(own >= 0, np.append(due.events, -1)[own], -1)


def by_clock(time: np.ndarray, due: Expected) -> np.ndarray:
    """The event (n,) by its place in `due` in whose window each time is, or -1."""
    if not len(due.events):
        return np.full(len(time), -1)
    order = np.argsort(due.first, kind="stable")
    at = np.searchsorted(due.first[order], time + due.early, side="right") - 1
    own = order[np.maximum(at, 0)]
    alone = np.min(np.diff(due.first[order]), initial=due.clock + 1) > due.clock  # else the clock cannot tell them
    return np.where((at >= 0) & alone & (time - due.first[own] <= due.window), own, -1)


def _owners(time: np.ndarray, charged: np.ndarray, due: Expected, path: str | os.PathLike) -> np.ndarray:
    """The event of each trigger by its place in `due`, or -1."""
    n = len(due.events)
    order = np.argsort(due.first, kind="stable")
    first = due.first[order]
    if n and np.min(np.diff(first), initial=2 * due.clock + 1) > 2 * due.clock:
        near = np.searchsorted(0.5 * (first[1:] + first[:-1]), time)
        agree = np.abs(time - first[near]) <= due.clock
        if agree[charged].sum() > 0.5 * charged.sum():
            return np.where(agree, order[near], -1)
    owner = np.full(len(time), -1)
    for chosen in (np.arange(len(time)), np.flatnonzero(charged)):
        if len(chosen) == n:
            owner[chosen] = np.arange(n)
            return owner
    raise InputError(
        f"{path}: found {len(time)} triggers, {charged.sum()} with charge, for the {n} events of the segments, allowed "
        "is one an event where there is no mc_packets_assn and they are not at the times of the deposits"
    )


def triggers_of(events: np.ndarray, earliest: np.ndarray, triggers: Triggers, early: int) -> np.ndarray:
    """The tick of each event's trigger (n,) float64, NaN where it has none: the last before its earliest packet, among
    those of its own where it is known which these are."""
    known = bool((triggers.event >= 0).any())
    found = np.full(len(events), np.nan)
    if not known and len(triggers.time):
        at = np.searchsorted(triggers.time, earliest + early, side="right") - 1
        return np.where(at >= 0, triggers.time[np.maximum(at, 0)], np.nan)
    order = np.lexsort((triggers.time, triggers.event))
    event, time = triggers.event[order], triggers.time[order]
    low, high = np.searchsorted(event, events), np.searchsorted(event, events, side="right")
    for k in np.flatnonzero(high > low):
        own = time[low[k] : high[k]]
        found[k] = own[max(np.searchsorted(own, earliest[k] + early, side="right") - 1, 0)]
    return found


def zeros_of(events: np.ndarray, earliest: np.ndarray, trigger: np.ndarray, due: Expected, t0: str | None) -> Zeros:
    """The zero of time of each event, by `t0`, one of `ZEROS`.

    `earliest` (n,): ticks of the first packets; `trigger` (n,): as `triggers_of` gives. first-deposit: the trigger is
    at the event's first deposit. trigger: deposits count from it. absolute: from the first reset of the clock. None
    and fit: absolute where the trigger, or without one the earliest packet, is where the clock has it for the event's
    first deposit, else first-deposit; where no event has either, but all are off by about as much, their earliest
    packet at the first deposit, and the rest is to be fitted.
    """
    first, has = due.of(events), np.isfinite(trigger)
    if t0 == "absolute":
        return Zeros(np.zeros(len(events), dtype=np.int64), np.ones(len(events), dtype=bool), len(events), 0, False)
    tick = np.where(has, trigger, 0.0).astype(np.int64)
    if t0 == "trigger":
        return Zeros(tick, has, 0, int(has.sum()), False)
    after, late = tick - first, earliest - first
    clock = np.where(has, np.abs(after) <= due.clock, (late >= -due.early) & (late <= due.window))
    clock = clock & (t0 != "first-deposit")
    tick, known, fit = np.where(clock, 0, after), clock | has, t0 == "fit"
    if len(events) and not known.any() and t0 != "first-deposit" and np.ptp(late) <= due.window:
        tick, known, fit = np.full(len(events), late.min()), np.ones(len(events), dtype=bool), True
    return Zeros(tick, known, int(clock.sum()), int((has & ~clock).sum()), fit)
