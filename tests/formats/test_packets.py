"""LArPix packets: the format, times, and hits of packets."""

import dataclasses

import h5py
import numpy as np
import pytest
from commands import succeeds
from helpers import make_segments
from layouts import tracks
from packet_files import PERIOD, options, simulated, trigger_times

from lartpc.detector.channels import NAMES
from lartpc.detector.digitization import whole_ticks
from lartpc.exceptions import InputError
from lartpc.formats.edepsim import read_segments, write_segments
from lartpc.formats.hitfile import read_hits
from lartpc.formats.hits_of_packets import find_hits, unrolled
from lartpc.formats.packetfile import read_packets
from lartpc.formats.packets import PACKET
from lartpc.formats.packets_of_hits import make_packets

FORMAT = [
    *("io_group u1, io_channel u1, chip_id u1, packet_type u1, downstream_marker u1, parity u1".split(", ")),
    *("valid_parity u1, channel_id u1, timestamp u8, dataword u1, trigger_type u1, local_fifo u1".split(", ")),
    *("shared_fifo u1, register_address u1, register_data u1, direction u1, local_fifo_events u1".split(", ")),
    *("shared_fifo_events u2, counter u4, fifo_diagnostics_enabled u1, first_packet u1".split(", ")),
    "receipt_timestamp u4",
]


@pytest.mark.slow
def test_the_file_is_as_larpix_control_and_larnd_sim_write_it(described, written):
    detector = described[0]
    with h5py.File(written / "p.h5") as file:
        header = file["_header"].attrs
        assert header["version"] == "2.4" and isinstance(header["created"], float)
        assert [f"{name} {file['packets'].dtype[name].str[1:]}" for name in file["packets"].dtype.names] == FORMAT
        assert file["packets"].dtype.itemsize == 36
        assert file["packets"].dtype == PACKET
        message = file["messages"]
        assert (message.shape, message.dtype) == ((0,), [("message", "S64"), ("timestamp", "u8"), ("index", "u4")])
        tables = ["_header", "configs", "mc_packets_assn", "messages", "packets", "segments"]
        assert sorted(file) == [*tables, "trajectories", "vertices"]
        configs = file["configs"].attrs
        values = [configs[name] for name in ("vdrift", "long_diff", "tran_diff", "lifetime", "drift_length")]
        np.testing.assert_allclose(values, [0.1596452, 4.0e-6, 8.8e-6, 2200, 30.27225], rtol=1e-6)
        fields = [("event_ids", (1,), "i8"), ("segment_ids", (20,), "i8"), ("fraction", (20,), "f8")]
        fields += [("file_traj_ids", (20,), "i8"), ("fraction_traj", (20,), "f8")]
        found = file["mc_packets_assn"].dtype
        assert [(name, found[name].shape, found[name].base.str[1:]) for name in found.names] == fields
        assert len(file["mc_packets_assn"]) == len(file["packets"])
        assert file["segments"].attrs["zbeam"]
        assert file["segments"].dtype == read_segments(written / "segments.h5").raw.dtype
        assert file.attrs["detector"] == detector.name
        assert (len(file["trajectories"]), len(file["vertices"])) == (6, 2)


def test_parity_is_odd_bit_by_bit(written):
    with h5py.File(written / "p.h5") as file:
        table = file["packets"][()]
    data = table[table["packet_type"] == 0]
    widths = {"packet_type": 2, "chip_id": 8, "channel_id": 6, "timestamp": 31, "first_packet": 1, "dataword": 8}
    widths |= {"trigger_type": 2, "local_fifo": 2, "shared_fifo": 2, "downstream_marker": 1, "parity": 1}
    assert sum(widths.values()) == 64
    for row in data:
        assert sum(f"{int(row[name]):0{width}b}".count("1") for name, width in widths.items()) % 2 == 1
    assert (data["valid_parity"] == 1).all() and set(data["parity"]) == {0, 1}


@pytest.mark.slow
def test_larpix_control_reads_the_file(written):
    hdf5format = pytest.importorskip("larpix.format.hdf5format")
    content = hdf5format.from_file(str(written / "p.h5"), version="2.4", load_configs=True)
    with h5py.File(written / "p.h5") as file:
        table = file["packets"][()]
    assert len(content["packets"]) == len(table) and content["configs"] == []
    for packet, row in zip(content["packets"], table, strict=True):
        assert packet.packet_type == row["packet_type"]
        if packet.packet_type == 0:
            assert packet.has_valid_parity()
            assert (packet.channel_id, packet.timestamp, packet.dataword) == tuple(
                row[["channel_id", "timestamp", "dataword"]]
            )
            assert str(packet.chip_key) == f"{row['io_group']}-{row['io_channel']}-{row['chip_id']}"
    kinds = {packet.packet_type: packet for packet in content["packets"]}
    assert (kinds[6].sync_type, kinds[7].trigger_type, sorted(kinds)) == (b"S", b"\x02", [0, 4, 6, 7])


def test_packets_agree_with_the_hits(described, written):
    detector, channels, *_ = described
    hits = read_hits(written / "h.h5")
    with h5py.File(written / "p.h5") as file:
        table, event = file["packets"][()], file["mc_packets_assn"]["event_ids"][:, 0]
    read = ~np.isin(hits.pixel_id, channels.unread(detector))
    assert read.sum() > 60
    data = table["packet_type"] == 0
    assert data.sum() == read.sum()
    groups = channels.groups()
    assert (table["packet_type"] == 7).sum() == 2 * len(groups)  # two events
    # all t0 are 0, so that an event's time counts from its trigger
    time = unrolled(table, PERIOD)
    trigger = np.array([time[(table["packet_type"] == 7) & (event == e)][0] for e in (0, 1)])
    pixel = channels.pixels_of(detector, np.column_stack([table[name][data] for name in NAMES]).astype(int))
    found = np.column_stack((event[data], pixel, time[data] - trigger[event[data]], table["dataword"][data]))
    expected = np.column_stack((hits.event_id, hits.pixel_id, np.ceil(hits.t / 0.1), hits.adc))[read]
    np.testing.assert_array_equal(found[np.lexsort(found.T[::-1])], expected[np.lexsort(expected.T[::-1])])
    assert (np.diff(time[data | (table["packet_type"] == 7)]) >= 0).all()
    assert (table["timestamp"][data] < PERIOD).all()
    np.testing.assert_array_equal(table["receipt_timestamp"][data], table["timestamp"][data])


def test_packets_become_the_hits_that_they_were_made_of(described, written):
    detector, channels, *_ = described
    hits, segments = read_hits(written / "h.h5"), read_segments(written / "segments.h5")
    read = ~np.isin(hits.pixel_id, channels.unread(detector))
    again = read_packets(written / "p.h5", segments, channels, detector)
    for name in ("event_id", "pixel_id", "hit", "tpc", "ix", "iy", "x", "y", "z_anode", "adc"):
        np.testing.assert_array_equal(getattr(again, name), getattr(hits, name)[read], name)
    np.testing.assert_array_equal(whole_ticks(again.t, 0.1), whole_ticks(hits.t[read], 0.1))
    # an ADC count is 988 e wide
    assert np.abs(again.charge - hits.charge[read])[hits.adc[read] < 255].max() <= 0.5 * 1012 / 256 / 4e-3 + 1


def test_segments_that_are_no_table_are_refused(described, written, tmp_path):
    with h5py.File(written / "p.h5") as source, h5py.File(tmp_path / "p.h5", "w") as file:
        source.copy("packets", file)
        file.create_group("segments")
    with pytest.raises(InputError, match="p.h5: 'segments' is a group, allowed is a table with named fields"):
        read_packets(tmp_path / "p.h5", read_segments(written / "segments.h5"), described[1], described[0])


def test_events_are_told_by_triggers_where_there_is_no_truth(described, written):
    detector, channels, *_ = described
    segments = read_segments(written / "segments.h5")
    with h5py.File(written / "p.h5") as file:
        table = file["packets"][()]
    expected = read_packets(written / "p.h5", segments, channels, detector)
    found, received = find_hits(table, None, segments, channels, detector, "p.h5")
    assert (received.triggers, received.apart, received.empty, received.lost) == (2, 0, 0, ())
    for field in dataclasses.fields(found):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)
    no_trigger = table[table["packet_type"] != 7]
    with pytest.raises(InputError, match="no mc_packets_assn and no trigger for the 2 events"):
        find_hits(no_trigger, None, segments, channels, detector, "p.h5")
    second = segments.select(segments.event_id == 1)
    late = dataclasses.replace(second, t0=second.t0 + 3e5)  # not at the time of the clock
    with pytest.raises(InputError, match="2 triggers, 2 with charge, for the 1 events"):
        find_hits(table, None, late, channels, detector, "p.h5")
    alone = find_hits(no_trigger, None, late, channels, detector, "p.h5", "absolute")[0]
    assert len(alone) == len(expected) and (alone.event_id == 1).all()
    assert alone.t.max() > 1e6  # by the clock


def test_packets_of_other_channels_and_events_are_left_out(described, written):
    detector, channels, *_ = described
    segments = read_segments(written / "segments.h5")
    with h5py.File(written / "p.h5") as file:
        table, event = file["packets"][()], file["mc_packets_assn"]["event_ids"][:, 0]
    k = np.flatnonzero(table["packet_type"] == 0)[3]
    bad = table.copy()
    bad["chip_id"][k] = 99
    n = (table["packet_type"] == 0).sum()

    def counts(table):
        hits, received = find_hits(table, event, segments, channels, detector, "p.h5")
        assert len(hits) == received.hits == n - 1
        return received.unknown, received.eventless, received.parity

    assert counts(bad) == (1, 0, 0)
    bad["chip_id"][k], bad["channel_id"][k] = table["chip_id"][k], table["channel_id"][k] + 64  # has no 7th bit
    assert counts(bad) == (1, 0, 0)
    every = table.copy()
    every["chip_id"] = 99
    with pytest.raises(InputError, match=f"{n} of {n} packets are of channels which .*, chip_id 99, .* less than 10%"):
        find_hits(every, event, segments, channels, detector, "p.h5")
    bad["valid_parity"][k] = 0  # such packets are left out, as by flow
    assert counts(bad) == (0, 0, 1)
    event[k] = -1
    assert counts(table) == (0, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("t0", "seconds"),
    [
        ([0.0, 0.0, 0.0], [0, 1, 2]),  # put one after the other
        ([5e5, 5e5 + 300.0, 1.2e9], [0, 1, 1200]),  # the second overlaps the first
        ([5e5, 1.7e6, 2.9e6], [0, 1, 2]),  # a beam spill every 1.2 s
    ],
)
def test_clock_resets_are_announced(described, t0, seconds):
    detector, channels, *_ = described
    segments = tracks(3, t0=t0)
    hits = simulated(detector, segments).hits
    packets = make_packets(hits, segments, channels, detector)
    table = packets.table
    for group in channels.groups():
        own = table[table["io_group"] == group]
        assert own["timestamp"][own["packet_type"] == 4].tolist() == seconds
        # the clock restarts from 0 at every sync; readers take sync times modulo 2^31
        sync = own["timestamp"][own["packet_type"] == 6]
        assert sync.sum() == seconds[-1] * PERIOD and (sync < 2**31).all() and len(sync) <= 2 + 6
        assert (own["trigger_type"][own["packet_type"] == 6] == 83).all()
        clock, since = 0, []
        for row in own:
            clock += int(row["timestamp"]) if row["packet_type"] == 6 else 0
            since.append(clock + int(row["timestamp"]) if row["packet_type"] in (0, 7) else -1)
        mine, event = packets.hit[table["io_group"] == group], packets.event[table["io_group"] == group]
        since = np.array(since)
        trigger = np.array([since[(own["packet_type"] == 7) & (event == e)][0] for e in range(3)])
        first = np.floor(np.array(t0) / 0.1)
        data = mine >= 0
        expected = whole_ticks(hits.t[mine[data]], 0.1) - first[event[data]]
        np.testing.assert_array_equal(since[data] - trigger[event[data]], expected)
        if len(set(t0)) == 3:
            kept = [0, 2] if seconds[-1] == 1200 else [0, 1, 2]
            np.testing.assert_array_equal(trigger[kept], first[kept])
    again = find_hits(table, packets.event, segments, channels, detector, "p.h5")[0]
    read = packets.hit[packets.hit >= 0]
    np.testing.assert_array_equal(np.sort(whole_ticks(again.t, 0.1)), np.sort(whole_ticks(hits.t[read], 0.1)))


def test_clocks_that_missed_a_reset_and_late_packets_are_unrolled():
    table = np.zeros(6, dtype=PACKET)
    table["packet_type"] = [0, 6, 0, 6, 0, 0]
    table["trigger_type"] = [0, 83, 0, 83, 0, 0]
    table["valid_parity"] = [1, 0, 1, 0, 1, 1]
    table["io_group"] = [1, 1, 1, 1, 1, 2]
    table["timestamp"] = [5, 10_000_002, 9_999_990, 20_000_000, 7, 8]
    table["receipt_timestamp"] = [5, 0, 3, 0, 7, 8]  # the third packet was sent before the reset
    time = unrolled(table, PERIOD)
    assert time[[0, 2, 4, 5]].tolist() == [5, 9_999_990, 30_000_007, 8]


def test_events_without_hits_and_no_events(described, tmp_path):
    detector, channels, *_ = described
    segments = make_segments([(0.0, 0.0, 500.0)] * 2, [(0.0, 0.0, 501.0)] * 2, event_id=[4, 9])
    result = simulated(detector, segments)
    packets = make_packets(result.hits, segments, channels, detector)
    assert len(trigger_times(packets.table)) == 2
    assert set(packets.table["packet_type"]) == {4, 6, 7}
    none = segments.select(np.zeros(0, dtype=int))
    assert len(make_packets(simulated(detector, none).hits, none, channels, detector).table) == 0
    write_segments(tmp_path / "none.h5", none)
    succeeds(
        "simulate", tmp_path / "none.h5", "-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5", *options(described)
    )
    assert len(read_packets(tmp_path / "p.h5", none, channels, detector)) == 0


def test_wide_adcs_do_not_fit(described):
    detector, channels, *_ = described
    wide = dataclasses.replace(detector, adc_counts=1024)
    with pytest.raises(InputError, match="8 bits of ADC, found a detector with 1024"):
        make_packets(simulated(detector, tracks(1)).hits, tracks(1), channels, wide)
