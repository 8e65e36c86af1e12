"""A tabulated response in levels: against a direct sum over every bin and lag, its charge, its derivatives."""

import numpy as np
import pytest
from helpers import make_segments, one_tpc
from responses import small

from lartpc.autodiff.kernelcheck import relative
from lartpc.autodiff.tape import Tape
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.segments import SegmentJacobian
from lartpc.gradients.trace import Trace
from lartpc.kernels.pixels.couple import couple
from lartpc.kernels.runtime import slots
from lartpc.parameters import Parameters
from lartpc.pixels.levels import NEAR, by_offset, deviates, in_levels, levels
from lartpc.pixels.response import Response
from lartpc.pixels.response_tables import _parity, _samples
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
NAMES = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff", "induction_scale")
PAD = {"pad_size": 0.35, "height": 12.0}  # [cm]: electrons from beside the pad come late
SEGMENTS = {
    "along": ((0.1, 0.05, 9.0), (1.0, -0.6, 12.0)),
    "beside the edge": ((-1.9, 0.3, 3.0), (-2.2, 0.9, 3.4)),
    "near": ((0.2, -0.3, 0.4), (0.4, 0.1, 0.7)),
}


def tracks(**more):
    start, end = zip(*SEGMENTS.values(), strict=True)
    return make_segments(start, end, **{"dE": np.array([6.0, 1.0, 1.0]), "t0": np.array([0.0, 0.33, 1.7])} | more)


def direct_currents(simulation, waveforms):
    """{(pixel, tick): current} by a sum over steps, bins and lags of the sampled table, float64."""
    seen, detector = waveforms.pairs, simulation.detector
    (table, per_tick, _), bins = _samples(simulation.response[0], detector.tick), seen.table.bins
    sites, shares = seen.sites, seen.shares
    assign = waveforms.launched["assign"]
    currents = {}
    for pixel in range(int(detector.n_x[0] * detector.n_y[0])):
        column, row = pixel % int(detector.n_x[0]), pixel // int(detector.n_x[0])
        for step in range(len(shares.site)):
            folded = []
            for axis, of in (("x", column), ("y", row)):
                first, n = sites[f"site_{axis}"][step], sites[f"sites_{axis}"][step]
                k = first + np.arange(n) - of * bins - (bins + 1) // 2
                folded.append((np.where(k >= 0, k, -1 - k), assign[f"share_{axis}"][step, :n].astype(np.float64)))
            (u, wx), (v, wy) = folded
            a, b = u < table.shape[0], v < table.shape[1]
            if not (a.any() and b.any()):
                continue
            mixed = np.einsum("i,j,ijt->t", wx[a], wy[b], table[np.ix_(u[a], v[b])])
            fine = np.convolve(mixed, shares.share[step, : shares.sites[step]].astype(np.float64))
            site = shares.site[step] + np.arange(len(fine))
            on_tick = site % per_tick == 0
            for tick, value in zip((site[on_tick] // per_tick).tolist(), fine[on_tick].tolist(), strict=True):
                currents[pixel, tick] = currents.get((pixel, tick), 0.0) + value
    return currents


class Recorded:
    """Waveforms with the arguments of their launches."""

    def __init__(self, simulation, segments):
        tape = Tape()
        waveforms = simulation.waveforms(simulation.batch(segments), simulation.vector(), tape.launch)
        self.launched = {launch.kernel.name: launch.arguments for launch in tape.launches}
        self.pairs, self.windows, self.current = waveforms.pairs, waveforms.windows, waveforms.current


def dense(found, first, n):
    """{pixel: its current at n ticks from `first` on}."""
    windows, result = found.windows, {}
    for k, pixel in enumerate(windows.pixel.tolist()):
        row = result.setdefault(pixel, np.zeros(n))
        for w in range(windows.of_pixel[k], windows.of_pixel[k + 1]):
            begin = windows.tick[w] - first
            row[begin : begin + windows.first[w + 1] - windows.first[w]] = found.current[
                windows.first[w] : windows.first[w + 1]
            ]
    return result


@pytest.mark.slow
@pytest.mark.parametrize("dtype, made", [(np.float32, {"time_tick": 0.05}), (np.float64, {}), (np.float32, PAD)])
def test_against_a_direct_sum(dtype, made):
    """Bright pixels to 2e-3 of their own peak; integrals up to any time to 70 e, charges to 1e-5 of the largest."""
    detector = one_tpc(n=11)
    response = Response.electrostatic(detector, **made)
    simulation = Simulation(detector, response=response, dtype=dtype)
    table = simulation.readout.table
    assert table.slow_rank > 0 and (table.moments, table.far_rank) == ((24, 8) if made == PAD else (8, 4))
    found = Recorded(simulation, tracks())
    expected = direct_currents(simulation, found)
    ticks = np.array([tick for _, tick in expected])
    first, n = int(ticks.min()) - 100, int(np.ptp(ticks)) + 300
    of_pixel = {}
    for (pixel, tick), value in expected.items():
        of_pixel.setdefault(pixel, np.zeros(n))[tick - first] = value
    given = dense(found, first, n)
    peak = max(np.abs(current).max() for current in of_pixel.values())
    largest = max(current.sum() for current in of_pixel.values()) * detector.tick
    bright = 0
    for pixel, current in of_pixel.items():
        error = given.get(pixel, np.zeros(n)) - current
        own = np.abs(current).max()
        if own > 0.05 * peak:
            bright += 1
            assert np.abs(error).max() < 2e-3 * own, pixel
        assert np.abs(np.cumsum(error)).max() * detector.tick < 70.0, pixel
        assert abs(error.sum()) * detector.tick < 1e-5 * largest, pixel
    assert bright >= 8


def test_no_phase_of_the_charge_shows():
    """The deviation of levels from the table at each place of a unit charge, and lag: as small as was asked for."""
    table, per_tick, _ = _samples(Response.electrostatic(one_tpc()), 0.1)
    (made,) = levels([table], 10, per_tick)
    assert made.near == 1 and made.reach == 4 and made.late.shape[1] == 48
    assert 0.1 < max(deviates(made, by_offset(table, 10)[1:-1, 1:-1], per_tick)) < 1.0


def test_tables_that_are_not_smooth_are_taken_as_they_are():
    """One that begins abruptly, high over the anode, has no slow part; one of noise has no far pixels."""
    table, per_tick, _ = _samples(Response.electrostatic(one_tpc()), 0.1)
    begun = np.where(np.arange(table.shape[2]) < 120, 0.0, table)
    begun[..., 120] = 0.05 * np.abs(table).max()
    (made,) = levels([begun], 10, per_tick)
    assert made.early.shape[0] == 0 or made.late.shape[1] > table.shape[2] - 120
    noise = table + 1e-3 * np.abs(table).max() * np.random.default_rng(0).normal(size=table.shape)
    (made,) = levels([noise], 10, per_tick)
    assert made.near == made.reach and made.early.shape[0] == 0
    every = by_offset(noise, 10)
    assert max(deviates(in_levels(every, per_tick, table.shape[2], len(every) // 2), every, per_tick)) < 0.1


def test_tables_of_two_pitches_have_functions_of_the_same_parity():
    """Rows of `project` have one parity for all tables, whose own choices of the most important would differ here."""
    detector = one_tpc()
    pads = [Response.electrostatic(detector, pitch=p, pad_size=pad) for p, pad in ((0.388, 0.2), (0.4434, 0.35))]
    tables = [_samples(pad, 0.1)[0] for pad in pads]
    made = levels(tables, 10, 1)
    assert [len(one.moments) for one in made] == [40, 40]
    alone, other = (_parity(NEAR, 1, levels([table], 10, 1)[0].moments) for table in tables)
    assert len(alone) != len(other) or (alone != other).any()
    np.testing.assert_array_equal(*(_parity(NEAR, 1, one.moments) for one in made))


@pytest.mark.slow
def test_derivatives():
    """Of squared currents by parameters and segments: by differences to 1e-5, with a Taylor remainder of slope 2."""
    detector = one_tpc(n=11)
    simulation = Simulation(detector, Parameters(induction_scale=1.1), response="electrostatic", dtype=np.float64)
    batch = simulation.batch(tracks(dEdx=4.0))
    trace = Trace(simulation, batch)
    found = trace.backward(current=2.0 * trace.waveforms.current)

    def loss(parameters=None, **changed):
        at = simulation.vector() if parameters is None else parameters
        return float(np.sum(simulation.waveforms(batch._replace(**changed), at).current ** 2))

    at, zero = simulation.vector(), loss()
    for name in NAMES:
        k = slots.PARAMETERS.index(name)
        slope, remainder = found.parameters[name] * at[k], []
        for h in (1e-2, 1e-3, 1e-4):
            moved = at.copy()
            moved[k] *= 1.0 + h
            remainder.append(abs(loss(moved) - zero - h * slope))
        ends = [loss(np.where(np.arange(len(at)) == k, at * (1.0 + h), at)) for h in (1e-6, -1e-6)]
        assert relative(slope, (ends[0] - ends[1]) / 2e-6) < 1e-5, name
        assert np.diff(np.log10(remainder)) == pytest.approx(-2.0, abs=0.15), (name, remainder)
    rng = np.random.default_rng(0)
    for name in ("start", "end", "dE", "dEdx", "time"):
        values = getattr(batch, name)
        direction = rng.normal(size=values.shape)
        ends = [loss(**{name: values + h * direction}) for h in (1e-6, -1e-6)]
        by_adjoint = np.sum(getattr(found, "t0" if name == "time" else name) * direction)
        assert relative(by_adjoint, (ends[0] - ends[1]) / 2e-6) < 1e-5, name


@pytest.mark.slow
def test_rows_of_pixels():
    """Rows of pixels, each by itself, are the gradients that the tape gives for each."""
    simulation = Simulation(one_tpc(n=11), Parameters(induction_scale=1.1), response="electrostatic", dtype=np.float64)
    trace = Trace(simulation, simulation.batch(tracks(dEdx=4.0)))
    windows, current = trace.waveforms.windows, trace.waveforms.current
    columns = [slots.PARAMETERS.index(name) for name in NAMES]
    rows = Jacobian(trace.tape, trace.waveforms, columns).rows(current, np.arange(len(windows.pixel)))
    of_segments = SegmentJacobian(trace.tape, trace.waveforms, columns)
    pixels = np.argsort(-np.add.reduceat(np.abs(current), windows.first[windows.of_pixel][:-1]))[[0, 5, 20, 60]]
    for pixel in pixels.tolist():
        begin, end = windows.first[windows.of_pixel[pixel]], windows.first[windows.of_pixel[pixel + 1]]
        alone = np.zeros_like(current)
        alone[begin:end] = current[begin:end]
        found = trace.backward(current=alone)
        expected = [found.parameters[name] for name in NAMES]
        np.testing.assert_allclose(rows[pixel], expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
        _, sparse = of_segments.of_seeds([(current, alone)], np.array([pixel]))
        values = np.zeros((3, 9))
        values[sparse.segment] = sparse.values
        columns_of = (found.start, found.end, found.dE[:, None], found.dEdx[:, None], found.t0[:, None])
        np.testing.assert_allclose(values, np.hstack(columns_of), rtol=1e-7, atol=1e-9 * np.abs(values).max())


@pytest.mark.parametrize("bins", [4, 5])
def test_couple(bins):
    """Of pairs of two steps and pixels around them: the sum over sites, some of them beyond the table."""
    rng = np.random.default_rng(0)
    space, induced = rng.normal(size=(2, 2, 7, 6, 3))
    site_x, site_y = np.array([[-3, 8], [4, -9]])
    shares = rng.normal(size=(2, 2, 5))
    scale = Parameters(induction_scale=1.3).table(1, np.float64)
    step, x, y = (axis.ravel() for axis in np.meshgrid([0, 1], [-1, 0, 2], [-2, 1], indexing="ij"))
    found = np.zeros((len(step), 3))
    couple(
        len(step),
        pair_step=step,
        pair_x=x,
        pair_y=y,
        site_x=site_x,
        site_y=site_y,
        sites_x=np.array([5, 4]),
        sites_y=np.array([3, 5]),
        share_x=shares[0],
        share_y=shares[1],
        step_table=np.array([1, 0]),
        bins=bins,
        space=space,
        induced=induced,
        parameters=scale,
        step_module=np.zeros(2, dtype=np.int64),
        coefficient=found,
    )
    expected = np.zeros_like(found)
    for p, s in enumerate(step):
        whole = space[1 - s] + 0.3 * induced[1 - s]
        for j in range((5, 4)[s]):
            for k in range((3, 5)[s]):
                u, v = (at - of * bins - (bins + 1) // 2 for at, of in ((site_x[s] + j, x[p]), (site_y[s] + k, y[p])))
                u, v = (of if of >= 0 else -1 - of for of in (u, v))
                if u < 7 and v < 6:
                    expected[p] += shares[0, s, j] * shares[1, s, k] * whole[u, v]
    assert 2 < np.count_nonzero(expected.any(axis=1)) < len(step)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_same_bits_again():
    """What memory held before does not matter, with levels and without."""
    for response in ("electrostatic", small()):
        simulation = Simulation(one_tpc(n=11), response=response)
        batch = simulation.batch(tracks())
        first, again = (simulation.waveforms(batch, simulation.vector()).current for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert np.isfinite(first).all()
