"""Tabulated responses: electrostatics, the currents that follow, their gradients, and files."""

import dataclasses

import numba
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import PITCH, VELOCITY, make_segments, one_plane, sample, waveforms
from scipy.special import ndtr

from lartpc.autodiff.kernelcheck import relative
from lartpc.cli.main import main
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.files.hdf5 import new_hdf5
from lartpc.fit.calibrate import calibrate
from lartpc.fit.unknowns import unknowns_of
from lartpc.formats.edepsim import file_table
from lartpc.formats.hitfile import read_attrs, read_hits
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime import slots
from lartpc.losses.objective import Objective
from lartpc.losses.target import Target
from lartpc.parameters import Parameters
from lartpc.pixels.electrostatics import weighting_potential
from lartpc.pixels.response import Response
from lartpc.pixels.response_tables import make_response_tables
from lartpc.simulation.attribution import Recorder, contributions
from lartpc.simulation.collect import valid
from lartpc.simulation.simulation import Simulation

FITTED = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
TRACK = ((0.1, 0.05, 15.0), (1.4, -0.6, 18.0))

pytestmark = pytest.mark.usefixtures("one_thread")


def small(**values):
    """Two neighbours and a half on each side, four bins a pitch."""
    return Response.electrostatic(one_plane(), **{"bins": 4, "reach": 10, "height": 1.5, **values})


def abrupt():
    """A table that starts and ends at values of a third of its peak, two samples a clock cycle; of charge 1 and 0."""
    t, (i, j) = np.arange(40), np.indices((6, 6))
    own = ((i < 2) & (j < 2))[..., None]
    near = np.exp(-0.1 * (i + j))[..., None]
    table = np.where(own, 1.0, 0.0) / 2.0 + near * np.cos(2.0 * np.pi * (t + 0.5) / 40) * 0.4
    return Response(table, 0.05, 0.3, PITCH / 4)


# --- electrostatics


def fourier_potential(x, y, z, pitch, height):
    """The solution of Laplace's equation between two planes as a Fourier integral, by the midpoint rule."""
    k = (np.arange(1500) + 0.5) * 0.04
    pad_x, pad_y = (2.0 * np.sin(0.5 * k * pitch) / k * np.cos(k * at) for at in (x, y))
    kk = np.hypot(k[:, None], k)
    down = np.exp(-kk * z) * (1.0 - np.exp(-2.0 * kk * (height - z))) / (1.0 - np.exp(-2.0 * kk * height))
    return 4.0 * 0.04**2 / (2.0 * np.pi) ** 2 * np.einsum("i,j,ij", pad_x, pad_y, down)


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.3), (0.2, 0.1, 0.25), (0.5, 0.3, 0.4), (1.3, -0.9, 0.8)])
def test_weighting_potential_solves_laplace(place):
    found = weighting_potential(*place, PITCH, 2.0)
    assert found == pytest.approx(fourier_potential(*place, PITCH, 2.0), abs=2e-6)


def test_weighting_potential_on_the_planes():
    x = np.array([0.0, 0.2, 0.23, 0.9])
    np.testing.assert_allclose(weighting_potential(x, 0.1, 0.0, PITCH, 3.0), [1.0, 1.0, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(weighting_potential(x, 0.1, 3.0, PITCH, 3.0), 0.0, atol=1e-15)


def test_weighting_potentials_of_all_pads_sum_to_that_of_a_plane():
    """1 - z/height: a charge induces on all pads together what it does on one electrode."""
    n = PITCH * np.arange(-25, 26)
    for z in (0.1, 0.7, 1.5):
        total = weighting_potential(n[:, None] + 0.17, n + 0.05, z, PITCH, 2.0).sum()
        assert total == pytest.approx(1.0 - z / 2.0, abs=1e-4)


def test_ramo():
    """Charge collected: 1 on the pad, 0 on neighbours, whatever they saw before; as much induced up as down."""
    detector = one_plane()
    response = Response.electrostatic(detector)
    assert response.response.shape == (45, 45, 315)
    own = np.zeros((45, 45))
    own[:5, :5] = 1.0
    np.testing.assert_allclose(response.charge, own, atol=1e-9)
    np.testing.assert_array_equal(response.response, response.response.transpose(1, 0, 2))
    beside = response.response[7, 0]  # on the next pixel, a quarter of a pitch from the border
    induced = np.clip(beside, 0.0, None).sum() * 0.1
    assert 0.05 < induced < 0.2
    assert response.response[0, 0].argmax() * 0.1 == pytest.approx(5.0 / VELOCITY, abs=1.5)
    # a higher field: the same charges, sooner
    faster = Response.electrostatic(dataclasses.replace(detector, parameters=Parameters(eField=0.6)))
    assert faster.response.shape[2] < response.response.shape[2]
    np.testing.assert_allclose(faster.charge, own, atol=1e-9)


# --- currents


def slow_currents(segments, response, detector, dtype=np.float64):
    """Current of every pixel of one plane at ticks -400 to 1400, by brute force: {pixel: current}.

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
    detector = one_plane()
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
    simulation = Simulation(one_plane(n=16), response=small(), dtype=dtype)
    found = simulation(segments, waveforms=True)
    assert abs(found.summary.cut) < 1e-6 * found.summary.drifted
    assert found.summary.collected == pytest.approx(found.summary.drifted, rel=rtol)
    parametric = Simulation(one_plane(n=16), dtype=dtype)(segments, waveforms=True)
    assert len(found.waveforms) > 2 * len(parametric.waveforms)


def test_far_neighbours_integrate_to_zero():
    """A deposit over the middle of a pixel, close to the anode: one pixel collects all, others see induction."""
    segments = make_segments((0.22, 0.22, 1.0), (0.22, 0.22, 1.0), dE=2.0)
    found = waveforms(segments, one_plane(), response=small(), dtype=np.float64)
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
    simulation = Simulation(one_plane(n=4), response=small(bins=20, reach=20), dtype=np.float64)
    found = simulation(make_segments((0.87, 0.1, 10.0), (0.87, 0.1, 10.0), dE=2.0), waveforms=True)
    assert set(found.waveforms.pixel_id) <= set(range(16))
    assert found.summary.cut > 0.1 * found.summary.drifted
    assert found.summary.collected == pytest.approx(found.summary.drifted - found.summary.cut, rel=0.02)


def test_parametric_response_as_a_table():
    """Hits agree within the resolution of the table, which falls with its bins: a pitch/10, /20, /40.

    Measured: 9.4, 2.1 and 0.9 ns in time, 203, 49 and 22 e in charge (root mean square).
    """
    detector = one_plane()
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
    assert times[0] < 0.015 and charges[0] < 300.0
    assert times[1] < 0.4 * times[0] and charges[1] < 0.4 * charges[0]
    assert times[2] < 0.5 * times[1] and charges[2] < 0.7 * charges[1]


def test_finer_samples_and_neighbours_beyond_reach():
    """A table of twice the samples or more neighbours changes nothing but by its own resolution."""
    segments = make_segments(*TRACK, dE=8.0)
    coarse, fine, far = (
        Simulation(one_plane(), response=small(**more), dtype=np.float64)(segments).hits
        for more in ({}, {"time_tick": 0.05}, {"reach": 14})
    )
    np.testing.assert_array_equal(fine.pixel_id, coarse.pixel_id)
    np.testing.assert_allclose(fine.t, coarse.t, atol=5e-3)
    np.testing.assert_array_equal(far.pixel_id, coarse.pixel_id)
    np.testing.assert_allclose(far.t, coarse.t, atol=1e-3)


def test_the_sum_of_products_is_the_table():
    for response in (small(), abrupt()):
        tables = make_response_tables([response], one_plane(), np.float64, np)
        made = tables.space[0] @ tables.lattice.basis[0].reshape(-1, tables.space.shape[3]).T
        charge = made.sum(axis=2) * 0.1 / tables.per_tick
        assert charge[:2, :2].sum() == pytest.approx(response.charge[:2, :2].sum(), rel=0.2)
        assert charge.sum() == pytest.approx(response.charge.sum(), rel=1e-9)
        assert tables.space.shape[3] < response.response.shape[2] / 3


# --- TPCs of several pitches


FINE = 0.388  # [cm]
BOUNDS = (("x_lo", "x_hi"), ("y_lo", "y_hi"), ("z_anode", "z_cathode"))
BESIDE = np.array([40.0, 0.0, 0.0])  # from the plane of the wide pixels to that of the fine ones


def two_planes(pitches=(PITCH, FINE), n=14):
    """TPCs of n x n pixels of different pitches, one beside the other."""
    planes = [one_plane(n) for _ in pitches]
    values = {f.name: getattr(planes[0], f.name) for f in dataclasses.fields(Detector)}
    both = {name: np.concatenate([value] * len(pitches)) for name, value in values.items() if np.ndim(value)}
    half, place = 0.5 * n * np.array(pitches), BESIDE[0] * np.arange(len(pitches))
    both |= {"x_lo": place - half, "x_hi": place + half, "y_lo": -half, "y_hi": half}
    both |= {"pitch": np.array(pitches), "first_pixel": n * n * np.arange(len(pitches))}
    return Detector(**{**values, **both, "name": "two planes"})


def two_tables(**values):
    return tuple(
        Response.electrostatic(two_planes(), **{"pitch": pitch, "bins": 4, "reach": 10, "height": 1.5, **values})
        for pitch in (FINE, PITCH)
    )


def both_tracks(beside=BESIDE):
    """A track over each of the planes."""
    return make_segments(np.array([TRACK[0], TRACK[0] + beside]), np.array([TRACK[1], TRACK[1] + beside]), dE=8.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_pitch_has_its_table(dtype):
    """A TPC gives the bits that it gives in a detector of its pitch alone; the charge of both is conserved."""
    segments, tables = both_tracks(), two_tables()
    together = Simulation(two_planes(), response=tables, dtype=dtype)
    found = together(segments, waveforms=True)
    assert found.summary.collected == pytest.approx(found.summary.drifted, rel=1e-9 if dtype is np.float64 else 1e-5)
    assert tables[0].response.shape == tables[1].response.shape
    waveform = together.waveforms(together.batch(segments), together.vector())
    ticks, n_hits = np.arange(-400, 1400), 0
    for plane, (pitch, table) in enumerate(zip((PITCH, FINE), tables[::-1], strict=True)):
        alone = Simulation(two_planes((pitch, pitch)), response=table, dtype=dtype)
        only = segments.select(np.array([plane]))
        expected, hits = alone(only), alone(only).hits
        mine = found.hits.pixel_id // 196 == plane
        n_hits += len(hits)
        for name in ("pixel_id", "t", "charge", "adc"):
            np.testing.assert_array_equal(getattr(found.hits, name)[mine], getattr(hits, name))
        by_hand = alone.waveforms(alone.batch(only), alone.vector())
        pixels = waveform.windows.pixel[waveform.windows.pixel // 196 == plane]
        np.testing.assert_array_equal(pixels, by_hand.windows.pixel)
        total = 0.0
        for pixel in pixels:
            current = sample(waveform, pixel, ticks)
            np.testing.assert_array_equal(current, sample(by_hand, pixel, ticks))
            total += 0.1 * current.sum()
        assert total == pytest.approx(expected.summary.drifted, rel=1e-9 if dtype is np.float64 else 1e-5)
    assert n_hits == len(found.hits) > 8
    # the table of the other pitch is another: not the same signal
    swapped = Simulation(two_planes((FINE, FINE)), response=tables[0], dtype=dtype)(segments).hits
    assert not np.array_equal(swapped.t, found.hits.t)


def test_gradients_with_several_pitches():
    """By parameters, all losses, and by segments; tables of two pitches at once."""
    simulation = Simulation(two_planes(), response=two_tables(), dtype=np.float64, settings=SMOOTH)
    segments = both_tracks()
    for row in gradcheck(simulation, segments, ("Ab", "eField", "long_diff", "tran_diff")).rows:
        assert row.passed, row
    batch = simulation.batch(segments)
    trace = Trace(simulation, batch)
    found = trace.backward(current=2.0 * trace.waveforms.current)
    direction = np.random.default_rng(1).normal(size=batch.start.shape)
    for plane in (0, 1):
        ends = []
        mine = direction * (np.arange(2) == plane)[:, None]
        for h in (1e-6, -1e-6):
            moved = batch._replace(start=batch.start + h * mine)
            ends.append(np.sum(simulation.waveforms(moved, simulation.vector()).current ** 2))
        assert relative(np.sum(found.start * mine), (ends[0] - ends[1]) / 2e-6) < 1e-5


def test_2x2_accounts_for_all_charge():
    """Tracks in each TPC of the third module, of finer pixels, and of the fourth."""
    detector = Detector.built_in("2x2")
    used = np.flatnonzero(detector.module >= 2)
    np.testing.assert_allclose(detector.pitch[used], [FINE, FINE, PITCH, PITCH])
    edges = [(getattr(detector, low), getattr(detector, high)) for low, high in BOUNDS]
    start = np.stack([0.5 * (low + high)[used] for low, high in edges], axis=1) + (2.3, 5.1, 3.0)
    segments = make_segments(start, start + (1.1, -0.7, 1.3), dE=4.0)
    result = Simulation(detector, response="electrostatic")(segments, truth=True)
    np.testing.assert_array_equal(np.unique(detector.locate(result.hits.pixel_id)[0]), used)
    np.testing.assert_array_equal(result.truth.plane, used)
    assert result.summary.collected == pytest.approx(result.summary.drifted, rel=1e-5)
    assert abs(result.summary.cut) < 1e-6 * result.summary.drifted
    np.testing.assert_allclose(result.truth.fraction.sum(axis=1), 1.0, rtol=1e-5)


# --- bits


def test_single_precision_agrees_with_double():
    segments = make_segments(*TRACK, dE=8.0)
    single, double = (
        Simulation(one_plane(), response=small(), dtype=t)(segments).hits for t in (np.float32, np.float64)
    )
    np.testing.assert_array_equal(single.pixel_id, double.pixel_id)
    np.testing.assert_allclose(single.t, double.t, atol=1e-4)
    np.testing.assert_allclose(single.charge, double.charge, atol=1.0)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_any_number_of_threads_gives_the_same_bits():
    simulation = Simulation(one_plane(), response=small())
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
    simulation = Simulation(one_plane(), response=small())
    together = simulation(segments).hits
    alone = [simulation(segments.select(np.array([e]))).hits for e in (0, 1)]
    assert len(alone[0]) and len(alone[1])
    for name, column in vars(together).items():
        np.testing.assert_array_equal(column, np.concatenate([getattr(hits, name) for hits in alone]))


def test_nothing_in_the_detector():
    found = Simulation(one_plane(), response=small())(make_segments((0, 0, 60.0), (0, 0, 61.0)), waveforms=True)
    assert len(found.hits) == len(found.waveforms) == 0


# --- gradients


def simulated(response, **keywords):
    return Simulation(one_plane(), response=response, dtype=np.float64, settings=SMOOTH, **keywords)


@pytest.mark.parametrize("response", [small(), abrupt()], ids=["electrostatic", "abrupt"])
def test_parameters(response):
    """All four losses: difference to 1e-5 and slope of the Taylor remainder 2 (`gradcheck.Row.passed`)."""
    start, end = zip(TRACK, ((0.2, -0.3, 3.0), (0.9, 0.4, 3.5)), strict=True)
    segments = make_segments((start[0], end[0]), (start[1], end[1]), dE=8.0, event_id=[0, 1])
    report = gradcheck(simulated(response), segments, FITTED)
    assert len(report.rows) == 4 * len(FITTED)
    for row in report.rows:
        assert row.passed, row
        assert row.adjoint != 0.0
    assert report.hits > 15
    assert report.left_out < 0.5 * report.hits


def test_hits_come_earlier_at_higher_field():
    """The sign of d(time)/d(eField), hit by hit, and its size: that of the drift time."""
    simulation = simulated(small())
    trace = Trace(simulation, simulation.batch(make_segments(*TRACK, dE=8.0)))
    used = np.argwhere(np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None])
    assert len(used) >= 4
    for pixel, n in used:
        seed = np.zeros_like(trace.reads.time)
        seed[pixel, n] = 1.0
        by_field = trace.backward(time=seed).parameters["eField"]
        assert by_field == pytest.approx(-0.57 * 16.0 / VELOCITY / 0.5, rel=0.35)


@pytest.mark.parametrize("response", [small(), abrupt()], ids=["electrostatic", "abrupt"])
def test_segments(response):
    """Squared currents by each coordinate, energy and time, also where the deposit lies within the table's height."""
    simulation = simulated(response)
    start, end = np.array([TRACK[0], (0.2, -0.3, 0.4)]), np.array([(0.4, -0.1, 15.6), (0.4, 0.1, 0.7)])
    batch = simulation.batch(make_segments(start, end, dE=3.0, dEdx=4.0, t0=0.73))
    trace = Trace(simulation, batch)
    found = trace.backward(current=2.0 * trace.waveforms.current)
    rng = np.random.default_rng(0)
    for name in ("start", "end", "dE", "dEdx", "time"):
        values = getattr(batch, name)
        direction = rng.normal(size=values.shape)
        ends = []
        for h in (1e-6, -1e-6):
            moved = batch._replace(**{name: values + h * direction})
            ends.append(np.sum(simulation.waveforms(moved, simulation.vector()).current ** 2))
        by_adjoint = np.sum(getattr(found, "t0" if name == "time" else name) * direction)
        assert relative(by_adjoint, (ends[0] - ends[1]) / 2e-6) < 1e-5, name


@pytest.mark.parametrize("pitches", [1, 2])
@pytest.mark.parametrize("kind", ["likelihood", "residuals", "matched"])
def test_derivatives_of_the_likelihood(kind, pitches):
    """The Jacobian goes pixel by pixel; pixels that see only induction, with currents below 0, count too."""
    segments = make_segments(*TRACK, dE=8.0) if pitches == 1 else both_tracks()
    detector, response = (one_plane(), small()) if pitches == 1 else (two_planes(), two_tables())
    simulation = Simulation(detector, response=response, dtype=np.float64)
    noisy = Simulation(detector, response=response, noise=kind != "matched", seed=1)
    target = Target(noisy(segments).hits, simulation.detector)
    names = ("Ab", "eField", "lifetime", "tran_diff")
    objective = Objective(kind, simulation, [simulation.batch(segments)], target, unknowns_of(simulation, names))
    at = Parameters(Ab=0.805, lifetime=2000.0).vector(np.float64)
    gradient = objective.at(at).gradient
    for name, slope in zip(names, gradient, strict=True):
        ends = []
        for h in (1e-6, -1e-6):
            moved = at.copy()
            moved[slots.PARAMETERS.index(name)] *= 1.0 + h
            ends.append(objective.at(moved).value)
        by_difference = (ends[0] - ends[1]) / 2e-6
        assert relative(slope * getattr(Parameters(Ab=0.805, lifetime=2000.0), name), by_difference) < 1e-4, name


def twelve_tracks():
    rng = np.random.default_rng(0)
    start = rng.uniform((-1.5, -1.5, 3.0), (1.5, 1.5, 29.0), (12, 3))
    end = start + rng.normal(size=(12, 3))
    return make_segments(start, end, dE=6.0, dEdx=rng.uniform(2.0, 8.0, 12), event_id=np.arange(12) // 4)


def test_fit():
    """Closure in single precision: exact without noise; with it, every parameter within four of its errors."""
    segments, names = twelve_tracks(), ("Ab", "eField", "lifetime", "tran_diff")
    truth = Parameters(Ab=0.82, eField=0.51, lifetime=1500.0, tran_diff=1e-5)
    values = np.array([truth.as_dict()[name] for name in names])
    model = Simulation(one_plane(), response=small())
    hits = Simulation(one_plane(), truth, response=small())(segments).hits
    result = calibrate(model, segments, hits, unknowns=names, loss="residuals")
    assert result.converged
    np.testing.assert_allclose(result.values, values, rtol=2e-4)
    # the parametric response does not describe such hits
    wrong = calibrate(Simulation(one_plane()), segments, hits, unknowns=names, loss="residuals")
    assert np.abs(wrong.values[1] / 0.51 - 1.0) > 1e-3
    noisy = Simulation(one_plane(), truth, noise=True, seed=1, response=small())(segments).hits
    result = calibrate(model, segments, noisy, unknowns=names)
    assert result.converged
    assert (np.abs(result.values - values) < 4.0 * result.errors).all()
    assert result.errors[1] < 1e-3 * values[1]


# --- truth


@pytest.mark.parametrize("front_end", [{}, {"buffer_risetime": 0.3, "adc_busy_delay": 9, "reset_cycles": 2}])
def test_every_segment_contributes_its_own_current(front_end):
    """The contributions to a hit sum to its charge; segments over other pixels contribute, some of them below 0."""
    detector = one_plane(**front_end)
    start = np.array([(0.1, 0.05, 10.0), (0.4, 0.02, 10.0), (0.62, 0.3, 10.1)])
    segments = make_segments(start, start + (0.3, 0.0, 0.05), dE=3.0)
    simulation = Simulation(detector, response=small(), dtype=np.float64)
    batch, recorder = simulation.batch(segments), Recorder()
    found = simulation.waveforms(batch, simulation.vector(), recorder)
    reads = simulation.reads(found, batch, simulation.pixels(found))
    at = valid(reads)
    shares = contributions(recorder.launched, found, reads, at, detector)
    charge = np.bincount(shares.hit, shares.charge, len(at[0]))
    np.testing.assert_allclose(charge, reads.charge[at], rtol=1e-9)
    assert shares.charge.min() < -1.0
    # the first hit's charge is linear in the energy of each segment, while its time is held
    truth = simulation(segments, truth=True).truth
    np.testing.assert_allclose(truth.fraction.sum(axis=1), 1.0, rtol=1e-9)
    alone = simulation.waveforms(simulation.batch(segments.select(np.array([0]))), simulation.vector())
    pixel, read = at[0][0], at[1][0]
    assert read == 0
    end = found.windows.tick[reads.window[pixel, 0]] + reads.tick[pixel, 0] + detector.hold_ticks
    alone = alone._replace(current=alone.buffered)
    current = sample(alone, found.windows.pixel[pixel], np.arange(-400, end + 1))
    by_hand = 0.1 * (current[:-1].sum() + reads.part[pixel, 0] * current[-1])
    mine = shares.charge[(shares.hit == 0) & (shares.segment == 0)]
    assert mine == pytest.approx(by_hand, rel=1e-9)


# --- files


def test_a_written_table_reads_the_same(tmp_path):
    path, response = tmp_path / "response.npz", small()
    response.write(path)
    found = Response.read(path, one_plane())
    np.testing.assert_array_equal(found.response, response.response)
    for name in ("time_tick", "drift_length", "bin_size", "vdrift"):
        assert getattr(found, name) == getattr(response, name)
    with pytest.raises(InputError, match="exists already"):
        response.write(path)
    again = tmp_path / "again.npz"
    response.write(again)
    assert again.read_bytes() == path.read_bytes()


def test_larnd_sim_files(tmp_path):
    """npz without a velocity, and npy, where the arrival is where the charge is collected: the same hits."""
    detector, response = one_plane(), Response.electrostatic(one_plane(), reach=15, height=1.0)
    segments = make_segments(*TRACK, dE=8.0)
    expected = Simulation(detector, response=response)(segments).hits
    np.savez(
        tmp_path / "r.npz",
        response=response.response.astype(np.float32),
        time_tick=0.1,
        drift_length=1.0,
        bin_size=0.04434,
    )
    np.save(tmp_path / "r.npy", response.response)
    for name, atol in (("r.npz", 0.01), ("r.npy", 0.3)):
        hits = Simulation(detector, response=Response.read(tmp_path / name, detector))(segments).hits
        np.testing.assert_array_equal(hits.pixel_id, expected.pixel_id)
        np.testing.assert_allclose(hits.t, expected.t, atol=atol)


GOOD = {"response": small().response, "time_tick": 0.1, "drift_length": 1.5, "bin_size": PITCH / 4}
NAN = GOOD["response"].copy()
NAN[1, 2, 3] = np.nan


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"response": None}, "field 'response' is missing, found are time_tick, drift_length, bin_size"),
        ({"response": GOOD["response"][0]}, "response: found shape \\(10, 9\\d\\), allowed are three axes"),
        ({"response": GOOD["response"].astype(str)}, "response: found type <U32, allowed are numbers"),
        ({"response": NAN}, "response: found nan at \\[1, 2, 3\\], allowed are finite numbers"),
        ({"response": GOOD["response"][:1]}, "response: found 1 x 10 bins, allowed are 2 x 2 at least"),
        ({"response": 1e-4 * GOOD["response"]}, "found a charge of 0.0001 on an electron's own pixel, allowed is 0.5"),
        ({"time_tick": None}, "field 'time_tick' is missing"),
        ({"time_tick": 0.0}, "time_tick: found 0, allowed is a number above 0"),
        ({"bin_size": [0.1, 0.1]}, "bin_size: found 2 values of type float64, allowed is one number"),
        ({"bin_size": 0.1}, "bin_size: found 0.1, allowed is a whole part of the pixel pitch 0.4434 \\[cm\\]"),
        ({"drift_length": 30.0}, "drift_length: found 30, allowed is up to 1.5"),
        ({"vdrift": np.nan}, "vdrift: found nan, allowed is a number above 0"),
    ],
)
def test_wrong_fields(tmp_path, changes, message):
    path = tmp_path / "response.npz"
    np.savez(path, **{name: value for name, value in {**GOOD, **changes}.items() if value is not None})
    with pytest.raises(InputError, match=f"response.npz: .*{message}") as error:
        Response.read(path, one_plane())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a table", b"PK\x03\x04 cut off", b"\x93NUMPY\x01\x00"])
def test_no_table_at_all(tmp_path, content):
    path = tmp_path / "response.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not an npy or npz file"):
        Response.read(path, one_plane())
    with pytest.raises(InputError, match="cannot be read"):
        Response.read(tmp_path, one_plane())


def test_one_table_does_not_stand_for_several_pitches(tmp_path):
    response = small()
    response.write(tmp_path / "r.npz")
    message = "found the pixel pitches 0.388, 0.4434 \\[cm\\] in detector two planes, a table holds one; allowed is"
    for make in (Response.electrostatic, Response.from_parametric):
        with pytest.raises(InputError, match=f"response: {message}"):
            make(two_planes())
    with pytest.raises(InputError, match=f"r.npz: {message}") as error:
        Simulation(two_planes(), response=tmp_path / "r.npz")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="found tables: 1, allowed is one for each pixel pitch of detector two planes"):
        Simulation(two_planes(), response=response)
    with pytest.raises(InputError, match="found tables: 2, allowed is one for each pixel pitch of detector one plane"):
        Simulation(one_plane(), response=two_tables())
    with pytest.raises(InputError, match="bin_size: found 0.11085, allowed is a whole part of the pixel pitch 0.388"):
        Simulation(two_planes(), response=two_tables()[::-1])
    for more, found in (
        ({"bins": 5}, "4, 5 bins a pitch and 1, 1"),
        ({"time_tick": 0.05}, "4, 4 bins a pitch and 1, 2"),
    ):
        with pytest.raises(InputError, match=f"found tables of {found} samples a clock cycle, allowed is one number"):
            Simulation(two_planes(), response=(two_tables()[0], small(**more)))


# --- commands


def lartpc_command(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_commands(tmp_path):
    """lartpc response, and a simulation with it by name and by file: the same hits, more than without it."""
    table, segments = tmp_path / "response.npz", tmp_path / "segments.h5"
    done = lartpc_command("response", "-o", table)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "45 x 45 bins of 0.04434 cm, 315 samples of 0.1 us from 5 cm on; charge within" in done.stdout
    assert Response.read(table, Detector.module0()).response.shape == (45, 45, 315)
    with new_hdf5(segments) as file:
        file["segments"] = file_table(make_segments((3.0, 5.0, 12.0), (4.2, 5.1, 12.6), dE=6.0))
    hits = []
    for k, response in enumerate((table, "electrostatic", "parametric")):
        output = tmp_path / f"hits{k}.h5"
        done = lartpc_command("simulate", segments, "-o", output, "--no-noise", "--response", response)
        assert done.exit_code == 0, done.stderr
        hits.append(read_hits(output))
        assert read_attrs(output)["response"] == str(response)
    np.testing.assert_array_equal(hits[0].charge, hits[1].charge)
    np.testing.assert_array_equal(hits[0].t, hits[1].t)
    assert not np.array_equal(hits[1].t, hits[2].t)


def test_a_file_is_of_one_pitch(tmp_path):
    done = lartpc_command("response", "-o", tmp_path / "r.npz", "--detector", "2x2")
    assert done.exit_code == 2
    assert "pitches 0.388, 0.4434 [cm] in detector 2x2, a table holds one; allowed is --response" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r.npz").exists()


def test_a_wrong_table_is_one_line(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with new_hdf5(tmp_path / "segments.h5") as file:
        file["segments"] = file_table(make_segments((3.0, 5.0, 12.0), (4.2, 5.1, 12.6), dE=6.0))
    for name, message in (("bad.npz", "not an npy or npz file"), ("none.npz", "no such file; allowed is parametric")):
        output = tmp_path / "hits.h5"
        done = lartpc_command("simulate", tmp_path / "segments.h5", "-o", output, "--response", tmp_path / name)
        assert done.exit_code == 2
        assert message in done.stderr and done.stderr.count("\n") == 1
        assert not output.exists()
