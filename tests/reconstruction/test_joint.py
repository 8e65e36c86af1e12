"""Tracks and parameters together: the Schur complement, the minimum, the marginal."""

import numpy as np
import pytest

from lartpc import Detector, Simulation
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.unknowns import unknowns_of
from lartpc.reconstruction import marginal
from lartpc.reconstruction.calibrate import along_inverse
from lartpc.reconstruction.candidates import CutFlow
from lartpc.reconstruction.joint import JointFit, Reduced, State, Times
from lartpc.reconstruction.layout import TIME
from lartpc.reconstruction.likelihood import Near, OfTime, TrackLikelihood
from lartpc.reconstruction.reconstruct import reconstruct
from lartpc.reconstruction.selection import chosen
from lartpc.reconstruction.track import Gaussian
from tests.reconstruction.data import event, truth


def quadratic(information, gradient, n):
    """`Near` of a track with n unknowns of its own, the first ones of (n + p) with this information and gradient."""
    return Near(
        value=0.0,
        residual=np.zeros(3),
        gradient=gradient[:n],
        information=information[:n, :n],
        cross=information[:n, n:],
        gradient_theta=gradient[n:],
        information_theta=information[n:, n:],
        hits=3,
        missed=0,
        jacobian=np.zeros((3, n)),
        jacobian_theta=np.zeros((3, len(gradient) - n)),
    )


def test_the_schur_complement_is_the_marginal_of_the_whole(simple_fit):
    rng = np.random.default_rng(1)
    p, sizes = 3, (4, 6)
    whole, gradient = np.zeros((13, 13)), np.zeros(13)
    near, at = [], 0
    for n in sizes:
        root = rng.normal(size=(20, n + p))
        own, slope = root.T @ root, rng.normal(size=n + p)
        near.append(quadratic(own, slope, n))
        rows = np.r_[at : at + n, 10:13]
        whole[np.ix_(rows, rows)] += own
        gradient[rows] += slope
        at += n
    fit = simple_fit(p, len(sizes))
    reduced = fit.reduced(State(np.zeros(p), tuple(np.zeros(n) for n in sizes), tuple(near)))
    covariance = np.linalg.inv(whole)
    np.testing.assert_allclose(np.linalg.inv(reduced.information), covariance[10:, 10:], rtol=1e-10)
    np.testing.assert_allclose(reduced.step, -(covariance @ gradient)[10:], rtol=1e-9)


def test_the_schur_complement_with_shared_times_is_the_marginal_of_the_whole(simple_fit):
    """Unknowns of three tracks, the times of two events that they share, and theta."""
    rng = np.random.default_rng(2)
    p, n, event = 2, 9, np.array([0, 1, 0])
    places = 3 * n + np.arange(2), 3 * n + 2 + np.arange(p)
    whole, gradient, near, etas = np.zeros((3 * n + 2 + p, 3 * n + 2 + p)), np.zeros(3 * n + 2 + p), [], []
    times, prior = np.array([0.3, -0.2]), Gaussian(0.1, 2.0)
    for k, e in enumerate(event):
        root, slope = rng.normal(size=(30, n + p)), rng.normal(size=n + p)
        own = root.T @ root
        rows = np.r_[k * n + np.arange(n), places[1]]
        rows[TIME] = places[0][e]
        whole[np.ix_(rows, rows)] += own
        gradient[rows] += slope
        of_time = OfTime(
            slope[TIME], own[TIME, TIME], np.where(np.arange(n) == TIME, 0.0, own[TIME, :n]), own[TIME, n:].copy()
        )
        own[TIME], own[:, TIME], own[TIME, TIME], slope[TIME] = 0.0, 0.0, 1.0, 0.0
        near.append(quadratic(own, slope, n)._replace(of_time=of_time))
        etas.append(np.where(np.arange(n) == TIME, times[e], 0.0))
        whole[k * n + TIME, k * n + TIME] = 1.0  # is no unknown of the track
    whole[places[0], places[0]] += prior.width**-2
    gradient[places[0]] += (times - prior.centre) / prior.width**2
    fit = simple_fit(p, 3)
    fit.times = Times(event, prior)
    state = State(np.zeros(p), tuple(etas), tuple(near))
    reduced = fit.reduced(state)
    covariance = np.linalg.inv(whole)
    np.testing.assert_allclose(np.linalg.inv(reduced.information), covariance[-p:, -p:], rtol=1e-6)
    step = -covariance @ gradient
    np.testing.assert_allclose(reduced.step, step[-p:], rtol=1e-6)
    late = (reduced.times_follow @ reduced.step + reduced.settle)[event]
    told = zip(reduced.follow, late, reduced.with_time, strict=True)
    moved = [follow @ reduced.step + time * with_time for follow, time, with_time in told]
    np.testing.assert_allclose([one[TIME] for one in moved], step[places[0]][event], rtol=1e-6)
    # What is left to go of the tracks' own unknowns is that of fits of the tracks alone.
    alone = [-np.linalg.solve(one.information, one.gradient) for one in near]
    for k in range(3):
        own = np.delete(np.arange(n), TIME)
        np.testing.assert_allclose((moved[k] + alone[k])[own], step[k * n + own], rtol=1e-5, atol=1e-9)
    off = (times - prior.centre) / prior.width
    assert fit.value(state) == pytest.approx(0.5 * off @ off)


@pytest.fixture
def simple_fit():
    """Makes a `JointFit` of p unknowns of a single run and so many tracks, for its linear algebra alone."""

    class Unknowns:
        constraints = ()

        def __init__(self, p):
            self.columns, self.of_run = (np.arange(p),), ()

    class Likelihood:
        def __init__(self, n):
            self.measured = [None] * n

    return lambda p, n: JointFit([Likelihood(n)], Unknowns(p), [None] * n)


@pytest.fixture(scope="module")
def ended():
    """The joint fit of an event's tracks, from the nominal parameters, and where it ended."""
    _, hits = event("stopping-protons")
    nominal = {"Ab": 0.8, "kb": 0.0486, "lifetime": 2200.0, "long_diff": 4e-6, "tran_diff": 8.8e-6}
    simulation = Simulation(Detector.module0(), truth().replace(**nominal))
    found = reconstruct(simulation, hits, ("proton",)).found
    places, _ = chosen(found, ("proton",), CutFlow())
    unknowns = unknowns_of(simulation, tuple(nominal))
    measured = [found[k].candidate.measured for k in places]
    likelihood = TrackLikelihood(simulation.apart(unknowns.names), measured, unknowns.slots)
    fit = JointFit([likelihood], RunUnknowns.of(unknowns), [found[k].fitted.track for k in places])
    etas = [found[k].fitted.eta for k in places]
    return fit, etas, fit.run(fit.profiled(unknowns.start, etas))


@pytest.mark.slow
def test_from_far_and_near_the_same_end(ended):
    fit, _, (state, reduced) = ended
    assert reduced.decrement < 0.1
    errors = np.sqrt(np.diag(np.linalg.inv(reduced.information)))
    truth = np.array([0.83, 0.052, 1500.0, 5.5e-6, 7.5e-6])
    assert np.max(np.abs(state.theta - truth) / errors) < 4.0
    other, found = fit.run(fit.profiled(2.0 * state.theta - fit.unknowns.start, state.eta))
    assert found.decrement < 0.1
    assert np.max(np.abs(other.theta - state.theta) / errors) < 0.15


@pytest.mark.slow
def test_parameters_alone_stay_where_the_tracks_were_made(ended):
    fit, etas, (state, reduced) = ended
    made = fit.profiled(fit.unknowns.start, etas)
    information = sum(near.information_theta for near in made.near)
    step = -np.linalg.solve(information, sum(near.gradient_theta for near in made.near))
    truth = np.array([0.83, 0.052, 1500.0, 5.5e-6, 7.5e-6])
    off = (made.theta + step - truth) * np.sqrt(1.0 / np.diag(np.linalg.inv(information)))
    assert np.max(np.abs(off)) > 10.0  # the two-step way
    errors = np.sqrt(np.diag(reduced.covariance))
    assert np.max(np.abs(state.theta - truth) / errors) < 4.0
    assert np.all(errors[:2] > 2.0 * np.sqrt(np.diag(np.linalg.inv(information)))[:2])  # Ab, kb: what tracks take


@pytest.mark.slow
def test_slopes_of_the_log_det_are_continuous_and_move_the_gains(ended):
    fit, _, (state, reduced) = ended
    assert not marginal.jumping(fit, state, reduced, marginal.slopes(fit, state, reduced)).any()
    found = marginal.run(fit, state, reduced)
    errors = np.sqrt(np.diag(np.linalg.inv(found.reduced.information)))
    moved = (found.state.theta - state.theta) / errors
    assert found.converged and moved[0] > 0.2  # Ab: what the tracks' freedom takes from it


def test_a_track_whose_log_det_jumps_is_named(monkeypatch):
    class Fit:
        times = None

        def following(self, state, reduced, step):
            return state.eta

        def state(self, theta, eta):
            return theta

    def half_log_det(state):
        theta = getattr(state, "theta", state)
        smooth = 0.3 * theta[0]
        jump, lost = 5.0 if theta[0] > 0.0 else 0.0, np.nan if theta[1] > 0.0 else 0.0
        return np.array([smooth, smooth + jump, 3.0 * theta[0] ** 2, smooth + lost])

    monkeypatch.setattr(marginal, "half_log_det", half_log_det)
    monkeypatch.setattr(marginal, "bent", lambda fit, state: 0.0)
    reduced = Reduced(np.zeros(2), np.eye(2), ())
    state = State(np.zeros(2), (), (None,) * 4)
    by_track = marginal.slopes(Fit(), state, reduced)
    np.testing.assert_allclose(by_track.by_theta[0], [0.3, 0.0], atol=1e-12)
    jumping = marginal.jumping(Fit(), state, reduced, by_track)
    # The third bends much, and is as smooth as any; the last is no number to one side.
    np.testing.assert_array_equal(jumping, [False, True, False, True])
    np.testing.assert_array_equal(by_track.without(jumping).by_theta[[1, 3]], np.zeros((2, 2)))


def test_slopes_to_one_side_know_the_curvature(monkeypatch):
    class Fit:
        times = None

        def following(self, state, reduced, step):
            return state.eta

        def state(self, theta, eta):
            return State(theta, eta, ())

    monkeypatch.setattr(marginal, "half_log_det", lambda state: np.array([state.theta[0] ** 2 - 0.5 * state.theta[1]]))
    monkeypatch.setattr(marginal, "bent", lambda fit, state: 0.0)
    reduced = Reduced(np.zeros(2), np.diag([4.0, 1.0]), ())
    first = marginal.slopes(Fit(), State(np.array([0.1, 0.0]), (), ()), reduced)
    np.testing.assert_allclose(first.by_theta, [[0.2, -0.5]], atol=1e-12)
    later = marginal.renewed(Fit(), State(np.array([0.7, 0.3]), (), ()), reduced, first)
    np.testing.assert_allclose(later.by_theta, [[1.4, -0.5]], atol=1e-12)
    assert first.errors_from(later.theta) == pytest.approx(np.hypot(2.0 * 0.6, 0.3))


def test_a_half_goes_along_the_inverse_of_a_lifetime():
    step, errors = np.array([0.02, -1000.0]), np.array([0.01, 200.0])
    values, errors = along_inverse(("Ab", "lifetime.run1"), np.array([0.8, 2000.0]), step, errors)
    np.testing.assert_allclose(values, [0.82, 2000.0 / 1.5])
    np.testing.assert_allclose(errors, [0.01, 200.0 / 1.5**2])


def test_an_open_direction_is_left_where_it_is():
    told = np.array([[1.0, 1e3], [1e3, 1e6]])  # of one sum alone
    reduced = Reduced(np.array([2.0, 2e3]), told, ())
    assert reduced.directions.shape == (2, 1)
    np.testing.assert_allclose(told @ reduced.step, -reduced.gradient, rtol=1e-6)
    np.testing.assert_allclose(reduced.step @ [1.0, -1e3], 0.0, atol=1e-6)
    np.testing.assert_allclose(reduced.along @ reduced.directions, [[1.0]])
