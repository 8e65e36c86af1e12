"""Events of packets and the zero of their times, where triggers are not clean. Ticks of 0.1 us."""

import numpy as np
import pytest
from layouts import NOW, load, tracks

from lartpc.data.hits import Hits
from lartpc.exceptions import InputError
from lartpc.formats.hits_of_packets import find_hits
from lartpc.formats.packet_events import Expected, moments, told_events, triggers_of, zeros_of
from lartpc.formats.packets import TRIGGER
from lartpc.formats.packets_of_hits import make_packets

SPILL = 12_000_000


def due(first, events=None):
    events = np.arange(len(first)) if events is None else np.array(events)
    return Expected(events, np.array(first), early=100, clock=1000, window=3000)


def triggers(*time, event=None):
    return moments(np.array(time), np.full(len(time), -1) if event is None else np.array(event), 0.1)


def test_triggers_a_tick_apart_are_one():
    found = triggers(5001, 100, 5000, 100, 20_000)
    assert (found.time.tolist(), found.apart) == ([100, 5000, 20_000], 1)
    of_events = triggers(100, 101, 100, event=[3, 3, 4])
    assert (of_events.time.tolist(), of_events.event.tolist(), of_events.apart) == ([100, 100], [3, 4], 1)


def test_events_are_told_by_the_clock_where_a_spill_has_no_trigger_and_one_trigger_no_charge():
    first = np.array([1, 2, 3]) * SPILL
    moment = triggers(SPILL - 50, 2 * SPILL + 500_000, 3 * SPILL + 3)  # the second spill's is missing, one is of none
    data = np.array([SPILL + 1500, 3 * SPILL - 40, 3 * SPILL + 1200])
    assert told_events(data, moment, due(first, [7, 8, 9]), "p.h5").tolist() == [7, 9, 9]
    without = np.array([SPILL - 5, 2 * SPILL + 2999, 2 * SPILL + 3001, 5])
    assert told_events(without[:3], triggers(), due(first, [7, 8, 9]), "p.h5").tolist() == [7, 8, -1]


def test_events_are_told_by_order_where_the_clock_is_another():
    first = np.zeros(2, dtype=int)
    data = np.array([5, 1_001_500, 3_001_500])
    assert told_events(data, triggers(1_000_000, 2_000_000, 3_000_000), due(first), "p.h5").tolist() == [-1, 0, 1]
    with pytest.raises(InputError, match="p.h5: found 3 triggers, 2 with charge, for the 4 events"):
        told_events(data, triggers(1_000_000, 2_000_000, 3_000_000), due(np.zeros(4, dtype=int)), "p.h5")


def test_a_trigger_is_of_its_own_event_where_that_is_known():
    earliest = np.array([1200, 9000, 20_000])
    found = triggers_of(np.array([4, 5, 6]), earliest, triggers(1000, 8900, 1150, event=[4, 6, 4]), 100)
    assert found[0] == 1150 and np.isnan(found[1]) and found[2] == 8900
    assert triggers_of(np.array([4, 5, 6]), earliest, triggers(8900, 8000), 100)[1:].tolist() == [8900, 8900]


def test_what_the_zero_of_time_means():
    first = np.array([1, 2]) * SPILL
    events, earliest = np.arange(2), first + 700

    def ticks(t0, *trigger):
        found = zeros_of(events, earliest, np.array(trigger, dtype=float), due(first), t0)
        return [int(tick) if known else None for tick, known in zip(found.tick, found.known, strict=True)]

    at_spill = first - 60
    assert ticks(None, *at_spill) == ticks("absolute", *at_spill) == [0, 0]
    assert ticks("first-deposit", *at_spill) == [-60, -60]
    assert ticks("trigger", *at_spill) == at_spill.tolist()
    assert ticks(None, np.nan, first[1] + 5_000_000) == [0, 5_000_000]  # the second is put off
    assert ticks("trigger", np.nan, first[1]) == [None, first[1]]
    assert ticks("first-deposit", np.nan, first[1]) == [None, 0]


def test_a_clock_that_is_off_and_no_trigger_leave_the_zero_to_the_fit():
    first, none = np.array([1, 2]) * SPILL, np.full(2, np.nan)
    found = zeros_of(np.arange(2), first + [10_700, 10_000], none, due(first), None)
    assert found.tick.tolist() == [10_000, 10_000] and found.known.all() and found.fit
    apart = zeros_of(np.arange(2), first + [10_700, 20_000], none, due(first), None)
    assert not apart.known.any() and not apart.fit


def test_one_bad_packet_of_each_kind_does_not_stop_a_read(tmp_path):
    detector, channels = load(tmp_path, NOW)
    segments = tracks(3, t0=1.2e6 * np.arange(1, 4))
    pixel = np.array([3, 5, 8, 3, 9])
    hits = made(detector, pixel, event=[0, 0, 1, 2, 2], t=1.2e6 * np.array([1, 1, 2, 3, 3]) + 77.25)
    packets = make_packets(hits, segments, channels, detector)
    table, event = packets.table.copy(), packets.event.copy()
    data = np.flatnonzero(packets.hit >= 0)
    table["chip_id"][data[0]], table["valid_parity"][data[1]] = 250, 0
    rows = table["packet_type"] == TRIGGER
    table["timestamp"][rows] -= 30  # the trigger is 3 us before the deposits
    event[data[4]] = -1
    found, received = find_hits(table, event, segments, channels, detector, "p.h5")
    assert (received.unknown, received.parity, received.eventless, received.hits) == (1, 1, 1, 2)
    assert (received.triggers, received.empty, received.by_clock) == (3, 1, 2)
    assert "1 without charge" in str(received) and "1 of wrong parity" in str(received)
    np.testing.assert_allclose(found.t, 1.2e6 * (found.event_id + 1) + 77.25, atol=0.051)
    only, received = find_hits(table[~rows], event[~rows], segments, channels, detector, "p.h5")
    np.testing.assert_array_equal(only.t, found.t)
    assert received.triggers == 0 and received.by_clock == 2


def test_a_first_event_at_zero_keeps_its_time(tmp_path):
    detector, channels = load(tmp_path, NOW)
    segments = tracks(3, t0=1.2e6 * np.arange(3))
    hits = made(detector, [3, 5, 8], event=[0, 1, 2], t=1.2e6 * np.arange(3) + 77.25)
    packets = make_packets(hits, segments, channels, detector)
    found = find_hits(packets.table, packets.event, segments, channels, detector, "p.h5", "absolute")[0]
    np.testing.assert_allclose(found.t, hits.t, atol=0.051)


def made(detector, pixel, event, t):
    pixel, event = np.array(pixel), np.array(event)
    tpc, ix, iy, x, y = detector.locate(pixel)
    n = len(pixel)
    order = np.lexsort((pixel, event))
    return Hits(
        event_id=event, pixel_id=pixel, tpc=tpc, ix=ix, iy=iy, hit=np.zeros(n, dtype=int), x=x, y=y,
        z_anode=detector.z_anode[tpc], t=np.asarray(t), charge=np.full(n, 20000.0), adc=np.full(n, 100.0),
    ).select(order)  # fmt: skip
