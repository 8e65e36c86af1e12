"""A target that is drawn here, and the evaluations of its fit that are kept in a folder."""

import dataclasses

import numpy as np
import pytest
from samples import protons

from lartpc import InputError, Simulation, calibrate
from lartpc.data.selection import tracks
from lartpc.fit.calibrate import Journal
from lartpc.fit.closure import closure, draw_truth
from lartpc.fit.optimizers import GaussNewton
from lartpc.fit.problem import Evaluation
from lartpc.fit.store import Kept, read_history, setup_of
from lartpc.fit.unknowns import per_module
from lartpc.parameters import parameter

NAMES = ("eField", "kb")


@pytest.fixture(scope="module")
def sample():
    return protons(2)


def test_truth_is_drawn_from_the_ranges_but_for_what_is_given():
    nominal = Simulation()
    one, again, other = (draw_truth(nominal, NAMES, seed) for seed in (1, 1, 2))
    assert one == again != other
    for name in NAMES:
        low, high = parameter(name).range
        assert low < one.value(name) < high and one.value(name) != other.value(name)
    assert one.replace(eField=0.5, kb=0.0486) == nominal.parameters
    assert draw_truth(nominal, NAMES, 1, {"kb": 0.05}) == one.replace(kb=0.05)
    with pytest.raises(InputError, match="fit: nothing depends on alpha"):
        draw_truth(nominal, ("alpha",), 1)


def test_target_is_what_the_truth_makes(sample):
    simulation = Simulation(settings=Simulation().settings._replace(nodes=12))
    truth = simulation.parameters.replace(eField=0.48)
    segments, target = closure(simulation, sample, truth, seed=4)
    expected = Simulation(parameters=truth, noise=True, seed=4, settings=simulation.settings)(sample).hits
    assert segments is sample and target.noise and target.truth == truth and target.loss == "likelihood"
    np.testing.assert_array_equal(target.hits.charge, expected.charge)
    _, quiet = closure(simulation, sample, truth, noise=False)
    assert not quiet.noise and quiet.loss == "residuals"


def test_batches_of_adam_have_the_hits_of_their_own_tracks(sample):
    simulation = Simulation()
    segments, target = closure(simulation, sample, simulation.parameters, noise=False, optimizer="adam")
    np.testing.assert_array_equal(segments.event_id, tracks(sample))
    target.check(simulation.detector, segments)
    for event in segments.events:
        alone = simulation(segments.select(segments.event_id == event)).hits
        np.testing.assert_allclose(target.hits.charge[target.hits.event_id == event], alone.charge, rtol=1e-6)


def test_kept_evaluations_are_continued_to_the_same_bits(sample, tmp_path):
    simulation = Simulation()
    segments, target = closure(simulation, sample, simulation.parameters.replace(eField=0.51), seed=4)
    setup = setup_of(simulation, segments, target, None, fit=list(NAMES))
    assert setup["loss"] == "likelihood" and setup["fit"] == list(NAMES)

    def fit(kept, **more):
        with kept:
            return calibrate(simulation, segments, target, NAMES, journal=Journal(kept.done, kept), **more)

    whole = Kept(tmp_path / "whole", NAMES, setup)
    result = fit(whole)
    interrupted = Kept(tmp_path / "fit", NAMES, setup)
    fit(interrupted, optimizer=GaussNewton(1))
    resumed = Kept(tmp_path / "fit", NAMES, setup, resume=True)
    assert 0 < len(resumed.done) == len(interrupted.evaluations) < len(whole.evaluations)
    again = fit(resumed)
    np.testing.assert_array_equal(again.values, result.values)
    np.testing.assert_array_equal(again.covariance, result.covariance)
    other = setup_of(simulation, segments, target, "residuals", fit=list(NAMES))
    with pytest.raises(InputError, match="history.h5: loss was 'likelihood', now 'residuals': --resume continues"):
        Kept(tmp_path / "fit", NAMES, other, resume=True)


def test_setup_tells_unread_pixels_apart(sample):
    simulation = Simulation()
    segments, target = closure(simulation, sample, simulation.parameters)
    setups = [
        setup_of(simulation, segments, dataclasses.replace(target, unread=unread), None) for unread in ((), (7,), (8,))
    ]
    assert len({setup["detector"] for setup in setups}) == 3


def test_a_loss_that_is_not_finite_keeps_what_was_done(tmp_path):
    square = np.zeros((2, 2))
    evaluation = Evaluation("fit", -1, np.zeros(2), 1.0, np.zeros(2), square, square, 0, 1, 0, 1.0)
    with pytest.raises(FloatingPointError), Kept(tmp_path / "fit", NAMES, {}) as kept:
        for done in (1, 2):
            kept(evaluation._replace(value=done))
        raise FloatingPointError
    assert [e.value for e in read_history(tmp_path / "fit", {})] == [1.0, 2.0]


def test_names_of_modules():
    assert per_module(("Ab", "eField", "kb"), (), 4) == ("Ab", "eField", "kb")
    assert per_module(("Ab", "eField", "kb"), ("eField",), 3) == ("Ab", "eField.0", "eField.1", "eField.2", "kb")
    with pytest.raises(InputError, match="per-module kb: allowed are eField, lifetime, buffer_risetime"):
        per_module(("kb",), ("kb",), 2)
    with pytest.raises(InputError, match="per-module eField: is not fitted"):
        per_module(("kb",), ("eField",), 2)
