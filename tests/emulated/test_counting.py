"""What threads of a program count, and lanes that do one another's work or leave some of it."""

from importlib.util import find_spec

import numpy as np
import pytest

from lartpc.kernels.runtime.launch import Kernel, kernel
from tests.emulated.counting import by_name, count
from tests.emulated.program import emulate, types_of

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
]
N = 50


@kernel("out")
def sums(i, first, values, out):
    total = type(values[0])(0.0)
    for k in range(first[i], first[i + 1]):
        total += values[k] * values[k]
    out[i] = total


@kernel("out", lanes=8)
def doubled(i, lane, lanes, first, values, out):
    for k in range(first[i] + lane, first[i + 1], lanes):
        out[k] = values[k] + values[k]


@kernel("out", lanes=8)
def doubled_by_two(i, lane, lanes, first, values, out):
    for k in range(first[i] + lane // 2, first[i + 1], lanes // 2):
        out[k] = values[k] + values[k]


def runs(rng):
    first = np.concatenate(([0], np.cumsum(rng.integers(0, 40, N))))
    return {"first": first, "values": rng.normal(size=first[-1]).astype(np.float32)}


def test_loads_and_stores_of_every_thread():
    arguments = runs(np.random.default_rng(0)) | {"out": np.zeros(N, np.float32)}
    done = by_name(count(sums, types_of(arguments), N, arguments))
    length = np.diff(arguments["first"])
    assert len(done["loads"]) == 64  # whole warps
    np.testing.assert_array_equal(done["loads"][:N], length + 2)
    np.testing.assert_array_equal(done["loads_bytes"][:N], 4 * length + 16)
    np.testing.assert_array_equal(done["stores"], np.arange(64) < N)
    np.testing.assert_array_equal(done["stores_bytes"], 4 * (np.arange(64) < N))
    assert (done["floats"][:N] >= length).all() and (done["floats"][:N] <= 2 * length).all()
    assert np.corrcoef(done["instructions"][:N], length)[0, 1] > 0.95  # four turns of a loop at a time
    assert (done["instructions"][N:] < 10).all()
    parts = np.split(arguments["values"], arguments["first"][1:-1])
    np.testing.assert_allclose(arguments["out"], [np.sum(part**2) for part in parts], rtol=1e-5)


def test_lanes_share_the_work_of_a_thread():
    arguments = runs(np.random.default_rng(1))
    arguments["out"] = np.zeros_like(arguments["values"])
    on_cpu = arguments | {"out": arguments["out"].copy()}
    doubled(N, **on_cpu)
    memory = emulate(doubled, N, arguments, checked=True)
    assert memory.count == 0
    np.testing.assert_array_equal(arguments["out"], 2 * arguments["values"])
    np.testing.assert_array_equal(on_cpu["out"], arguments["out"])
    stores = by_name(count(doubled, types_of(arguments), N * doubled.lanes, arguments))["stores"]
    length, lane = np.diff(arguments["first"]), np.arange(8)
    expected = (length[:, None] - lane + 7) // 8
    np.testing.assert_array_equal(stores[: 8 * N], expected.ravel())


def test_lanes_that_do_the_same_are_found():
    arguments = runs(np.random.default_rng(1))
    arguments["out"] = np.zeros_like(arguments["values"])
    memory = emulate(doubled_by_two, N, arguments, checked=True)
    assert {one.kind for one in memory.problems} == {"write where another thread wrote"}


def test_lanes_are_a_power_of_2():
    with pytest.raises(TypeError, match="power of 2"):
        Kernel(doubled.body, ("out",), lanes=12)
