"""Errors against known ones: of functions, of textbook regression, of toys, and of the chain."""

import numpy as np
import pytest
from analytic import NAMES, problem, quadratic, squares
from samples import protons
from scipy.optimize import brentq

from lartpc.fit.calibrate import SIX, calibrate
from lartpc.fit.optimizers import gauss_newton, l_bfgs_b
from lartpc.fit.problem import Outcome, Problem, Record
from lartpc.fit.result import make_result
from lartpc.fit.uncertainty import from_hessian, from_information, hessian, profile, sandwich
from lartpc.fit.unknowns import unknowns_of
from lartpc.losses.objective import Objective
from lartpc.losses.per_event import MeanLoss
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

H = np.array([[1e4, 5e3], [5e3, 4e3]])  # correlation -0.79 of the errors
CENTRE = np.array([1.1, 0.9])
TRUTH = Parameters(Ab=0.83, kb=0.053, eField=0.52, lifetime=1500.0, long_diff=5e-6, tran_diff=9e-6)


def fitted(function, low=0.5, high=1.5, **keywords):
    """The problem and its minimum."""
    p = problem(function, low, high, **keywords)
    outcome = gauss_newton(p, p.scale, 50)
    assert outcome.ended
    return p, p(outcome.values)


def relative(p, errors):
    """The covariance relative to nominal values."""
    return errors.covariance / np.outer(p.scale, p.scale)


# --- Hessian and information


def test_hessian_of_a_known_function():
    """f = exp(a x + b y), whose second derivatives are f times those of its exponent; x = 1.05, y = 0.95."""
    a = np.array([0.9, -0.4])

    def function(x, batches):
        f = np.exp(a @ x)
        return squares([0.0], [np.sqrt(f) * a], f, f * a)

    p = problem(function, 0.5, 1.5)
    x = np.array([1.05, 0.95])
    f = np.exp(a @ x)
    found = hessian(p, p(x * p.scale)) * np.outer(p.scale, p.scale)
    np.testing.assert_allclose(found, f * np.outer(a, a), rtol=0.02)  # by steps as long as half an error
    np.testing.assert_array_equal(found, found.T)


def test_of_a_quadratic_both_are_the_inverse():
    p, at = fitted(quadratic(CENTRE, H))
    for errors in (from_information(p, at), from_hessian(p, at)):
        np.testing.assert_allclose(relative(p, errors), np.linalg.inv(H), rtol=1e-6)
        assert errors.open_direction is None and errors.left < 1e-3


def test_they_differ_where_the_model_bends():
    """r = x^2 - 0.5 and r = x - 2: the Hessian has r r'' more, the Gauss-Newton form has not."""

    def function(x, batches):
        return squares([x[0] ** 2 - 0.5, x[0] - 2.0], [[2.0 * x[0]], [1.0]])

    p, at = fitted(function, names=("Ab",))
    x = at.values[0] / p.scale[0]
    assert 2.0 * x * (x**2 - 0.5) + x - 2.0 == pytest.approx(0.0, abs=1e-3)
    gauss = 4.0 * x**2 + 1.0
    assert relative(p, from_information(p, at))[0, 0] == pytest.approx(1.0 / gauss, rel=1e-9)
    assert relative(p, from_hessian(p, at))[0, 0] == pytest.approx(1.0 / (gauss + 2.0 * (x**2 - 0.5)), rel=5e-3)


def test_an_open_direction_is_named():
    """Only 2 ln Ab + ln lifetime is measured: relative changes 1 to -2 at the minimum change nothing."""

    def function(x, batches):
        return squares([100.0 * (2.0 * np.log(x[0]) + np.log(x[1]))], [[200.0 / x[0], 100.0 / x[1]]])

    p = problem(function, 0.5, 1.5)
    at = p(np.array([1.1, 1.0 / 1.21]) * p.scale)
    for errors in (from_information(p, at), profile(p, at, from_information(p, at))):
        np.testing.assert_allclose(errors.open_direction / errors.open_direction[1], [-0.5, 1.0], rtol=1e-6)
        assert np.isinf(np.diag(errors.covariance)).all() and errors.intervals is None
        result = make_result(p, Outcome(at, at.values, True, "converged"), errors, None, "likelihood", "x")
        assert not result.converged and set(result.open_direction) == set(NAMES)
        assert "leave a direction open" in str(result) and np.isfinite(result.correlation).all()


def test_what_is_left_to_do_is_not_converged():
    """0.05 of an error beside the minimum is converged, 0.3 is not."""
    p, at = fitted(quadratic(CENTRE, H))
    errors = np.sqrt(np.diag(np.linalg.inv(H)))
    for fraction, converged in ((0.05, True), (0.3, False)):
        beside = p(at.values + [fraction * errors[0] * p.scale[0], 0.0])
        outcome = Outcome(beside, beside.values, True, "ended")
        result = make_result(p, outcome, from_information(p, beside), None, "likelihood", "x")
        assert result.converged is converged, result.message
        assert ("Newton step" in result.message) is not converged


# --- profile


def test_profile_of_a_quadratic():
    """One error on both sides, correlated as they are, though each alone would be 0.6 of it."""
    p, at = fitted(quadratic(CENTRE, H))
    errors = profile(p, at, from_information(p, at))
    sigma = np.sqrt(np.diag(np.linalg.inv(H)))
    wanted = CENTRE[:, None] + sigma[:, None] * [-1.0, 1.0]
    np.testing.assert_allclose((errors.intervals / p.scale[:, None] - wanted) / sigma[:, None], 0.0, atol=0.01)


def skewed(counts):
    """Counts with Poisson means 20 x and 20 x y: -log L = mu - n log mu; of x^y-like shape, and correlated."""

    def function(x, batches):
        mu = 20.0 * np.array([x[0], x[0] * x[1]])
        slope = 20.0 * np.array([[1.0, 0.0], [x[1], x[0]]])
        value = float(np.sum(mu - counts * np.log(mu)))
        return squares([0.0, 0.0], slope / np.sqrt(mu)[:, None], value, slope.T @ (1.0 - counts / mu))

    return function


def test_profile_of_counts():
    """The mean of one count, whatever the other; and their ratio, whose profile is that of a binomial fraction."""
    n = np.array([22.0, 18.0])
    p = problem(skewed(n), 0.2, 3.0)
    at = p(np.array([n[0] / 20.0, n[1] / n[0]]) * p.scale)
    errors = profile(p, at, from_information(p, at))
    intervals = errors.intervals / p.scale[:, None]

    def of_mean(x):
        return (20.0 * x - n[0] * np.log(x / 1.1)) - n[0] - 0.5

    def of_ratio(y):
        fraction, best = y / (1.0 + y), n[1] / n.sum()
        return -n[1] * np.log(fraction / best) - n[0] * np.log((1.0 - fraction) / (1.0 - best)) - 0.5

    for i, (rise, centre) in enumerate(((of_mean, 1.1), (of_ratio, 18.0 / 22.0))):
        wanted = [brentq(rise, 0.3, centre), brentq(rise, centre, 2.9)]
        sigma = np.sqrt(relative(p, errors)[i, i])
        np.testing.assert_allclose(intervals[i], wanted, atol=0.015 * sigma)
        down, up = centre - wanted[0], wanted[1] - centre
        assert up > 1.1 * down  # so skewed that an error on both sides would not do


def test_a_bound_ends_an_interval():
    p, at = fitted(quadratic(CENTRE, H), [1.095, 0.5], 1.5)
    errors = profile(p, at, from_information(p, at))
    sigma = np.sqrt(np.diag(np.linalg.inv(H)))
    assert sigma[0] > 0.01
    assert errors.intervals[0, 0] == 1.095 * p.scale[0]
    assert errors.intervals[0, 1] / p.scale[0] == pytest.approx(CENTRE[0] + sigma[0], abs=0.01 * sigma[0])
    # the first at its bound is all that the second, anticorrelated, can lean on
    rise = 0.5 * H[0, 0] * 0.005**2
    held = np.sqrt(2.0 * (0.5 - rise) / H[1, 1] + (H[0, 1] / H[1, 1] * 0.005) ** 2) + H[0, 1] / H[1, 1] * 0.005
    high = errors.intervals[1, 1] / p.scale[1] - CENTRE[1]
    assert high == pytest.approx(held, abs=0.01 * sigma[1]) and held < 0.95 * sigma[1]


# --- sandwich


def regression(t, y):
    """Mean over events of (y - a - b t)^2/2, x = (a, b)."""
    design = np.stack((np.ones_like(t), t), axis=1)

    def function(x, batches):
        r = design @ x - y
        return MeanLoss(0.5 * r**2, r[:, None] * design, len(y), 0)

    return function, design


def noisy_line(rng, n):
    """y = 1.1 + 0.9 t with noise that grows with |t|."""
    t = rng.uniform(-1.0, 1.0, n)
    return t, 1.1 + 0.9 * t + (0.02 + 0.2 * t**2) * rng.normal(size=n)


def test_sandwich_is_whites():
    """(X'X)^-1 X' diag(r^2) X (X'X)^-1 (White 1980, HC0) times n/(n - 1); those of equal noise are wrong by 1.3."""
    t, y = noisy_line(np.random.default_rng(0), 400)
    function, design = regression(t, y)
    p = problem(function, -3.0, 5.0)
    at = l_bfgs_b(p, p.scale, 200).last
    errors = sandwich(p, at)
    inverse = np.linalg.inv(design.T @ design)
    residual = y - design @ inverse @ design.T @ y
    white = inverse @ (design.T * residual**2) @ design @ inverse
    np.testing.assert_allclose(relative(p, errors), white * 400 / 399, rtol=1e-3)
    equal = inverse * np.mean(residual**2)
    assert np.sqrt(white[1, 1] / equal[1, 1]) > 1.3
    assert errors.left < 1.0 and "sandwich" in errors.made_from and "400 events" in errors.made_from


def robust_line(t, y):
    """Mean over events of log cosh(10 (a + b t - y)): no likelihood of this noise."""
    design = np.stack((np.ones_like(t), t), axis=1)

    def function(x, batches):
        z = 10.0 * (design @ x - y)
        return MeanLoss(np.logaddexp(z, -z), 10.0 * np.tanh(z)[:, None] * design, len(y), 0)

    return function


@pytest.mark.slow
def test_sandwich_is_the_spread_of_fits():
    """400 fits to noise drawn anew: their spread within 12 % of the mean error, though it is not 1/sqrt(Hessian)."""
    rng = np.random.default_rng(1)
    values, covariances, inverses = [], [], []
    for _ in range(400):
        p = problem(robust_line(*noisy_line(rng, 60)), -3.0, 5.0)
        at = l_bfgs_b(p, p.scale, 200).last
        errors = sandwich(p, at)
        assert errors.left < 1.0
        values.append(at.values / p.scale)
        covariances.append(relative(p, errors))
        inverses.append(np.linalg.inv(hessian(p, at) * np.outer(p.scale, p.scale)) / 60)
    spread = np.std(values, axis=0)
    error = np.sqrt(np.diagonal(np.mean(covariances, axis=0)))
    np.testing.assert_allclose(error / spread, 1.0, atol=0.12)
    naive = np.sqrt(np.diagonal(np.mean(inverses, axis=0)))
    assert (np.abs(naive / spread - 1.0) > 0.3).any()
    off = (np.mean(values, axis=0) - [1.1, 0.9]) / (error / 20.0)
    assert np.abs(off).max() < 4.0


def test_too_few_events_give_no_error():
    """Two events for two parameters; whether the minimum is reached is still judged."""
    t = np.array([-1.0, 1.0])
    p = problem(regression(t, 1.1 + 0.9 * t)[0], -3.0, 5.0)
    for x, converged in (([1.1, 0.9], True), ([1.1, 0.95], False)):
        at = p(np.array(x) * p.scale)
        errors = sandwich(p, at)
        assert np.isinf(np.diag(errors.covariance)).all()
        assert "needs more events than parameters, found 2" in errors.made_from
        result = make_result(p, Outcome(at, at.values, True, "ended"), errors, None, "mse", "adam")
        assert result.converged is converged
        assert result.as_dict()["parameters"]["Ab"]["error"] is None


def test_an_open_direction_of_a_loss():
    """All events at the same t: only a + b t is known."""
    rng = np.random.default_rng(2)
    t = np.full(50, 0.5)
    p = problem(regression(t, 1.0 + 0.1 * rng.normal(size=50))[0], -3.0, 5.0)
    errors = sandwich(p, p(p.scale))
    np.testing.assert_allclose(errors.open_direction / errors.open_direction[1], [-0.5, 1.0], rtol=1e-3)


def test_a_loss_with_its_minimum_beyond_a_bound_has_nothing_left_to_do():
    t, y = noisy_line(np.random.default_rng(0), 400)
    p = problem(regression(t, y)[0], [-3.0, 1.0], 5.0)
    outcome = l_bfgs_b(p, np.array([1.0, 2.0]) * p.scale, 200)
    assert outcome.values[1] == pytest.approx(1.0 * p.scale[1], rel=1e-4)
    result = make_result(p, outcome, sandwich(p, outcome.last), None, "mse", "l-bfgs-b")
    assert result.converged and "at the bound of lifetime" in result.message


# --- the chain


@pytest.mark.slow
def test_hessian_and_information_of_the_likelihood_agree(one_thread):
    """Within 30 %: the information is the Hessian's expectation, for a sample of 100 hits; profile in between."""
    segments = protons(4)
    hits = Simulation(parameters=TRUTH, noise=True, seed=1)(segments).hits
    quiet = Simulation()
    objective = Objective(
        "likelihood", quiet, quiet.batches(segments), TargetHits(hits, quiet.detector), unknowns_of(quiet, SIX)
    )
    p = Problem(objective, Record((), lambda evaluation: None))
    outcome = gauss_newton(p, np.array([TRUTH.as_dict()[name] for name in SIX]), 20)
    assert outcome.ended
    gauss, second = from_information(p, outcome.last), from_hessian(p, outcome.last)
    ratio = np.sqrt(np.diag(second.covariance) / np.diag(gauss.covariance))
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)


@pytest.mark.slow
def test_intervals_of_the_likelihood(one_thread):
    """Around the value, of about the size of the errors; the three kinds name themselves."""
    segments = protons(4)
    hits = Simulation(parameters=TRUTH, noise=True, seed=1)(segments).hits
    names, made_from = ("eField", "kb"), []
    fixed = Simulation(parameters=TRUTH)
    for kind in ("gauss-newton", "hessian", "profile"):
        result = calibrate(fixed, segments, hits, unknowns=names, errors=kind)
        assert result.converged, str(result)
        made_from.append(result.errors_from)
        assert (result.intervals is not None) is (kind == "profile")
    assert len(set(made_from)) == 3
    size = np.abs(result.intervals - result.values[:, None]) / result.errors[:, None]
    np.testing.assert_allclose(size, 1.0, atol=0.2)
    assert str(result).count("profile -") == 2
