"""What a fit takes for granted, what it leaves out, and what it says of both."""

import numpy as np
import pytest
from spoilt_targets import changed, hits_of, one_an_event

from lartpc.fit.calibrate import SIX, calibrate
from lartpc.fit.target import Target
from lartpc.goodness.verdict import LIMIT
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
FITTED = ("Ab", "eField", "lifetime")
NOMINAL = Simulation().parameters


@pytest.fixture(scope="module")
def segments():
    return one_an_event(6)


def pulls(result, names):
    return (result.values - [NOMINAL.value(name) for name in names]) / result.errors


def assumption(result, name):
    return next(one for one in result.assumptions if one.name == name)


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_offset_of_the_times_is_asked_for(segments, rounded):
    """By the score, within its error; a clean target does not ask."""
    hits = hits_of(segments)
    asked = []
    for shift in (0.0, 0.1):
        result = calibrate(Simulation(), segments, Target(changed(hits, t=hits.t + shift), rounded=rounded), FITTED)
        one = assumption(result, "t0_offset")
        assert one.tested and one.step == pytest.approx(shift, abs=4.0 * abs(one.step / one.significance))
        asked.append(abs(one.significance) > LIMIT)
        assert any(reason.startswith("the target asks for t0_offset =") for reason in result.reasons) == asked[-1]
    assert asked == [False, True] and not result.good


@pytest.mark.slow
def test_offset_of_the_thresholds_is_asked_for(segments):
    hits = hits_of(segments, parameters=NOMINAL.replace(threshold_offset=500.0))
    one = assumption(calibrate(Simulation(), segments, hits, FITTED), "threshold_offset")
    assert one.step == pytest.approx(500.0, abs=4.0 * abs(one.step / one.significance))
    assert one.significance > LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MeVToElectrons", "lArDensity", "long_diff"])
def test_biases_are_those_of_another_fit(segments, name):
    """With the parameter moved by 1 %, to a hit without noise, so that nothing else moves."""
    target = Target(Simulation()(segments).hits, noise=False)
    result = calibrate(Simulation(), segments, target, FITTED)
    one = assumption(result, name)
    assert one.value == NOMINAL.value(name) and one.change == pytest.approx(0.01 * one.value)
    moved = Simulation(parameters=NOMINAL.replace(**{name: one.value + one.change}))
    shifted = calibrate(moved, segments, target, FITTED)
    found = (shifted.values - result.values) / result.errors
    expected = np.array([one.bias[fitted] for fitted in FITTED])
    np.testing.assert_allclose(found, expected, rtol=0.1, atol=0.05 * np.abs(expected).max())
    assert np.abs(expected).max() > 0.01


@pytest.mark.slow
def test_what_no_target_tells(segments):
    """More electrons freed of each MeV, or more of them that escape."""
    result = calibrate(Simulation(), segments, hits_of(segments), SIX)
    one = assumption(result, "MeVToElectrons")
    assert not one.tested and one.significance == 0.0 and one.as_dict()["step"] is None
    assert "not tested by the target: MeVToElectrons" in str(result)
    assert {other.name for other in result.assumptions}.isdisjoint(SIX)


@pytest.mark.slow
def test_fit_without_what_is_spoilt(segments):
    """A dead pixel, an event of another's hits and hits twice: left out, named, and the values right."""
    hits = hits_of(segments)
    event = np.flatnonzero(hits.event_id == 2)
    common = np.bincount(hits.pixel_id[hits.event_id != 2])
    dead = int(np.argmax(common))
    kept = np.setdiff1d(np.arange(len(hits)), event[: len(event) // 2])
    kept = np.sort(np.concatenate((kept, kept[:7])))
    spoilt = hits.select(kept)
    result = calibrate(Simulation(), segments, spoilt.select(spoilt.pixel_id != dead), FITTED)
    assert result.verdicts[0].cleaning.events.tolist() == [2] and dead in result.verdicts[0].cleaning.dead
    assert result.verdicts[0].cleaning.twice > 0
    assert result.converged and result.good, result.reasons
    assert (np.abs(pulls(result, FITTED)) < 3.5).all()
    assert f"left out: {result.verdicts[0].cleaning}" in str(result)
    told = result.as_dict()
    assert told["left_out"]["events"] == [2] and told["good"] and told["describes"]
