"""The stand-in for CuPy refuses what CuPy refuses, and counts."""

import operator

import numpy as np
import pytest

from lartpc.arrays import offsets, sorting, to_numpy
from tests.emulated import cupy
from tests.emulated.memory import poisoned


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: there + here,
        lambda here, there: here + there,
        lambda here, there: np.add(there, there, out=here),
        lambda here, there: operator.iadd(there, here),
        lambda here, there: there[here],
        lambda here, there: there.__setitem__(slice(None), here),
        lambda here, there: cupy.where(there > 0, here, there),
        lambda here, there: cupy.searchsorted(there, here),
        lambda here, there: np.asarray(there),
        lambda here, there: here.__setitem__(slice(None), there),
        lambda here, there: np.add.reduce(there),
        lambda here, there: np.median(there),
        lambda here, there: range(there[0]),
        lambda here, there: there.tofile("x"),
    ],
)
def test_host_and_device_do_not_mix(mix):
    here = np.arange(3)
    with pytest.raises((TypeError, AttributeError)):
        mix(here, cupy.asarray(here))


def test_what_is_allowed():
    there = cupy.asarray(np.arange(4.0))
    mean = (2.0 * there - np.float32(1.0))[1:].sum() / len(there)
    assert isinstance(mean, cupy.ndarray) and mean.shape == ()
    there[there > 2] = 0.0
    assert float(mean) == 2.25 and np.sum(there).tolist() == 3.0
    assert [int(one) for one in there] == [0, 1, 2, 0]


def test_empty_is_poisoned():
    for made in (cupy.empty((3, 2), np.float32), cupy.empty_like(cupy.zeros(3)), cupy.empty(4, np.int64)):
        assert poisoned(made.get()).all()


def test_waits_and_transfers_are_counted_by_line(device):
    cupy.forget()
    there = cupy.asarray(np.array([3, 1, 2]))
    to_numpy(offsets(there))
    sorting(there)
    assert sum(cupy.TRANSFERS.values()) == 1
    assert {(what, file) for what, file, _ in cupy.WAITS} == {("get", "/lartpc/arrays.py")}
    assert sum(cupy.WAITS.values()) == 2  # of `to_numpy`, and of `sorting` for all that it asks
