"""Several runs in one fit: the sum of their losses, what is common and what is not, and pulls by repetition."""

import dataclasses

import numpy as np
import pytest
from modules import TWO_BY_TWO, muons
from pulls import assert_pulls_are_right
from spoilt_targets import changed, hits_of, one_an_event

from lartpc.data.segments import within
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import SIX, calibrate, calibrate_runs
from lartpc.fit.constraint import Constraint
from lartpc.fit.runs import Joint, Run, RunUnknowns, unknowns_of_runs
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
LIFETIMES = (2500.0, 900.0)
NAMES = ("Ab", "eField", "lifetime")


@pytest.fixture(scope="module")
def segments():
    return one_an_event(6)


def halves(segments):
    """Of the events, as two runs have them."""
    ids = segments.events
    return [segments.select(within(segments.event_id, range(*ends))) for ends in ((0, ids[3]), (ids[3], ids[-1] + 1))]


def runs_of(segments, seed=0, lifetimes=LIFETIMES, detectors=(None, None)):
    """Runs with noise that differ in their lifetime."""
    found = []
    for k, (half, lifetime, detector) in enumerate(zip(halves(segments), lifetimes, detectors, strict=True)):
        simulation = Simulation(detector)
        truth = simulation.parameters.replace(lifetime=lifetime)
        made = Simulation(detector, truth, noise=True, seed=2 * seed + k)
        found.append(Run(simulation, half, Target(made(half).hits, truth=truth)))
    return found


def objective_of(run, unknowns, kind="likelihood"):
    simulation = run.simulation.apart(unknowns.names)
    hits = TargetHits(run.target.hits, simulation.detector, False)
    return Objective(kind, simulation, simulation.batches(run.segments, whole=False), hits, unknowns)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["likelihood", "soft-dtw"])
def test_the_loss_is_the_sum_of_the_runs_or_the_mean_of_all_events(segments, kind):
    runs = runs_of(segments)
    varied = unknowns_of_runs([run.simulation for run in runs], NAMES, ["lifetime"])
    assert varied.names == ("Ab", "eField", "lifetime.run0", "lifetime.run1")
    parts = [objective_of(run, own, kind) for run, own in zip(runs, varied.of_run, strict=True)]
    values = np.array([0.81, 0.505, *LIFETIMES])
    found, single = (
        Joint(parts, varied)(values),
        [part(values[[0, 1, k]]) for k, part in zip((2, 3), parts, strict=True)],
    )
    weights = [1.0, 1.0] if kind == "likelihood" else [len(one.values) / len(found.values) for one in single]
    assert found.value == pytest.approx(np.dot(weights, [one.value for one in single]), rel=1e-12)
    gradients = [weight * one.gradient for weight, one in zip(weights, single, strict=True)]
    wanted = [*(gradients[0] + gradients[1])[:2], gradients[0][2], gradients[1][2]]
    np.testing.assert_allclose(found.gradient, wanted, rtol=1e-10)
    if kind == "likelihood":
        assert found.information[2, 3] == 0.0
        np.testing.assert_allclose(found.information[0, 3], single[1].information[0, 2], rtol=1e-10)
        by_batch = sum(Joint(parts, varied)(values, [k]).value for k in range(len(Joint(parts, varied).batches)))
        assert by_batch == pytest.approx(found.value, rel=1e-12)


def test_a_single_run_is_the_fit_of_that_run(segments):
    (run, _) = runs_of(segments)
    alone, one = calibrate(*run, NAMES), calibrate_runs([run], NAMES)
    np.testing.assert_array_equal(alone.values, one.values)
    np.testing.assert_array_equal(alone.covariance, one.covariance)
    assert alone.as_dict() == one.as_dict()


@pytest.mark.slow
def test_halves_of_a_sample_are_the_sample(segments):
    """Two runs that have everything in common give the fit of all events."""
    hits = hits_of(segments, seed=3)
    parts = [
        Run(Simulation(), half, Target(hits).of_events(range(half.events[0], half.events[-1] + 1)))
        for half in halves(segments)
    ]
    whole, found = calibrate(Simulation(), segments, hits, NAMES), calibrate_runs(parts, NAMES)
    assert found.names == NAMES and found.good and whole.good
    np.testing.assert_allclose(found.values, whole.values, atol=0.02 * whole.errors.min(), rtol=0.0)
    np.testing.assert_allclose((found.values - whole.values) / whole.errors, 0.0, atol=0.02)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-3)
    assert len(found.verdicts) == 2 and len(found.as_dict()["verdict"]) == 2
    assert [one.name for one in found.assumptions] == [one.name for one in whole.assumptions]
    for one, other in zip(found.assumptions, whole.assumptions, strict=True):
        assert one.significance == pytest.approx(other.significance, abs=0.02)
        assert one.bias == pytest.approx(other.bias, rel=1e-2, abs=1e-2)


@pytest.mark.slow
def test_runs_of_two_detectors_with_constraints_and_starts(segments):
    """One has higher thresholds: each is simulated with its own; a constraint of one run acts on that alone."""
    own = Simulation().detector
    other = dataclasses.replace(own, threshold=1.2 * own.threshold)
    runs = runs_of(segments, detectors=(None, other))
    simulations = [run.simulation for run in runs]
    tight = Constraint.of("lifetime.run1", 900.0, 0.5)
    varied = unknowns_of_runs(
        simulations, NAMES, ["lifetime"], {"lifetime.run1": 1000.0}, {"lifetime": (100.0, 1e4)}, [tight]
    )
    assert varied.start.tolist() == [0.8, 0.5, 2200.0, 1000.0] and varied.bounds[2].tolist() == [100.0, 1e4]
    result = calibrate_runs(runs, varied)
    assert result.good, result.reasons
    assert (np.abs((result.values - result.truth) / result.errors) < 4.0).all()
    assert result.errors[3] < 0.5 and result.errors[2] > 1.0
    np.testing.assert_array_equal(result.truth, [0.8, 0.5, *LIFETIMES])
    swapped = calibrate_runs(
        [runs[0]._replace(simulation=simulations[1]), runs[1]._replace(simulation=simulations[0])], varied
    )
    assert not swapped.good and {reason[:5] for reason in swapped.reasons} >= {"run 0", "run 1"}


@pytest.mark.slow
def test_what_is_spoilt_in_one_run_is_left_out_of_that_one(segments):
    runs = runs_of(segments)
    hits = runs[1].target.hits
    event = hits.event_id == runs[1].segments.events[1]
    runs[1] = runs[1]._replace(target=Target(changed(hits, pixel_id=np.where(event, hits.pixel_id + 7, hits.pixel_id))))
    result = calibrate_runs(runs, NAMES, per_run=["lifetime"])
    clean, spoilt = result.verdicts
    assert clean.cleaning.empty and spoilt.cleaning.events.tolist() == [runs[1].segments.events[1]]
    assert "left out: run 1: " in str(result) and result.truth is None
    pulls = (result.values - [0.8, 0.5, *LIFETIMES]) / result.errors
    assert (np.abs(pulls) < 4.0).all()


@pytest.mark.slow
def test_pulls_of_runs_with_lifetimes_of_their_own(segments):
    """The six, recombination, field and diffusion in common."""

    def fit(seed):
        result = calibrate_runs(runs_of(segments, seed), SIX, per_run=["lifetime"])
        assert result.converged
        return result

    assert_pulls_are_right(fit)


def test_refusals(segments):
    runs = runs_of(segments)
    with pytest.raises(InputError, match="per-run: kb is not fitted, allowed are Ab, eField, lifetime"):
        calibrate_runs(runs, NAMES, per_run=["kb"])
    with pytest.raises(InputError, match="runs: there is none"):
        calibrate_runs([], NAMES)
    simulations = [run.simulation for run in runs]
    for given in ({"start": {"lifetime.run2": 1.0}}, {"bounds": {"kb": (0.0, 1.0)}}):
        with pytest.raises(InputError, match=r"is not fitted, allowed are Ab, eField, lifetime.run0, lifetime.run1"):
            unknowns_of_runs(simulations, NAMES, ["lifetime"], **given)
    with pytest.raises(InputError, match=r"constraint: lifetime is not fitted"):
        unknowns_of_runs(simulations, NAMES, ["lifetime"], constraints=[Constraint.of("lifetime", 1.0, 1.0)])
    exact = runs[1]._replace(target=Target(runs[1].target.hits, noise=False))
    with pytest.raises(InputError, match="loss: targets of the runs need likelihood and residuals, allowed is one"):
        calibrate_runs([runs[0], exact], NAMES)


def test_unknowns_of_one_run_are_its_own():
    own = unknowns_of(Simulation(), NAMES)
    found = RunUnknowns.of(own)
    values = np.array([0.9, 0.4, 100.0])
    assert found.names == own.names
    np.testing.assert_array_equal(found.size(values), own.size(values))
    np.testing.assert_array_equal(found.told([values]), values)
    assert found.told([None]) is None


def test_runs_of_different_numbers_of_modules_have_the_names_of_their_own():
    """What is of a module is that of the runs whose detectors have it."""
    simulations = [Simulation(), Simulation(TWO_BY_TWO)]
    names = ("Ab", *(f"lifetime.{k}" for k in range(4)), "kb")
    varied = unknowns_of_runs(simulations, names, ["lifetime.0", "lifetime.1"])
    assert [own.names for own in varied.of_run] == [("Ab", "lifetime.0", "kb"), names]
    expected = ("Ab", "lifetime.0.run0", "lifetime.0.run1", "lifetime.1.run1", "lifetime.2", "lifetime.3", "kb")
    assert varied.names == expected
    assert [columns.tolist() for columns in varied.columns] == [[0, 1, 6], [0, 2, 3, 4, 5, 6]]
    with pytest.raises(InputError, match=r"lifetime.4: the detector has no module 4, allowed are module 0"):
        unknowns_of_runs(simulations, ("lifetime.4",))


@pytest.mark.slow
def test_modules_of_runs_are_fitted_together(segments):
    """Both runs have a module 0, one has three more: errors of what they share are those of both."""
    own = {f"lifetime.{k}": value for k, value in enumerate((1500.0, 2600.0, 1100.0, 1900.0))}
    many = muons(TWO_BY_TWO, 1, seed=5)
    many = many.select(np.arange(len(many)) % 20 < 4)
    runs = []
    for detector, deposits, n in ((None, segments, 1), (TWO_BY_TWO, many, 4)):
        truth = Parameters(modules=dict(list(own.items())[:n]))
        hits = Simulation(detector, truth, noise=True, seed=5)(deposits).hits
        runs.append(Run(Simulation(detector), deposits, Target(hits, truth=truth)))
    result = calibrate_runs(runs, ("Ab", *own))
    assert result.converged and result.names == ("Ab", *own)
    pulls = (result.values - result.truth) / result.errors
    assert np.abs(pulls).max() < 4.0, pulls
    alone = calibrate(*runs[1], ("Ab", *own))
    assert result.errors[1] < 0.95 * alone.errors[1]
    np.testing.assert_allclose(result.errors[2:], alone.errors[2:], rtol=0.2)
