import numpy as np
import pytest

from lartpc.arrays import LINE, aligned, extremes, offsets, owners, run_bounds, sorting


@pytest.mark.parametrize("far", [0, 2**33])
def test_sorting_is_stable_and_by_the_first_key_first(far):
    """Also where the keys of all do not fit into one number of 64 bits: with `far`."""
    random = np.random.default_rng(far)
    keys = random.integers(-3, 3, (3, 500))
    keys[:, 0] += far
    keys[:, 1] -= far
    np.testing.assert_array_equal(sorting(*keys), sorted(range(500), key=lambda i: (*keys[:, i], i)))


@pytest.mark.parametrize("n", [0, 1])
def test_sorting_few(n):
    np.testing.assert_array_equal(sorting(*np.zeros((3, n), dtype=np.int64)), np.arange(n))


def test_owners_of_runs_some_of_which_are_empty():
    counts = np.array([0, 3, 0, 0, 2, 1, 0])
    np.testing.assert_array_equal(owners(offsets(counts), 6), np.repeat(np.arange(7), counts))
    assert len(owners(offsets(np.zeros(2, dtype=np.int64)), 0)) == 0


@pytest.mark.parametrize("runs", [[], [3], [2, 1, 4]])
def test_bounds_of_runs(runs):
    key = np.repeat(np.arange(len(runs)) % 2, runs)
    np.testing.assert_array_equal(run_bounds(key), offsets(np.array(runs, dtype=np.int64)))


def test_extremes():
    assert extremes(np.array([3, -1, 2]), np.array([5, 5, 5])) == [[-1, 5], [3, 5]]
    assert extremes(np.array([], dtype=np.int64)) == ([0], [0])


@pytest.mark.parametrize("shape", [(3, 5, 7), (0, 4)])
def test_aligned_copies_begin_with_a_line_of_the_cache(shape):
    array = np.random.default_rng(0).random((*shape, 2)).astype(np.float32)[..., 1]
    copies = [aligned(array) for _ in range(20)]
    for copy in copies:
        assert copy.flags.c_contiguous and not np.shares_memory(copy, array) and copy.dtype == array.dtype
        assert copy.ctypes.data % LINE == 0 or copy.size == 0
        np.testing.assert_array_equal(copy, array)
