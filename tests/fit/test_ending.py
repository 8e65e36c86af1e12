"""Where a fit ends, it tells more, and is the same."""

import numpy as np
import pytest
from spoilt_targets import hits_of, one_an_event

from lartpc.fit.calibrate import run
from lartpc.fit.optimizers import GaussNewton
from lartpc.fit.problem import Record
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.stage import Stage, Stages
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.losses.objective import Objective
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
FITTED = ("Ab", "eField", "lifetime")


@pytest.fixture(scope="module", params=[False, True])
def stage(request):
    segments, varied = one_an_event(3), unknowns_of(Simulation(), FITTED)
    target = Target(hits_of(segments), rounded=request.param)
    single = Stage(Simulation(), segments, target, varied, "likelihood", GaussNewton(), list)
    return Stages((single,), RunUnknowns.of(varied), "likelihood", GaussNewton())


def evaluations(stage, ending, done=()):
    record = Record(done, lambda evaluation: None)
    _, outcome = run(stage, stage.objective(stage.clean), record, stage.unknowns.start, ending)
    return record.history, outcome


@pytest.mark.slow
def test_a_fit_with_it_has_the_same_bits(stage):
    """And has called it by itself, near enough to where it ended."""
    ending = stage.endings(stage.objective(stage.clean), stage.clean)
    (plain, _), (told, outcome) = evaluations(stage, None), evaluations(stage, ending)
    assert len(plain) == len(told)
    for one, other in zip(plain, told, strict=True):
        for name, value in one._asdict().items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
    where = ending.values
    assert np.isfinite(where).all()
    assert ending.at(outcome).values is where


@pytest.mark.slow
def test_an_interrupted_fit_tells_the_same(stage):
    """At the same values, to which it goes for what it tells alone."""
    whole, again = (stage.endings(stage.objective(stage.clean), stage.clean) for _ in range(2))
    history, outcome = evaluations(stage, whole)
    _, continued = evaluations(stage, again, history)
    assert not again.known and again.of_run[0].parts == []
    whole.at(outcome), again.at(continued)
    np.testing.assert_array_equal(whole.values, again.values)
    for name in ("gradient", "information"):
        np.testing.assert_array_equal(getattr(whole.of_run[0], name), getattr(again.of_run[0], name))
    np.testing.assert_array_equal(whole.examined()[0].target.r, again.examined()[0].target.r)


@pytest.mark.slow
def test_what_it_tells_is_what_separate_passes_tell(stage):
    objective = stage.objective(stage.clean)
    ending = stage.endings(objective, stage.clean)
    values = stage.unknowns.start * 1.001
    own, found = objective(values), ending(values)
    np.testing.assert_array_equal(own.jacobian, found.jacobian)
    (part,), (of_run,) = objective.parts, ending.of_run
    wide = unknowns_of(part.simulation, ending.wide.names, dict(zip(FITTED, values.tolist(), strict=True)))
    whole = Objective("likelihood", part.simulation, part.batches, part.target, wide)(wide.start)
    assert len(wide.names) > len(FITTED)
    np.testing.assert_allclose(of_run.gradient, whole.gradient, rtol=1e-6, atol=1e-6 * np.abs(whole.gradient).max())
    np.testing.assert_allclose(of_run.information, whole.information, rtol=1e-9)
    (examined,), (apart,) = ending.examined(), stage.examined(values)
    for name in ("hits", "left", "r", "u", "far"):
        for one, other in zip([examined.target, *examined.drawn], [apart.target, *apart.drawn], strict=True):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(examined.spots.drift, apart.spots.drift)


@pytest.mark.slow
def test_it_is_called_again_where_a_fit_ended_elsewhere(stage):
    ending = stage.endings(stage.objective(stage.clean), stage.clean)
    _, outcome = evaluations(stage, None)
    assert ending.at(outcome).values.tolist() == outcome.values.tolist()
    near = outcome._replace(values=outcome.values * (1.0 + 1e-9))
    assert ending.at(near).values.tolist() == outcome.values.tolist()
    far = outcome._replace(values=outcome.values * 1.01)
    assert ending.at(far).values.tolist() == far.values.tolist()
