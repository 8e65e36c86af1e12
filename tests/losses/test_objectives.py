"""Values, residuals and derivatives of what a fit minimises, in float64."""

import dataclasses

import numpy as np
import pytest
from helpers import make_segments, one_tpc, small_table
from objectives import SIX, STEP, TRUTH, assert_column, moved, objective
from samples import protons
from traces import smooth

from lartpc.autodiff.tape import TapeError
from lartpc.fit.unknowns import unknowns_of
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.trace import Trace
from lartpc.losses.catalogue import OBJECTIVES
from lartpc.losses.objective import Objective
from lartpc.losses.probability import log_no_hit
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters

pytestmark = pytest.mark.usefixtures("one_thread")


# --- derivatives


def kept_reads(segments, hits, ends):
    """Rows of `matched` whose reads keep their tick: time and charge of first hits, of second hits, ..."""
    simulation = smooth()
    batch = simulation.batch(segments)
    traces = [Trace(simulation, batch, vector) for vector in (Parameters().vector(np.float64), *ends)]
    windows = traces[0].waveforms.windows
    for t in traces[1:]:
        np.testing.assert_array_equal(t.waveforms.windows.pixel, windows.pixel)
    ticks = [t.waveforms.windows.tick[t.reads.window] + t.reads.tick for t in traces]
    kept = np.all([at == ticks[0] for at in ticks], axis=0)
    target = TargetHits(hits, simulation.detector).align(windows, batch, np.float64)
    count = traces[0].reads.count
    parts = []
    for n in range(count.max()):
        chosen = (count == target.count) & (target.count > n)
        parts += [kept[chosen, n]] * 2
    return np.concatenate(parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIX)
def test_jacobian_of_matched(segments, noiseless, name):
    of = objective("matched", segments, noiseless, names=(name,))
    linear = of(Parameters().vector(np.float64))
    ends = [moved(name, h) for h in (STEP, -STEP)]
    high, low = (of(vector).residual for vector in ends)
    assert len(high) == len(low) == len(linear.residual) == 2 * linear.hits > 60
    kept = kept_reads(segments, noiseless, ends)
    assert kept.mean() > 0.95
    nominal = Parameters().as_dict()[name]
    difference = (high - low) / (2.0 * STEP)
    assert_column(linear.jacobian[kept, 0] * nominal, difference[kept])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["residuals", "likelihood"])
@pytest.mark.parametrize("name", SIX)
def test_derivatives_of_the_hit_list(segments, noisy, kind, name):
    """The noiseless charge at measured times is smooth: every row counts, without exception."""
    of = objective(kind, segments, noisy, names=(name,))
    linear = of(Parameters().vector(np.float64))
    high, low = (of(moved(name, h)) for h in (STEP, -STEP))
    nominal = Parameters().as_dict()[name]
    assert len(linear.residual) == 2 * linear.hits == 2 * (len(noisy) - linear.unmatched) > 60
    assert_column(linear.jacobian[:, 0] * nominal, (high.residual - low.residual) / (2.0 * STEP))
    by_value = (high.value - low.value) / (2.0 * STEP)
    assert linear.gradient[0] * nominal == pytest.approx(by_value, rel=1e-5)
    by_rest = (high.rest - low.rest) / (2.0 * STEP)
    assert linear.gradient_rest[0] * nominal == pytest.approx(by_rest, rel=1e-5)
    assert (by_rest != 0.0) == (kind == "likelihood")
    assert linear.information[0, 0] == pytest.approx(np.sum(linear.jacobian**2))


def test_gradient_is_that_of_each_parameter_alone(segments, noisy):
    vector = Parameters().vector(np.float64)
    together = objective("likelihood", segments, noisy)(vector)
    for i, name in enumerate(SIX):
        alone = objective("likelihood", segments, noisy, names=(name,))(vector)
        np.testing.assert_allclose(together.jacobian[:, i], alone.jacobian[:, 0], rtol=1e-12)
        assert together.gradient[i] == pytest.approx(alone.gradient[0], rel=1e-12)


def test_rows_of_an_overwritten_chain_are_refused(segments):
    simulation = smooth()
    trace = Trace(simulation, simulation.batch(segments))
    trace.waveforms.steps.arrival[0] += 1e-9
    with pytest.raises(TapeError, match="drift, argument arrival: overwritten"):
        Jacobian(trace.tape, trace.waveforms, [0])


@pytest.mark.parametrize("tabulated", [False, True])
def test_rows_of_pixels_add_up_to_the_gradient(segments, tabulated):
    simulation = smooth(response=small_table() if tabulated else "parametric")
    trace = Trace(simulation, simulation.batch(segments))
    windows = trace.waveforms.windows
    grad = np.random.default_rng(0).normal(size=len(trace.waveforms.current))
    everyone = np.arange(len(windows.pixel))
    jacobian = Jacobian(trace.tape, trace.waveforms, range(len(trace.names)))
    found = jacobian.rows(grad, everyone)
    expected = list(trace.backward(current=grad).parameters.values())
    size = np.abs(found).sum(axis=0)  # terms of either sign cancel to rounding of their size
    assert (np.abs(found.sum(axis=0) - expected) <= 1e-12 * size).all()
    assert np.count_nonzero(size) >= len(SIX)
    # one pixel's row is the gradient of what depends on that pixel alone, whichever others are asked for
    some = np.array([1, 7, 20])
    np.testing.assert_array_equal(jacobian.rows(grad, some), found[some])
    np.testing.assert_array_equal(jacobian.rows(grad, everyone), found)
    only = np.zeros_like(grad)
    window = slice(windows.first[windows.of_pixel[7]], windows.first[windows.of_pixel[8]])
    only[window] = grad[window]
    alone = list(trace.backward(current=only).parameters.values())
    np.testing.assert_allclose(alone, found[7], rtol=1e-9, atol=1e-12 * np.abs(found[7]).max())


# --- values


@pytest.mark.parametrize("kind", ["residuals", "matched"])
def test_residuals_vanish_at_the_truth(segments, noiseless, kind):
    of = objective(kind, segments, noiseless)
    at_truth = of(TRUTH.vector(np.float64))
    assert at_truth.hits == len(noiseless) and at_truth.unmatched == 0
    assert len(at_truth.residual) == 2 * len(noiseless)
    assert np.abs(at_truth.residual).max() < 1e-8
    assert np.abs(of(Parameters().vector(np.float64)).residual).max() > 1.0


def by_hand(segments, hits, simulation):
    """-log L from the waveforms' running sums, pixel by pixel."""
    found = simulation(segments, waveforms=True).waveforms
    d = simulation.detector
    value = 0.0
    for event, pixel in sorted(set(zip(found.event_id, found.pixel_id, strict=True))):
        mine = (found.event_id == event) & (found.pixel_id == pixel)
        start = found.start_tick[mine].min()
        current = np.zeros((found.start_tick + found.ticks)[mine].max() - start)
        for k in np.flatnonzero(mine):
            at = found.start_tick[k] - start
            current[at : at + found.ticks[k]] = found.current[found.offset[k] : found.offset[k] + found.ticks[k]]
        charge = np.concatenate(([0.0], np.cumsum(current, dtype=np.float64))) * d.tick
        edges = (start - 1 + np.arange(len(charge))) * d.tick  # the charge of tick k arrives from k - 1 to k
        last = 0.0
        chosen = (hits.event_id == event) & (hits.pixel_id == pixel)
        for t, q in zip(hits.t[chosen], hits.charge[chosen], strict=True):
            crossing, read = np.interp([t, t + d.hold_ticks * d.tick], edges, charge)
            k = int(np.ceil(t / d.tick)) - start
            rate = current[k] if 0 <= k < len(current) else 0.0
            r = (d.threshold - (crossing - last)) / d.reset_noise
            u = (q - d.threshold - (read - crossing)) / d.uncorrelated_noise
            value += 0.5 * (r**2 + u**2) - np.log(rate + 1.0)
            last = read
        left = np.array([d.threshold - (charge[-1] - last)])
        value -= log_no_hit(left, d.reset_noise, d.uncorrelated_noise)[0][0]
    return value


def test_likelihood_by_hand(segments, noisy):
    value = objective("likelihood", segments, noisy)(Parameters().vector(np.float64)).value
    assert value == pytest.approx(by_hand(segments, noisy, smooth()), rel=1e-5)  # waveforms are kept as float32


def test_pixels_without_hits_count():
    """Charge of one pixel, and no hit on it: -log P0(threshold - charge), although the only hit is elsewhere."""
    simulation = smooth(detector=one_tpc())
    segments = make_segments([(0.22, 0.22, 10.0), (1.55, 1.55, 10.0)], [(0.22, 0.22, 10.0), (1.55, 1.55, 10.0)], dE=1.0)
    found = simulation(segments, waveforms=True)
    pixels = found.hits.pixel_id
    assert len(pixels) == 2
    left_out = found.hits.select(pixels == pixels[0])
    vector = Parameters().vector(np.float64)
    whole = objective("likelihood", segments, found.hits, simulation)(vector)
    part = objective("likelihood", segments, left_out, simulation)(vector)
    w = found.waveforms
    charge = {}
    for k in range(len(w)):
        current = w.current[w.offset[k] : w.offset[k] + w.ticks[k]]
        charge[w.pixel_id[k]] = charge.get(w.pixel_id[k], 0.0) + np.sum(current, dtype=np.float64) * 0.1
    silent = log_no_hit(np.array([7000.0 - charge[pixels[1]]]), 900.0, 500.0)[0][0]
    assert silent < -50.0
    missing = whole.rest - part.rest - silent
    # what the missing hit said: the logarithm of its current, and that nothing came after it
    t = found.hits.t[1]
    k = np.flatnonzero((w.pixel_id == pixels[1]) & (w.start_tick <= np.ceil(t / 0.1)))[-1]
    current = w.current[w.offset[k] + int(np.ceil(t / 0.1)) - w.start_tick[k]]
    assert missing == pytest.approx(-np.log(current + 1.0), abs=1e-4)
    assert part.hits == 1 and whole.hits == 2
    # more silent charge is less likely: the gradient pulls the charge down
    assert part.gradient_rest[0] > whole.gradient_rest[0]


def test_no_end_after_the_last_of_the_allowed_hits():
    """Where the number of hits is capped, what arrives after the last says nothing."""
    detector = one_tpc(max_hits=1)
    simulation = smooth(detector=detector)
    segments = make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 20.0), dE=20.0)
    hits = simulation(segments).hits
    linear = objective("likelihood", segments, hits, simulation)(Parameters().vector(np.float64))
    longer = dataclasses.replace(detector, max_hits=2)
    other = objective("likelihood", segments, hits, smooth(detector=longer))(Parameters().vector(np.float64))
    assert other.value > linear.value + 100.0  # with two allowed, that there is no second hit is unlikely


@pytest.mark.slow
def test_batches_add_up():
    """Of several events: one batch or three, and each hit belongs to one of them."""
    one = protons(1)
    segments = one.select(np.tile(np.arange(len(one)), 3))
    segments.event_id = np.repeat([4, 9, 2], len(one))
    simulation = smooth()
    hits = smooth(parameters=TRUTH)(segments).hits
    vector = Parameters().vector(np.float64)
    for kind in OBJECTIVES:
        whole = objective(kind, segments, hits)(vector)
        batches = simulation.batches(segments, 1)
        assert len(batches) == 3
        parts = Objective(
            kind, simulation, batches, TargetHits(hits, simulation.detector), unknowns_of(simulation, SIX)
        ).at(vector)
        assert (parts.hits, parts.unmatched) == (whole.hits, whole.unmatched)
        assert parts.value == pytest.approx(whole.value, rel=1e-9)
        np.testing.assert_allclose(parts.gradient, whole.gradient, rtol=1e-7)
