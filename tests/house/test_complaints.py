"""What users of larnd-sim complain about, with the numbers of its issues: none of it happens here."""

import re
import sys
from pathlib import Path

import layouts
import numpy as np
import pytest
from helpers import PITCH, VELOCITY, make_segments, one_tpc, peak_of

import lartpc
from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.formats.hits_of_packets import unrolled
from lartpc.formats.packets_of_hits import make_packets
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation


def freed(dE, dEdx=2.0):
    """Electrons [e] that escape recombination (Birks)."""
    p = Parameters()
    return dE * p.MeVToElectrons * p.Ab / (1 + p.kb * dEdx / (p.eField * p.lArDensity))


def survival(z, lifetime=2200.0):
    """Share of the electrons that reach the height of 0.5 cm from z [cm] above the anode at 0."""
    return np.exp(-(z - 0.5) / VELOCITY / lifetime)


def same_hits(a, b):
    for name, column in vars(a).items():
        np.testing.assert_array_equal(column, getattr(b, name), name)


@pytest.mark.slow
def test_late_segments_need_no_memory():
    """Memory of TBs where a decay comes late in a spill (#290, #281, #255, #302)."""
    simulation = Simulation(one_tpc())
    start, end = ([(-1.0, -1.5, 10.0), (-1.0, 1.5, 10.0)], [(1.0, -1.5, 12.0), (1.0, 1.5, 12.0)])
    at_once = simulation(make_segments(start, end, dE=5.0)).hits
    segments = make_segments(start, end, dE=5.0, t0=[0.0, 1e9])
    result, peak = peak_of(lambda: simulation(segments, waveforms=True, attribution=True))
    assert peak < 20e6  # a float32 for each tick between would be 40 GB a pixel
    late = at_once.y > 0
    assert 0 < late.sum() < len(late) == len(result.hits)
    np.testing.assert_allclose(result.hits.t - 1e9 * late, at_once.t, atol=1e-3)
    np.testing.assert_allclose(result.hits.charge, at_once.charge, rtol=1e-3)


def test_batches_do_not_change_the_physics():
    """Batching that changes the physics (#231)."""
    segments = layouts.tracks(4)
    results = []
    for most in (1, 10**9):
        settings = Simulation().settings._replace(steps_per_batch=most)
        simulation = Simulation(noise=True, settings=settings)
        results.append((simulation(segments).hits, len(simulation.batches(segments))))
    (one_by_one, n), (together, m) = results
    assert (n, m) == (4, 1) and len(together) > 50
    same_hits(one_by_one, together)


@pytest.mark.parametrize("length", [1e-9, 0.3, 29.0])
def test_segments_along_the_drift_leave_their_charge(length):
    """Nothing for segments along the drift (#248)."""
    result = Simulation(one_tpc())(make_segments((0.1, 0.1, 1.0), (0.1, 0.1, 1.0 + length), dE=5.0))
    z = 1.0 + length * (np.arange(1000) + 0.5) / 1000
    assert result.summary.collected == pytest.approx(freed(5.0) * survival(z).mean(), rel=1e-4)
    assert len(result.hits) > 0


def test_segments_outside_and_at_edges_touch_nothing_else():
    """Illegal memory access by segments that lie or end outside, or at an edge (#271, #193)."""
    edge = 5 * PITCH
    on_the_edge = [(x, y, z) for x in (-edge, 0.0, edge) for y in (-edge, 0.0, edge) for z in (0.0, 15.0, 31.0)]
    outside = [(x, y, z) for x in (-1e4, 0.0, 1e4) for y in (-50.0, 1e6) for z in (-1e5, 5.0, 1e5)]
    start = on_the_edge + outside + on_the_edge
    end = on_the_edge + outside + [(2 * x, 2 * y, 3 * z - 20.0) for x, y, z in on_the_edge]
    inside = make_segments((0.3, 0.2, 9.0), (0.8, 0.7, 9.5), dE=3.0, event_id=0)
    simulation = Simulation(one_tpc())
    alone = simulation(inside).hits
    both = make_segments(
        [*start, (0.3, 0.2, 9.0)], [*end, (0.8, 0.7, 9.5)], dE=3.0, event_id=np.append(np.ones(len(start)), 0)
    )
    result = simulation(both, waveforms=True, attribution=True)
    for name, column in vars(alone).items():
        np.testing.assert_array_equal(getattr(result.hits, name)[: len(alone)], column, name)
    assert (0 <= result.waveforms.pixel_id).all() and (result.waveforms.pixel_id < 100).all()
    assert np.isfinite(result.waveforms.current).all() and np.isfinite(result.hits.charge).all()
    s = result.summary
    assert s.collected + s.cut == pytest.approx(s.drifted, rel=1e-5)
    far = simulation(make_segments(outside, outside, dE=3.0)).summary
    assert (far.kept, far.drifted, far.hits) == (0, 0.0, 0)


def test_the_lifetime_acts_on_every_point():
    """The lifetime acts at the midpoint of a segment (#228)."""
    detector = one_tpc()
    simulation = Simulation(detector, detector.parameters.replace(lifetime=60.0))
    result = simulation(make_segments((0.1, 0.1, 1.0), (0.1, 0.1, 29.0), dE=5.0))
    z = 1.0 + 28.0 * (np.arange(10_000) + 0.5) / 10_000
    expected = freed(5.0) * survival(z, 60.0).mean()
    assert result.summary.collected == pytest.approx(expected, rel=1e-4)
    assert expected > 1.3 * freed(5.0) * survival(15.0, 60.0)


@pytest.mark.parametrize("z", [0.1, 2.0, 30.0])
@pytest.mark.parametrize("long_diff", [2e-6, 9e-5])
def test_time_windows_hold_all_current(z, long_diff):
    """Inconsistent time windows: what begins before or ends after is lost (#219, #280)."""
    detector = one_tpc()
    simulation = Simulation(detector, detector.parameters.replace(long_diff=long_diff))
    at = [(0.1, 0.1, z), (0.1, 0.1, z + 0.4)]
    one, other = (make_segments(p, p, dE=2.0, t0=t0) for p, t0 in zip(at, (0.04, 3.33), strict=True))
    both = make_segments(at, at, dE=2.0, t0=[0.04, 3.33])
    currents = []
    for segments in (one, other, both):
        result = simulation(segments, waveforms=True)
        w = result.waveforms
        assert w.current.sum(dtype=float) * 0.1 == pytest.approx(result.summary.drifted, rel=1e-5)
        current = np.zeros((100, 4000))
        for k in range(len(w)):
            samples = w.current[w.offset[k] : w.offset[k] + w.ticks[k]]
            current[w.pixel_id[k], w.start_tick[k] + 500 : w.start_tick[k] + 500 + w.ticks[k]] += samples
        currents.append(current)
    # at the anode the current rises within one tick, and each window is scaled by its own rounding
    rtol = 1e-4 if z > 1.0 else 0.02
    np.testing.assert_allclose(currents[0] + currents[1], currents[2], rtol=0, atol=rtol * currents[2].max())


def test_every_hit_keeps_its_truth():
    """Truth of hits dropped (#216)."""
    segments = layouts.tracks(3)
    result = Simulation()(segments, attribution=True)
    attribution = result.attribution
    assert len(attribution.segment) == len(result.hits) > 50
    used = attribution.segment >= 0
    assert used[:, 0].all() and used.sum(axis=1).max() < 20
    np.testing.assert_allclose(attribution.fraction.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(attribution.fraction_traj.sum(axis=1), 1.0, atol=1e-9)
    event = np.broadcast_to(result.hits.event_id[:, None], used.shape)
    np.testing.assert_array_equal(segments.event_id[attribution.segment[used]], event[used])
    assert set(attribution.segment[used]) == set(range(len(segments)))  # none is forgotten


def test_more_than_fifty_segments_count_on_a_pixel():
    """At most 50 segments on a pixel, the others are dropped (#136, #137, #289)."""
    at = np.column_stack((np.full((300, 2), 0.1), np.linspace(5.0, 5.2, 300)))
    segments = make_segments(at, at, dE=np.linspace(0.01, 0.02, 300))
    segments.traj_id = np.arange(300)
    result = Simulation(one_tpc())(segments, attribution=True)
    assert len(set(result.hits.pixel_id)) == 1
    expected = np.sum(freed(segments.dE) * survival(at[:, 2]))
    assert result.summary.collected == pytest.approx(expected, rel=1e-4)
    # the 20 largest of some 300 are stored, with their fraction of all
    assert (result.attribution.segment >= 0).all() and (result.attribution.fraction.sum(axis=1) < 0.4).all()


def test_no_packet_comes_before_its_trigger(tmp_path):
    """Hits before the trigger (#286), from the lowest height that the response holds for, 0.5 cm, on."""
    detector, channels = layouts.load(tmp_path, layouts.NOW)
    height = np.linspace(0.5, 20.0, 40)
    start = np.column_stack((np.full((40, 2), 3.0), detector.z_anode[0] + height))
    segments = make_segments(start, start, dE=2.0, t0=0.37 + 1e4 * np.arange(40), event_id=np.arange(40))
    packets = make_packets(Simulation(detector)(segments).hits, segments, channels, detector)
    table, time = packets.table, unrolled(packets.table, 10_000_000)
    trigger, data = table["packet_type"] == 7, table["packet_type"] == 0
    triggered = np.full(40, -1)
    triggered[packets.event[trigger]] = time[trigger]
    after = time[data] - triggered[packets.event[data]]
    assert set(packets.event[data]) == set(range(40))
    assert (after >= 0).all() and (table["receipt_timestamp"] >= table["timestamp"])[data].all()
    drift = (height - 0.5) / VELOCITY
    assert (np.abs(0.1 * after - drift[packets.event[data]]) < 5.0).all()  # [us] from the response's height on
    # nor in the file
    place = np.arange(len(table))
    assert all(place[data & (packets.event == e)].min() > place[trigger & (packets.event == e)].max() for e in (0, 39))


@pytest.mark.slow
@pytest.mark.parametrize("generation", [layouts.NOW, layouts.OLD])
def test_configurations_start(tmp_path, generation):
    """Configurations that do not start (#254, #159)."""
    detector, channels = layouts.load(tmp_path, generation)
    segments = layouts.tracks(1)
    assert len(make_packets(Simulation(detector)(segments).hits, segments, channels, detector).table) > 10
    assert len(Simulation(Detector.module0())(segments).hits) > 10


@pytest.mark.slow
@pytest.mark.parametrize(("name", "version"), [("module0", "2.4.16"), ("2x2", "2.4.16"), ("module0-2022", "2.2.16")])
def test_real_configurations_start(reference, name, version):
    """Configurations that do not start (#254, #159): those of larnd-sim."""
    files = reference / f"data/{name}.yaml", reference / f"data/multi_tile_layout-{version}.yaml"
    detector = Detector.load(*files)
    middle = np.stack([0.5 * (a + b) for a, b in ((detector.x_lo, detector.x_hi), (detector.y_lo, detector.y_hi))])
    start = np.column_stack((*middle, 0.5 * (detector.z_anode + detector.z_cathode)))
    hits = Simulation(detector)(make_segments(start, start + 0.5, dE=3.0)).hits
    assert set(hits.tpc) == set(range(len(start)))
    assert len(Channels.load(detector, *files).of_pixels(detector, hits.pixel_id)) == len(hits)


def near_detector():
    """70 TPCs, five by seven modules of two, of 256 x 800 pixels: 14.3 million."""
    tpc = np.arange(70)
    module, side = tpc // 2, 1 - 2 * (tpc % 2)
    middle_x, middle_z = 100.0 * (module % 7 - 3), 110.0 * (module // 7 - 2)
    half = 0.5 * 0.38 * np.array([256, 800])
    return Detector(
        name="near detector",
        parameters=Parameters(),
        x_lo=middle_x - half[0],
        x_hi=middle_x + half[0],
        y_lo=np.full(70, -half[1]),
        y_hi=np.full(70, half[1]),
        z_anode=middle_z + 50.7 * side,
        z_cathode=middle_z + 0.3 * side,
        pitch=np.full(70, 0.38),
        n_x=np.full(70, 256),
        n_y=np.full(70, 800),
        first_pixel=256 * 800 * tpc,
        module=module,
    )


@pytest.mark.slow
def test_the_near_detector_fits():
    """ND-LAr, with 14.3 million pixels, does not fit into memory (#240)."""
    detector = near_detector()
    middle = np.column_stack((0.5 * (detector.x_lo + detector.x_hi), np.zeros(70), detector.z_anode))
    start = middle + np.outer(np.sign(detector.z_cathode - detector.z_anode), (0.0, 0.0, 20.0))
    simulation = Simulation(detector, noise=True)
    segments = make_segments(start, start + (3.0, 3.0, 1.0), dE=9.0)
    result, peak = peak_of(lambda: simulation(segments, waveforms=True, attribution=True))
    assert set(result.hits.tpc) == set(range(70)) and result.hits.pixel_id.max() > 14_000_000
    assert peak < 100e6


def test_a_processor_is_enough(monkeypatch):
    """No way to run without a GPU (#165)."""
    for name in ("cupy", "numba_cuda", "numba.cuda"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    assert len(Simulation(one_tpc(), device="cpu")(make_segments((0, 0, 5.0), (0.5, 0, 5.0), dE=2.0)).hits) > 0


def test_every_kernel_is_tested():
    """No unit tests (#327)."""
    here = Path(__file__)
    others = "".join(path.read_text() for path in here.parents[1].rglob("*.py") if path != here)
    for path in (Path(lartpc.__file__).parent / "kernels").rglob("[a-z]*.py"):
        assert re.search(rf"\b{path.stem}\b", others), path.stem


def test_seeds_are_honoured():
    """Seeds not honoured: 0 means unset (#253)."""
    segments = layouts.tracks(1)
    zero, again, one = (Simulation(noise=True, seed=seed)(segments).hits for seed in (0, 0, 1))
    same_hits(zero, again)
    assert not np.isin(one.charge, zero.charge).any()


def test_detectors_do_not_share_constants():
    """Some 20 columns of constants as globals of modules, which must be reloaded to change one."""
    segments = make_segments((-1.0, -1.0, 10.0), (1.0, 1.0, 12.0), dE=5.0)
    other = one_tpc(12, threshold=5000.0, tick=0.2, gain=2e-3, parameters=Parameters(eField=0.3, lifetime=500.0))
    one, two = Simulation(one_tpc()), Simulation(other, recombination="box")
    alone = one(segments).hits
    different = two(segments).hits
    same_hits(one(segments).hits, alone)  # unchanged by the other, both alive
    same_hits(Simulation(other, recombination="box")(segments).hits, different)
    assert different.t.min() > alone.t.min() + 5.0  # slower
    assert not np.isin(different.charge, alone.charge).any()
