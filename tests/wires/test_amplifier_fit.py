"""Fits of gain and shaping time together with the parameters of charge."""

import numpy as np
import pytest
from wire_fits import assert_gradient, assert_hessian, data_of, diffusing, muons, simulation_of
from wire_samples import track

from lartpc.fit.constraint import Constraint
from lartpc.fit.unknowns import unknowns_of
from lartpc.fit.waveforms import SEVEN, calibrate_waveforms
from lartpc.losses.waveforms import WaveformObjective

NAMES = ("alpha_emb", "gain", "lifetime", "shaping")


@pytest.fixture(scope="module")
def detector():
    return diffusing()


def test_gradient_is_that_of_differences(detector):
    """Of the likelihood in double precision, away from the shaping time of the tables."""
    simulation = simulation_of(detector, dtype=np.float64)
    segments = muons(1, np.random.default_rng(1), detector)
    unknowns = unknowns_of(simulation, NAMES)
    objective = WaveformObjective(simulation, segments, data_of(simulation, segments, 0), unknowns)
    values = unknowns.start * np.array([1.002, 0.99, 0.998, 1.04])
    assert_gradient(objective, values)


def test_information_is_the_hessian_where_there_are_no_residuals(detector):
    simulation = simulation_of(detector, dtype=np.float64)
    segments = muons(1, np.random.default_rng(1), detector)
    unknowns = unknowns_of(simulation, NAMES)
    objective = WaveformObjective(simulation, segments, data_of(simulation, segments, 0, noise=False), unknowns)
    assert_hessian(objective, unknowns.start, 1e-5)


def test_a_fit_finds_gain_and_shaping_time(detector):
    """5 and 3 % off, with seven others; the gain is known to 0.5 % from elsewhere."""
    truth = detector.parameters.replace(gain=1.03 * 14.0, shaping=1.05 * 2.0)
    segments = muons(6, np.random.default_rng(2), detector)
    read = data_of(simulation_of(detector, parameters=truth), segments, 5)
    simulation, known = simulation_of(detector), [Constraint.of("gain", 1.034 * 14.0, 0.005 * 14.0)]
    start = {"alpha_emb": 0.93, "vdrift": 0.1585, "lifetime": 250.0}
    unknowns = unknowns_of(simulation, (*SEVEN, "gain", "shaping"), start, constraints=known)
    result = calibrate_waveforms(simulation, segments, read, unknowns, truth=truth)
    assert result.good, str(result)
    assert np.abs((result.values - result.truth) / result.errors).max() < 3.0, str(result)
    assert result.errors[-1] < 2e-3 * truth.shaping and result.errors[-2] < 0.06


@pytest.mark.parametrize("other", ["MeVToElectrons", "alpha_emb"])
def test_a_gain_that_nothing_tells_from_the_charge_is_said_to_be(detector, other):
    """Of all segments with one dE/dx at one angle, or any others and the charge of a MeV: no number is given."""
    simulation = simulation_of(detector)
    segments = track(60, length=0.3, dEdx=2.1 if other == "alpha_emb" else np.linspace(1.8, 9.0, 60))
    result = calibrate_waveforms(simulation, segments, data_of(simulation, segments, 1), (other, "gain", "shaping"))
    assert not result.good and not np.isfinite(result.errors[:2]).any() and np.isfinite(result.errors[2])
    assert set(result.open_direction) == {other, "gain"}
    known = unknowns_of(simulation, (other, "gain"), constraints=[Constraint.of("gain", 14.0, 0.05)])
    result = calibrate_waveforms(simulation, segments, data_of(simulation, segments, 1), known)
    assert result.converged and np.isfinite(result.errors).all() and result.open_direction is None
    assert result.errors[1] == pytest.approx(0.05, rel=0.01)
