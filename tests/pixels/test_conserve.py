import numpy as np
import pytest
from helpers import VELOCITY, make_segments, waveforms

from lartpc.kernels.pixels.conserve import conserve


def scaled(current, moment_x, moment_y, window_pair, window_first, dtype):
    moment_x, moment_y, current = (np.asarray(a, dtype) for a in (moment_x, moment_y, current))
    waveform = np.full(len(current), np.nan, dtype)
    windows = {"window_pair": np.array(window_pair), "window_first": np.array(window_first)}
    moments = {"moment_x": moment_x, "moment_y": moment_y}
    conserve(len(window_pair) - 1, **windows, **moments, tick=dtype(0.1), current=current, waveform=waveform)
    return waveform


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_each_window_is_scaled_to_its_charge(dtype, tolerance):
    random = np.random.default_rng(5)
    current, mx, my = random.random(30), random.random((5, 4)), random.random((5, 4))
    found = scaled(current, mx, my, [0, 2, 5], [0, 10, 30], dtype)
    charge = mx[:, 0] * my[:, 0]
    assert 0.1 * found[:10].sum(dtype=float) == pytest.approx(charge[:2].sum(), rel=tolerance)
    assert 0.1 * found[10:].sum(dtype=float) == pytest.approx(charge[2:].sum(), rel=tolerance)
    for part in (slice(0, 10), slice(10, 30)):
        np.testing.assert_allclose(found[part] / current[part], found[part][0] / current[part][0], rtol=2 * tolerance)


def test_a_window_without_current_stays_empty():
    assert scaled(np.zeros(8), [[0.0]], [[0.0]], [0, 1], [0, 8], np.float32).tolist() == [0.0] * 8


@pytest.mark.parametrize("charge", [0.6, 0.7, 0.9])
def test_many_equal_pairs_lose_nothing_in_single_precision(charge):
    """Added one by one, 10,000 equal charges are rounded the same way each time: 1e-4 of them."""
    found = scaled(np.ones(8), np.full((10_000, 1), charge), np.ones((10_000, 1)), [0, 10_000], [0, 8], np.float32)
    assert 0.1 * found.sum(dtype=float) == pytest.approx(1e4 * charge, rel=1e-5)


@pytest.mark.parametrize("distance", [0.005, 0.03, 0.5])
def test_signals_narrower_than_a_tick_keep_charge_and_time(distance):
    """At the anode the spread in time is a hundredth of a tick: sampling may double or miss it, never its charge."""
    means = []
    for t0 in 0.01 * np.arange(10):
        position = (0.2217, 0.2217, distance)
        result = waveforms(make_segments(position, position, t0=t0))
        assert 0.1 * result.current.sum(dtype=float) == pytest.approx(result.steps.charge.sum(), rel=1e-6)
        ticks = result.windows.tick[0] + np.arange(len(result.current))
        means.append(0.1 * np.average(ticks, weights=result.current) - t0 - (distance - 0.5) / VELOCITY)
    # on the pixel's centre all charge is in the fast exponential of 0.679 us before 2.948 us
    np.testing.assert_allclose(means, 2.948 - 0.679, atol=0.1)
