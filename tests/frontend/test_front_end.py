"""Busy and reset cycles and discriminator noise: the charge they read, and gradients with all of it."""

import dataclasses

import numpy as np
import pytest
from front_ends import LARNDSIM, NAMES, SMOOTH_PART, TICK, end_on, module0
from helpers import make_segments, one_tpc
from samples import generated, protons
from traces import smooth

from lartpc.exceptions import InputError
from lartpc.fit.forecast import forecast
from lartpc.fit.unknowns import unknowns_of
from lartpc.gradients.gradcheck import gradcheck
from lartpc.gradients.trace import Trace
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits, until_deferred
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


def test_without_noise_the_discriminator_has_none():
    segments = protons(1)
    plain, noisy = (Simulation(module0(discriminator_noise=s))(segments).hits for s in (0.0, 650.0))
    for name, column in vars(plain).items():
        np.testing.assert_array_equal(column, getattr(noisy, name), err_msg=name)


def test_charge_of_hits_and_resets_is_all():
    """Read, lost in resets, or left: nothing else happens to the charge of a pixel."""
    simulation = smooth(one_tpc(reset_cycles=5, adc_busy_delay=9, buffer_risetime=0.1, max_hits=40))
    trace = Trace(simulation, simulation.batch(end_on()))
    reads, windows = trace.reads, trace.waveforms.windows
    p = np.argmax(reads.count)
    n, w = reads.count[p], windows.of_pixel[p]
    assert 5 < n < 40 and windows.of_pixel[p + 1] == w + 1
    samples = trace.waveforms.buffered[windows.first[w] : windows.first[w + 1]]
    edges = windows.tick[w] - 1.0 + np.arange(len(samples) + 1)
    charge = np.append(0.0, np.cumsum(samples)) * TICK
    read = windows.tick[w] - 1.0 + reads.tick[p, :n] + reads.fraction[p, :n] + simulation.detector.hold_ticks
    at_read, at_end = (np.interp(read + late, edges, charge) for late in (0.0, 5.0))
    lost = (at_end - at_read).sum()
    left = charge[-1] - at_end[-1]
    assert reads.charge[p, :n].sum() + lost + left == pytest.approx(charge[-1], rel=1e-12)
    assert 0.1 < lost / charge[-1] < 0.25 and left < 7000.0
    np.testing.assert_allclose(np.diff(read).min(), 5.0 + 9.0 + simulation.detector.hold_ticks)  # as soon as it may


def test_a_busy_adc_loses_no_charge():
    """Without busy time the pixel would read every time the threshold is reached; both read all the charge."""
    found = {}
    for busy in (0, 20):
        hits = smooth(one_tpc(adc_busy_delay=busy, max_hits=40))(end_on()).hits
        found[busy] = hits
        np.testing.assert_array_less(18.0 + busy - 1e-6, np.diff(hits.t) / TICK)
    assert len(found[20]) < len(found[0])
    assert found[20].charge.sum() == pytest.approx(found[0].charge.sum(), abs=7000.0)
    assert found[20].charge[1:-1].mean() > found[0].charge[1:-1].mean() + 5000.0


@pytest.mark.slow
@pytest.mark.parametrize("noise", [False, True])
def test_gradient_by_parameters(noise):
    """With noise a threshold of its own for each tick: a constant, as the other noise."""
    simulation = smooth(module0(**LARNDSIM), noise=noise, seed=1)
    report = gradcheck(simulation, generated(4), NAMES)
    for row in report.rows:
        assert row.passed, row
        assert row.adjoint != 0.0
    assert report.left_out < 0.4 * report.hits


# --- likelihood


def deferred_hits(detector, segments, rounded=False, **keywords):
    """Hits of the segments, and the pixels of the target with and without a deferred hit."""
    simulation = smooth(detector, **keywords)
    hits = simulation(segments).hits
    batch = simulation.batch(segments)
    windows = simulation.waveforms(batch, simulation.vector()).windows
    whole = TargetHits(hits, detector, rounded).align(windows, batch, np.float64)
    return hits, whole, until_deferred(whole, detector)


@pytest.mark.parametrize("rounded", [False, True])
def test_a_pixel_counts_up_to_its_first_deferred_hit(rounded):
    detector = one_tpc(**SMOOTH_PART, max_hits=40)
    hits, whole, kept = deferred_hits(detector, end_on(), rounded)
    wait = np.diff(hits.t) / TICK
    first = np.flatnonzero(np.abs(wait - 28.0) < 1e-6)[0] + 1  # hold 18, reset 1, busy 9
    assert 1 <= first < len(hits) - 2
    assert (kept.count[0], kept.deferred[0]) == (first + 1, 1)
    assert kept.unmatched == len(hits) - first
    assert kept.fraction[0, first] == (1.0 if rounded else whole.fraction[0, first])
    np.testing.assert_array_equal(kept.fraction[0, :first], whole.fraction[0, :first])
    # currents that do not reach the threshold while the ADC is busy: nothing is deferred
    _, whole, kept = deferred_hits(detector, end_on(dE=0.8), rounded)
    assert whole.count[0] > 3 and kept.count[0] == whole.count[0] and not kept.deferred.any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["residuals", "matched"])
def test_residuals_vanish_at_the_truth(kind):
    truth = Parameters(Ab=0.83, lifetime=1500.0)
    detector, segments = module0(**SMOOTH_PART), protons(2)
    simulation = smooth(detector, truth)
    hits = simulation(segments).hits
    objective = Objective(
        kind, simulation, simulation.batches(segments), TargetHits(hits, detector), unknowns_of(simulation, NAMES)
    )
    linear = objective.at(simulation.parameters.vector(np.float64))
    assert linear.hits > 0.8 * len(hits) and np.abs(linear.residual).max() < 1e-8
    assert np.abs(objective.at(smooth(detector).parameters.vector(np.float64)).residual).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_gradient_of_the_likelihood(rounded):
    """Of tracks and of a pixel with a deferred hit, for each parameter."""
    detector = one_tpc(20, **SMOOTH_PART)
    track = make_segments((-3.0, -2.0, 20.0), (3.0, 2.5, 14.0), dE=14.0, event_id=1)
    columns = {name: np.concatenate((v, vars(track)[name])) for name, v in vars(end_on()).items() if v is not None}
    segments = dataclasses.replace(track, **columns)
    simulation = smooth(detector, noise=True, seed=3)
    hits = simulation(segments).hits
    objective = Objective(
        "likelihood",
        simulation,
        simulation.batches(segments),
        TargetHits(hits, detector, rounded),
        unknowns_of(simulation, NAMES),
    )
    base = dataclasses.replace(simulation.parameters, Ab=0.81)
    linear = objective.at(base.vector(np.float64))
    assert 0 < linear.unmatched < len(hits) - 10
    for i, name in enumerate(NAMES):
        values = []
        for sign in (1.0, -1.0):
            moved = dataclasses.replace(base, **{name: base.value(name) * (1.0 + sign * 1e-6)})
            values.append(objective.at(moved.vector(np.float64)).value)
        size = base.value(name)
        assert linear.gradient[i] * size == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_the_likelihood_is_not_biased(rounded):
    """At the truth its gradient over many draws of the noise is 0 within the square root of the information."""
    events, names = 150, ("Ab",)
    detector = one_tpc(**SMOOTH_PART)
    # 7500 e/us: the threshold is sometimes reached while the ADC is busy
    segments = end_on(dE=1.6, length=2.0, events=events)
    simulation = Simulation(detector, dtype=np.float64, noise=True, seed=5)
    target = TargetHits(simulation(segments).hits, detector, rounded)
    batch = simulation.batch(segments)
    windows = simulation.waveforms(batch, simulation.vector()).windows
    deferred = until_deferred(target.align(windows, batch, np.float64), detector).deferred.sum()
    assert 0.2 * events < deferred < 0.95 * events
    linear = Objective("likelihood", simulation, [batch], target, unknowns_of(simulation, names)).at(
        simulation.parameters.vector(np.float64)
    )
    pull = linear.gradient / np.sqrt(np.diag(linear.information))
    assert (np.abs(pull) < 3.0).all()


def test_discriminator_noise_is_refused_by_the_likelihood():
    detector, segments = one_tpc(discriminator_noise=650.0), end_on()
    simulation = Simulation(detector)
    with pytest.raises(InputError, match="discriminator_noise: found 650 e, the likelihood has no term for it"):
        forecast(simulation, segments, NAMES)
    hits = simulation(segments).hits
    Objective(
        "residuals",
        simulation,
        simulation.batches(segments),
        TargetHits(hits, detector),
        unknowns_of(simulation, NAMES),
    )
