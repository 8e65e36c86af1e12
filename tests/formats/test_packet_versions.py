"""Packets of version 3, compressed ones, and those of files that know their events by segments only."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from commands import refuses, succeeds
from helpers import make_segments
from layouts import tracks
from packet_files import PERIOD, options, simulated

from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.detector.digitization import whole_ticks
from lartpc.exceptions import InputError
from lartpc.formats.edepsim import read_segments, write_segments
from lartpc.formats.hitfile import read_hits
from lartpc.formats.hits_of_packets import find_hits, unrolled
from lartpc.formats.packetfile import read_packets
from lartpc.formats.packets_of_hits import make_packets

# larpix-control, Packet_v3: first and last bit (excluded) of a data packet's fields
BITS = {
    **{"packet_type": (0, 2), "chip_id": (2, 10), "channel_id": (10, 16), "timestamp": (16, 44)},
    **{"reset_sample_flag": (44, 45), "cds_flag": (45, 46), "dataword": (46, 56), "trigger_type": (56, 58)},
    **{"local_fifo": (58, 60), "shared_fifo": (60, 62), "downstream_marker": (62, 63), "parity": (63, 64)},
}


def same_hits(found, hits):
    for name in ("event_id", "pixel_id", "hit", "adc"):
        np.testing.assert_array_equal(getattr(found, name), getattr(hits, name), name)
    np.testing.assert_array_equal(whole_ticks(found.t, 0.1), whole_ticks(hits.t, 0.1))


@pytest.mark.slow
def test_packets_of_version_3_hold_ten_bits(described, tmp_path):
    detector, channels, *_ = described
    wide = dataclasses.replace(detector, adc_counts=1024)
    segments = tracks(2, dE=2.0)
    hits = simulated(wide, segments).hits
    packets = make_packets(hits, segments, channels, wide, version=3).table
    data = packets[packets["packet_type"] == 1]
    assert data["dataword"].max() > 255 and not (packets["packet_type"] == 0).any()
    for row in data:
        word = sum(int(row[name]) << first for name, (first, _) in BITS.items())
        assert word.bit_count() % 2 == 1 and word < 2**64
        assert all(int(row[name]) < 2 ** (end - first) for name, (first, end) in BITS.items())
    assert (data["valid_parity"] == 1).all() and set(data["parity"]) == {0, 1}
    with pytest.raises(InputError, match="version 3 hold 10 bits of ADC, found a detector with 2048 adc_counts"):
        make_packets(hits, segments, channels, dataclasses.replace(wide, adc_counts=2048), version=3)


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_the_file_is_compressed_and_read_again(described, written, tmp_path, version):
    detector, channels, *_ = described
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5", "--packet-version", version, "--gzip"]
    succeeds("simulate", written / "segments.h5", *outputs, *options(described))
    hits, segments = read_hits(tmp_path / "h.h5"), read_segments(written / "segments.h5")
    hits = hits.select(~np.isin(hits.pixel_id, channels.unread(detector)))
    same_hits(read_packets(tmp_path / "p.h5", segments, channels, detector), hits)
    with h5py.File(tmp_path / "p.h5") as file, h5py.File(written / "p.h5") as plain:
        for name in ("packets", "mc_packets_assn", "segments"):
            assert file[name].compression == "gzip" and plain[name].compression is None
        assert file["_header"].attrs["version"] == {2: "2.4", 3: "3.0"}[version]
        assert file["configs"].attrs["asic_version"] == str(version)
        names, kind = file["packets"].dtype.names, file["packets"]["packet_type"]
        assert (kind == {2: 0, 3: 1}[version]).sum() == len(hits)
        assert names[:22] == plain["packets"].dtype.names
        assert names[22:] == {2: (), 3: ("reset_sample_flag", "cds_flag")}[version]
        assert f"{version - 2}: " in file["packets"].attrs["packet_types"]


@pytest.mark.parametrize("name", ["segment_ids", "track_ids"])
def test_events_of_older_associations_are_those_of_the_first_segments(described, written, tmp_path, name):
    detector, channels, *_ = described
    segments = read_segments(written / "segments.h5")
    expected = read_packets(written / "p.h5", segments, channels, detector)
    for most, shuffled in ((10, False), (1, True)):
        with h5py.File(written / "p.h5") as source, h5py.File(tmp_path / "p.h5", "w") as file:
            now = source["mc_packets_assn"][()]
            old = np.zeros(len(now), [(name, "i8", (most,)), ("fraction", "f8", (most,))])
            old[name], old["fraction"] = now["segment_ids"][:, :most], now["fraction"][:, :most]
            file["mc_packets_assn"], file["packets"] = old, source["packets"][()]
            order = np.random.default_rng(0).permutation(len(source["segments"])) if shuffled else slice(None)
            file["segments"] = source["segments"][()][order]
        found = read_packets(tmp_path / "p.h5", segments, channels, detector)
        for field in dataclasses.fields(found):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)
    with h5py.File(tmp_path / "p.h5", "a") as file:  # by triggers where no segment is known
        old[name] += 10**6 * (old[name] >= 0)
        file["mc_packets_assn"][...] = old
    same_hits(read_packets(tmp_path / "p.h5", segments, channels, detector), expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("fraction", "f8")], "mc_packets_assn: found fraction, allowed is a row a packet, with a field 'event_ids'"),
        ([("event_ids", "S4")], "mc_packets_assn field 'event_ids' has type |S4, allowed are whole numbers"),
    ],
)
def test_associations_without_events_are_refused(described, written, tmp_path, fields, message):
    with h5py.File(written / "p.h5") as source, h5py.File(tmp_path / "p.h5", "w") as file:
        file["packets"] = source["packets"][()]
        file["mc_packets_assn"] = np.zeros(len(source["packets"]), fields)
    with pytest.raises(InputError) as failure:
        read_packets(tmp_path / "p.h5", read_segments(written / "segments.h5"), described[1], described[0])
    assert message in str(failure.value) and "\n" not in str(failure.value)


def test_events_that_begin_early_keep_their_distances_and_are_read_again():
    """Hits 5 ticks and more before the first deposit, at 0: all spills are put off by as much."""
    detector = Detector.module0()
    channels = Channels.load(detector)
    t0 = np.array([0.0, 1.2e6, 2.4e6])
    start = np.tile([(0.0, -20.0 + k, 30.38) for k in range(4)], (3, 1))
    event = np.repeat([0, 1, 2], 4)
    segments = make_segments(start, start + (0.4, 0.0, 0.0), dE=2.0, dEdx=5.0, t0=t0[event], event_id=event)
    hits = simulated(detector, segments).hits
    assert (hits.t - t0[hits.event_id]).min() < -0.5
    packets = make_packets(hits, segments, channels, detector)
    time = unrolled(packets.table, PERIOD)
    trigger = np.unique(time[packets.table["packet_type"] == 7])
    data = packets.hit >= 0
    offset = 0.1 * time[data] - hits.t[packets.hit[data]]
    assert np.ptp(offset) < 0.11 and abs(offset.mean() - 1e5) < 1.0
    first = [time[data & (packets.event == k)].min() for k in range(3)]
    np.testing.assert_array_equal(first, trigger)
    same_hits(find_hits(packets.table, packets.event, segments, channels, detector, "p.h5")[0], hits)


def test_own_tables_of_the_input_are_kept_on_request(compiled, tmp_path):
    write_segments(tmp_path / "now.h5", tracks(2))
    with h5py.File(tmp_path / "now.h5") as source, h5py.File(tmp_path / "s.h5", "w") as file:
        now = source["segments"][()]
        names = [{"event_id": "eventID", "traj_id": "trackID"}.get(name, name) for name in now.dtype.names]
        old = now.astype(np.dtype([(name, now.dtype[k]) for k, name in enumerate(names)]))
        file["tracks"], file["mc_hdr"] = old, np.arange(3)
    for events, kept in (((), old), (("--events", "1"), old[old["eventID"] == 1])):
        succeeds("simulate", tmp_path / "s.h5", "-o", tmp_path / "h.h5", "--keep-input", "--overwrite", *events)
        with h5py.File(tmp_path / "h.h5") as file:
            assert sorted(file["input"]) == ["mc_hdr", "tracks"]
            assert file["input/tracks"].dtype == old.dtype
            assert file["input/tracks"][()].tobytes() == kept.tobytes()
            np.testing.assert_array_equal(file["segments"]["event_id"], kept["eventID"])
    succeeds("simulate", tmp_path / "s.h5", "-o", tmp_path / "h.h5", "--overwrite")
    with h5py.File(tmp_path / "h.h5") as file:
        assert "input" not in file


def test_packets_are_of_the_version_that_the_detector_says(described, written, tmp_path):
    """Its file's, unless --packet-version is another, which is refused; hits are the same."""
    detector, layout = described[2:]
    content = yaml.safe_load(Path(detector).read_text())
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(content | {"packet_type": 1}))
    command = ["simulate", written / "segments.h5", "-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    command += ["--detector", tmp_path / "d.yaml", "--layout", layout]
    line = refuses(tmp_path, *command, "--packet-version", "2")
    assert "packets: found version 2, allowed is 3, that of the chips of detector 'd'" in line
    for asked in ((), ("--packet-version", "3")):
        succeeds(*command, *asked, "--overwrite")
        with h5py.File(tmp_path / "p.h5") as file:
            assert file["_header"].attrs["version"] == "3.0"
    for column in ("pixel_id", "t", "adc"):
        np.testing.assert_array_equal(*(getattr(read_hits(at / "h.h5"), column) for at in (tmp_path, written)))
