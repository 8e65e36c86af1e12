"""Constraints: their part of errors and values by the formula, what data alone say, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from analytic import NAMES, problem, quadratic
from samples import protons

from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import calibrate
from lartpc.fit.constraint import Constraint
from lartpc.fit.optimizers import OPTIMIZERS, gauss_newton
from lartpc.fit.problem import Problem
from lartpc.fit.result import make_result
from lartpc.fit.smooth import Inside
from lartpc.fit.target import Target
from lartpc.fit.uncertainty import from_hessian, from_information, profile
from lartpc.fit.unknowns import unknowns_of
from lartpc.parameters import TABLE, Parameters
from lartpc.pixels.sites import most_sites
from lartpc.simulation.simulation import Simulation

H = np.array([[1e4, 5e3], [5e3, 4e3]])
CENTRE = np.array([1.1, 0.9])


def constrained(function, *constraints, low=0.5, high=1.5):
    """The problem with constraints in the units of x, and its minimum."""
    p = problem(function, low, high)
    scaled = []
    for names, values, covariance in constraints:
        scale = p.scale[[NAMES.index(name) for name in names]]
        scaled.append(Constraint(names, np.array(values) * scale, np.array(covariance) * np.outer(scale, scale)))
    p.objective.unknowns = dataclasses.replace(p.unknowns, constraints=tuple(scaled))
    p = Problem(p.objective, p.record)
    return p, gauss_newton(p, p.scale, 50)


def result_of(p, outcome):
    return make_result(p, outcome, from_information(p, outcome.last), None, "likelihood", "gauss-newton")


def test_a_constraint_as_good_as_the_data_takes_a_factor_sqrt_2_and_three_times_as_good_in_information_halves():
    """1/s^2 = 1/s_data^2 + 1/s_constraint^2, with the other parameter free, for each kind of errors."""
    data = np.linalg.inv(H)
    for gain, ratio in ((1.0, np.sqrt(0.5)), (3.0, 0.5)):
        p, outcome = constrained(quadratic(CENTRE, H), (("lifetime",), [0.95], [[data[1, 1] / gain]]))
        assert outcome.ended
        at = outcome.last
        for errors in (from_information(p, at), from_hessian(p, at)):
            found = np.sqrt(errors.covariance[1, 1]) / p.scale[1]
            assert found == pytest.approx(ratio * np.sqrt(data[1, 1]), rel=1e-5)
        half = profile(p, at, from_information(p, at)).intervals[1] - at.values[1]
        np.testing.assert_allclose(np.abs(half) / p.scale[1], ratio * np.sqrt(data[1, 1]), rtol=0.02)
        mean = (0.9 + gain * 0.95) / (1.0 + gain)
        assert outcome.values[1] / p.scale[1] == pytest.approx(mean, abs=1e-5)


def test_correlated_ones_are_a_sum_of_informations():
    """Values and covariance are those of two correlated measurements together, by matrices."""
    C, c = np.array([[2e-4, -1e-4], [-1e-4, 3e-4]]), np.array([1.08, 0.93])
    p, outcome = constrained(quadratic(CENTRE, H), (NAMES, c, C), (("Ab",), [1.05], [[1e-3]]))
    extra = np.diag([1e3, 0.0])
    total = H + np.linalg.inv(C) + extra
    wanted = np.linalg.solve(total, H @ CENTRE + np.linalg.inv(C) @ c + extra @ [1.05, 0.0])
    np.testing.assert_allclose(outcome.values / p.scale, wanted, rtol=1e-6)
    covariance = from_information(p, outcome.last).covariance / np.outer(p.scale, p.scale)
    np.testing.assert_allclose(covariance, np.linalg.inv(total), rtol=1e-6)


def test_what_data_and_constraint_say_by_themselves():
    data = np.linalg.inv(H)
    p, outcome = constrained(quadratic(CENTRE, H), (("lifetime",), [0.95], [[data[1, 1]]]))
    result = result_of(p, outcome)
    (told,) = result.contributions
    assert told.name == "lifetime"
    np.testing.assert_allclose([told.value, told.data_value], np.array([0.95, 0.9]) * p.scale[1], rtol=1e-5)
    np.testing.assert_allclose([told.error, told.data_error], np.sqrt(data[1, 1]) * p.scale[1], rtol=1e-5)
    assert told.tension == pytest.approx(-0.05 / np.sqrt(2.0 * data[1, 1]), rel=1e-4)
    entry = json.loads(json.dumps(result.as_dict()))["constraints"]["lifetime"]
    assert entry["data"]["value"] == told.data_value and entry["constraint"]["error"] == told.error
    assert str(told) in str(result) and result.good


def test_a_constraint_far_from_the_data_is_a_reason():
    error = np.sqrt(np.linalg.inv(H)[1, 1])
    p, outcome = constrained(quadratic(CENTRE, H), (("lifetime",), [0.9 + 7.0 * error], [[error**2]]))
    assert any("data and constraint of lifetime are -4.9" in reason for reason in result_of(p, outcome).reasons)


def test_a_constraint_closes_what_the_data_leave_open():
    """The data see the sum alone; with Ab known lifetime is, with the sum of both variances."""
    blind = quadratic(CENTRE, 1e4 * np.ones((2, 2)) + 1e-6 * np.eye(2))
    p, outcome = constrained(blind, (("Ab",), [1.0], [[1e-4]]))
    result = result_of(p, outcome)
    assert result.converged and result.open_direction is None
    assert result.errors[1] / p.scale[1] == pytest.approx(np.sqrt(1e-4 + 1e-4), rel=1e-3)
    assert result.as_dict()["constraints"]["Ab"]["data"] == {"value": None, "error": None}
    assert "data alone leave it open" in str(result)


def test_each_batch_has_its_share():
    p = problem(lambda x, batches: quadratic(CENTRE, H)(x, batches), 0.5, 1.5, batches=4)
    one = Constraint.of("Ab", 0.7, 0.01)
    p.objective.unknowns = dataclasses.replace(p.unknowns, constraints=(one,))
    shared = Problem(p.objective, p.record)
    for batch, share in ((-1, 1.0), (0, 0.25)):
        added = shared(p.scale, batch).value - p(p.scale, batch).value
        assert added == pytest.approx(share * 0.5 * (0.1 / 0.01) ** 2)


# --- files, and what is refused


def written(tmp_path, **changes):
    rows = {"Ab": (0.81, 0.01), "kb": (0.05, 0.002), "eField": (0.5, 0.001)}
    found = {"parameters": {name: {"value": v, "error": s, "unit": ""} for name, (v, s) in rows.items()}}
    found["correlation"] = [[1.0, 0.3, 0.1], [0.3, 1.0, -0.5], [0.1, -0.5, 1.0]]
    path = tmp_path / "fit.json"
    path.write_text(json.dumps(found | changes))
    return path


def test_a_fit_is_read(tmp_path):
    """What is not fitted is left out, which is the integral over it."""
    found = Constraint.read(written(tmp_path), ("eField", "kb", "lifetime"))
    assert found.names == ("kb", "eField")
    np.testing.assert_allclose(found.values, [0.05, 0.5])
    np.testing.assert_allclose(found.covariance, [[4e-6, -1e-6], [-1e-6, 1e-6]])


@pytest.mark.parametrize(
    "changes, names, message",
    [
        ({}, ("lifetime",), "constrains Ab, kb, eField, fitted are lifetime"),
        ({"parameters": {}}, ("Ab",), r"correlation has the shape \(3, 3\), allowed is \(0, 0\)"),
        ({"parameters": {"Ab": 3}}, ("Ab",), "is no fit.json"),
        (
            {"parameters": {"Ab": {"value": 1.0, "error": None}}, "correlation": [[1.0]]},
            ("Ab",),
            "Ab has the error None",
        ),
        ({"parameters": {"Ab": {"value": 1.0, "error": 1e200}}, "correlation": [[1.0]]}, ("Ab",), "the error 1e.200"),
        ({"parameters": {"Ab": {"value": 1e400, "error": 0.1}}, "correlation": [[1.0]]}, ("Ab",), "Ab: found inf"),
        ({"parameters": {"Ab": {"value": 1.0, "error": 0.1}}, "correlation": [[10**400]]}, ("Ab",), "is no fit.json"),
    ],
)
def test_wrong_files(tmp_path, changes, names, message):
    with pytest.raises(InputError, match=message):
        Constraint.read(written(tmp_path, **changes), names)


def test_wrong_constraints():
    with pytest.raises(InputError, match="constraint of Ab: found an error of 0, allowed is a number above 0"):
        Constraint.of("Ab", 0.8, 0.0)
    with pytest.raises(InputError, match="constraint of Ab: found an error of 1e.200, allowed is a number above 0"):
        Constraint.of("Ab", 0.8, 1e200)
    with pytest.raises(InputError, match="constraint: kb is not fitted, allowed are Ab"):
        unknowns_of(Simulation(), ("Ab",), constraints=[Constraint.of("kb", 0.05, 0.01)])
    singular = Constraint(("Ab", "kb"), np.array([0.8, 0.05]), np.array([[1e-4, 1e-5], [1e-5, 1e-6]]))
    with pytest.raises(InputError, match="constraint of Ab, kb: its covariance is not positive and symmetric"):
        unknowns_of(Simulation(), ("Ab", "kb"), constraints=[singular])


# --- bounds that span decades


def test_the_transform_into_bounds_that_span_decades():
    """It is near the identity of the logarithm where parameters are, and its slope is its derivative."""
    p = problem(quadratic(CENTRE, H), [0.5, 4e-4], [1.5, 400.0])
    inside = Inside(p)
    for value in (0.01, 1.0, 30.0):
        u, h = inside.inner(np.array([1.0, value]) * p.scale), 1e-6
        np.testing.assert_allclose(inside.outer(u) / p.scale, [1.0, value], rtol=1e-12)
        difference = (inside.outer(u + h) - inside.outer(u - h)) / (2.0 * h)
        np.testing.assert_allclose(inside.slope(u) / p.scale, difference / p.scale, rtol=1e-6)


@pytest.mark.parametrize("name", ["gauss-newton", "trust-region", "l-bfgs-b"])
def test_far_from_the_start(name):
    """Eight times the nominal lifetime, within bounds of six decades."""
    p = problem(quadratic([1.1, 8.0], np.diag([1e4, 4e2])), [0.5, 4e-4], [1.5, 400.0])
    outcome = OPTIMIZERS[name]().run(p, p.scale)
    assert outcome.ended
    np.testing.assert_allclose(outcome.values / p.scale, [1.1, 8.0], atol=1e-3)


def test_bounds_are_wider_than_ranges():
    for name, row in TABLE.items():
        assert row.limits[0] < row.bounds[0] <= row.range[0] < row.range[1] <= row.bounds[1] <= row.limits[1], name


# --- the chain


@pytest.mark.slow
@pytest.mark.parametrize("truth", [{"lifetime": 10000.0}, {"eField": 0.25}, {"lifetime": 150.0, "eField": 0.6}])
def test_a_detector_outside_the_ranges(truth, one_thread):
    """Argon of today, and half the field: from nominal values to the truth, without noise."""
    there, segments = Parameters(**truth), protons(4)
    target = Target(Simulation(parameters=there)(segments).hits, noise=False, truth=there)
    result = calibrate(Simulation(), segments, target, ("Ab", "eField", "lifetime"))
    assert result.converged and result.good, str(result)
    np.testing.assert_allclose(result.values, result.truth, rtol=2e-4)


def test_a_loss_that_is_no_likelihood_takes_no_constraint():
    segments = protons(2)
    hits = Simulation()(segments).hits
    varied = unknowns_of(Simulation(), ("Ab",), constraints=[Constraint.of("Ab", 0.8, 0.01)])
    with pytest.raises(InputError, match="constraint: needs the loss likelihood or residuals, found mse"):
        calibrate(Simulation(), segments, hits, varied, loss="mse")


# --- what is not finite, and no noise


def test_a_step_beyond_what_has_a_result_is_halved():
    """From 1.0 the first step is to 1.5, where the function is not defined beyond 1.4."""

    def function(x, batches):
        if x[1] > 1.4:
            raise FloatingPointError("no result")
        return quadratic([1.0, 1.35], H)(x, batches)._replace(jacobian=0.7 * quadratic([1.0, 1.35], H)(x, ()).jacobian)

    p = problem(function, 0.5, 1.5)
    outcome = gauss_newton(p, p.scale, 50)
    assert outcome.ended
    np.testing.assert_allclose(outcome.values / p.scale, [1.0, 1.35], atol=1e-4)


def test_where_a_result_is_not_finite_is_told():
    def function(x, batches):
        raise FloatingPointError("no result")

    p = problem(function, 0.5, 1.5)
    with pytest.raises(FloatingPointError, match="^no result at Ab = 0.8, lifetime = 2200$"):
        gauss_newton(p, p.scale, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reset_noise", "uncorrelated_noise"])
def test_a_detector_without_noise_is_refused(name):
    segments = protons(2)
    detector = dataclasses.replace(Detector.built_in("module0"), **{name: 0.0})
    hits = Simulation(detector)(segments).hits
    with pytest.raises(InputError, match=f"{name}_charge: found 0 e, the loss likelihood is relative to the noise"):
        calibrate(Simulation(detector), segments, hits, ("Ab",))


def test_a_charge_without_finite_spread_is_no_traceback():
    with pytest.raises(FloatingPointError, match="spread of a charge at the anode is not finite"):
        most_sites(np.array([1.0, np.nan], dtype=np.float32), 0.1)
