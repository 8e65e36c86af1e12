"""What CUDA compiles of a body says the same in plain Python."""

import numpy as np
import pytest
from enumeration import all_kernels

from lartpc.kernels.runtime.counted import counted
from lartpc.kernels.runtime.launch import rebind


def loops(i, first, value, out):
    for k in range(first[i], first[i + 1]):
        if value[k] < 0.0:
            continue
        for j in range(3):
            if j == 2:
                break
            out[i, j] += value[k] * (j + 1)
    for k in range(first[i + 1] - 1, first[i] - 1, -1):
        out[i, 2] = 0.5 * out[i, 2] + value[k]
    last = first.shape[0] - 1
    for k in range(i, first[last], last):
        out[i, 3] += k


def stop_that_moves(i, out):
    stop = 3
    for k in range(stop):
        stop += 1
        k += 10
        out[i] += k


@pytest.mark.parametrize("function, arrays", [
    (loops, (np.array([0, 3, 3, 7]), np.array([1.0, -2.0, 3.0, 0.5, 0.25, -1.0, 4.0]), np.zeros((3, 4)))),
    (stop_that_moves, (np.zeros(3),)),
])  # fmt: skip
def test_loops_do_what_range_does(function, arrays):
    other = tuple(array.copy() for array in arrays)
    for i in range(3):
        function(i, *arrays)
        rebind(function, None, counted)(i, *other)
    assert arrays[-1].any()
    for one, two in zip(arrays, other, strict=True):
        np.testing.assert_array_equal(two, one)


def test_an_index_below_0_is_no_index():
    def first_of_all(i, value):
        return value[i - 1]

    with pytest.raises((IndexError, OverflowError)):
        rebind(first_of_all, None, counted)(0, np.zeros(3))


def last_of_all(i, value):
    return value[-1]


def in_pairs(i, value):
    for k, one in enumerate(value):
        value[k] = one


def loop_with_else(i, value):
    for k in range(3):
        value[k] = 0.0
    else:
        value[i] = 1.0


@pytest.mark.parametrize(
    "function, told",
    [
        (last_of_all, "index is 0 or more: -1"),
        (in_pairs, "loop is over a range and has no else: for k, one in enumerate"),
        (loop_with_else, "loop is over a range and has no else: for k in range"),
    ],
)
def test_what_it_does_not_know_is_refused(function, told):
    with pytest.raises(TypeError, match=told):
        counted(function)


def helpers_of(function):
    """The helpers that a kernel calls, and theirs."""
    for name in function.__code__.co_names:
        helper = function.__globals__.get(name)
        if getattr(helper, "is_device", False):
            yield helper
            yield from helpers_of(helper)


@pytest.mark.parametrize("module, name", sorted(all_kernels()))
def test_no_kernel_is_left_with_a_range(module, name):
    body = all_kernels()[module, name].body
    for function in {body, *helpers_of(body)}:
        code, _ = counted(function)
        assert "range" not in code.co_names
        assert code.co_name == function.__name__
