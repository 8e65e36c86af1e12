"""Factors of the charges of tracks that are not known."""

import dataclasses

import numpy as np
import pytest
from wire_fits import assert_gradient, assert_hessian, data_of, diffusing, muons, of_one_track, simulation_of
from wire_samples import joined, track

from lartpc.exceptions import InputError
from lartpc.fit.unknowns import unknowns_of
from lartpc.fit.waveforms import calibrate_waveforms
from lartpc.losses.waveforms import WaveformObjective

NAMES = ("alpha_emb", "lifetime", "vdrift", "tran_diff")
NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module")
def detector():
    return diffusing()


def crossing():
    """Three tracks of one event that share wires and times, and one of another with the same traj_id."""
    starts = ((4.0, -6.0, -3.0), (4.5, -6.3, -3.0), (12.0, 2.0, -9.0), (4.0, -6.0, -3.0))
    ways = ((0.5, 0.55, -0.67), (0.55, 0.6, -0.5), (-0.7, -0.6, 0.5), (0.5, 0.6, -0.6))
    parts = [
        dataclasses.replace(
            track(20, start, way, dEdx=np.linspace(2.0, 9.0, 20), event=k // 3), traj_id=np.full(20, k % 3)
        )
        for k, (start, way) in enumerate(zip(starts, ways, strict=True))
    ]
    return joined(*parts)


def scaled(segments, factors):
    """The charges of tracks, by event and traj_id, times factors."""
    keys = np.stack((segments.event_id, segments.traj_id))
    _, of = np.unique(keys, axis=1, return_inverse=True)
    return dataclasses.replace(segments, dE=segments.dE * np.asarray(factors)[of.reshape(-1)])


def objective_of(simulation, segments, read, width, names=NAMES):
    return WaveformObjective(simulation, segments, read, unknowns_of(simulation, names), charge_scale=width)


def test_tracks_add_up_to_the_whole(detector):
    """With a prior of no width residuals and derivatives are those without factors, behind the high passes, too."""
    simulation, segments = simulation_of(detector, dtype=np.float64), crossing()
    read = data_of(simulation, scaled(segments, (1.1, 0.9, 1.05, 0.95)), 3)
    held, narrow = (objective_of(simulation, segments, read, width) for width in (None, 1e-9))
    values = held.unknowns.start * np.array([1.01, 0.97, 1.0001, 1.02])
    a, b = held(values), narrow(values)
    assert b.value == pytest.approx(a.value, rel=1e-10)
    np.testing.assert_allclose(b.gradient, a.gradient, rtol=1e-6)
    np.testing.assert_allclose(b.information, a.information, rtol=1e-6)
    residual, slopes = held.residuals(0, values, held.unknowns.slots)
    fit = narrow.track_fit(0, values, held.unknowns.slots)
    np.testing.assert_allclose(fit.residual, residual, atol=1e-6 * np.abs(residual).max())
    np.testing.assert_allclose(fit.slopes, slopes, atol=1e-6 * np.abs(slopes).max(axis=1).max())


@pytest.mark.parametrize("width", [np.inf, 0.03])
def test_value_is_the_least_and_gradient_and_information_are_its_derivatives(detector, width):
    """Of any charges of the tracks; by differences in double precision, the information where there is no residual."""
    simulation, segments = simulation_of(detector, dtype=np.float64), crossing()
    factors = np.array([1.1, 0.9, 1.05, 0.95])
    objective = objective_of(simulation, segments, data_of(simulation, scaled(segments, factors), 3), width)
    values = objective.unknowns.start * np.array([1.01, 0.97, 1.0001, 1.02])
    at, change = objective(values), objective.track_fit(0, values, NONE).change
    assert_gradient(objective, values)
    rng = np.random.default_rng(0)
    for move in (np.zeros(4), *rng.normal(0.0, 0.01, (3, 4))):
        other = WaveformObjective(
            simulation,
            scaled(segments, 1.0 + change + move),
            data_of(simulation, scaled(segments, factors), 3),
            objective.unknowns,
        )
        penalty = 0.0 if np.isinf(width) else 0.5 * np.sum((change + move) ** 2) / width**2
        value = other(values).value + penalty
        assert value == pytest.approx(at.value, rel=1e-9) if not move.any() else value > at.value
    exact = objective_of(simulation, segments, data_of(simulation, segments, 3, noise=False), width)
    assert_hessian(exact, exact.unknowns.start, 2e-5)


def test_charges_that_are_off_bias_a_fit_that_holds_them(detector):
    """By 5 %: held, some value is many errors off; free, none is, and what the charge tells has larger errors."""
    simulation = simulation_of(detector)
    segments = of_one_track(muons(10, np.random.default_rng(2), detector))
    rng = np.random.default_rng(7)
    read = data_of(simulation, scaled(segments, 1.0 + 0.05 * rng.standard_normal(10)), 5)
    names = ("alpha_emb", "beta_90", "lifetime", "vdrift", "tran_diff", "long_diff")
    start = {"alpha_emb": 0.93, "vdrift": 0.1585}
    fits = [
        calibrate_waveforms(
            simulation,
            segments,
            read,
            unknowns_of(simulation, names, start),
            truth=detector.parameters,
            charge_scale=width,
        )
        for width in (None, np.inf, 0.05)
    ]
    held, free, known = fits
    pull = [np.abs((one.values - one.truth) / one.errors) for one in fits]
    assert pull[0].max() > 10.0 and not held.good
    for one, off in ((free, pull[1]), (known, pull[2])):
        assert one.good, str(one)
        assert off.max() < 3.5, str(one)
    ratio = dict(zip(names, free.errors / held.errors, strict=True))
    assert ratio["alpha_emb"] > 4.0 and ratio["lifetime"] > 2.0 and ratio["beta_90"] > 1.5, ratio
    assert max(ratio[name] for name in ("vdrift", "tran_diff", "long_diff")) < 1.1, ratio
    assert (known.errors <= free.errors * 1.001).all()


@pytest.mark.parametrize("width", [-1.0, np.nan, 1e-300, 1e300])
def test_a_width_is_a_number_above_0(detector, width):
    with pytest.raises(InputError, match="charge_scale: found .*, allowed is a width from 1e-09 to 1e"):
        objective_of(simulation_of(detector), crossing(), None, width)
