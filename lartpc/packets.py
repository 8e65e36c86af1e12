"""LArPix packets of hits, as larpix-control stores them (its HDF5 format 2.4), and hits of packets."""

from __future__ import annotations

import dataclasses
import os
from typing import NamedTuple

import numpy as np

from .channels import NAMES, Channels
from .detector import Detector
from .errors import InputError
from .hits import Hits
from .segments import Segments
from .target import charge_of, whole_ticks

PACKET = np.dtype(
    [
        ("io_group", "u1"),
        ("io_channel", "u1"),
        ("chip_id", "u1"),
        ("packet_type", "u1"),
        ("downstream_marker", "u1"),
        ("parity", "u1"),
        ("valid_parity", "u1"),
        ("channel_id", "u1"),
        ("timestamp", "u8"),
        ("dataword", "u1"),
        ("trigger_type", "u1"),
        ("local_fifo", "u1"),
        ("shared_fifo", "u1"),
        ("register_address", "u1"),
        ("register_data", "u1"),
        ("direction", "u1"),
        ("local_fifo_events", "u1"),
        ("shared_fifo_events", "u2"),
        ("counter", "u4"),
        ("fifo_diagnostics_enabled", "u1"),
        ("first_packet", "u1"),
        ("receipt_timestamp", "u4"),
    ]
)
DATA, TIMESTAMP, SYNC, TRIGGER = 0, 4, 6, 7
CLOCK_RESET = ord("S")  # trigger_type of the sync packets that clocks are reset with
EXTERNAL = 2  # trigger_type of trigger packets, as larnd-sim writes it
RECEIVED = 1  # direction: from the chips
# First bit of each field of a data packet's 64 (larpix-control, Packet_v2); the last is the parity.
_BITS = {
    "packet_type": 0,
    "chip_id": 2,
    "channel_id": 10,
    "timestamp": 16,
    "first_packet": 47,
    "dataword": 48,
    "trigger_type": 56,
    "local_fifo": 58,
    "shared_fifo": 60,
    "downstream_marker": 62,
}
_MOST_RESETS = 200  # that one sync packet stands for: readers take its timestamp modulo 2^31
_APART = 1000.0  # [us] from the end of an event to the next, at least, so that readers can tell them apart
_LEAD = 1e5  # [us] from a clock reset to an event that is put off
_LONGEST = 1e12  # [us] without a packet that clocks are followed through: 11 days
_EARLY = 10.0  # [us] that charge freed just above the anode may come before its trigger, by the response's own length


class Packets(NamedTuple):
    """Packets in the order of time, and what they belong to; n packets."""

    table: np.ndarray  # (n,) PACKET
    event: np.ndarray  # (n,) int64 event id of data and triggers, else -1
    hit: np.ndarray  # (n,) int64 row in the hits of data, else -1
    unread: int  # hits on pixels that no channel reads, which have no packet
    late: int  # hits more than 11 days after their event's first deposit, which have none either


@dataclasses.dataclass
class Clock:
    """How far the packets of a file have come, for the events that follow."""

    free: int | None = None  # tick from which an event may begin, None: from 0.1 s after a reset
    second: int = -1  # the last that was announced


def parity(table: np.ndarray) -> np.ndarray:
    """The bit that makes the number of bits set in each data packet odd, (n,) of 0 and 1."""
    word = np.zeros(len(table), dtype=np.uint64)
    for name, bit in _BITS.items():
        word |= table[name].astype(np.uint64) << np.uint64(bit)
    return (1 - np.bitwise_count(word) % 2).astype(np.uint8)


def reset_period(detector: Detector) -> int:
    """Ticks from one reset of the clocks to the next: they are reset every second."""
    return round(1e6 / detector.tick)


def check_adc(detector: Detector) -> None:
    """Raise InputError where the ADC has more than the 8 bits of a packet."""
    if detector.adc_counts > 256:
        raise InputError(f"packets: hold 8 bits of ADC, found a detector with {detector.adc_counts} adc_counts")


def make_packets(
    hits: Hits, segments: Segments, channels: Channels, detector: Detector, clock: Clock | None = None
) -> Packets:
    """The packets of all hits and events, which follow those before that `clock` was given with; it is brought up.

    Timestamps count ticks since the last clock reset, which a sync packet announces in each io_group before the first
    packet after it (one for several where nothing came between). A timestamp packet gives the second, a trigger packet
    in every io_group the tick of each event's first deposit. An event that would not begin after the one before it has
    ended is put off, to 0.1 s after a clock reset: so are all where the time of each begins at 0. One that would begin
    more than 11 days later is put forward by whole seconds, and hits that late in an event are left out: every 200 s of
    a gap take a sync packet an io_group, and nuclei may decay after millions of years.
    InputError: an ADC of more than 8 bits.
    """
    check_adc(detector)
    clock = Clock() if clock is None else clock
    period, groups = reset_period(detector), channels.groups()
    place = channels.of_pixels(detector, hits.pixel_id.astype(np.int64))
    row = np.flatnonzero(place[:, 0] >= 0)
    events = np.union1d(segments.events, hits.event_id).astype(np.int64)
    tick = whole_ticks(hits.t[row], detector.tick).astype(np.int64)
    first = first_ticks(events, segments, detector)
    event = np.searchsorted(events, hits.event_id[row])
    longest = round(_LONGEST / detector.tick)
    timely = tick - first[event] <= longest
    row, tick, event, late = row[timely], tick[timely], event[timely], int(np.sum(~timely))
    lead, apart = round(_LEAD / detector.tick), round(_APART / detector.tick)
    shift, clock.free = _shifts(event, tick, first, clock.free, period, lead, apart, longest)

    data = np.zeros(len(row), dtype=PACKET)
    for k, name in enumerate(NAMES):
        data[name] = place[row, k]
    time = tick + shift[event]
    data["packet_type"], data["direction"], data["first_packet"] = DATA, RECEIVED, 1
    data["timestamp"] = data["receipt_timestamp"] = time % period
    data["dataword"] = hits.adc[row]
    data["parity"], data["valid_parity"] = parity(data), 1

    begin = np.repeat(first + shift, len(groups))
    trigger = _announcements(TRIGGER, EXTERNAL, np.tile(groups, len(events)), begin % period)
    seconds = np.unique(np.concatenate((time, begin)) // period)
    seconds = seconds[seconds > clock.second]
    stamp = _announcements(TIMESTAMP, 0, np.tile(groups, len(seconds)), np.repeat(seconds, len(groups)))
    after, resets = _resets(seconds, max(clock.second, 0))
    clock.second = int(max([clock.second, *seconds]))
    sync = _announcements(SYNC, CLOCK_RESET, np.tile(groups, len(after)), np.repeat(resets * period, len(groups)))

    parts = (stamp, sync, trigger, data)
    times = (np.repeat(seconds * period, len(groups)), np.repeat(after * period, len(groups)), begin, time)
    table = np.concatenate(parts)
    kind = np.repeat(np.arange(4), [len(part) for part in parts])
    order = np.lexsort((*(table[name] for name in NAMES[::-1]), kind, np.concatenate(times)))
    none = [np.full(len(part), -1) for part in parts]
    event_ids = np.concatenate((*none[:2], np.repeat(events, len(groups)), events[event]))
    rows = np.concatenate((*none[:3], row))
    return Packets(table[order], event_ids[order], rows[order], len(hits) - len(row) - late, late)


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
    new = np.ones(len(order), dtype=bool)
    new[1:] = (event[1:] != event[:-1]) | (pixel[1:] != pixel[:-1])
    start = np.flatnonzero(new)
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


def _shifts(
    event: np.ndarray,
    tick: np.ndarray,
    first: np.ndarray,
    free: int | None,
    period: int,
    lead: int,
    apart: int,
    longest: int,
) -> tuple[np.ndarray, int]:
    """Ticks by which each event is put off, (n_events,), and the tick from which the next may begin."""
    low, high = first.copy(), first.copy()
    np.minimum.at(low, event, tick)
    np.maximum.at(high, event, tick)
    shift, free = np.zeros(len(first), dtype=np.int64), lead - apart if free is None else free
    for k in range(len(first)):
        if low[k] < free:
            to = lead - first[k]
            shift[k] = to - (low[k] + to - free) // period * period
        elif low[k] - free > longest:
            shift[k] = -((low[k] - free) // period * period)
        free = int(high[k] + shift[k] + apart)
    return shift, free


def _announcements(packet_type: int, trigger_type: int, group: np.ndarray, timestamp: np.ndarray) -> np.ndarray:
    table = np.zeros(len(group), dtype=PACKET)
    table["packet_type"], table["trigger_type"] = packet_type, trigger_type
    table["io_group"], table["timestamp"] = group, timestamp
    return table


def _resets(seconds: np.ndarray, before: int) -> tuple[np.ndarray, np.ndarray]:
    """Sync packets of one io_group: the second that each comes before, and the resets that it stands for."""
    passed = np.diff(seconds, prepend=before)
    number = -(-passed // _MOST_RESETS)
    resets = np.full(number.sum(), _MOST_RESETS, dtype=np.int64)
    ends = np.cumsum(number)[number > 0] - 1
    resets[ends] = (passed - (number - 1) * _MOST_RESETS)[number > 0]
    return np.repeat(seconds, number), resets


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
