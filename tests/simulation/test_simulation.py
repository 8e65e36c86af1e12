import h5py
import numba
import numpy as np
import pytest
from helpers import VELOCITY, make_segments, one_tpc, peak_of

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import read_segments
from lartpc.generator.generate import generate
from lartpc.parameters import Parameters
from lartpc.settings import Settings
from lartpc.simulation.simulation import Simulation


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Two events of muons, pions and protons in module0."""
    path = tmp_path_factory.mktemp("generated") / "segments.h5"
    with h5py.File(path, "w") as file:
        file["segments"] = generate("mixed", Detector.module0(), events=2, seed=5)
    return read_segments(path)


@pytest.fixture(scope="module")
def result(generated):
    return Simulation(noise=True, seed=1)(generated, waveforms=True)


def charge_at_anodes(detector, start, end, dE, dEdx, points=1_000_000):
    """Electrons [e] that reach the anodes, from points along the segment, each TPC's own counted if inside."""
    p = Parameters()
    u = (np.arange(points) + 0.5)[:, None] / points
    x, y, z = (np.array(start) + u * (np.array(end) - start)).T
    charge = np.zeros(len(detector.z_anode))
    for v in range(len(charge)):
        low, high = sorted((detector.z_anode[v], detector.z_cathode[v]))
        inside = (x >= detector.x_lo[v]) & (x < detector.x_hi[v]) & (y >= detector.y_lo[v]) & (y < detector.y_hi[v])
        inside &= (z >= low) & (z < high)
        survival = np.exp(-(np.abs(z - detector.z_anode[v]) - 0.5) / VELOCITY / p.lifetime)
        charge[v] = np.sum(survival * inside) / points
    return charge * p.MeVToElectrons * dE * p.Ab / (1 + p.kb * dEdx / (p.eField * p.lArDensity))


def charge_by_tpc(result, detector):
    """Integral of all waveforms [e] of each TPC."""
    w = result.waveforms
    tpc = np.repeat(np.searchsorted(detector.first_pixel, w.pixel_id, side="right") - 1, w.ticks)
    return np.bincount(tpc, w.current, len(detector.first_pixel)) * detector.tick


def assert_same_bits(a, b):
    for table, other in zip(a[:2], b[:2], strict=True):
        for name, column in vars(table).items():
            np.testing.assert_array_equal(column, getattr(other, name), err_msg=name)


# start, end [cm] in module0, whose y goes from -83.86 to 40.22 and x from -31.04 to 31.04; dEdx [MeV/cm]
INSIDE = {
    "through the cathode": ((3.0, 5.0, -1.0), (3.7, 4.0, 2.0), 2.0),
    "along the drift": ((3.0, 5.0, 4.0), (3.0, 5.0, 7.0), 2.0),
    "along the drift, between pixels": ((0.0, 5.0, -4.0), (0.0, 5.0, -7.0), 2.0),
    "zero length": ((3.0, 5.0, 4.0), (3.0, 5.0, 4.0), 2.0),
    "29 cm along the drift": ((3.0, 5.0, -30.2), (3.0, 5.0, -1.2), 2.0),
    "29 cm along the plane": ((-14.0, -50.0, 12.0), (15.0, -50.0, 12.0), 2.0),
    "dEdx of 1e6": ((3.0, 5.0, 4.0), (3.0, 5.5, 4.1), 1e6),
    "at the anode": ((3.0, 5.0, -30.43), (3.3, 5.1, -30.41), 2.0),
    "through the anode": ((3.0, 5.0, -31.0), (3.0, 5.1, -29.0), 2.0),
    "through everything": ((3.0, 5.0, -50.0), (7.0, 5.1, 50.0), 2.0),
}
CUT = {
    "through the side": ((30.5, 5.0, 10.0), (32.0, 5.5, 11.0), 2.0),
    "into the side": ((-32.0, 5.0, 10.0), (-30.0, 5.5, 11.0), 2.0),
    "over a corner": ((30.7, 39.5, 10.0), (31.3, 40.7, 10.0), 2.0),
    "through the top": ((3.0, 45.0, -10.0), (3.3, 35.0, -11.0), 2.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*INSIDE, *CUT])
@pytest.mark.parametrize("t0", [0.0, 1e9])
def test_a_segment_leaves_the_charge_that_lies_in_each_tpc(name, t0):
    start, end, dEdx = {**INSIDE, **CUT}[name]
    detector = Detector.module0()
    result = Simulation()(make_segments(start, end, dE=5.0, dEdx=dEdx, t0=t0), waveforms=True)
    expected = charge_at_anodes(detector, start, end, 5.0, dEdx)
    s = result.summary
    assert s.drifted == pytest.approx(expected.sum(), rel=1e-5)
    assert s.collected + s.cut == pytest.approx(s.drifted, rel=1e-6)
    if name in INSIDE:
        assert s.cut == pytest.approx(0.0, abs=1e-6 * s.drifted)
        np.testing.assert_allclose(charge_by_tpc(result, detector), expected, rtol=1e-5)
    else:
        assert 0 < s.cut < 0.1 * s.drifted


def test_segments_outside_leave_nothing():
    outside = [(0.0, 50.0, 3.0), (40.0, 0.0, 3.0), (0.0, 0.0, 0.0), (0.0, 0.0, 31.0)]  # the third in the cathode
    result = Simulation()(make_segments(outside, outside), waveforms=True)
    assert (result.summary.kept, result.summary.outside) == (0, 4)
    assert result.summary.drifted == result.summary.collected == 0
    assert len(result.hits) == len(result.waveforms) == 0


def test_times_of_1e9_microseconds_lose_nothing():
    segments = make_segments((3.0, 5.0, 4.0), (3.5, 5.5, 4.1), dE=5.0)
    late = make_segments((3.0, 5.0, 4.0), (3.5, 5.5, 4.1), dE=5.0, t0=1e9 + 0.1)
    now, then = Simulation()(segments).hits, Simulation()(late).hits
    assert len(now) > 1
    np.testing.assert_array_equal(then.pixel_id, now.pixel_id)
    np.testing.assert_allclose(then.t - 1e9 - 0.1, now.t, rtol=0, atol=2e-6)
    np.testing.assert_allclose(then.charge, now.charge, rtol=1e-5)


@pytest.mark.slow
def test_memory_grows_with_what_is_hit():
    """10,000 segments on one pixel, in one position, and seconds apart; the plane has 160,000 pixels."""
    simulation = Simulation(one_tpc(n=400))
    position = np.full((10_000, 3), (0.2, 0.2, 10.0)) + np.linspace(0, 0.02, 10_000)[:, None] * (1, 1, 0)
    expected = 1e4 * charge_at_anodes(simulation.detector, (0.2, 0.2, 10.0), (0.2, 0.2, 10.0), 0.1, 2.0, 1)[0]

    def both():
        for t0 in (0.0, 1e5 * np.arange(10_000)):
            result = simulation(make_segments(position, position + 1e-3, dE=0.1, t0=t0), waveforms=True)
            assert result.summary.collected == pytest.approx(expected, rel=1e-5)
            assert set(result.waveforms.pixel_id) == {200 + 400 * 200}

    assert peak_of(both)[1] < 200e6


@pytest.mark.slow
@pytest.mark.parametrize("noise", [False, True])
def test_nothing_in_nothing_out(generated, noise):
    result = Simulation(noise=noise)(generated.select(slice(0, 0)), waveforms=True)
    assert len(result.hits) == len(result.waveforms) == len(result.waveforms.current) == 0
    assert set(result.summary) == {0}


@pytest.mark.slow
def test_charge_is_conserved(result):
    s = result.summary
    assert s.kept > 1000 and s.hits == len(result.hits) > 1000
    assert s.collected + s.cut == pytest.approx(s.drifted, rel=1e-6)
    assert 0 < s.cut < 0.01 * s.drifted
    assert 0.9 * s.electrons < s.drifted < s.electrons
    assert np.sum(result.waveforms.current, dtype=float) * 0.1 == pytest.approx(s.collected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "events"), [("corsika-module0", 25), ("mixed-particles", 5)])
def test_charge_is_conserved_on_real_files(reference, name, events):
    data = reference / "data"
    segments = read_segments(data / f"{name}.edep.h5")
    segments = segments.select(np.isin(segments.event_id, segments.events[:events]))
    detector = Detector.load(data / "module0-2022.yaml", data / "multi_tile_layout-2.2.16.yaml")
    loaded = Simulation(detector)(segments, waveforms=True)
    s = loaded.summary
    assert s.collected + s.cut == pytest.approx(s.drifted, rel=1e-5)
    assert 0.99 * len(segments) < s.kept <= len(segments)
    built_in = Simulation()(segments)
    assert len(built_in.hits) == pytest.approx(len(loaded.hits), rel=1e-3)
    assert built_in.summary.collected == pytest.approx(s.collected, rel=1e-5)


def test_a_hit_lies_under_its_deposit():
    detector = Detector.module0()
    for tpc, z in ((0, -15.0), (1, 20.0)):
        ix, iy = 30 + tpc, 200
        x, y = detector.x_lo[tpc] + (ix + 0.5) * 0.4434, detector.y_lo[tpc] + (iy + 0.5) * 0.4434
        # 0.1 MeV is 2700 e
        result = Simulation(detector)(make_segments((x, y, z), (x, y, z), dE=1.0, t0=7.7))
        hits, s = result.hits, result.summary
        assert len(hits) == 1
        assert (hits.tpc[0], hits.ix[0], hits.iy[0]) == (tpc, ix, iy)
        assert hits.pixel_id[0] == detector.first_pixel[tpc] + ix + detector.n_x[tpc] * iy
        np.testing.assert_allclose((hits.x[0], hits.y[0], hits.z_anode[0]), (x, y, detector.z_anode[tpc]))
        arrival = 7.7 + (abs(z - detector.z_anode[tpc]) - 0.5) / VELOCITY
        assert 0 < hits.t[0] - arrival < 3.0  # the response peaks 2.9 us later
        assert hits.charge[0] == pytest.approx(s.collected, rel=1e-3)
        assert hits.adc[0] == np.floor((hits.charge[0] * 4e-3 + 580 - 288) * 256 / (1300 - 288) + 0.5)


def test_a_second_run_gives_the_same_bits(generated, result):
    assert_same_bits(Simulation(noise=True, seed=1)(generated, waveforms=True), result)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 1000, 10**9])
def test_batches_of_any_size_give_the_same_bits(generated, result, steps):
    simulation = Simulation(noise=True, seed=1, settings=Settings(steps_per_batch=steps))
    assert len(simulation.batches(generated)) == (1 if steps == 10**9 else 2)
    assert_same_bits(simulation(generated, waveforms=True), result)


@pytest.mark.slow
def test_any_order_of_events_gives_the_same_bits(generated, result):
    """Events swapped, and shuffled into each other, the order within each kept."""
    swapped = np.argsort(-generated.event_id, kind="stable")
    event = np.random.default_rng(0).permutation(generated.event_id)
    shuffled = np.zeros(len(event), dtype=int)
    for e in generated.events:
        shuffled[event == e] = np.flatnonzero(generated.event_id == e)
    simulation = Simulation(noise=True, seed=1)
    for order in (swapped, shuffled):
        assert_same_bits(simulation(generated.select(order), waveforms=True), result)


def test_an_event_alone_gives_the_same_bits(generated, result):
    event = generated.events[1]
    alone = Simulation(noise=True, seed=1)(generated.select(generated.event_id == event)).hits
    of_event = result.hits.event_id == event
    for name, column in vars(alone).items():
        np.testing.assert_array_equal(column, getattr(result.hits, name)[of_event], err_msg=name)


@pytest.mark.slow
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_any_number_of_threads_gives_the_same_bits(generated, result):
    threads = numba.get_num_threads()
    try:
        for n in (1, 2):
            numba.set_num_threads(n)
            assert_same_bits(Simulation(noise=True, seed=1)(generated, waveforms=True), result)
    finally:
        numba.set_num_threads(threads)


@pytest.mark.slow
def test_seeds_and_noise_change_the_hits(generated, result):
    other, silent = (Simulation(**keywords)(generated) for keywords in ({"noise": True, "seed": 0}, {}))
    assert np.mean(np.isin(other.hits.charge, result.hits.charge)) < 0.05
    assert np.mean(np.isin(other.hits.charge, silent.hits.charge)) < 0.05
    assert other.summary.collected == silent.summary.collected == result.summary.collected


@pytest.mark.slow
def test_thresholds_by_pixel(generated):
    plain = Simulation()(generated).hits
    pixel, count = np.unique(plain.pixel_id, return_counts=True)
    high, low = pixel[np.argmax(count)], pixel[count == 1][0]
    keys, values = np.array(sorted((high, low))), np.zeros(2)
    values[keys == high], values[keys == low] = 1e9, 2000.0
    hits = Simulation(thresholds=(keys, values, 7000.0))(generated).hits
    assert high not in hits.pixel_id
    assert hits.t[hits.pixel_id == low][0] < plain.t[plain.pixel_id == low][0]
    others = [~np.isin(h.pixel_id, keys) for h in (hits, plain)]
    np.testing.assert_array_equal(hits.charge[others[0]], plain.charge[others[1]])
    assert len(Simulation(thresholds=(keys, values, 1e8))(generated).hits) <= 10


def test_box_recombination():
    p, segments = Parameters(), make_segments((3.0, 5.0, 4.0), (3.0, 5.5, 4.1), dE=5.0, dEdx=4.0)
    xi = p.beta * 4.0 / (p.eField * p.lArDensity)
    expected = 5.0 * p.MeVToElectrons * np.log(p.alpha + xi) / xi
    assert Simulation(recombination="box")(segments).summary.electrons == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_single_precision_agrees_with_double(generated):
    single, double = (Simulation(dtype=dtype)(generated) for dtype in (np.float32, np.float64))
    assert single.summary.collected == pytest.approx(double.summary.collected, rel=1e-6)
    keys = [(r.hits.event_id * 10**6 + r.hits.pixel_id) * 10 + r.hits.hit for r in (single, double)]
    common, a, b = np.intersect1d(*keys, return_indices=True)
    assert len(common) > 0.998 * max(len(single.hits), len(double.hits))
    assert np.mean(np.abs(single.hits.t[a] - double.hits.t[b]) < 2e-3) > 0.998
    assert np.mean(np.abs(single.hits.charge[a] / double.hits.charge[b] - 1) < 1e-3) > 0.998
