"""Errors planted in kernels are found, and what the translation does not know is refused."""

import math
import re
from importlib.util import find_spec

import numpy as np
import pytest
from ptx_source import ptx
from scipy import special

from lartpc.kernels.runtime.launch import kernel
from tests.emulated.memory import poison
from tests.emulated.opcodes import Unsupported
from tests.emulated.program import CC, Program, emulate, grid, types_of
from tests.emulated.recording import Launch, copies
from tests.emulated.test_kernels import disagreements

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
]


THREADS, RUN = 300, 4


@kernel("owner")
def right(i, starts, spare, owner):
    for k in range(starts[i], starts[i + 1]):
        owner[k] = i


@kernel("owner")
def one_past_the_end_of_a_run(i, starts, spare, owner):
    for k in range(starts[i], starts[i + 1] + 1):
        owner[k] = i


@kernel("owner")
def shared_sum(i, starts, spare, owner):
    owner[0] += i


@kernel("owner")
def neighbour(i, starts, spare, owner):
    owner[i] = i
    if i > 0:
        owner[i] += owner[i - 1]


@kernel("owner")
def far(i, starts, spare, owner):
    owner[starts[i] + 1000000000] = i


@kernel("owner")
def before_the_first(i, starts, spare, owner):
    owner[i] = starts[i - 2 - len(starts)]


@kernel("owner")
def into_the_next_argument(i, starts, spare, owner):
    owner[i] = spare[len(spare) + i]


@kernel("owner")
def overlapping_writes(i, starts, spare, owner):
    for k in range(starts[i], starts[i] + 2 * 4):
        if k < len(owner):
            owner[k] = 7


@kernel("owner")
def unwritten(i, starts, spare, owner):
    owner[i] += i


FOUND = {
    one_past_the_end_of_a_run: {
        "access outside the argument",
        "write where another thread wrote",
    },
    shared_sum: {"read where another thread wrote", "write where another thread wrote"},
    neighbour: {"read where another thread wrote", "write where another thread read"},
    far: {"access outside the argument"},
    before_the_first: {"access outside the argument"},
    into_the_next_argument: {"access outside the argument"},
    overlapping_writes: {"write where another thread wrote"},
    unwritten: {"read of unwritten memory"},
}


def arrays():
    return {
        "starts": RUN * np.arange(THREADS + 1),
        "spare": np.zeros(16, dtype=np.int64),
        "owner": np.zeros(RUN * THREADS, dtype=np.int64),
    }


def found(planted, order=None):
    """Kinds of the problems of a checked launch, its arguments."""
    given = arrays()
    if planted is unwritten:
        poison(given["owner"])
    memory = emulate(planted, THREADS, given, order, checked=True)
    return memory, given


@pytest.mark.parametrize("planted", FOUND, ids=lambda one: one.name)
def test_a_planted_error_is_found(planted):
    kinds = set()
    for order in (None, grid(THREADS)[::-1]):
        memory, _ = found(planted, order)
        assert memory.count >= len(memory.problems) > 0
        kinds |= {problem.kind for problem in memory.problems}
    assert kinds == FOUND[planted]


def test_a_problem_says_where_it_is():
    memory, given = found(one_past_the_end_of_a_run)
    assert memory.count == THREADS
    problem = memory.problems[0]
    assert (problem.argument, problem.byte, problem.thread) == ("owner", 8 * RUN, 1)
    lines = Program(ptx(one_past_the_end_of_a_run, types_of(given), CC), checked=True).translation.lines
    assert lines[problem.line].startswith("st.global")


def test_nothing_is_found_where_nothing_is_wrong():
    memory, given = found(right)
    assert memory.count == 0
    np.testing.assert_array_equal(given["owner"], np.repeat(np.arange(THREADS), RUN))


def test_order_of_threads_shows_a_race():
    straight, reverse = arrays(), arrays()
    emulate(neighbour, THREADS, straight)
    emulate(neighbour, THREADS, reverse, grid(THREADS)[::-1])
    assert (straight["owner"] != reverse["owner"]).sum() > THREADS // 2


@kernel("out", "count")
def squares(i, x, count, out):
    out[i] = x[i] * x[i]
    count[i] = i


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_disagreements_are_seen(dtype):
    before = {"x": np.linspace(1, 2, 8, dtype=dtype), "count": np.zeros(8, np.int64), "out": np.zeros(9, dtype)}
    before["out"][8] = 1e30  # where nothing is written counts for nothing
    after = {**copies(before), "count": np.arange(8), "out": np.append(before["x"] ** 2, before["out"][8])}
    launch = Launch(squares, 8, before, after)
    ptx_after = copies(before)
    emulate(squares, 8, ptx_after)
    assert list(disagreements(launch, ptx_after)) == []
    ptx_after["out"][3] *= 1 + 1000 * np.finfo(dtype).eps
    ptx_after["count"][2] += 1
    ptx_after["x"][1] = 0
    assert [line.split()[0].strip(":") for line in disagreements(launch, ptx_after)] == ["x", "count", "out"]
    ptx_after["out"][3] = np.nan
    assert "out: inf units in the last place" in disagreements(launch, ptx_after)


@kernel("out")
def mathematics(i, x, out):
    out[0, i] = math.exp(x[i])
    out[1, i] = math.log(abs(x[i]))
    out[2, i] = math.cos(x[i])
    out[3, i] = math.erfc(x[i] / 16)
    out[4, i] = math.expm1(x[i])
    out[5, i] = math.log1p(abs(x[i]))
    out[6, i] = math.sqrt(abs(x[i]))
    out[7, i] = math.floor(x[i]) + 2 * math.ceil(x[i])
    out[8, i] = int(x[i]) // 3 + 5 * (int(x[i]) % 3)
    out[9, i] = x[i] / (x[i] * x[i] + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mathematics(dtype):
    few = [0.5, -80.0, 1e4, -2e4, 1e5]
    x = np.concatenate([np.random.default_rng(0).normal(0, 20, 1000).clip(-80, 80), few]).astype(dtype)
    out = np.zeros((10, len(x)), dtype)
    emulate(mathematics, len(x), {"x": x, "out": out})
    x = x.astype(np.float64)
    whole = np.trunc(x)
    with np.errstate(over="ignore"):
        expected = [np.exp(x), np.log(abs(x)), np.cos(x), special.erfc(x / 16), np.expm1(x), np.log1p(abs(x))]
        expected += [np.sqrt(abs(x)), np.floor(x) + 2 * np.ceil(x), whole // 3 + 5 * (whole % 3), x / (x * x + 1)]
        expected = np.array(expected).astype(dtype)
    limits = np.finfo(dtype)
    np.testing.assert_allclose(out, expected, rtol=8 * limits.eps, atol=limits.tiny)


@kernel("out")
def product_and_sum(i, x, y, z, out):
    out[i] = x[i] * y[i] + z[i]


@pytest.mark.parametrize(
    ("rounding", "fused", "expected"), [("", True, 2.0**-24), ("", False, 0.0), (".rn", True, 0.0)]
)
def test_fused_where_ptx_allows(rounding, fused, expected):
    """What a rounded product loses of (1 + 2^-12)^2."""
    one = np.full(1, 1 + 2**-12, dtype=np.float32)
    given = {"x": one, "y": one, "z": np.full(1, -(1 + 2**-11), dtype=np.float32), "out": np.zeros(1, np.float32)}
    source = ptx(product_and_sum, types_of(given), CC)
    apart = rf"mul{rounding}.f32 \1, \2;\nadd{rounding}.f32 \1, \1, \3;"
    source, changed = re.subn(r"fma\.rn\.f32\s+(%f\d+), (%f\d+, %f\d+), (%f\d+);", apart, source)
    assert changed == 1
    Program(source, fused=fused).run(1, given)
    assert given["out"] == expected


@pytest.mark.parametrize(
    "changed",
    [
        ("add.s64", "add.rz.s64"),
        ("ld.global.u64", "ld.volatile.global.u64"),
        ("st.global.u64", "red.global.add.u64"),
        ("setp.ge.s64", "setp.ge.and.s64"),
        ("@%p1 bra", "@%p1 call"),
        ("ret;", "bar.sync 0;"),
        ("%tid.x", "%laneid"),
    ],
)
def test_an_unknown_instruction_fails(changed):
    given = arrays()
    source = ptx(right, types_of(given), CC)
    Program(source)
    before, after = changed
    assert before in source
    with pytest.raises(Unsupported, match=re.escape(after.split(";")[0])):
        Program(source.replace(before, after, 1))


def test_what_libdevice_calls_a_function_for_fails():
    with pytest.raises(Unsupported, match="cosine"):
        emulate(mathematics, 1, {"x": np.full(1, 1e300), "out": np.zeros((10, 1))})
