"""LArPix packets of hits."""

from __future__ import annotations

import dataclasses

import numpy as np

from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.channels import NAMES, Channels
from lartpc.detector.detector import Detector
from lartpc.detector.digitization import whole_ticks
from lartpc.formats.packet_events import first_ticks
from lartpc.formats.packets import (
    CLOCK_RESET,
    EXTERNAL,
    RECEIVED,
    SYNC,
    TIMESTAMP,
    TRIGGER,
    VERSIONS,
    Packets,
    check_adc,
    parity,
    reset_period,
)

_MOST_RESETS = 200  # that one sync packet stands for: readers take its timestamp modulo 2^31
_APART = 1000.0  # [us] from the end of an event to the next, at least, so that readers can tell them apart
_LEAD = 1e5  # [us] from a clock reset to an event that is put off
_LONGEST = 1e12  # [us] without a packet that clocks are followed through: 11 days


@dataclasses.dataclass
class Clock:
    """How far the packets of a file have come, for the events that follow."""

    free: int = 0  # tick from which an event may begin
    offset: int | None = None  # ticks by which all events are put off; None: before the first
    second: int = -1  # the last that was announced


def make_packets(
    hits: Hits,
    segments: Segments,
    channels: Channels,
    detector: Detector,
    clock: Clock | None = None,
    version: int = 2,
) -> Packets:
    """The packets, of a version of `VERSIONS`, of all hits and events.

    They follow those before that `clock` was given with, which is brought up.

    Timestamps count ticks since the last clock reset, which a sync packet announces in each io_group before the first
    packet after it: one for several where nothing came between, and one of no reset at the start, unless an event is.
    A timestamp packet gives the second, a trigger packet in every io_group the tick of each event's first deposit, or
    of its first hit where that is earlier, as readers take no hit before it; its receipt_timestamp is that of the first
    deposit. An event that would not begin after the one before it has ended is put off, to 0.1 s after a clock reset:
    so are all but the first where the time of each begins at 0. Where the first begins or is read before 0, all are
    put off by 0.1 s and whole seconds, and keep their distances. One that would begin more than 11 days later is put
    forward by whole seconds, and hits that late in an event are left out: every 200 s of a gap take a sync packet an
    io_group, and nuclei may decay after millions of years.
    InputError: an ADC of more bits than packets have.
    """
    check_adc(detector, version)
    dtype = VERSIONS[version].dtype
    clock = Clock() if clock is None else clock
    period, groups = reset_period(detector), channels.groups()
    channel = channels.of_pixels(detector, hits.pixel_id.astype(np.int64))
    row = np.flatnonzero(channel[:, 0] >= 0)
    events = np.union1d(segments.events, hits.event_id).astype(np.int64)
    tick = whole_ticks(hits.t[row], detector.tick).astype(np.int64)
    first = first_ticks(events, segments, detector)
    event = np.searchsorted(events, hits.event_id[row])
    longest = round(_LONGEST / detector.tick)
    timely = tick - first[event] <= longest
    row, tick, event, late = row[timely], tick[timely], event[timely], int(np.sum(~timely))
    lead, apart = round(_LEAD / detector.tick), round(_APART / detector.tick)
    begin = first.copy()
    np.minimum.at(begin, event, tick)
    if clock.offset is None and len(first):
        low = int(begin[0])
        clock.offset = lead - (low + lead) // period * period if -longest <= low < 0 else 0
    first, begin, tick = (ticks + (clock.offset or 0) for ticks in (first, begin, tick))
    shift, clock.free = _shifts(event, tick, first, begin, clock.free, period, lead, apart, longest)

    data = np.zeros(len(row), dtype=dtype)
    for k, name in enumerate(NAMES):
        data[name] = channel[row, k]
    time = tick + shift[event]
    data["packet_type"], data["direction"], data["first_packet"] = VERSIONS[version].data, RECEIVED, 1
    data["timestamp"] = data["receipt_timestamp"] = time % period
    data["dataword"] = hits.adc[row]
    data["parity"], data["valid_parity"] = parity(data, version), 1

    begin = np.repeat(begin + shift, len(groups))
    trigger = _announcements(dtype, TRIGGER, EXTERNAL, np.tile(groups, len(events)), begin % period)
    trigger["receipt_timestamp"] = np.repeat((first + shift) % period, len(groups))
    seconds = np.unique(np.concatenate((time, begin)) // period)
    seconds = seconds[seconds > clock.second]
    stamp = _announcements(dtype, TIMESTAMP, 0, np.tile(groups, len(seconds)), np.repeat(seconds, len(groups)))
    after, resets = _resets(seconds, max(clock.second, 0))
    if clock.second < 0 and len(seconds) and seconds[0] == 0 and begin[0] > 0:
        after, resets = np.append(0, after), np.append(0, resets)
    clock.second = int(max([clock.second, *seconds]))
    since = np.repeat(resets * period, len(groups))
    sync = _announcements(dtype, SYNC, CLOCK_RESET, np.tile(groups, len(after)), since)

    parts = (stamp, sync, trigger, data)
    times = (np.repeat(seconds * period, len(groups)), np.repeat(after * period, len(groups)), begin, time)
    table = np.concatenate(parts)
    kind = np.repeat(np.arange(4), [len(part) for part in parts])
    order = np.lexsort((*(table[name] for name in NAMES[::-1]), kind, np.concatenate(times)))
    none = [np.full(len(part), -1) for part in parts]
    event_ids = np.concatenate((*none[:2], np.repeat(events, len(groups)), events[event]))
    rows = np.concatenate((*none[:3], row))
    return Packets(table[order], event_ids[order], rows[order], len(hits) - len(row) - late, late)


def _shifts(
    event: np.ndarray,
    tick: np.ndarray,
    first: np.ndarray,
    low: np.ndarray,
    free: int,
    period: int,
    lead: int,
    apart: int,
    longest: int,
) -> tuple[np.ndarray, int]:
    """Ticks by which each event is put off, (n_events,), and the tick from which the next may begin."""
    high = first.copy()
    np.maximum.at(high, event, tick)
    shift = np.zeros(len(first), dtype=np.int64)
    for k in range(len(first)):
        if low[k] < free:
            to = lead - first[k]
            shift[k] = to - (low[k] + to - max(free, period)) // period * period
        elif low[k] - free > longest:
            shift[k] = -((low[k] - free) // period * period)
        free = int(high[k] + shift[k] + apart)
    return shift, free


def _announcements(
    dtype: np.dtype, packet_type: int, trigger_type: int, group: np.ndarray, timestamp: np.ndarray
) -> np.ndarray:
    table = np.zeros(len(group), dtype=dtype)
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
