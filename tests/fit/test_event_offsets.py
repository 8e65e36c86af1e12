"""The zero of time of each event as an unknown: t0_offset.event12."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from analytic import squares
from modules import TRUTH, TWO_BY_TWO, tracks
from pulls import assert_pulls_are_right
from spoilt_targets import hits_of, one_an_event

from lartpc.exceptions import InputError
from lartpc.fit.calibrate import SIX, calibrate, calibrate_runs
from lartpc.fit.optimizers import gauss_newton
from lartpc.fit.problem import Problem, Record
from lartpc.fit.result import make_result
from lartpc.fit.runs import Run
from lartpc.fit.shown import listed, others, shown
from lartpc.fit.target import Target
from lartpc.fit.uncertainty import from_information
from lartpc.fit.unknowns import per_event, unknowns_of
from lartpc.fit.zero import with_offset
from lartpc.gradients.gradcheck import SMOOTH
from lartpc.losses.linear import join
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

MODULE0 = Simulation().detector
OFFSETS = ("t0_offset.event1", "t0_offset.event3")
NEAR = Parameters(Ab=0.82, kb=0.05, eField=0.503, lifetime=2000.0)


def of_events(values):
    return {f"t0_offset.event{event}": value for event, value in enumerate(values)}


def in_two_modules():
    """Tracks in each TPC of four modules, in four events of which each reaches into two of them."""
    segments = tracks(TWO_BY_TWO)
    return dataclasses.replace(segments, event_id=np.arange(len(segments)) // 6 % 4)


def objective_of(kind, detector, segments, parameters, names, steps_per_batch=200, rounded=False, **options):
    """In the parameters `names`, on batches of an event each where there is need, with noisy hits near the truth."""
    settings = SMOOTH._replace(steps_per_batch=steps_per_batch)
    simulation = Simulation(detector, parameters, dtype=np.float64, settings=settings, **options).apart(names)
    hits = Simulation(detector, parameters, noise=True, seed=3)(segments).hits
    target = TargetHits(hits, detector, rounded)
    return Objective(kind, simulation, simulation.batches(segments), target, unknowns_of(simulation, names))


def assert_gradient(objective, names, tolerance=1e-6, h=1e-6):
    start = objective.unknowns.start
    gradient = objective(start).gradient
    for k, name in enumerate(objective.unknowns.names):
        if name in names:
            step = h * np.eye(len(start))[k]
            near, far = (objective(start + s * step).value - objective(start - s * step).value for s in (1.0, 2.0))
            difference = (8.0 * near - far) / (12.0 * h)
            assert abs(difference) > 1e-4
            assert gradient[k] == pytest.approx(difference, rel=tolerance), name


def test_an_event_moves_alone_and_by_its_offset():
    segments = one_an_event(4)
    base = Simulation(dtype=np.float64)(segments).hits
    moved = Simulation(
        dtype=np.float64, parameters=Parameters().replace(**dict(zip(OFFSETS, (0.4, -0.7), strict=True)))
    )(segments).hits
    by = np.array([0.0, 0.4, 0.0, -0.7])[base.event_id]
    np.testing.assert_array_equal(moved.pixel_id, base.pixel_id)
    np.testing.assert_allclose(moved.t - base.t, by, rtol=0.0, atol=1e-4)
    np.testing.assert_array_equal(moved.t[by == 0.0], base.t[by == 0.0])


@pytest.mark.slow
def test_offsets_are_the_same_in_any_batches_and_modules():
    segments = in_two_modules()
    parameters = TRUTH.replace(**of_events([0.4, -0.3, 0.0, 0.7]))
    shifted = dataclasses.replace(segments, t0=segments.t0 + np.array([0.4, -0.3, 0.0, 0.7])[segments.event_id])
    found = [
        Simulation(TWO_BY_TWO, p, dtype=np.float64, settings=SMOOTH._replace(steps_per_batch=n))(s).hits
        for p, s, n in ((parameters, segments, 8192), (parameters, segments, 10), (TRUTH, shifted, 8192))
    ]
    np.testing.assert_array_equal(found[0].t, found[1].t)
    np.testing.assert_array_equal(found[0].pixel_id, found[2].pixel_id)
    np.testing.assert_allclose(found[0].t, found[2].t, rtol=0.0, atol=1e-4)


@pytest.mark.slow
def test_gradients_of_the_likelihood(one_thread):
    base = NEAR.replace(**dict(zip(OFFSETS, (0.37, -0.61), strict=True)))
    segments = one_an_event(4)
    objective = objective_of("likelihood", MODULE0, segments, base, (*OFFSETS, "eField"))
    assert len(objective.batches) > 1
    assert_gradient(objective, OFFSETS)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"rounded": True}, {"response": "electrostatic"}, {"steps_per_batch": 8192}])
def test_gradients_of_the_likelihood_otherwise(options, one_thread):
    base = NEAR.replace(**dict(zip(OFFSETS, (0.37, -0.61), strict=True)))
    assert_gradient(
        objective_of("likelihood", MODULE0, one_an_event(4), base, (*OFFSETS, "eField"), **options), OFFSETS
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["likelihood", "matched", "mmd"])
def test_gradients_in_two_modules(kind, one_thread):
    names = ("t0_offset.event0", "t0_offset.event2", "eField.1", "lifetime.2")
    base = TRUTH.replace(**dict(zip(names[:2], (0.37, -0.61), strict=True)))
    objective = objective_of(kind, TWO_BY_TWO, in_two_modules(), base, names, steps_per_batch=10)
    assert len(objective.batches) == 4
    assert_gradient(objective, names[:2])


@pytest.mark.slow
def test_parts_add_up_to_the_whole(one_thread):
    """The derivative by the common offset is the sum of those of the events, and so is the information."""
    segments = one_an_event(3)
    each = objective_of(
        "likelihood", MODULE0, segments, Parameters(), per_event(("t0_offset",), ("t0_offset",), np.arange(3))
    )
    common = objective_of("likelihood", MODULE0, segments, Parameters(), ("t0_offset",))
    a, b = each(each.unknowns.start), common(common.unknowns.start)
    assert a.gradient.sum() == pytest.approx(b.gradient[0], rel=1e-10) and np.count_nonzero(a.gradient) == 3
    assert a.information.sum() == pytest.approx(b.information[0, 0], rel=1e-10)
    assert np.count_nonzero(a.information) == 3
    assert a.value == pytest.approx(b.value, rel=1e-12)


def test_sums_over_batches_of_what_acts_there():
    rng = np.random.default_rng(1)
    columns = (np.array([0, 1, 2]), np.array([0, 1, 3, 4]))
    rows = [rng.normal(size=(n, len(c))) for n, c in zip((5, 4), columns, strict=True)]
    residuals = [rng.normal(size=n) for n in (5, 4)]
    parts = [squares(*p).among(c, 5) for *p, c in zip(residuals, rows, columns, strict=True)]
    whole = np.zeros((9, 5))
    whole[:5, columns[0]], whole[5:, columns[1]] = rows
    found, expected = join(parts), squares(np.concatenate(residuals), whole)
    root = rng.uniform(0.5, 1.0, 9)
    for a, b in ((found, expected), (found.weighted(root, 2.0), expected.weighted(root, 2.0))):
        np.testing.assert_allclose(a.residual, b.residual)
        np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-12)
        np.testing.assert_allclose(a.information, b.information, rtol=1e-12, atol=1e-14)
        assert a.value == pytest.approx(b.value) and (a.hits, a.unmatched) == (2, 0)


@pytest.mark.parametrize(
    "name", ["t0_offset.3", "t0_offset.event03", "t0_offset.event", "eField.event3", "t0_offset.tpc0"]
)
def test_wrong_names_are_refused_in_one_line(name):
    with pytest.raises(InputError, match=rf"^parameter {name}: not known, nearest is [^\n]*$"):
        Parameters().replace(**{name: 0.1})
    with pytest.raises(InputError, match=rf"^fit: parameter {name} is not known, nearest is \w+$"):
        unknowns_of(Simulation(), (name,))


def test_what_cannot_be_fitted_is_refused_in_one_line():
    segments, each = one_an_event(2), ("t0_offset",)
    for names, apart, what in (
        (("eField",), ("eField",), "per-event eField: allowed are t0_offset"),
        (("eField",), each, "per-event t0_offset: is not fitted"),
    ):
        with pytest.raises(InputError, match=f"^{what}$"):
            per_event(names, apart, segments.events)
    with pytest.raises(InputError, match="^fit: t0_offset is that of all events, but t0_offset.event1 are of single"):
        unknowns_of(Simulation(), ("t0_offset", "t0_offset.event1"))
    with pytest.raises(
        InputError, match="^fit: t0_offset.event5: the segments have no event 5, allowed are their 2 ev"
    ):
        calibrate(Simulation(), segments, Target(hits_of(segments)), ("t0_offset.event5",))


def test_offsets_begin_where_their_events_have_them():
    """In events of few pixels at the median of the others; a start that is given is that of all, or of one."""
    segments, values = one_an_event(6), np.array([0.9, -0.8, 0.3, -0.2, 0.6, -0.9])
    hits = hits_of(segments, parameters=Parameters(eField=0.51).replace(**of_events(values)))
    few = hits.select((hits.event_id != 2) | (np.cumsum(hits.event_id == 2) <= 3))
    names = per_event(("eField", "t0_offset"), ("t0_offset",), segments.events)
    assert names == ("eField", *of_events(values))
    start = with_offset([Run(Simulation(), segments, Target(few))], names)
    np.testing.assert_allclose(np.delete(start.start[1:], 2), np.delete(values, 2), atol=0.25)
    assert start.start[3] == np.median(np.delete(start.start[1:], 2))
    np.testing.assert_allclose(start.bounds[1:], start.start[1:, None] + [-5.0, 5.0])
    given = {"t0_offset": 0.1, "t0_offset.event4": 0.5}
    begun = with_offset([Run(Simulation(), segments, Target(few))], names, (), given, {"t0_offset": (-2.0, 2.0)})
    assert begun.start[1:].tolist() == [0.1, 0.1, 0.1, 0.1, 0.5, 0.1]
    assert (begun.bounds[1:] == [-2.0, 2.0]).all()


def test_what_no_hit_tells_of_is_open_and_the_rest_is_determined():
    """Of three offsets the second has no row: it stays, has an infinite error, and is no reason against the fit."""
    names = ("Ab", *OFFSETS, "t0_offset.event4")
    unknowns = unknowns_of(Simulation(), names)
    jacobian = np.array([[3.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0], [0.5, 0.0, 0.0, 4.0]])

    class Analytic:
        batches = (0,)

        def __init__(self):
            self.unknowns = unknowns

        def __call__(self, values, chosen=None):
            return squares(jacobian @ (values - [0.82, 0.3, 0.0, -0.2]), jacobian, gradient_rest=[0.0, 0.0, 1e-9, 0.0])

    problem = Problem(Analytic(), Record((), lambda evaluation: None))
    outcome = gauss_newton(problem, unknowns.start, 20)
    result = make_result(problem, outcome, from_information(problem, outcome.last), None, "likelihood", "gauss-newton")
    assert result.converged and result.open_events == (OFFSETS[1],) and result.open_direction is None
    np.testing.assert_allclose(result.values, [0.82, 0.3, 0.0, -0.2], atol=1e-6)
    told = [0, 1, 3]
    expected = np.linalg.inv(jacobian[:, told].T @ jacobian[:, told])
    np.testing.assert_allclose(result.covariance[np.ix_(told, told)], expected, rtol=1e-9)
    assert np.isinf(result.errors[2]) and result.as_dict()["open_events"] == [OFFSETS[1]]
    assert f"no hit is used that tells of {OFFSETS[1]}" in str(result)


def test_a_few_of_many_events_are_told():
    names = ("Ab", *(f"t0_offset.event{k}" for k in range(100)))
    assert shown(names) == [0, 1, 2, 3, 4, 5] and others(names) == list(range(6, 101))
    assert listed(names, names).endswith("t0_offset.event4 and 95 more")
    assert shown(names[:6]) == [0, 1, 2, 3, 4, 5] and listed(names[:2], names[:2]) == "Ab, t0_offset.event0"


@pytest.fixture(scope="module")
def eight():
    return one_an_event(8)


def target_of(segments, seed):
    truth = NEAR.replace(**of_events(np.random.default_rng(seed).uniform(-1.0, 1.0, 8)))
    return Target(hits_of(segments, seed, parameters=truth), truth=truth)


def fit_each(segments, target):
    names = per_event((*SIX, "t0_offset"), ("t0_offset",), segments.events)
    run = Run(Simulation(), segments, target)
    return calibrate_runs([run], with_offset([run], names))


@pytest.mark.slow
def test_pulls_where_every_event_has_an_offset_of_its_own(eight):
    of_offsets = []

    def fit(seed):
        result = fit_each(eight, target_of(eight, seed))
        assert result.good, str(result)
        of_offsets.extend((result.values - result.truth)[6:] / result.errors[6:])
        return SimpleNamespace(
            converged=result.converged, values=result.values[:6], truth=result.truth[:6], errors=result.errors[:6]
        )

    assert_pulls_are_right(fit)
    assert abs(np.std(of_offsets) - 1.0) < 0.3  # 160, those of a fit together by the field


@pytest.mark.slow
def test_a_common_offset_is_not_good_there(eight):
    target = target_of(eight, 1)
    run = Run(Simulation(), eight, target)
    result = calibrate_runs([run], with_offset([run], SIX))
    assert not result.good and not result.describes and result.verdicts[0].common


@pytest.mark.slow
def test_an_event_without_hits_does_not_stop_the_fit(eight):
    target = target_of(eight, 1)
    target = dataclasses.replace(target, hits=target.hits.select(target.hits.event_id != 5))
    result = fit_each(eight, target)
    assert result.good and result.open_events == ("t0_offset.event5",) and 5 in result.verdicts[0].cleaning.events
    told = np.array(result.names) != "t0_offset.event5"
    assert (np.abs(result.values - result.truth)[told] < 4.0 * result.errors[told]).all()
    assert np.isinf(result.errors[~told]).all()
