"""Hits of LArPix packets."""

from __future__ import annotations

import os

import numpy as np

from lartpc.arrays import run_starts
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.channels import NAMES, Channels
from lartpc.detector.detector import Detector
from lartpc.detector.digitization import charge_of
from lartpc.exceptions import InputError
from lartpc.formats.packets import CLOCK_RESET, DATA, SYNC, TRIGGER, reset_period

_EARLY = 10.0  # [us] that charge freed just above the anode may come before its trigger, by the response's own length


def find_hits(
    table: np.ndarray,
    event_id: np.ndarray | None,
    segments: Segments,
    channels: Channels,
    detector: Detector,
    path: str | os.PathLike,
) -> Hits:
    """The hits of packets, with the times of `segments`: an event's trigger is at its first deposit.

    `event_id` (n,) of each packet; where None, events are told by their triggers, in the order of the segments' event
    ids, or without any trigger are one. Without a trigger times are those of the clock. Of a hit's time and charge only
    the tick and the count are known: t is the middle of the tick, `charge` that of the count. Packets with wrong
    parity are left out. InputError, one line: a channel that the layout does not have, events that cannot be told.
    """
    time, data = unrolled(table, reset_period(detector)), np.flatnonzero(_is_data(table))
    triggers = np.unique(time[table["packet_type"] == TRIGGER])
    channel = np.column_stack([table[name][data].astype(np.int64) for name in NAMES])
    pixel = channels.pixels_of(detector, channel)
    if (pixel < 0).any():
        k = int(np.argmax(pixel < 0))
        found = ", ".join(f"{name} {value}" for name, value in zip(NAMES, channel[k], strict=True))
        raise InputError(f"{path}: packet {data[k]} is of {found}, which the layout does not have")
    early = round(_EARLY / detector.tick)
    time = time[data]
    if event_id is None:
        event = _by_trigger(time, triggers, segments.events, early, path)
    else:
        event = event_id[data]
        if (event < 0).any():
            raise InputError(f"{path}: packet {data[np.argmax(event < 0)]} belongs to no event of mc_packets_assn")
    events, index = np.unique(event, return_inverse=True)
    if len(triggers):
        earliest = np.full(len(events), np.iinfo(np.int64).max)
        np.minimum.at(earliest, index, time)
        last = np.searchsorted(triggers, earliest + early, side="right") - 1
        if (last < 0).any():
            raise InputError(f"{path}: event {events[np.argmax(last < 0)]} has packets before the first trigger")
        time = time - triggers[last][index] + first_ticks(events, segments, detector)[index]
    order = np.lexsort((time, pixel, event))
    event, pixel, time, adc = event[order], pixel[order], time[order], table["dataword"][data][order]
    start = run_starts(event, pixel)
    tpc, ix, iy, x, y = detector.locate(pixel)
    return Hits(
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


def first_ticks(events: np.ndarray, segments: Segments, detector: Detector) -> np.ndarray:
    """The tick of the first deposit of each event (n,) int64, 0 where it has none; `events` ascending."""
    first = np.full(len(events), np.iinfo(np.int64).max)
    at = np.searchsorted(events, segments.event_id)
    known = np.isin(segments.event_id, events)
    np.minimum.at(first, at[known], np.floor(segments.t0[known] / detector.tick).astype(np.int64))
    return np.where(first == np.iinfo(np.int64).max, 0, first)


def _is_data(table: np.ndarray) -> np.ndarray:
    return (table["packet_type"] == DATA) & (table["valid_parity"] == 1)


def _by_trigger(
    time: np.ndarray, triggers: np.ndarray, events: np.ndarray, early: int, path: str | os.PathLike
) -> np.ndarray:
    """The event of each packet by the last trigger before it."""
    found = max(len(triggers), 1)
    if found != len(events):
        what = f"{len(triggers)} triggers" if len(triggers) else "no mc_packets_assn and no trigger"
        raise InputError(f"{path}: found {what} for the {len(events)} events of the segments, allowed is one an event")
    if not len(triggers):
        return np.full(len(time), events[0])
    at = np.searchsorted(triggers, time + early, side="right") - 1
    return events[np.maximum(at, 0)]
