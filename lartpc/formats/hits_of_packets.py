"""Hits of LArPix packets."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from lartpc.arrays import run_starts
from lartpc.checks import check_choice
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.channels import NAMES, Channels
from lartpc.detector.detector import Detector
from lartpc.detector.digitization import charge_of
from lartpc.exceptions import InputError
from lartpc.formats.packet_events import ZEROS, expected, moments, told_events, triggers_of, zeros_of
from lartpc.formats.packets import CLOCK_RESET, DATA, SYNC, TRIGGER, reset_period

MOST_UNKNOWN = 0.1  # share of packets of unknown channels from which it is the layout that is wrong
FEW = 10  # such packets that never are too many


class Received(NamedTuple):
    """What packets of data became, and how the zero of their times was found; numbers, but for the last two."""

    hits: int
    parity: int  # packets of wrong parity; these and the next two are left out
    unknown: int  # of channels that the layout does not have
    eventless: int  # of no event
    triggers: int  # each once for all io_groups
    apart: int  # of these, told by packets that differ in time
    empty: int  # of these, without charge
    by_clock: int  # events with the times of the clock
    by_trigger: int  # with those of their trigger
    lost: tuple[int, ...]  # event ids without zero of time, left out
    fit: bool  # a common offset of all times is left to be fitted: `t0_offset`

    def __str__(self) -> str:
        left = {
            "of wrong parity": self.parity,
            "of channels that the layout does not have": self.unknown,
            "of no event": self.eventless,
        }
        told = ", ".join(f"{number} {what}" for what, number in left.items() if number)
        notes = {
            "told at different times": self.apart,
            "without charge": self.empty,
        }
        triggers = ", ".join([f"{self.triggers} triggers", *(f"{n} {what}" for what, n in notes.items() if n)])
        zero = [
            *([f"the clock for {self.by_clock} events"] if self.by_clock else []),
            *([f"the trigger for {self.by_trigger}"] if self.by_trigger else []),
            *(["to be fitted as t0_offset"] if self.fit else []),
        ]
        some = ", ".join(map(str, self.lost[:5])) + (" ..." if len(self.lost) > 5 else "")
        parts = [
            f"{self.hits} hits",
            f"packets left out: {told}" if told else "",
            triggers,
            f"zero of time: {', '.join(zero)}" if zero else "",
            f"{len(self.lost)} events without zero of time left out: {some}" if self.lost else "",
        ]
        return "; ".join(part for part in parts if part)


def find_hits(
    table: np.ndarray,
    event_id: np.ndarray | None,
    segments: Segments,
    channels: Channels,
    detector: Detector,
    path: str | os.PathLike,
    t0: str | None = None,
) -> tuple[Hits, Received]:
    """The hits of packets, with the times of `segments`, and what else was found.

    `event_id` (n,) of each packet; where None, events are told by their triggers or the clock, see `told_events`; the
    zero of time by `t0`, see `zeros_of`. Of a hit's time and charge only the tick and the count are known: t is the
    middle of the tick, `charge` that of the count. Packets with wrong parity, of channels that the layout does not have
    and of no event are left out. InputError, one line: a tenth and more of unknown channels, events that cannot be
    told, no event with a zero of time, another `t0`.
    """
    if t0 is not None:
        check_choice("t0", t0, ZEROS)
    time, due = unrolled(table, reset_period(detector)), expected(segments, detector)
    of_data, of_trigger = table["packet_type"] == DATA, table["packet_type"] == TRIGGER
    data = np.flatnonzero(_is_data(table))
    parity = int(of_data.sum()) - len(data)
    channel = np.column_stack([table[name][data].astype(np.int64) for name in NAMES])
    pixel = channels.pixels_of(detector, channel)
    unknown = int((pixel < 0).sum())
    if unknown > FEW and unknown >= MOST_UNKNOWN * len(data):
        k = int(np.argmax(pixel < 0))
        found = ", ".join(f"{name} {value}" for name, value in zip(NAMES, channel[k], strict=True))
        raise InputError(
            f"{path}: {unknown} of {len(data)} packets are of channels which the layout does not have, as packet "
            f"{data[k]} of {found}, allowed is less than {MOST_UNKNOWN:.0%}"
        )
    known = pixel >= 0
    data, pixel = data[known], pixel[known]
    moment = time[of_trigger] + first_deposits(table[of_trigger], reset_period(detector), due.early)
    triggers = moments(moment, np.full(len(moment), -1) if event_id is None else event_id[of_trigger], detector.tick)
    time = time[data]
    event = told_events(time, triggers, due, path) if event_id is None else event_id[data]
    data, pixel, time, event = (values[event >= 0] for values in (data, pixel, time, event))
    eventless = int(known.sum()) - len(data)
    events, index = np.unique(event, return_inverse=True)
    earliest = np.full(len(events), np.iinfo(np.int64).max)
    np.minimum.at(earliest, index, time)
    trigger = triggers_of(events, earliest, triggers, due.early)
    zeros = zeros_of(events, earliest, trigger, due, t0)
    if len(events) and not zeros.known.any():
        raise InputError(
            f"{path}: found no zero of time for any of {len(events)} events, neither a trigger nor the clock of the "
            "deposits, allowed is one of them"
        )
    timed = zeros.known[index]
    time = (time - zeros.tick[index])[timed]
    event, pixel, adc = event[timed], pixel[timed], table["dataword"][data][timed]
    order = np.lexsort((time, pixel, event))
    event, pixel, time, adc = event[order], pixel[order], time[order], adc[order]
    start = run_starts(event, pixel)
    tpc, ix, iy, x, y = detector.locate(pixel)
    hits = Hits(
        event_id=event,
        pixel_id=pixel,
        tpc=tpc,
        ix=ix,
        iy=iy,
        hit=np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order))),
        x=x,
        y=y,
        z_anode=detector.z_anode[tpc],
        t=(time - 0.5) * detector.tick,
        charge=charge_of(adc, detector, pixel)[0],
        adc=adc.astype(np.float32),
    )
    received = Received(
        hits=len(hits),
        parity=parity,
        unknown=unknown,
        eventless=eventless,
        triggers=len(triggers.time),
        apart=triggers.apart,
        empty=len(np.setdiff1d(triggers.time, trigger)),
        by_clock=zeros.by_clock,
        by_trigger=zeros.by_trigger,
        lost=tuple(events[~zeros.known].tolist()),
        fit=zeros.fit,
    )
    return hits, received


def unrolled(table: np.ndarray, period: int) -> np.ndarray:
    """Ticks (n,) int64 since the first clock reset, io_group by io_group: a sync adds its own time to all that follow.

    A packet that arrived later than its own timestamp says was sent before the reset that came meanwhile.
    """
    time = table["timestamp"].astype(np.int64)
    sync = (table["packet_type"] == SYNC) & (table["trigger_type"] == CLOCK_RESET)
    passed = np.where(sync, np.round(time / period).astype(np.int64) * period, 0)
    late = _is_data(table) & (table["receipt_timestamp"] < table["timestamp"])
    for group in np.unique(table["io_group"]):
        rows = np.flatnonzero(table["io_group"] == group)
        own = np.cumsum(passed[rows])
        last = np.maximum.accumulate(np.where(sync[rows], np.arange(len(rows)), -1))
        one_before = np.where(last >= 0, passed[rows][last], 0)
        time[rows] += own - passed[rows] - np.where(late[rows], one_before, 0)
    return time


def first_deposits(trigger: np.ndarray, period: int, most: int) -> np.ndarray:
    """Ticks (n,) from each trigger to the event's first deposit: by its receipt_timestamp, where up to `most` later."""
    after = (trigger["receipt_timestamp"].astype(np.int64) - trigger["timestamp"].astype(np.int64)) % period
    return np.where(after <= most, after, 0)


def _is_data(table: np.ndarray) -> np.ndarray:
    return (table["packet_type"] == DATA) & (table["valid_parity"] == 1)
