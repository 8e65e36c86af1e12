"""Times of single events as unknowns of a fit with wires."""

import numpy as np
import pytest
from wire_fits import data_of, diffusing, muons, of_one_track, simulation_of

from lartpc.exceptions import InputError
from lartpc.fit.unknowns import unknowns_of
from lartpc.fit.waveforms import calibrate_waveforms
from lartpc.losses.waveforms import WaveformObjective
from lartpc.settings import Settings

NAMES = ("lifetime", "t0_offset.event2", "t0_offset.event0", "shaping")


@pytest.fixture(scope="module")
def detector():
    return diffusing()


def with_times(detector, **more):
    own = {"t0_offset.event0": 3.0, "t0_offset.event2": -5.0}
    return simulation_of(detector, parameters=detector.parameters.replace(**own), **more)


@pytest.mark.parametrize("width", [None, 0.05])
def test_gradient_and_information_are_those_of_differences(detector, width):
    """By times of two of three events, of which all are in a batch, and by what is common; with free charges, too."""
    more = {"dtype": np.float64, "settings": Settings(steps_per_batch=10**6)}
    simulation, truth = simulation_of(detector, **more), with_times(detector, **more)
    segments = of_one_track(muons(3, np.random.default_rng(3), detector))
    unknowns = unknowns_of(simulation, NAMES)
    noisy, exact = (
        WaveformObjective(simulation, segments, data_of(truth, segments, 0, noise), unknowns, charge_scale=width)
        for noise in (True, False)
    )
    true = np.array([300.0, -5.0, 3.0, 2.0])
    off, steps = true + np.array([3.0, 0.1, 0.2, 0.02]), np.array([1e-3, 1e-4, 1e-4, 1e-5])
    at, rows = noisy(off), []
    for k, step in enumerate(steps):
        h = step * np.eye(4)[k]
        expected = (noisy(off + h).value - noisy(off - h).value) / (2.0 * step)
        assert at.gradient[k] == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.sqrt(at.information[k, k]))
        rows.append((exact(true + h).gradient - exact(true - h).gradient) / (2.0 * step))
    held = simulation_of(
        detector,
        parameters=detector.parameters.replace(**dict(zip(NAMES[1:3], off[1:3], strict=True))),
        **more,
    )
    assert len(noisy.batches) == 1
    alone = WaveformObjective(
        held, segments, data_of(truth, segments, 0), unknowns_of(held, (NAMES[0], NAMES[3])), charge_scale=width
    )(off[[0, 3]])
    assert at.value == pytest.approx(alone.value, rel=1e-9)
    np.testing.assert_allclose(at.information[np.ix_([0, 3], [0, 3])], alone.information, rtol=1e-6)
    information = exact(true).information
    assert information[1, 2] == 0.0
    size = np.sqrt(np.diag(information))
    np.testing.assert_allclose(np.array(rows) / np.outer(size, size), information / np.outer(size, size), atol=2e-5)


def test_times_of_events_are_found(detector):
    simulation, segments = simulation_of(detector), muons(3, np.random.default_rng(3), detector)
    names = ("vdrift", "long_diff", *(f"t0_offset.event{event}" for event in range(3)))
    unknowns = unknowns_of(simulation, names, {"vdrift": 0.1603})
    result = calibrate_waveforms(simulation, segments, data_of(with_times(detector), segments, 4), unknowns)
    truth = np.array([0.16, 4e-5, 3.0, 0.0, -5.0])
    assert result.good, str(result)
    assert np.abs((result.values - truth) / result.errors).max() < 3.5, str(result)
    assert (result.errors[2:] < 0.05).all()
    with pytest.raises(InputError, match="the segments have no event 7, allowed are their 3 events from 0 to 2"):
        calibrate_waveforms(simulation, segments, None, ("vdrift", "t0_offset.event7"))
