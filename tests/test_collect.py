import numpy as np
import pytest

from lartpc.kernels.collect import collect
from lartpc.kernels.response import RATE_HIGH, RATE_LOW, fast, slow, weight
from lartpc.settings import Settings, decay_table


def test_slow_rates_of_a_pixel_lie_in_the_polynomials_range():
    x, y = np.meshgrid(*[np.linspace(0, 0.2217, 101)] * 2)
    rates = 1 / np.vectorize(slow)(x, y)
    assert rates.min() >= RATE_LOW and rates.max() <= RATE_HIGH
    assert np.vectorize(fast)(x, y).min() > 0 and np.vectorize(weight)(x, y).min() > 0


@pytest.mark.parametrize(("moments", "limit"), [(5, 8e-5), (7, 2.5e-6), (9, 1e-7), (12, 1e-9)])
def test_tail_polynomial_is_the_exponential(moments, limit):
    table = decay_table(moments, 240, 0.1, np.float64)
    rates = np.linspace(RATE_LOW, RATE_HIGH, 101)
    u = (rates - (RATE_LOW + RATE_HIGH) / 2) / ((RATE_HIGH - RATE_LOW) / 2)
    found = np.vander(u, moments, increasing=True) @ table
    error = np.abs(found - np.exp(-rates[:, None] * 0.1 * np.arange(240)))
    assert 1e-4 * limit < error.max() < limit
    assert error[:, 0].max() < 1e-12  # at the edge, where it meets the row
    default = decay_table(Settings().moments, 240, 0.1, np.float32)
    assert np.abs(default).max() < 1.5  # no cancellation of large terms


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_current_is_the_sum_of_rows_and_tails(dtype, tolerance):
    """Random pairs in two windows of blocks of 8 ticks, against plain loops over all ticks."""
    random = np.random.default_rng(4)
    block, memory, moments, pairs = 8, 20, 3, 30
    window_pair, window_tick, window_blocks = np.array([0, 18, pairs]), np.array([-64, 800]), np.array([20, 12])
    length = random.integers(1, 40, pairs)
    span = np.repeat(window_blocks * block, np.diff(window_pair))
    start = random.integers(0, span - length) + np.repeat(window_tick, np.diff(window_pair))
    tail_tick = start + random.integers(0, length)
    first_row = np.concatenate(([0], np.cumsum(length)))
    row, tail = random.random(first_row[-1]).astype(dtype), random.random((pairs, moments)).astype(dtype)
    decay = random.random((moments, memory)).astype(dtype)
    block_window = np.repeat([0, 1], window_blocks)
    block_tick = np.concatenate([t + block * np.arange(n) for t, n in zip(window_tick, window_blocks, strict=True)])
    current = np.full(len(block_window) * block, np.nan, dtype)
    places = (block_window, block_tick, window_pair, start, tail_tick, first_row)
    collect(len(block_window), *places, row, tail, decay, block, current)

    expected = {}
    for p in range(pairs):
        window = int(p >= 18)
        for k in range(length[p]):
            expected[window, start[p] + k] = expected.get((window, start[p] + k), 0.0) + row[first_row[p] + k]
        for k in range(1, memory):
            tick = tail_tick[p] - k
            expected[window, tick] = expected.get((window, tick), 0.0) + tail[p].astype(float) @ decay[:, k]
    ticks = (block_tick[:, None] + np.arange(block)).ravel()
    wanted = [expected.get((w, t), 0.0) for w, t in zip(np.repeat(block_window, block), ticks, strict=True)]
    np.testing.assert_allclose(current, wanted, rtol=tolerance)
