"""Soft dynamic time warping against a slow reference, its limits and symmetries."""

import numpy as np
import pytest
from hit_lists import DETECTOR, each, hit_list

from lartpc.arrays import offsets
from lartpc.kernels.losses import soft_dtw as soft_dtw_kernel
from lartpc.losses.hit_losses import soft_dtw


def slow_soft_dtw(v, t, gamma):
    R = np.full((len(v) + 1, len(t) + 1), np.inf)
    R[0, 0] = 0.0
    for i, a in enumerate(v):
        for j, b in enumerate(t):
            before = [R[i, j + 1], R[i + 1, j], R[i, j]]
            low = min(before)
            soft = low - (gamma * np.log(sum(np.exp(-(r - low) / gamma) for r in before)) if gamma else 0.0)
            R[i + 1, j + 1] = abs(a - b) + soft
    return R[-1, -1]


def run_soft_dtw(pairs, gamma):
    """The kernel on pairs of sequences."""
    n, m = (np.array([len(pair[side]) for pair in pairs]) for side in (0, 1))
    value, target = (np.concatenate([pair[side] for pair in pairs]).astype(float) for side in (0, 1))
    table_first = offsets(n * m)
    table, loss = np.zeros(table_first[-1]), np.zeros(len(n))
    sides = {"value": value, "first": offsets(n), "target": target, "target_first": offsets(m)}
    soft_dtw_kernel.soft_dtw(len(n), **sides, table_first=table_first, gamma=gamma, table=table, loss=loss)
    return loss


@pytest.fixture
def sequences():
    rng = np.random.default_rng(1)
    shapes = [(1, 1), (1, 6), (5, 1), (2, 2), (7, 4), (4, 7), (30, 21)]
    return [(rng.uniform(0.0, 10.0, n), rng.uniform(0.0, 10.0, m)) for n, m in shapes]


@pytest.mark.parametrize("gamma", [0.05, 1.0, 20.0])
def test_soft_dtw_of_sequences(sequences, gamma):
    expected = [slow_soft_dtw(v, t, gamma) for v, t in sequences]
    np.testing.assert_allclose(run_soft_dtw(sequences, gamma), expected, rtol=1e-10, atol=1e-10 * gamma)


def test_soft_dtw_becomes_hard(sequences):
    """The soft minimum of three is at most gamma log 3 below the minimum, in each of up to n + m - 2 steps."""
    hard = np.array([slow_soft_dtw(v, t, 0.0) for v, t in sequences])
    steps = np.array([len(v) + len(t) - 2 for v, t in sequences])
    for gamma in (1.0, 1e-2, 1e-4):
        below = hard - run_soft_dtw(sequences, gamma)
        assert (below >= -1e-10).all() and (below <= gamma * np.log(3.0) * steps + 1e-10).all()
    np.testing.assert_allclose(run_soft_dtw(sequences, 1e-6), hard, atol=1e-4)


def test_soft_dtw_counts_alignments():
    """Where all distances are 0 the loss is -gamma log of the number of monotone paths, the Delannoy number."""
    zeros = [(np.zeros(n), np.zeros(m)) for n, m in ((1, 5), (2, 2), (3, 3), (4, 3))]
    np.testing.assert_allclose(run_soft_dtw(zeros, 2.0), -2.0 * np.log([1, 3, 13, 25]), atol=1e-11)


def test_soft_dtw_of_exchanged_reversed_and_shifted(sequences):
    loss = run_soft_dtw(sequences, 1.0)
    for change in (
        lambda v, t: (t, v),
        lambda v, t: (v[::-1], t[::-1]),
        lambda v, t: (v + 50.0, t + 50.0),
        lambda v, t: (-v, -t),
    ):
        np.testing.assert_allclose(run_soft_dtw([change(*pair) for pair in sequences], 1.0), loss, rtol=1e-10)
    assert (run_soft_dtw([(v + 50.0, t) for v, t in sequences], 1.0) > loss).all()


def test_soft_dtw_of_hits(sides):
    expected = [slow_soft_dtw(s.adc, t.adc, 1.0) for s, t in each(sides)]
    np.testing.assert_allclose(soft_dtw(*sides, DETECTOR).value, expected, rtol=1e-10)


def test_soft_dtw_has_no_slope_where_values_agree():
    values = np.array([100.0, 120.0])
    hits = hit_list([2], np.random.default_rng(0))
    loss = soft_dtw(hits._replace(adc=values), hits._replace(adc=values[:1], first=np.array([0, 1])), DETECTOR)
    np.testing.assert_array_equal(loss.adc, [0.0, 1.0])
