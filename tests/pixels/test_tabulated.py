"""Currents of tabulated responses: against a direct sum, their charge, resolution, bits, and truth."""

import numba
import numpy as np
import pytest
from helpers import PITCH, VELOCITY, attributed, make_segments, one_tpc, sample, waveforms
from responses import TRACK, abrupt, small
from scipy.special import ndtr

from lartpc.gradients.trace import Trace
from lartpc.parameters import Parameters
from lartpc.pixels.response import Response
from lartpc.pixels.response_tables import make_response_tables
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


def slow_currents(segments, response, detector):
    """Current of every pixel of one TPC at ticks -400 to 1400, by brute force: {pixel: current}.

    Each deposit (of length zero) is cut into 4000 slices along each axis, which are shared linearly between sites.
    """
    p, table = Parameters(), response.response
    per_tick = round(detector.tick / response.time_tick)
    for axis in range(3):  # sharpened
        grown = np.zeros([n + (2 if axis == 2 else 1) for n in table.shape])
        grown[
            tuple(
                slice(1 if a == axis == 2 else 0, (1 if a == axis == 2 else 0) + n) for a, n in enumerate(table.shape)
            )
        ] = table
        last = grown.shape[axis] - 1
        index = np.arange(last + 1)
        left, right = grown.take(np.maximum(index - 1, 0), axis), grown.take(np.minimum(index + 1, last), axis)
        shape = [-1 if a == axis else 1 for a in range(3)]
        right = right * (index < last).reshape(shape)
        if axis == 2:
            left = left * (index > 0).reshape(shape)
        table = grown - (left - 2.0 * grown + right) / 12.0
    weights = np.ones(per_tick) if per_tick % 2 else np.r_[0.5, np.ones(per_tick - 1), 0.5]
    z = (np.arange(4000) + 0.5) / 4000 * 16.0 - 8.0
    mass = np.diff(ndtr(np.linspace(-8.0, 8.0, 4001)))
    bins = round(PITCH / response.bin_size)
    v = VELOCITY if response.vdrift is None else response.vdrift

    def shares(at):
        low = np.floor(at).astype(int)
        first = low.min()
        share = np.zeros(low.max() - first + 2)
        np.add.at(share, low - first, mass * (low + 1 - at))
        np.add.at(share, low - first + 1, mass * (at - low))
        return first, share

    def folded(sites):
        offset = sites - (bins + 1) // 2
        return np.where(offset >= 0, offset, -1 - offset)

    result = {}
    for s in range(len(segments)):
        x, y, d = (getattr(segments, f"{axis}_start")[s] for axis in "xyz")
        drift = (d - 0.5) / VELOCITY
        q = segments.dE[s] * p.Ab / (1 + p.kb * segments.dEdx[s] / (p.eField * p.lArDensity)) * p.MeVToElectrons
        q *= np.exp(-drift / p.lifetime)
        sigma = np.sqrt(2 * p.tran_diff * d / VELOCITY)
        sigma_t = np.sqrt(2 * p.long_diff * d / VELOCITY) / VELOCITY
        half = 0.5 * detector.n_x[0] * PITCH
        in_bins = [(at + half + sigma * z) / response.bin_size - (0.5 if bins % 2 == 0 else 0.0) for at in (x, y)]
        (x0, wx), (y0, wy) = (shares(at) for at in in_bins)
        begin = segments.t0[s] + drift - (response.drift_length - 0.5) / v
        t0, wt = shares((begin + sigma_t * z) / response.time_tick - 1.0)  # sharpening adds a sample in front
        for column in range(detector.n_x[0]):
            ix = folded(x0 + np.arange(len(wx)) - column * bins)
            for row in range(detector.n_y[0]):
                iy = folded(y0 + np.arange(len(wy)) - row * bins)
                a, b = ix < table.shape[0], iy < table.shape[1]
                if not (a.any() and b.any()):
                    continue
                mixed = np.einsum("i,j,ijt->t", wx[a], wy[b], table[np.ix_(ix[a], iy[b])])
                fine = np.convolve(np.convolve(wt, mixed), weights / per_tick)
                ticks = np.arange(-400, 1400)
                at = ticks * per_tick - t0 + per_tick // 2
                inside = (at >= 0) & (at < len(fine))
                current = result.setdefault(column + detector.n_x[0] * row, np.zeros(len(ticks)))
                current[inside] += q * fine[at[inside]]
    return result


@pytest.mark.parametrize(
    "response",
    [small(), small(time_tick=0.05), small(bins=5, reach=12), abrupt()],
    ids=["tick", "half", "odd", "abrupt"],
)
def test_against_a_direct_sum(response):
    segments = make_segments(
        *(((0.1, 0.05, 15.0), (-0.9, 0.6, 2.0), (2.1, 2.1, 6.0)),) * 2, dE=2.0, t0=(0.0, 3.21, 1.0)
    )
    detector = one_tpc()
    expected = slow_currents(segments, response, detector)
    found = waveforms(segments, detector, response=response, dtype=np.float64)
    ticks = np.arange(-400, 1400)
    peak = max(np.abs(current).max() for current in expected.values())
    for pixel in {*expected, *found.windows.pixel}:
        np.testing.assert_allclose(sample(found, pixel, ticks), expected.get(pixel, 0.0), atol=1e-5 * peak)


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_charge_is_conserved(dtype, rtol):
    """All pixels together integrate to the charge at the anode, though some see nothing but induction."""
    segments = make_segments(*TRACK, dE=8.0)
    simulation = Simulation(one_tpc(n=16), response=small(), dtype=dtype)
    found = simulation(segments, waveforms=True)
    assert abs(found.summary.cut) < 1e-6 * found.summary.drifted
    assert found.summary.collected == pytest.approx(found.summary.drifted, rel=rtol)
    parametric = Simulation(one_tpc(n=16), dtype=dtype)(segments, waveforms=True)
    assert len(found.waveforms) > 2 * len(parametric.waveforms)


def test_far_neighbours_integrate_to_zero():
    """A deposit over the middle of a pixel, close to the anode: one pixel collects all, others see induction."""
    segments = make_segments((0.22, 0.22, 1.0), (0.22, 0.22, 1.0), dE=2.0)
    found = waveforms(segments, one_tpc(), response=small(), dtype=np.float64)
    current, first = found.current, found.windows.first[:-1]
    charge = np.add.reduceat(current, first) * 0.1
    total = found.steps.charge.sum()
    own = found.windows.pixel == 55
    assert charge[own] == pytest.approx(total, rel=1e-9)
    np.testing.assert_allclose(charge[~own], 0.0, atol=1e-9 * total)
    induced = np.add.reduceat(np.abs(current), first) * 0.1
    beside = np.isin(found.windows.pixel, (44, 45, 46, 54, 56, 64, 65, 66))
    assert len(charge) >= 25
    assert (induced[beside] > 0.02 * total).all()
    assert (induced[~own & ~beside] < 0.05 * total).all()


def test_planes_end_where_they_end():
    """Pixels beyond the edge of the plane do not exist; charge that falls there is lost."""
    simulation = Simulation(one_tpc(n=4), response=small(bins=20, reach=20), dtype=np.float64)
    found = simulation(make_segments((0.87, 0.1, 10.0), (0.87, 0.1, 10.0), dE=2.0), waveforms=True)
    assert set(found.waveforms.pixel_id) <= set(range(16))
    assert found.summary.cut > 0.1 * found.summary.drifted
    assert found.summary.collected == pytest.approx(found.summary.drifted - found.summary.cut, rel=0.02)


def test_parametric_response_as_a_table():
    """Hits agree within the resolution of the table, which falls with its bins: a pitch/10, /20, /40.

    By root mean squares.
    """
    detector = one_tpc()
    segments = make_segments(*zip(TRACK, ((0.2, -0.3, 3.0), (0.9, 0.4, 3.5)), strict=True), dE=8.0, event_id=[0, 1])
    exact = Simulation(detector, dtype=np.float64)(segments).hits
    times, charges = [], []
    for bins in (10, 20, 40):
        response = Response.from_parametric(detector, bins=bins)
        np.testing.assert_allclose(response.charge, 1.0, atol=1e-6)
        hits = Simulation(detector, dtype=np.float64, response=response)(segments).hits
        np.testing.assert_array_equal(hits.pixel_id, exact.pixel_id)
        np.testing.assert_array_equal(hits.hit, exact.hit)
        times.append(np.sqrt(np.mean((hits.t - exact.t) ** 2)))
        charges.append(np.sqrt(np.mean((hits.charge - exact.charge) ** 2)))
    assert times == pytest.approx([0.0094, 0.0021, 0.0009], rel=0.1)
    assert charges == pytest.approx([203.0, 49.0, 22.0], rel=0.1)
    assert times[1] < 0.4 * times[0] and charges[1] < 0.4 * charges[0]
    assert times[2] < 0.5 * times[1] and charges[2] < 0.7 * charges[1]


def test_finer_samples_and_neighbours_beyond_reach():
    """A table of twice the samples or more neighbours changes nothing but by its own resolution."""
    segments = make_segments(*TRACK, dE=8.0)
    coarse, fine, far = (
        Simulation(one_tpc(), response=small(**more), dtype=np.float64)(segments).hits
        for more in ({}, {"time_tick": 0.05}, {"reach": 14})
    )
    np.testing.assert_array_equal(fine.pixel_id, coarse.pixel_id)
    np.testing.assert_allclose(fine.t, coarse.t, atol=5e-3)
    np.testing.assert_array_equal(far.pixel_id, coarse.pixel_id)
    np.testing.assert_allclose(far.t, coarse.t, atol=1e-3)


def test_the_sum_of_products_is_the_table():
    for response in (small(), abrupt()):
        tables = make_response_tables([response], one_tpc(), np.float64, np)
        made = tables.space[0] @ tables.waveform[0].sum(axis=0).reshape(-1, tables.per_tick)
        charge = made.sum(axis=2) * 0.1 / tables.per_tick
        assert charge[:2, :2].sum() == pytest.approx(response.charge[:2, :2].sum(), rel=0.2)
        assert charge.sum() == pytest.approx(response.charge.sum(), rel=1e-9)
        assert tables.space.shape[3] < response.response.shape[2] / 3


# --- bits


def test_single_precision_agrees_with_double():
    segments = make_segments(*TRACK, dE=8.0)
    single, double = (Simulation(one_tpc(), response=small(), dtype=t)(segments).hits for t in (np.float32, np.float64))
    np.testing.assert_array_equal(single.pixel_id, double.pixel_id)
    np.testing.assert_allclose(single.t, double.t, atol=1e-4)
    np.testing.assert_allclose(single.charge, double.charge, atol=1.0)


@pytest.mark.slow
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_any_number_of_threads_gives_the_same_bits():
    simulation = Simulation(one_tpc(), response=small())
    batch = simulation.batch(make_segments(*TRACK, dE=8.0))
    found = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        trace = Trace(simulation, batch)
        found.append((trace.waveforms.current, trace.backward(current=trace.waveforms.current)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1].parameters == found[1][1].parameters


def test_events_do_not_see_each_other():
    """Every event alone, in any order and batch: the same bits."""
    start, end = zip(TRACK, ((0.2, -0.3, 3.0), (0.9, 0.4, 3.5)), strict=True)
    segments = make_segments((start[0], end[0]), (start[1], end[1]), dE=8.0, event_id=[0, 1])
    simulation = Simulation(one_tpc(), response=small())
    together = simulation(segments).hits
    alone = [simulation(segments.select(np.array([e]))).hits for e in (0, 1)]
    assert len(alone[0]) and len(alone[1])
    for name, column in vars(together).items():
        np.testing.assert_array_equal(column, np.concatenate([getattr(hits, name) for hits in alone]))


def test_nothing_in_the_detector():
    found = Simulation(one_tpc(), response=small())(make_segments((0, 0, 60.0), (0, 0, 61.0)), waveforms=True)
    assert len(found.hits) == len(found.waveforms) == 0


# --- truth


@pytest.mark.parametrize("front_end", [{}, {"buffer_risetime": 0.3, "adc_busy_delay": 9, "reset_cycles": 2}])
def test_every_segment_contributes_its_own_current(front_end):
    """The contributions to a hit sum to its charge; segments over other pixels contribute, some of them below 0."""
    detector = one_tpc(**front_end)
    start = np.array([(0.1, 0.05, 10.0), (0.4, 0.02, 10.0), (0.62, 0.3, 10.1)])
    segments = make_segments(start, start + (0.3, 0.0, 0.05), dE=3.0)
    simulation = Simulation(detector, response=small(), dtype=np.float64)
    found, reads, at, shares = attributed(simulation, segments)
    charge = np.bincount(shares.hit, shares.charge, len(at[0]))
    np.testing.assert_allclose(charge, reads.charge[at], rtol=1e-9)
    assert shares.charge.min() < -1.0
    # the first hit's charge is linear in the energy of each segment, while its time is held
    attribution = simulation(segments, attribution=True).attribution
    np.testing.assert_allclose(attribution.fraction.sum(axis=1), 1.0, rtol=1e-9)
    alone = simulation.waveforms(simulation.batch(segments.select(np.array([0]))), simulation.vector())
    pixel, read = at[0][0], at[1][0]
    assert read == 0
    end = found.windows.tick[reads.window[pixel, 0]] + reads.tick[pixel, 0] + detector.hold_ticks
    alone = alone._replace(current=alone.buffered)
    current = sample(alone, found.windows.pixel[pixel], np.arange(-400, end + 1))
    by_hand = 0.1 * (current[:-1].sum() + reads.fraction[pixel, 0] * current[-1])
    mine = shares.charge[(shares.hit == 0) & (shares.segment == 0)]
    assert mine == pytest.approx(by_hand, rel=1e-9)
