"""Unknowns of a fit beyond the charge chain: rise time, thresholds, gains and pedestals, of all pixels or of some."""

import dataclasses

import numpy as np
import pytest
from front_ends import module0
from pulls import assert_pulls_are_right
from samples import protons
from traces import smooth

from lartpc.exceptions import InputError
from lartpc.fit.calibrate import calibrate
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters, parameter
from lartpc.simulation.simulation import Simulation

ELECTRONICS = ("buffer_risetime", "threshold_offset", "gain_factor", "pedestal_offset")
STEP = {"buffer_risetime": 1e-6, "threshold_offset": 1e-3, "gain_factor": 1e-7, "pedestal_offset": 1e-5}
SLOW = Parameters(buffer_risetime=0.25)


def objective_of(kind, rounded, names=ELECTRONICS):
    """The objective of a noisy sample in an electronics that is a little off, near the truth."""
    near = SLOW.replace(threshold_offset=120.0, gain_factor=1.01, pedestal_offset=-0.7)
    simulation = smooth(parameters=near).apart(names)
    segments = protons(2)
    hits = smooth(parameters=SLOW, noise=True, seed=4)(segments).hits
    target = TargetHits(hits, simulation.detector, rounded)
    batches = simulation.batches(segments, whole=True)
    return Objective(kind, simulation, batches, target, unknowns_of(simulation, names))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["likelihood", "residuals", "soft-dtw"])
def test_gradients_by_electronics(kind, one_thread):
    """Each against central differences; counts are by gain and pedestal, which exact charges do not see."""
    objective = objective_of(kind, kind != "soft-dtw")
    start = objective.unknowns.start
    gradient = objective(start).gradient
    for i, name in enumerate(ELECTRONICS):
        ends = [objective(start + sign * STEP[name] * np.eye(4)[i]).value for sign in (1.0, -1.0)]
        difference = (ends[0] - ends[1]) / (2.0 * STEP[name])
        assert difference != 0.0
        assert gradient[i] == pytest.approx(difference, rel=2e-5), name


@pytest.mark.slow
def test_gradients_of_exact_hits(one_thread):
    objective = objective_of("likelihood", False, ELECTRONICS[:2])
    start = objective.unknowns.start
    gradient = objective(start).gradient
    for i, name in enumerate(ELECTRONICS[:2]):
        ends = [objective(start + sign * STEP[name] * np.eye(2)[i]).value for sign in (1.0, -1.0)]
        difference = (ends[0] - ends[1]) / (2.0 * STEP[name])
        assert difference != 0.0
        assert gradient[i] == pytest.approx(difference, rel=1e-5), name


@pytest.mark.slow
def test_rows_of_electronics_are_derivatives_of_residuals(one_thread):
    objective = objective_of("residuals", True)
    start = objective.unknowns.start
    jacobian = objective(start).jacobian
    for i, name in enumerate(ELECTRONICS):
        ends = [objective(start + sign * STEP[name] * np.eye(4)[i]).residual for sign in (1.0, -1.0)]
        difference = (ends[0] - ends[1]) / (2.0 * STEP[name])
        assert difference.any()
        np.testing.assert_allclose(jacobian[:, i], difference, rtol=2e-5, atol=1e-6 * np.abs(difference).max())


@pytest.mark.slow
def test_parts_add_up_to_the_whole(one_thread):
    """The derivative by the common offset is the sum of those by the offsets of both TPCs."""
    parts = ("threshold_offset.tpc0", "threshold_offset.tpc1")
    segments = protons(4)
    hits = smooth(noise=True, seed=4)(segments).hits
    found = []
    for names in (("threshold_offset",), parts):
        simulation = smooth().apart(names)
        target = TargetHits(hits, simulation.detector, False)
        objective = Objective(
            "likelihood", simulation, simulation.batches(segments), target, unknowns_of(simulation, names)
        )
        found.append(objective(objective.unknowns.start).gradient)
    assert np.count_nonzero(found[1]) == 2
    assert found[1].sum() == pytest.approx(found[0][0], rel=1e-10)


def test_a_pixel_alone_changes_itself_alone():
    segments = protons(2)
    plain = Simulation()(segments).hits
    pixel = int(plain.pixel_id[0])
    other = Simulation(parameters=Parameters().replace(**{f"threshold_offset.pixel{pixel}": 400.0}))(segments).hits
    same = plain.pixel_id != pixel
    np.testing.assert_array_equal(other.t[other.pixel_id != pixel], plain.t[same])
    assert (other.t[other.pixel_id == pixel] > plain.t[~same]).all()


def test_offsets_are_those_of_the_detector():
    """A common offset, factor or rise time is as if the detector had it."""
    segments = protons(2)
    detector = module0(threshold=6000.0, buffer_risetime=0.2)
    changed = dataclasses.replace(detector, threshold=6300.0, buffer_risetime=0.3, gain=1.05 * detector.gain)
    changed = dataclasses.replace(changed, v_pedestal=detector.v_pedestal + 4.0)
    offsets = Parameters(buffer_risetime=0.3, threshold_offset=300.0, gain_factor=1.05, pedestal_offset=4.0)
    a, b = (smooth(*one)(segments).hits for one in ((changed,), (detector, offsets)))
    assert len(a) > 10
    for name in ("t", "charge", "adc"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6)


@pytest.mark.parametrize("name", ["threshold_offset.module1", "eField.tpc0", "threshold_offset.pixel01", "Ab.0"])
def test_names_have_one_spelling(name):
    with pytest.raises(
        InputError, match=f"^parameter {name}: not known, nearest is {name.partition('.')[0]}; known are"
    ):
        Parameters().replace(**{name: 1.0})


@pytest.mark.parametrize("name", ["threshold_offset.tpc2", "gain_factor.pixel78400", "pedestal_offset.1"])
def test_what_the_detector_lacks_is_refused(name):
    with pytest.raises(InputError, match=f"parameter {name}: the detector has no"):
        Simulation(parameters=Parameters().replace(**{name: 1.0}))


def test_what_no_loss_sees_is_refused():
    segments = protons(2)
    hits = Simulation(noise=True)(segments).hits
    with pytest.raises(InputError, match="exact charges does not depend on gain_factor"):
        calibrate(Simulation(), segments, hits, ("gain_factor",))


@pytest.mark.slow
def test_a_closure_finds_rise_time_and_threshold(one_thread):
    """Without noise, to a thousandth of the error that noise would make, together with three parameters of charge."""
    truth = Parameters(buffer_risetime=0.3, threshold_offset=450.0, Ab=0.82, eField=0.51)
    segments = protons(8)
    target = Target(Simulation(parameters=truth)(segments).hits, noise=False, truth=truth)
    start = Simulation(parameters=Parameters(buffer_risetime=0.15))
    names = ("Ab", "eField", "lifetime", "buffer_risetime", "threshold_offset")
    result = calibrate(start, segments, target, names)
    assert result.converged, str(result)
    assert (np.abs(result.values - result.truth) < 1e-2 * result.errors + 1e-5 * result.size).all(), str(result)
    assert result.units == tuple(parameter(name).unit for name in names)
    assert "threshold_offset" in str(result)


@pytest.mark.slow
def test_pulls_of_rise_time_and_threshold(one_thread):
    truth = Parameters(buffer_risetime=0.25, threshold_offset=300.0, Ab=0.81)
    segments, names = protons(5), ("Ab", "eField", "buffer_risetime", "threshold_offset")
    start = Simulation(parameters=Parameters(buffer_risetime=0.15))

    def fit(seed):
        hits = Simulation(parameters=truth, noise=True, seed=seed)(segments).hits
        return calibrate(start, segments, Target(hits, truth=truth), names)

    assert_pulls_are_right(fit)
