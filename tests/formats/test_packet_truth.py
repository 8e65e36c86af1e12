"""The truth of packets: which segments made the charge of each."""

import dataclasses

import h5py
import numpy as np
import pytest
from commands import succeeds
from helpers import attributed, make_segments, one_tpc
from layouts import tracks
from packet_files import options, simulated

from lartpc.files.hdf5 import new_hdf5
from lartpc.formats.edepsim import file_table, read_segments, write_segments
from lartpc.formats.eventfile import EventFile
from lartpc.formats.packetfile import PacketWriter
from lartpc.formats.present import SCRATCH
from lartpc.simulation.simulation import Simulation


@pytest.mark.slow
@pytest.mark.parametrize("front_end", [{}, {"buffer_risetime": 0.3, "adc_busy_delay": 9, "reset_cycles": 2}])
def test_every_segment_contributes_its_own_current(described, front_end):
    """The waveform of each segment alone, integrated between the resets and reads of all together."""
    detector = dataclasses.replace(described[0], **front_end)
    segments = tracks(1)
    simulation = Simulation(detector, noise=False, dtype=np.float64)
    waveforms, reads, at, found = attributed(simulation, segments)
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


def test_truth_of_noisy_hits(written):
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
    result = simulated(one_tpc(9), make_segments((0.0, 0.0, 5.0), (0.0, 0.0, 5.3)))
    assert len(result.hits) == 1
    assert result.attribution.segment[0].tolist() == [0] + [-1] * 19
    assert result.attribution.fraction[0].tolist() == [1.0] + [0.0] * 19
    assert result.attribution.fraction_traj[0, 0] == 1.0


def test_more_than_fifty_segments_on_a_pixel_all_count():
    n = 80
    at = np.column_stack((np.zeros(n), np.zeros(n), np.full(n, 5.0)))
    dE = np.linspace(0.01, 0.02, n)
    segments = make_segments(at, at, dE=dE)
    segments.traj_id = np.arange(n) % 2
    result = simulated(one_tpc(9), segments, dtype=np.float64)
    assert len(result.hits) > 0
    fraction = dE / dE.sum()  # all are at one position: the same waveform but for its size
    largest = np.argsort(-fraction)[:20]
    for h in range(len(result.hits)):
        np.testing.assert_array_equal(result.attribution.segment[h], largest)
        np.testing.assert_allclose(result.attribution.fraction[h], fraction[largest], rtol=1e-6)
        assert result.attribution.fraction[h].sum() < 0.35
        # trajectories are of all segments, not of those that are stored
        expected = [fraction[1::2].sum(), fraction[::2].sum()]
        np.testing.assert_allclose(result.attribution.fraction_traj[h, :2], expected, rtol=1e-6)
        assert result.attribution.trajectory[h, :3].tolist() == [1, 0, -1]


@pytest.mark.slow
def test_truth_does_not_depend_on_batches_or_the_order_of_events(described):
    detector = described[0]
    segments = tracks(3)
    one = simulated(detector, segments)
    small = Simulation(detector).settings._replace(steps_per_batch=1)
    other = simulated(detector, segments, settings=small)
    for a, b in zip(one.attribution, other.attribution, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    back = np.argsort(-segments.event_id, kind="stable")
    turned = simulated(detector, segments.select(back), settings=small)
    np.testing.assert_array_equal(np.append(back, -1)[turned.attribution.segment], one.attribution.segment)
    np.testing.assert_allclose(turned.attribution.electrons, one.attribution.electrons[back], rtol=1e-6)


def test_scratch_columns_are_filled(described, tmp_path):
    detector, channels, *_ = described
    start = [(0.0, 1.0, -20.0), (0.0, 1.0, 10.0), (0.0, 500.0, 10.0)]
    end = [(0.5, 1.0, -20.4), (0.5, 1.0, 10.4), (0.5, 500.0, 10.0)]
    made = make_segments(start, end, dE=1.0, dEdx=2.0, t0=3.0)
    write_segments(tmp_path / "s.h5", made)
    segments = read_segments(tmp_path / "s.h5")
    result = simulated(detector, segments)
    with new_hdf5(tmp_path / "p.h5") as file:
        writer = PacketWriter(file, EventFile(tmp_path / "s.h5"), channels, detector, detector.parameters)
        writer.append(result.hits, result.attribution, segments, np.arange(3))
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


def test_columns_that_old_files_lack_are_added_and_truth_is_copied(described, tmp_path):
    names = ["z_start", "y_start", "x_start", "z_end", "y_end", "x_end", "dE", "dEdx", "t"]
    raw = np.zeros(2, dtype=[("eventID", "u4"), ("trackID", "u4"), *((name, "f4") for name in names)])
    raw["x_start"], raw["x_end"], raw["z_end"] = 10.0, 10.2, 0.1
    raw["dE"], raw["dEdx"], raw["t"], raw["trackID"] = 2.0, 2.0, 4.5, [30, 31]
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["segments"], file["mc_hdr"] = raw, np.arange(3)
        file["trajectories"] = np.zeros(4, dtype=[("eventID", "u4"), ("trackID", "i4")])
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    succeeds("simulate", tmp_path / "in.h5", *outputs, *options(described))
    with h5py.File(tmp_path / "p.h5") as file:
        table, found = file["segments"][()], file["mc_packets_assn"][()]
        assert (len(file["mc_hdr"]), len(file["trajectories"]), len(file["vertices"])) == (3, 4, 1)
        assert "mc_stack" not in file
        data = file["packets"]["packet_type"] == 0
    assert table.dtype.names[: len(raw.dtype.names)] == ("event_id", "file_traj_id", *names)
    assert table["segment_id"].tolist() == [0, 1]
    np.testing.assert_array_equal(table["t0"], 4.5)
    assert (table["t"] > 100.0).all()
    assert set(found["file_traj_ids"][data].ravel()) == {-1, 30, 31}
    assert set(found["segment_ids"][data].ravel()) == {-1, 0, 1}


@pytest.mark.parametrize("kind", ["f2", "i1", "u1", "S3", ("f4", (2,)), "f8", "i8", "i4"])
def test_scratch_columns_of_any_type_have_room_for_what_is_filled_in(described, tmp_path, kind):
    """Numbers as wide as the present ones keep their type, all others have the present one."""
    written = file_table(tracks(1, dE=1e6))
    names = written.dtype.names
    kinds = [(name, kind if name in SCRATCH else written.dtype[name]) for name in names]
    odd = np.zeros(len(written), dtype=kinds)
    for name in names:
        if name not in SCRATCH:
            odd[name] = written[name]
    tables = []
    for name, table in (("now", written), ("odd", odd)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["segments"] = table
        paths = ["-o", tmp_path / f"{name}-h.h5", "--packets", tmp_path / f"{name}-p.h5", *options(described)]
        succeeds("simulate", tmp_path / f"{name}.h5", *paths)
        with h5py.File(tmp_path / f"{name}-p.h5") as file:
            tables.append(file["segments"][()])
    now, found = tables
    for name in SCRATCH:
        kept = kind in ("f8", "i8", "i4") and np.dtype(kind).itemsize >= now.dtype[name].itemsize
        assert found.dtype[name] == (kind if kept else now.dtype[name])
        if np.issubdtype(found.dtype[name], np.floating) or now[name].dtype.kind in "iu":
            np.testing.assert_allclose(found[name], np.minimum(now[name], 2**31 - 1 if kind == "i4" else np.inf), 1e-6)
