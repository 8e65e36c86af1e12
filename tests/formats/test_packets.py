"""LArPix packets: the format, the channels of pixels, times, the truth of each, and hits of packets."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import h5py
import layouts
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import make_segments, one_plane
from layouts import NOW, OLD, SIDE, tracks

import lartpc
from lartpc.cli.main import main
from lartpc.detector.channels import NAMES, Channels
from lartpc.detector.detector import Detector
from lartpc.detector.digitization import whole_ticks
from lartpc.exceptions import InputError
from lartpc.files.hdf5 import new_hdf5
from lartpc.formats.edepsim import read_segments, write_segments
from lartpc.formats.eventfile import EventFile
from lartpc.formats.hitfile import read_hits
from lartpc.formats.hits_of_packets import find_hits, unrolled
from lartpc.formats.packetfile import PacketWriter, read_packets
from lartpc.formats.packets import PACKET
from lartpc.formats.packets_of_hits import make_packets
from lartpc.simulation.attribution import Recorder, contributions
from lartpc.simulation.collect import valid
from lartpc.simulation.simulation import Simulation

PERIOD = 10_000_000
FORMAT = [
    *("io_group u1, io_channel u1, chip_id u1, packet_type u1, downstream_marker u1, parity u1".split(", ")),
    *("valid_parity u1, channel_id u1, timestamp u8, dataword u1, trigger_type u1, local_fifo u1".split(", ")),
    *("shared_fifo u1, register_address u1, register_data u1, direction u1, local_fifo_events u1".split(", ")),
    *("shared_fifo_events u2, counter u4, fifo_diagnostics_enabled u1, first_packet u1".split(", ")),
    "receipt_timestamp u4",
]


@pytest.fixture(scope="module", params=[NOW, OLD])
def place(request, tmp_path_factory):
    """A detector with its channels and the names of their files."""
    folder = tmp_path_factory.mktemp("layouts")
    return *layouts.load(folder, request.param), *layouts.write(folder, request.param)


@pytest.fixture(scope="module")
def written(place, tmp_path_factory):
    """The command's files of hits and packets, and the segments: two noisy events."""
    folder = tmp_path_factory.mktemp("written")
    write_segments(folder / "segments.h5", tracks())
    run("simulate", folder / "segments.h5", "-o", folder / "h.h5", "--packets", folder / "p.h5", *options(place))
    return folder


def options(place):
    return ["--detector", place[2], "--layout", place[3]]


def run(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output + done.stderr
    return done.stdout


def refused(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert done.stderr.count("\n") == 1
    return done.stderr


def simulated(detector, segments, **keywords):
    return Simulation(detector, **{"noise": False, **keywords})(segments, truth=True)


def trigger_times(table):
    return np.unique(unrolled(table, PERIOD)[table["packet_type"] == 7])


def slow_channels(content, detector, module, groups):
    """(io_group, io_channel, chip, channel) to pixel of a module, one by one, from where the tiles and pixels are."""
    found = {}
    n = np.array(list(content["chip_channel_to_position"].values())).max(axis=0) + 1
    planes = sorted({tuple(index[:-1]) for index in content["tile_indeces"].values()})
    for tile, (_, y, x) in content["tile_positions"].items():
        v = planes.index(tuple(content["tile_indeces"][tile][:-1])) + len(planes) * module
        _, up_y, up_x = content["tile_orientations"][tile]
        middle_x = 0.5 * (detector.x_lo[v] + detector.x_hi[v])
        middle_y = 0.5 * (detector.y_lo[v] + detector.y_hi[v])
        for key, (i, j) in content["chip_channel_to_position"].items():
            chip, channel = key // 1000, key % 1000
            if chip not in content["tile_chip_to_io"][tile]:
                continue
            at_x = 0.1 * (x + up_x * (i - 0.5 * (n[0] - 1)) * content["pixel_pitch"]) + middle_x
            at_y = 0.1 * (y + up_y * (j - 0.5 * (n[1] - 1)) * content["pixel_pitch"]) + middle_y
            ix = int(np.floor((at_x - detector.x_lo[v]) / detector.pitch[v]))
            iy = int(np.floor((at_y - detector.y_lo[v]) / detector.pitch[v]))
            io = content["tile_chip_to_io"][tile][chip]
            key = (groups[io // 1000 - 1], io % 1000, chip, channel)
            assert key not in found
            found[key] = int(detector.first_pixel[v] + ix + detector.n_x[v] * iy)
    return found


def same_channels(channels, detector, expected):
    n = int((detector.n_x * detector.n_y).sum())
    assert len(set(expected.values())) == len(expected)
    np.testing.assert_array_equal(channels.pixels_of(detector, np.array(list(expected))), list(expected.values()))
    of_pixels = channels.of_pixels(detector, np.arange(n))
    back = {pixel: key for key, pixel in expected.items()}
    assert all(tuple(row) == back.get(pixel, (-1,) * 4) for pixel, row in enumerate(of_pixels.tolist()))
    np.testing.assert_array_equal(channels.unread(detector), sorted(set(range(n)) - set(back)))


def test_channels_of_small_layouts(tmp_path):
    detector, channels = layouts.load(tmp_path, NOW)
    content = layouts.layout(NOW)
    expected = slow_channels(content, detector, 0, [5, 6]) | slow_channels(content, detector, 1, [8, 7])
    assert len(expected) == 4 * (2 * SIDE) ** 2
    same_channels(channels, detector, expected)
    assert channels.groups().tolist() == [5, 6, 7, 8]
    detector, channels = layouts.load(tmp_path, OLD)
    expected = slow_channels(layouts.layout(OLD), detector, 0, [1, 2])
    assert len(expected) == 2 * (2 * SIDE) ** 2 - 25
    same_channels(channels, detector, expected)
    assert channels.pixels_of(detector, np.array([[1, 1, 200, 0], [9, 1, 11, 0]])).tolist() == [-1, -1]


@pytest.mark.parametrize(("version", "name", "chips"), [("2.2.16", "module0-2022", 16), ("2.4.16", "module0", 0)])
def test_channels_of_module0(reference, version, name, chips):
    import yaml

    files = reference / f"data/{name}.yaml", reference / f"data/multi_tile_layout-{version}.yaml"
    detector = Detector.load(*files)
    content = yaml.load(files[1].read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    expected = slow_channels(content, detector, 0, [1, 2])
    assert len(expected) == 2 * 140 * 280 - 49 * chips
    same_channels(Channels.load(detector, *files), detector, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, c: c.pop("tile_chip_to_io"), "key 'tile_chip_to_io' is missing"),
        (lambda d, c: c["tile_chip_to_io"].update({3: 5}), "tile_chip_to_io[3]: found 5"),
        (lambda d, c: c["tile_chip_to_io"][3].update({12: "a"}), "tile_chip_to_io[3][12]: found 'a'"),
        (lambda d, c: c["tile_chip_to_io"][3].update({12: 1900}), "tile_chip_to_io[3][12]: found 1900"),
        (lambda d, c: c["tile_chip_to_io"].update({3: c["tile_chip_to_io"][1]}), "reads 2 pixels, allowed is one"),
        (lambda d, c: c["chip_channel_to_position"].update({300_001: [0, 0]}), "found 300001, allowed are chips up to"),
        (lambda d, c: d.pop("module_to_io_groups"), "'module_to_io_groups' is missing"),
        (lambda d, c: d["module_to_io_groups"].update({2: [8]}), "module_to_io_groups: found [8] for module 2"),
        (lambda d, c: d["module_to_io_groups"].update({2: [8, 5]}), "found an io_group twice"),
    ],
)
def test_layouts_that_name_no_channels_are_refused(tmp_path, change, message):
    import yaml

    names = layouts.write(tmp_path, NOW)
    detector, content = layouts.properties(NOW), layouts.layout(NOW)
    change(detector, content)
    for name, made in zip(names, (detector, content), strict=True):
        name.write_text(yaml.safe_dump(made))
    with pytest.raises(InputError) as error:
        Channels.load(Detector.load(*names), *names)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_file_is_as_larpix_control_and_larnd_sim_write_it(place, written):
    detector = place[0]
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
        assert len(file["trajectories"]) == len(file["vertices"]) == 0


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


def test_packets_agree_with_the_hits(place, written):
    detector, channels, *_ = place
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


def test_packets_become_the_hits_that_they_were_made_of(place, written):
    detector, channels, *_ = place
    hits, segments = read_hits(written / "h.h5"), read_segments(written / "segments.h5")
    read = ~np.isin(hits.pixel_id, channels.unread(detector))
    again = read_packets(written / "p.h5", segments, channels, detector)
    for name in ("event_id", "pixel_id", "hit", "tpc", "ix", "iy", "x", "y", "z_anode", "adc"):
        np.testing.assert_array_equal(getattr(again, name), getattr(hits, name)[read], name)
    np.testing.assert_array_equal(whole_ticks(again.t, 0.1), whole_ticks(hits.t[read], 0.1))
    # an ADC count is 988 e wide
    assert np.abs(again.charge - hits.charge[read])[hits.adc[read] < 255].max() <= 0.5 * 1012 / 256 / 4e-3 + 1


def test_events_are_told_by_triggers_where_there_is_no_truth(place, written):
    detector, channels, *_ = place
    segments = read_segments(written / "segments.h5")
    with h5py.File(written / "p.h5") as file:
        table = file["packets"][()]
    expected = read_packets(written / "p.h5", segments, channels, detector)
    found = find_hits(table, None, segments, channels, detector, "p.h5")
    for field in dataclasses.fields(found):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)
    no_trigger = table[table["packet_type"] != 7]
    with pytest.raises(InputError, match="no mc_packets_assn and no trigger for the 2 events"):
        find_hits(no_trigger, None, segments, channels, detector, "p.h5")
    first = segments.select(segments.event_id == 0)
    with pytest.raises(InputError, match="2 triggers for the 1 events"):
        find_hits(table, None, first, channels, detector, "p.h5")
    alone = find_hits(no_trigger, None, first, channels, detector, "p.h5")
    assert len(alone) == len(expected) and (alone.event_id == 0).all()
    assert alone.t.min() > 1e5  # by the clock


def test_packets_of_other_channels_and_events_are_refused(place, written):
    detector, channels, *_ = place
    segments = read_segments(written / "segments.h5")
    with h5py.File(written / "p.h5") as file:
        table, event = file["packets"][()], file["mc_packets_assn"]["event_ids"][:, 0]
    k = np.flatnonzero(table["packet_type"] == 0)[3]
    bad = table.copy()
    bad["chip_id"][k] = 99
    with pytest.raises(InputError, match=f"packet {k} is of io_group .*, chip_id 99, .* does not have"):
        find_hits(bad, event, segments, channels, detector, "p.h5")
    event[k] = -1
    with pytest.raises(InputError, match=f"packet {k} belongs to no event"):
        find_hits(table, event, segments, channels, detector, "p.h5")
    bad["valid_parity"][k] = 0  # such packets are left out, as by flow
    assert len(find_hits(bad, event, segments, channels, detector, "p.h5")) == (table["packet_type"] == 0).sum() - 1


@pytest.mark.parametrize(
    ("t0", "seconds"),
    [
        ([0.0, 0.0, 0.0], [0, 1, 2]),  # put one after the other
        ([5e5, 5e5 + 300.0, 1.2e9], [0, 1, 1200]),  # the second overlaps the first
        ([5e5, 1.7e6, 2.9e6], [0, 1, 2]),  # a beam spill every 1.2 s
    ],
)
def test_clock_resets_are_announced(place, t0, seconds):
    detector, channels, *_ = place
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
    again = find_hits(table, packets.event, segments, channels, detector, "p.h5")
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


@pytest.mark.parametrize("front_end", [{}, {"buffer_risetime": 0.3, "adc_busy_delay": 9, "reset_cycles": 2}])
def test_every_segment_contributes_its_own_current(place, front_end):
    """The waveform of each segment alone, integrated between the resets and reads of all together."""
    detector = dataclasses.replace(place[0], **front_end)
    segments = tracks(1)
    simulation = Simulation(detector, noise=False, dtype=np.float64)
    batch = simulation.batch(segments)
    recorder = Recorder()
    waveforms = simulation.waveforms(batch, simulation.vector(), recorder)
    reads = simulation.reads(waveforms, batch, simulation.pixels(waveforms))
    at = valid(reads)
    found = contributions(recorder.launched, waveforms, reads, at, detector)
    # in all: the charge of the hit
    n_hits = len(at[0])
    np.testing.assert_allclose(np.bincount(found.hit, found.charge, n_hits), reads.charge[at], rtol=1e-9)
    assert found.charge.min() > -1e-3
    start = waveforms.windows.tick[reads.window[at]]
    read_at = start + reads.time[at] / detector.tick + detector.hold_ticks  # [ticks]
    pixel = waveforms.windows.pixel[at[0]]
    table = np.zeros((n_hits, len(segments)))
    for s in range(len(segments)):
        alone = simulation.waveforms(simulation.batch(segments.select(np.array([s]))), simulation.vector())
        of_window = np.repeat(alone.windows.pixel, np.diff(alone.windows.of_pixel))
        for w, of in enumerate(of_window):
            current = alone.buffered[alone.windows.first[w] : alone.windows.first[w + 1]]
            edges = alone.windows.tick[w] - 1 + np.arange(len(current) + 1)
            summed = np.append(0.0, np.cumsum(current)) * detector.tick
            for h in np.flatnonzero(pixel == of):
                first = h == 0 or pixel[h - 1] != pixel[h]
                low = -np.inf if first else read_at[h - 1] + detector.reset_cycles
                ends = np.interp([low, read_at[h]], edges, summed)
                table[h, s] += ends[1] - ends[0]
    expected = np.zeros_like(table)
    expected[found.hit, found.segment] = found.charge
    np.testing.assert_allclose(expected, table, atol=2e-3 * reads.charge[at].max())
    assert (np.bincount(pixel) > 1).any() and (np.bincount(found.hit) > 1).any()


def test_truth_of_noisy_hits(place, written):
    with h5py.File(written / "p.h5") as file:
        table, found, segments = (file[name][()] for name in ("packets", "mc_packets_assn", "segments"))
    data = table["packet_type"] == 0
    assert (found["event_ids"][data, 0] >= 0).all()
    assert (found["event_ids"][np.isin(table["packet_type"], (4, 6)), 0] == -1).all()
    for name, label, column in (
        ("fraction", "segment_ids", "segment_id"),
        ("fraction_traj", "file_traj_ids", "file_traj_id"),
    ):
        assert (found[name][~data] == 0).all() and (found[label][~data] == -1).all()
        fractions, labels = found[name][data], found[label][data]
        used = labels >= 0
        assert np.isin(labels[used], segments[column]).all()
        assert (fractions[~used] == 0).all() and (np.diff(fractions, axis=1) <= 0).all()
        assert used.sum(axis=1).max() < 20  # so that what is stored is all
        np.testing.assert_allclose(fractions.sum(axis=1), 1.0, atol=1e-9)
        assert fractions.min() > -1e-6
        of_event = {(e, n) for e, n in zip(segments["event_id"], segments[column], strict=True)}
        event = np.broadcast_to(found["event_ids"][data], labels.shape)
        assert set(zip(event[used], labels[used], strict=True)) <= of_event


def test_a_pixel_of_one_segment_is_its_own():
    # in the middle of a pixel, 5 cm from the anode: sigma_T is 0.024 cm
    result = simulated(one_plane(9), make_segments((0.0, 0.0, 5.0), (0.0, 0.0, 5.3)))
    assert len(result.hits) == 1
    assert result.truth.segment[0].tolist() == [0] + [-1] * 19
    assert result.truth.fraction[0].tolist() == [1.0] + [0.0] * 19
    assert result.truth.fraction_traj[0, 0] == 1.0


def test_more_than_fifty_segments_on_a_pixel_all_count():
    n = 80
    at = np.column_stack((np.zeros(n), np.zeros(n), np.full(n, 5.0)))
    dE = np.linspace(0.01, 0.02, n)
    segments = make_segments(at, at, dE=dE)
    segments.traj_id = np.arange(n) % 2
    result = simulated(one_plane(9), segments, dtype=np.float64)
    assert len(result.hits) > 0
    share = dE / dE.sum()  # all are at one place: the same waveform but for its size
    largest = np.argsort(-share)[:20]
    for h in range(len(result.hits)):
        np.testing.assert_array_equal(result.truth.segment[h], largest)
        np.testing.assert_allclose(result.truth.fraction[h], share[largest], rtol=1e-6)
        assert result.truth.fraction[h].sum() < 0.35
        # trajectories are of all segments, not of those that are stored
        expected = [share[1::2].sum(), share[::2].sum()]
        np.testing.assert_allclose(result.truth.fraction_traj[h, :2], expected, rtol=1e-6)
        assert result.truth.trajectory[h, :3].tolist() == [1, 0, -1]


def test_truth_does_not_depend_on_batches_or_the_order_of_events(place):
    detector = place[0]
    segments = tracks(3)
    one = simulated(detector, segments)
    small = Simulation(detector).settings._replace(steps_per_batch=1)
    other = simulated(detector, segments, settings=small)
    for a, b in zip(one.truth, other.truth, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    back = np.argsort(-segments.event_id, kind="stable")
    turned = simulated(detector, segments.select(back), settings=small)
    np.testing.assert_array_equal(np.append(back, -1)[turned.truth.segment], one.truth.segment)
    np.testing.assert_allclose(turned.truth.electrons, one.truth.electrons[back], rtol=1e-6)


def test_scratch_columns_are_filled(place, tmp_path):
    detector, channels, *_ = place
    start = [(0.0, 1.0, -20.0), (0.0, 1.0, 10.0), (0.0, 500.0, 10.0)]
    end = [(0.5, 1.0, -20.4), (0.5, 1.0, 10.4), (0.5, 500.0, 10.0)]
    made = make_segments(start, end, dE=1.0, dEdx=2.0, t0=3.0)
    write_segments(tmp_path / "s.h5", made)
    segments = read_segments(tmp_path / "s.h5")
    result = simulated(detector, segments)
    with new_hdf5(tmp_path / "p.h5") as file:
        writer = PacketWriter(file, EventFile(tmp_path / "s.h5"), channels, detector, detector.parameters)
        writer.append(result.hits, result.truth, segments, np.arange(3))
    with h5py.File(tmp_path / "p.h5") as file:
        table = file["segments"][()]
    v = 0.1596452482
    drift = np.array([30.431 - 20.2, 30.431 - 10.2]) / v
    np.testing.assert_allclose(table["t"], [*(3.0 + drift), 0.0], rtol=1e-6)
    np.testing.assert_allclose(table["t_start"][:2], 3.0 + drift - 0.2 / v, rtol=1e-5)
    np.testing.assert_allclose(table["t_end"][:2], 3.0 + drift + 0.2 / v, rtol=1e-5)
    np.testing.assert_allclose(table["long_diff"], [*np.sqrt(2 * 4.0e-6 * drift), 0.0], rtol=1e-5)
    np.testing.assert_allclose(table["tran_diff"], [*np.sqrt(2 * 8.8e-6 * drift), 0.0], rtol=1e-5)
    birks = 0.8 / (1 + 0.0486 * 2.0 / (0.5 * 1.38)) * 4.237e4
    np.testing.assert_allclose(table["n_electrons"][:2], birks * np.exp(-(drift - 0.5 / v) / 2200), rtol=1e-4)
    assert table["n_electrons"][2] == 0
    assert table["pixel_plane"].tolist() == [0, 1, 0xBEEF]
    for name in ("x_start", "y_end", "dE", "t0", "event_id", "segment_id"):
        np.testing.assert_array_equal(table[name], segments.raw[name])


def test_columns_that_old_files_lack_are_added_and_truth_is_copied(place, tmp_path):
    names = ["z_start", "y_start", "x_start", "z_end", "y_end", "x_end", "dE", "dEdx", "t"]
    raw = np.zeros(2, dtype=[("eventID", "u4"), ("trackID", "u4"), *((name, "f4") for name in names)])
    raw["x_start"], raw["x_end"], raw["z_end"] = 10.0, 10.2, 0.1
    raw["dE"], raw["dEdx"], raw["t"], raw["trackID"] = 2.0, 2.0, 4.5, [30, 31]
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["segments"], file["mc_hdr"] = raw, np.arange(3)
        file["trajectories"] = np.zeros(4, dtype=[("eventID", "u4")])
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    run("simulate", tmp_path / "in.h5", *outputs, *options(place))
    with h5py.File(tmp_path / "p.h5") as file:
        table, found = file["segments"][()], file["mc_packets_assn"][()]
        assert (len(file["mc_hdr"]), len(file["trajectories"]), len(file["vertices"])) == (3, 4, 0)
        assert "mc_stack" not in file
        data = file["packets"]["packet_type"] == 0
    assert table.dtype.names[: len(raw.dtype.names)] == raw.dtype.names
    assert table["segment_id"].tolist() == [0, 1]
    np.testing.assert_array_equal(table["t0"], 4.5)
    assert (table["t"] > 100.0).all()
    assert set(found["file_traj_ids"][data].ravel()) == {-1, 30, 31}
    assert set(found["segment_ids"][data].ravel()) == {-1, 0, 1}


def test_events_without_hits_and_no_events(place, tmp_path):
    detector, channels, *_ = place
    segments = make_segments([(0.0, 0.0, 500.0)] * 2, [(0.0, 0.0, 501.0)] * 2, event_id=[4, 9])
    result = simulated(detector, segments)
    packets = make_packets(result.hits, segments, channels, detector)
    assert len(trigger_times(packets.table)) == 2
    assert set(packets.table["packet_type"]) == {4, 6, 7}
    none = segments.select(np.zeros(0, dtype=int))
    assert len(make_packets(simulated(detector, none).hits, none, channels, detector).table) == 0
    write_segments(tmp_path / "none.h5", none)
    run("simulate", tmp_path / "none.h5", "-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5", *options(place))
    assert len(read_packets(tmp_path / "p.h5", none, channels, detector)) == 0


def test_wide_adcs_do_not_fit(place):
    detector, channels, *_ = place
    wide = dataclasses.replace(detector, adc_counts=1024)
    with pytest.raises(InputError, match="8 bits of ADC, found a detector with 1024"):
        make_packets(simulated(detector, tracks(1)).hits, tracks(1), channels, wide)


def test_the_command_refuses_what_it_cannot_write(place, written, tmp_path):
    segments, packets = written / "segments.h5", tmp_path / "p.h5"
    command = ["simulate", segments, "-o", tmp_path / "h.h5"]
    assert "--packets: needs --detector FILE and --layout FILE" in refused(*command, "--packets", packets)
    assert "--packets: needs" in refused(*command, "--packets", packets, "--detector", place[2])
    assert "another name is needed" in refused(*command, "--packets", tmp_path / "h.h5", *options(place))
    there = written / "p.h5"
    before = there.read_bytes()
    assert "p.h5: exists already" in refused(*command, "--packets", there, *options(place))
    line = refused(*command, "--packets", segments, "--overwrite", *options(place))
    assert "segments.h5: is the input" in line
    assert there.read_bytes() == before and os.listdir(tmp_path) == []
    assert "a file of packets: needs" in refused("calibrate", segments, there, "-o", tmp_path / "fit")


def test_the_same_command_writes_the_same_bytes_and_says_what(place, written, tmp_path):
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    printed = run("simulate", written / "segments.h5", *outputs, *options(place))
    assert (tmp_path / "p.h5").read_bytes() == (written / "p.h5").read_bytes()
    assert (tmp_path / "h.h5").read_bytes() == (written / "h.h5").read_bytes()
    with h5py.File(tmp_path / "p.h5") as file:
        kinds = file["packets"]["packet_type"]
    assert f"p.h5: {len(kinds)} packets, {(kinds == 0).sum()} of data" in printed.splitlines()[1]
    hits = len(read_hits(tmp_path / "h.h5"))
    lost = hits - (kinds == 0).sum()
    assert (f"{lost} hits are on pixels without a channel" in printed) == (lost > 0)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("limit", [1000, 30_000])
def test_a_full_disk_leaves_neither_file(place, written, tmp_path, limit):
    script = (
        "import resource\nfrom lartpc.cli.main import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2)\nmain(prog_name='lartpc')"
    )
    arguments = ["simulate", written / "segments.h5", "-o", "h.h5", "--packets", "p.h5", *options(place)]
    place_of_package = str(Path(lartpc.__file__).parents[1])  # where the kernels are compiled
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, *map(str, arguments)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": place_of_package},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.endswith("cannot be written: File too large\n"), done.stderr
    assert os.listdir(tmp_path) == []


def test_a_fit_to_packets_finds_the_parameters(place, tmp_path):
    """With noise, ADC counts and ticks, and pixels that are not read: what the packets do not say is not used."""
    import json

    write_segments(tmp_path / "s.h5", tracks(6, dE=0.9))
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    truth = ["--set", "eField=0.505", "--set", "Ab=0.81"]
    run("simulate", tmp_path / "s.h5", *outputs, *truth, *options(place))
    fits = {}
    for name in ("p.h5", "h.h5"):
        output = tmp_path / f"fit-{name}"
        more = ["--rounded"] if name == "h.h5" else []
        command = ["calibrate", tmp_path / "s.h5", tmp_path / name, "-o", output, "--fit", "eField,Ab", *more]
        run(*command, *options(place))
        fits[name] = json.loads((output / "fit.json").read_text())["parameters"]
    for name, expected in (("eField", 0.505), ("Ab", 0.81)):
        found = fits["p.h5"][name]
        assert abs(found["value"] - expected) < 4.0 * found["error"]
        assert found["error"] < 0.02 * expected
    if not len(place[1].unread(place[0])):
        for name, found in fits["p.h5"].items():
            assert found["value"] == pytest.approx(fits["h.h5"][name]["value"], rel=1e-5)
