"""A kernel says what it writes: its outputs, and the arrays that it works in."""

from collections import Counter

import numpy as np
import pytest
from enumeration import all_kernels
from stages import record_runs

from lartpc.kernels.runtime.launch import Kernel, kernel

FIRST = 20  # launches of a kernel that are looked at, and more until each array that it says it writes has changed


def changed(launch, kernel, threads, arrays):
    """The names of the arrays that a launch changes, or would if those that it says it writes held ones before."""
    found = set()
    for ones in ((), (*kernel.outputs, *kernel.work)):
        own = {n: a.copy() for n, a in arrays.items() if isinstance(a, np.ndarray)}
        own |= {n: np.ones_like(own[n]) for n in ones}
        before = {n: a.tobytes() for n, a in own.items()}
        launch(kernel, threads, **arrays | own)
        found |= {n for n, a in own.items() if a.tobytes() != before[n]}
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Kernel to the names of the arrays that it changes in some launch."""
    found, launches, launch = {}, Counter(), Kernel.__call__

    def record(kernel, threads, /, **arrays):
        launches[kernel] += 1
        seen = found.setdefault(kernel, set())
        if launches[kernel] <= FIRST or not seen >= {*kernel.outputs, *kernel.work}:
            seen |= changed(launch, kernel, threads, arrays)
        launch(kernel, threads, **arrays)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", record)
        record_runs(tmp_path_factory.mktemp("written"))
    return found


@pytest.mark.parametrize("module, name", sorted(all_kernels()))
def test_a_kernel_writes_what_it_says(module, name, written):
    kernel = all_kernels()[module, name]
    assert not {*kernel.outputs} & {*kernel.work}
    assert written[kernel] == {*kernel.outputs, *kernel.work}


def test_an_array_that_is_not_declared_is_seen():
    @kernel("total", work=("partial",))
    def planted(i, x, partial, total):
        partial[i] += x[i]
        total[i] = partial[i]
        partial[i] = 0.0
        x[i] = 1.0

    arrays = {"x": np.array([3.0]), "partial": np.zeros(1), "total": np.zeros(1)}
    assert changed(Kernel.__call__, planted, 1, arrays) == {"x", "partial", "total"}
    assert arrays["x"] == [3.0]
