"""Every kernel's PTX, executed on the CPU: the numbers of the CPU path, in any order of threads, within its arguments.

See docs/emulated.md for what this proves.
"""

from importlib.util import find_spec

import numpy as np
import pytest
from enumeration import all_kernels

from tests.emulated.program import emulate, grid
from tests.emulated.recording import copies, recorded

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
    pytest.mark.slow,
]

UNITS = 256  # of the last place of the largest written value
CANCEL = {("reset_odds_adjoint", "grad_threshold"): 1000}  # the same, of sums of large terms of both signs: log odds


def launches(module, name, dtype):
    kernel = all_kernels()[module, name]
    assert kernel in recorded(dtype), f"{module}.{name} is called by no run of record_runs"
    return recorded(dtype)[kernel]


def units(before, cpu, ptx):
    """The largest difference, in units of the last place of the largest value that either wrote; inf where NaN are."""
    words = f"u{cpu.itemsize}"
    written = (cpu.view(words) != before.view(words)) | (ptx.view(words) != before.view(words))
    cpu, ptx = cpu[written], ptx[written]
    if not np.array_equal(np.isfinite(cpu), np.isfinite(ptx)) or (cpu != ptx)[~np.isfinite(cpu) & ~np.isnan(cpu)].any():
        return np.inf
    cpu, ptx = (a[np.isfinite(cpu)].astype(np.float64) for a in (cpu, ptx))
    largest = np.maximum(np.abs(cpu), np.abs(ptx)).max(initial=0.0)
    return np.abs(cpu - ptx).max(initial=0.0) / largest / np.finfo(before.dtype).eps if largest else 0.0


def disagreements(launch, found):
    """What of a launch on the CPU and the arguments `found` after one of the PTX is not as it should be."""
    kernel, _, before, after = launch
    for name, array in before.items():
        if not isinstance(array, np.ndarray) or name in kernel.work:
            continue
        if name not in kernel.outputs:
            if after[name].tobytes() != array.tobytes():
                yield f"{name} changed on the CPU"
            if found[name].tobytes() != array.tobytes():
                yield f"{name} changed by the PTX"
        elif array.dtype.kind != "f":
            if not np.array_equal(after[name], found[name]):
                yield f"{name}: {np.count_nonzero(after[name] != found[name])} integers differ"
        elif units(array, after[name], found[name]) > CANCEL.get((kernel.name, name), UNITS):
            yield f"{name}: {units(array, after[name], found[name]):.0f} units in the last place"


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("module, name", sorted(all_kernels()))
def test_kernel(module, name, dtype):
    """Every launch: its accesses, the numbers of the CPU, and the same bits from threads in any order."""
    rng = np.random.default_rng(0)
    for launch in launches(module, name, dtype):
        straight, shuffled = copies(launch.before), copies(launch.before)
        memory = emulate(launch.kernel, launch.threads, straight, checked=True)
        assert memory.count == 0, memory.problems
        assert list(disagreements(launch, straight)) == []
        order = rng.permutation(grid(launch.threads * launch.kernel.lanes))
        emulate(launch.kernel, launch.threads, shuffled, order)
        for written in (*launch.kernel.outputs, *launch.kernel.work):
            assert straight[written].tobytes() == shuffled[written].tobytes(), written
