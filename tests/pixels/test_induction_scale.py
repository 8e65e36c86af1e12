"""The scale of what pixels beside a charge see of it: what it acts on, its gradients, and fits of it."""

import numpy as np
import pytest
from helpers import PITCH, make_segments, one_tpc
from pulls import assert_pulls_are_right
from responses import TRACK, abrupt, small, two_tables, two_tpcs

from lartpc.autodiff.kernelcheck import relative
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import calibrate
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.trace import Trace
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation

NAMES = ("Ab", "eField", "induction_scale")
pytestmark = pytest.mark.usefixtures("one_thread")


def simulated(scale=1.0, response=None, **keywords):
    keywords = {"dtype": np.float64, "settings": SMOOTH} | keywords
    response = small() if response is None else response
    return Simulation(one_tpc(), Parameters(induction_scale=scale), response=response, **keywords)


def currents(segments, scale, response=None):
    """Of each pixel, its waveform: {pixel: current}."""
    simulation = simulated(scale, response)
    found = simulation.waveforms(simulation.batch(segments), simulation.vector())
    windows = found.windows
    return dict(
        zip(windows.pixel.tolist(), np.split(found.current, windows.first[windows.of_pixel[1:-1]]), strict=True)
    )


@pytest.mark.parametrize("bins", [4, 5])
def test_it_scales_what_is_beside_the_pixel_alone(bins):
    """A charge over the middle of one pixel: the others see 1.3 times as much, it sees the same."""
    low = np.array([(0.5 * PITCH, 0.5 * PITCH, 2.0)])
    segments = make_segments(low - (0.01, 0.0, 0.0), low + (0.01, 0.0, 0.0), dE=1.0)
    response = small(bins=bins)
    before, after = (currents(segments, scale, response) for scale in (1.0, 1.3))
    assert before.keys() == after.keys() and len(before) > 8
    charge = {pixel: abs(0.1 * current.sum()) for pixel, current in before.items()}
    own = max(charge, key=charge.get)
    np.testing.assert_array_equal(after[own], before[own])
    for pixel in before.keys() - {own}:
        size = np.abs(before[pixel]).max()
        assert size > 0.0
        np.testing.assert_allclose(after[pixel], 1.3 * before[pixel], atol=1e-3 * size)


@pytest.mark.parametrize("response", [small(), abrupt(), small(bins=5)], ids=["electrostatic", "abrupt", "odd"])
def test_every_pixel_keeps_its_charge(response):
    before, after = (currents(make_segments(*TRACK, dE=8.0), scale, response) for scale in (1.0, 0.6))
    for pixel, current in before.items():
        assert after[pixel].sum() == pytest.approx(current.sum(), rel=1e-10, abs=1e-7 * np.abs(current).max())
    moved = [np.abs(after[pixel] - current).max() > 1e-2 * np.abs(current).max() for pixel, current in before.items()]
    assert len(moved) > 10 and np.mean(moved) > 0.9


def test_it_acts_with_a_table_alone():
    segments = make_segments(*TRACK, dE=8.0)
    assert "induction_scale" in simulated().acting()
    parametric = [Simulation(one_tpc(), Parameters(induction_scale=scale)) for scale in (1.0, 1.3)]
    first, second = (simulation(segments).hits for simulation in parametric)
    for name, column in vars(first).items():
        np.testing.assert_array_equal(column, getattr(second, name))
    assert "induction_scale" not in parametric[0].acting()
    with pytest.raises(InputError, match="nothing depends on induction_scale with .* and a parametric response"):
        calibrate(parametric[0], segments, first, ("induction_scale",))
    with pytest.raises(InputError, match="parameter: found 'induction_scale'"):
        gradcheck(Simulation(one_tpc(), dtype=np.float64), segments, ("induction_scale",))


def test_rows_of_pixels_add_up_to_the_gradient():
    """In both of two TPCs of their own tables; where it is not asked for, the other columns are the same bits."""
    planes = two_tpcs()
    segments = make_segments(np.array([TRACK[0], (40.1, 0.05, 15.0)]), np.array([TRACK[1], (41.4, -0.6, 18.0)]), dE=8.0)
    simulation = Simulation(planes, Parameters(induction_scale=1.2), response=two_tables(), dtype=np.float64)
    trace = Trace(simulation, simulation.batch(segments))
    seed, pixels = 2.0 * trace.waveforms.current, np.arange(len(trace.waveforms.windows.pixel))
    slot = [simulation.parameters.names.index(name) for name in NAMES]
    rows = Jacobian(trace.tape, trace.waveforms, slot).rows(seed, pixels)
    without = Jacobian(trace.tape, trace.waveforms, slot[:2]).rows(seed, pixels)
    np.testing.assert_array_equal(rows[:, :2], without)
    gradient = trace.backward(current=seed).parameters
    np.testing.assert_allclose(rows.sum(axis=0), [gradient[name] for name in NAMES], rtol=1e-9)
    assert np.count_nonzero(rows[:, 2]) == len(pixels)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["likelihood", "residuals", "matched", "soft-dtw"])
def test_derivatives_of_losses(kind):
    segments = make_segments(*TRACK, dE=8.0)
    simulation = simulated(1.1)
    target = TargetHits(simulated(noise=kind != "matched", seed=1)(segments).hits, simulation.detector)
    batches = [simulation.batch(segments)]
    objective = Objective(kind, simulation, batches, target, unknowns_of(simulation, ("induction_scale",)))
    ends = [objective(np.array([1.1 + h])).value for h in (1e-6, -1e-6)]
    assert relative(objective(np.array([1.1])).gradient[0], (ends[0] - ends[1]) / 2e-6) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 1.3])
def test_gradcheck(scale):
    segments = make_segments(*TRACK, dE=8.0)
    report = gradcheck(simulated(scale, Response.electrostatic(one_tpc())), segments, ("induction_scale",))
    assert len(report.rows) == 4
    for row in report.rows:
        assert row.passed and not row.idle, row


def six_tracks():
    """None has a read before a hit that is no hit itself: these the likelihood cannot see."""
    rng = np.random.default_rng(1)
    start = rng.uniform((-1.5, -1.5, 3.0), (1.5, 1.5, 29.0), (6, 3))
    end = start + rng.normal(size=(6, 3))
    return make_segments(start, end, dE=6.0, dEdx=rng.uniform(2.0, 8.0, 6), event_id=[0] * 6)


def test_a_closure_finds_it():
    """Without noise, in single precision, to a hundredth of the error that noise would make."""
    segments, truth = six_tracks(), Parameters(Ab=0.82, eField=0.51, induction_scale=1.25)
    target = Target(Simulation(one_tpc(), truth, response=small())(segments).hits, noise=False, truth=truth)
    result = calibrate(Simulation(one_tpc(), response=small()), segments, target, NAMES)
    assert result.converged, str(result)
    assert (np.abs(result.values - result.truth) < 1e-2 * result.errors + 1e-5 * result.size).all(), str(result)


@pytest.mark.slow
def test_pulls():
    segments, truth = six_tracks(), Parameters(Ab=0.81, induction_scale=0.85)
    start = Simulation(one_tpc(), response=small())

    def fit(seed):
        hits = Simulation(one_tpc(), truth, response=small(), noise=True, seed=seed)(segments).hits
        return calibrate(start, segments, Target(hits, truth=truth), NAMES)

    assert_pulls_are_right(fit)
