"""Gradients, the likelihood and a fit with a tabulated response."""

import numpy as np
import pytest
from helpers import VELOCITY, make_segments, one_tpc
from responses import TRACK, abrupt, both_tracks, small, two_tables, two_tpcs

from lartpc.autodiff.kernelcheck import relative
from lartpc.fit.calibrate import calibrate
from lartpc.fit.unknowns import unknowns_of
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime import slots
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

FITTED = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
pytestmark = pytest.mark.usefixtures("one_thread")


def simulated(response, **keywords):
    return Simulation(one_tpc(), response=response, dtype=np.float64, settings=SMOOTH, **keywords)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("pitches", [1, 2])
@pytest.mark.parametrize("kind", ["likelihood", "residuals", "matched"])
def test_derivatives_of_the_likelihood(kind, pitches):
    """The Jacobian goes pixel by pixel; pixels that see only induction, with currents below 0, count too."""
    segments = make_segments(*TRACK, dE=8.0) if pitches == 1 else both_tracks()
    detector, response = (one_tpc(), small()) if pitches == 1 else (two_tpcs(), two_tables())
    simulation = Simulation(detector, response=response, dtype=np.float64)
    noisy = Simulation(detector, response=response, noise=kind != "matched", seed=1)
    target = TargetHits(noisy(segments).hits, simulation.detector)
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


@pytest.mark.slow
def test_fit():
    """Closure in single precision: exact without noise; with it, every parameter within four of its errors."""
    segments, names = twelve_tracks(), ("Ab", "eField", "lifetime", "tran_diff")
    truth = Parameters(Ab=0.82, eField=0.51, lifetime=1500.0, tran_diff=1e-5)
    values = np.array([truth.as_dict()[name] for name in names])
    model = Simulation(one_tpc(), response=small())
    hits = Simulation(one_tpc(), truth, response=small())(segments).hits
    result = calibrate(model, segments, hits, unknowns=names, loss="residuals")
    assert result.converged
    np.testing.assert_allclose(result.values, values, rtol=2e-4)
    # the parametric response does not describe such hits
    wrong = calibrate(Simulation(one_tpc()), segments, hits, unknowns=names, loss="residuals")
    assert np.abs(wrong.values[1] / 0.51 - 1.0) > 1e-3
    noisy = Simulation(one_tpc(), truth, noise=True, seed=1, response=small())(segments).hits
    result = calibrate(model, segments, noisy, unknowns=names)
    assert result.converged
    assert (np.abs(result.values - values) < 4.0 * result.errors).all()
    assert result.errors[1] < 1e-3 * values[1]
