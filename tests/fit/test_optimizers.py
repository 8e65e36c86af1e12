"""Each optimizer on functions with known minima, and all of them on the likelihood of hits with noise."""

import importlib.util

import numpy as np
import pytest
from analytic import problem, quadratic, rosenbrock, squares
from samples import protons

from lartpc.exceptions import InputError
from lartpc.fit import optimizers
from lartpc.fit.calibrate import calibrate
from lartpc.fit.optimizers import OPTIMIZERS, adam, find_optimizer, newton_step, step_within
from lartpc.fit.smooth import Inside
from lartpc.losses.per_event import MeanLoss
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

DETERMINISTIC = ("gauss-newton", "trust-region", "l-bfgs-b", "minuit")
H = np.array([[1e4, 5e3], [5e3, 4e3]])  # correlation 0.79
TRUTH = Parameters(Ab=0.83, kb=0.053, eField=0.52, lifetime=1500.0, long_diff=5e-6, tran_diff=9e-6)


def optimizer(name):
    if name == "minuit":
        pytest.importorskip("iminuit")
    return OPTIMIZERS[name]


def minimum(name, function, low, high, start):
    """Where it ends, in nominal values, and its outcome; no evaluation leaves the bounds."""
    p = problem(function, low, high)
    outcome = optimizer(name)().run(p, np.array(start) * p.scale)
    tried = np.array([evaluation.values for evaluation in p.record.history])
    assert (tried >= p.bounds[:, 0]).all() and (tried <= p.bounds[:, 1]).all()
    np.testing.assert_allclose(outcome.last.values, outcome.values, rtol=1e-4)
    return outcome.values / p.scale, outcome


def without_information(function):
    """The same value and gradient as the loss of one event."""

    def events(x, batches):
        linear = function(x, batches)
        return MeanLoss(np.array([linear.value]), linear.gradient[None], 1, 0)

    return events


# --- known minima


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_quadratic(name):
    """To a hundredth of an error, and the first step of Gauss-Newton is exact."""
    found, outcome = minimum(name, quadratic([1.1, 0.9], H), 0.5, 1.5, [1.0, 1.0])
    assert outcome.ended
    np.testing.assert_allclose(found, [1.1, 0.9], atol=0.01 * np.sqrt(np.linalg.inv(H)[1, 1]))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_curved_valley(name):
    found, outcome = minimum(name, rosenbrock, 0.0, 3.0, [0.3, 0.5])
    assert outcome.ended
    np.testing.assert_allclose(found, [1.2, 1.44], atol=0.01)  # a hundredth of an error


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_minimum_at_a_bound(name):
    """Free it lies at (1.6, 0.9); with the first at 1.5 the second moves to 0.9 + 0.1 H01/H11."""
    found, outcome = minimum(name, quadratic([1.6, 0.9], H), 0.5, 1.5, [1.0, 1.0])
    assert outcome.ended
    np.testing.assert_allclose(found, [1.5, 0.9 + 0.1 * H[0, 1] / H[1, 1]], atol=1e-4)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_from_a_bound_inwards(name):
    """A start at the corner of the bounds, where the smooth transform has no slope."""
    found, _ = minimum(name, quadratic([1.1, 0.9], H), 0.5, 1.5, [1.5, 0.5])
    np.testing.assert_allclose(found, [1.1, 0.9], atol=1e-3)


@pytest.mark.parametrize("name", ["trust-region", "l-bfgs-b", "minuit"])
def test_gradient_alone(name):
    found, _ = minimum(name, without_information(rosenbrock), 0.0, 3.0, [0.3, 0.5])
    np.testing.assert_allclose(found, [1.2, 1.44], atol=0.01)  # a hundredth of an error


def test_information_saves_iterations():
    counts = []
    for function in (rosenbrock, without_information(rosenbrock)):
        p = problem(function, 0.0, 3.0)
        OPTIMIZERS["trust-region"](200).run(p, np.array([0.3, 0.5]) * p.scale)
        counts.append(len(p.record.history))
    assert counts[0] < counts[1]


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_spent_iterations(name):
    """Three are too few for the valley: it ends as not converged, at the best of what it tried."""
    p = problem(rosenbrock, 0.0, 3.0)
    outcome = optimizer(name)(3).run(p, np.array([0.3, 0.5]) * p.scale)
    assert not outcome.ended and "not converged" in outcome.message
    lowest = min(evaluation.value for evaluation in p.record.history)
    assert outcome.last.value <= lowest + optimizers.NOISE  # which Gauss-Newton takes for rounding
    assert len(p.record.history) <= 3 + (name == "gauss-newton") * optimizers.HALVINGS


def test_gauss_newton_halves_a_step_that_is_too_long():
    """sqrt(1 + x^2)-like: from far away a full step overshoots to the other side and up."""

    def arctan(x, batches):
        return squares(np.arctan(8.0 * (x - 1.1)), np.diag(8.0 / (1.0 + (8.0 * (x - 1.1)) ** 2)))

    found, outcome = minimum("gauss-newton", arctan, 0.0, 2.0, [0.7, 1.5])
    assert outcome.ended
    np.testing.assert_allclose(found, [1.1, 1.1], rtol=1e-6)


def test_gauss_newton_says_where_its_direction_is_wrong():
    """A Jacobian with the wrong sign: no step lowers the loss."""

    def wrong(x, batches):
        right = quadratic([1.1, 0.9], H)(x, batches)
        return right._replace(jacobian=-right.jacobian)

    found, outcome = minimum("gauss-newton", wrong, 0.5, 1.5, [1.0, 1.0])
    assert not outcome.ended and "no step along the Gauss-Newton direction" in outcome.message
    np.testing.assert_array_equal(found, [1.0, 1.0])


def test_a_flat_direction_is_not_followed_where_the_loss_has_all_but_ended():
    """With noise (residuals that stay) a last, unevaluated step along it could go anywhere."""
    direction = np.array([1.0, 1.0 + 1e-7])

    def valley(x, batches):
        off = 1e3 * (direction @ x - 2.1)
        return squares([off, 1.0 + 1e-6 * x[0], 3.0], [1e3 * direction, [1e-6, 0.0], [0.0, 0.0]])

    found, outcome = minimum("gauss-newton", valley, 0.5, 1.5, [1.05, 1.05])
    assert outcome.ended
    np.testing.assert_allclose(found, [1.05, 1.05], rtol=1e-3)


def test_a_function_that_is_not_finite_is_no_result():
    def nan(x, batches):
        return quadratic([1.1, 0.9], H)(x, batches)._replace(rest=np.nan)

    p = problem(nan, 0.5, 1.5)
    for name in ("gauss-newton", "trust-region", "l-bfgs-b", "adam"):
        with pytest.raises(FloatingPointError, match="not finite at Ab = 0.8, lifetime = 2200"):
            OPTIMIZERS[name](5).run(p, p.scale)


# --- the transform into the bounds


def test_inside_is_within_the_bounds_everywhere():
    p = problem(rosenbrock, [0.5, 0.9], [1.5, 1.3])
    inside = Inside(p)
    u = np.random.default_rng(0).normal(scale=100.0, size=(1000, 2))
    values = np.array([inside.outer(row) for row in u])
    assert (values >= p.bounds[:, 0]).all() and (values <= p.bounds[:, 1]).all()
    reach = (values - p.bounds[:, 0]) / np.diff(p.bounds, axis=1)[:, 0]
    assert reach.min() < 1e-3 and reach.max() > 1.0 - 1e-3


def test_inside_and_back():
    p = problem(rosenbrock, [0.5, 0.9], [1.5, 1.3])
    inside = Inside(p)
    middle = p.bounds.mean(axis=1)
    for fraction in (0.03, 0.3, 0.5, 0.9):
        values = p.bounds @ [1.0 - fraction, fraction]
        np.testing.assert_allclose(inside.outer(inside.inner(values)), values, rtol=1e-12)
    np.testing.assert_allclose(inside.inner(middle), middle / p.scale)
    np.testing.assert_allclose(inside.slope(inside.inner(middle)), p.scale)
    # a start at a bound is moved off it a little, so that there is a slope
    for k in (0, 1):
        u = inside.inner(p.bounds[:, k])
        assert (np.abs(inside.outer(u) - p.bounds[:, k]) < 0.03 * np.diff(p.bounds, axis=1)[:, 0]).all()
        assert (inside.slope(u) > 0.3 * p.scale).all()


def test_slope_is_the_derivative():
    inside, h = Inside(problem(rosenbrock, [0.5, 0.9], [1.5, 1.3])), 1e-6
    for u in np.random.default_rng(1).uniform(-1.0, 3.0, size=(20, 2)):
        difference = (inside.outer(u + h) - inside.outer(u - h)) / (2.0 * h)
        np.testing.assert_allclose(inside.slope(u) / inside.scale, difference / inside.scale, atol=1e-7)


# --- steps of Gauss-Newton


def test_steps_stay_within_bounds():
    """The unconstrained minimum is at (3, -1); with the first held at 1, the second moves along its row to 0."""
    information = np.array([[2.0, 2.0], [2.0, 4.0]])
    gradient = -information @ np.array([3.0, -1.0])
    wide = step_within(information, gradient, np.full(2, -9.0), np.full(2, 9.0))
    np.testing.assert_allclose(wide, [3.0, -1.0], rtol=1e-9)
    held = step_within(information, gradient, np.full(2, -9.0), np.array([1.0, 9.0]))
    np.testing.assert_allclose(held, [1.0, 0.0], atol=1e-9)


def test_an_open_direction_does_not_move():
    information = np.array([[1.0, 1.0], [1.0, 1.0]])
    step = step_within(information, np.array([-2.0, -2.0]), np.full(2, -9.0), np.full(2, 9.0))
    np.testing.assert_allclose(step, [1.0, 1.0], rtol=1e-9)


def test_a_parameter_without_room_stays_and_the_others_take_its_part():
    p = problem(quadratic([1.1, 0.9], H), [1.0, 0.5], [1.0, 1.5])
    step = newton_step(p, p(p.scale))
    np.testing.assert_allclose(step, [0.0, -0.1 + 0.1 * H[0, 1] / H[1, 1]], atol=1e-9)


# --- Adam


def reference_adam(gradient, bounds, nominal, start, order, per_epoch):
    """Algorithm 1 of Kingma and Ba (2014) on u = theta/nominal, that stops at the bounds."""
    low, high = bounds.T / nominal
    u = start / nominal
    m = v = np.zeros(len(u))
    path = []
    for t, batch in enumerate(order, start=1):
        path.append(u * nominal)
        g = gradient(path[-1], batch) * nominal
        if np.linalg.norm(g) > 1.0:
            g = g / np.linalg.norm(g)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        rate = 5e-2 * 0.95 ** ((t - 1) // per_epoch)
        u = u - rate * (m / (1.0 - 0.9**t)) / (np.sqrt(v / (1.0 - 0.999**t)) + 1e-8)
        u = np.minimum(np.maximum(u, low), high)
    return np.array([*path, u * nominal])


CENTRES = np.array([[1.1, 0.9], [1.3, 0.8], [1.2, 1.0]])  # of the loss of each batch


def by_batch(strength):
    """The sum over the batches of quadratics around different centres."""
    root = np.sqrt(strength) * np.array([[1.0, 0.4], [0.0, 0.7]])
    parts = [quadratic(centre, root.T @ root) for centre in CENTRES]

    def function(x, batches):
        linears = [parts[k](x, batches) for k in batches]
        return squares(np.concatenate([p.residual for p in linears]), np.concatenate([p.jacobian for p in linears]))

    return function


@pytest.mark.parametrize("strength", [0.3, 300.0])
def test_adam_is_the_published_one(strength):
    """With gradients below the norm at which they are clipped, and above; rate 5e-2, times 0.95 an epoch."""
    function = by_batch(strength)
    p = problem(function, [0.5, 0.7], [1.5, 1.4], batches=3)
    start = np.array([0.9, 1.2]) * p.scale
    outcome = adam(p, start, 7)
    history = p.record.history
    assert [evaluation.batch for evaluation in history] == [0, 1, 2] * 7 + [-1]
    size = [np.linalg.norm(evaluation.gradient * p.scale) for evaluation in history[:6]]
    assert max(size) < 1.0 if strength < 1.0 else min(size) > 1.0

    def gradient(values, batch):
        return function(values / p.scale, [batch]).gradient / p.scale

    path = reference_adam(gradient, p.bounds, p.scale, start, [0, 1, 2] * 7, 3)
    np.testing.assert_allclose([evaluation.values for evaluation in history], path, rtol=1e-10)
    np.testing.assert_allclose(outcome.values, path[-1], rtol=1e-10)
    assert outcome.last is history[-1]


def test_adam_finds_the_minimum_of_all_batches():
    p = problem(by_batch(1.0), 0.5, 1.5, batches=3)
    outcome = adam(p, p.scale, 80)
    np.testing.assert_allclose(outcome.values / p.scale, CENTRES.mean(axis=0), atol=5e-3)


# --- which there are


@pytest.mark.parametrize(
    "name, squares, message",
    [
        ("newton", True, "optimizer: found 'newton', allowed is gauss-newton or trust-region or l-bfgs-b"),
        ("gauss-newton", False, "gauss-newton needs the loss likelihood or residuals; .* allowed is trust-region or"),
    ],
)
def test_wrong_optimizers(name, squares, message):
    with pytest.raises(InputError, match=message) as caught:
        find_optimizer(name, squares)
    assert "\n" not in str(caught.value)


def test_without_iminuit(monkeypatch):
    monkeypatch.setattr(optimizers, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"minuit needs the package iminuit, pip install 'lartpc\[minuit\]'") as caught:
        find_optimizer("minuit", True)
    assert "\n" not in str(caught.value)
    assert find_optimizer("l-bfgs-b", False) == OPTIMIZERS["l-bfgs-b"]()


# --- the chain


@pytest.mark.slow
def test_all_find_the_minimum_of_the_likelihood(one_thread):
    """From nominal values, a target with noise: within a tenth of an error of each other.

    The robust start ends at a bound, where the smooth transform alone would be stuck.
    """
    segments = protons(2)
    hits = Simulation(parameters=TRUTH, noise=True, seed=1)(segments).hits
    names = [n for n in DETERMINISTIC if n != "minuit" or importlib.util.find_spec("iminuit")]
    results = {}
    for name in names:
        results[name] = calibrate(Simulation(), segments, hits, optimizer=name)
        assert results[name].converged, str(results[name])
        assert results[name].optimizer == name
    best = results["gauss-newton"]
    for name in names[1:]:
        off = (results[name].values - best.values) / best.errors
        assert np.abs(off).max() < 0.1, (name, off)
        np.testing.assert_allclose(results[name].errors, best.errors, rtol=0.05)
