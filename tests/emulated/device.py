"""A device to launch on: CuPy's stand-in, and kernels through PTX."""

import sys
from collections import Counter

import numba
import pytest
from ptx_source import as_on_device

from lartpc.kernels.runtime.launch import Kernel, block_size
from tests.emulated import cupy
from tests.emulated.program import program

LAUNCHES = Counter()  # name of a kernel: how often


class Launcher:
    """What stands for the compiled launcher of a kernel: `launcher[blocks, threads](...)`."""

    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return lambda threads, *arguments: self.launch(grid, threads, arguments)

    def launch(self, grid, threads, arguments):
        blocks, size = grid
        assert size == block_size(threads) and (blocks - 1) * size < threads <= blocks * size
        host = [one.memory if isinstance(one, cupy.ndarray) else one for one in arguments]
        types = (numba.types.int64, *map(as_on_device, host))
        refuse_other_types(types[1:], arguments)
        LAUNCHES[self.kernel.name] += 1
        program(self.kernel, types).run(int(threads), dict(zip(self.kernel.arguments, host, strict=True)))


def refuse_other_types(types, arguments):
    """numba-cuda reads the type of an array from its interface: it is that for which the PTX was made."""
    from numba.cuda.typing.typeof import Purpose, typeof

    for ours, argument in zip(types, arguments, strict=True):
        if str(typeof(argument, Purpose.argument)) != str(ours):
            raise TypeError(f"{typeof(argument, Purpose.argument)} is not {ours}")


@pytest.fixture(scope="module")
def device():
    """For `Simulation(device="cuda")` there is a device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", cupy)
        patch.setattr(Kernel, "cuda_launcher", property(Launcher))
        yield cupy
