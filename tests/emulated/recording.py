"""Launches of kernels as they ran on the CPU, memory that nobody wrote filled with poison."""

import functools
import hashlib
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from stages import record_runs

from lartpc.kernels.runtime.launch import Kernel, in_order
from tests.emulated.memory import poison


class Launch(NamedTuple):
    kernel: Kernel
    threads: int
    before: dict[str, Any]  # arguments by name
    after: dict[str, Any]


@functools.cache
def recorded(dtype):
    """Every launch of `record_runs` in a precision: {kernel: [Launch]}."""
    launches, pool, call = {}, {}, Kernel.__call__

    def kept(arguments):
        """Copies, of equal arrays one."""
        found = {}
        for name, argument in arguments.items():
            if isinstance(argument, np.ndarray):
                key = argument.dtype.str, argument.shape, argument.strides, hashlib.sha256(argument.tobytes()).digest()
                argument = pool[key] if key in pool else pool.setdefault(key, twin(argument))
            found[name] = argument
        return found

    def record(kernel, threads, /, **arrays):
        arguments = in_order(kernel, arrays)
        refuse_shared(kernel, arguments)
        before = kept(arguments)
        call(kernel, threads, **arguments)
        if threads:
            launches.setdefault(kernel, []).append(Launch(kernel, threads, before, kept(arguments)))

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(Kernel, "__call__", record)
        for name in ("empty", "empty_like"):
            patch.setattr(np, name, functools.partial(poisoning, getattr(np, name)))
        record_runs(Path(folder), dtype)
    return launches


def poisoning(make, *arguments, **more):
    return poison(make(*arguments, **more))


def refuse_shared(kernel, arguments):
    """What a kernel writes is no part of another argument, so that each can be copied and watched for itself."""
    arrays = {name: a for name, a in arguments.items() if isinstance(a, np.ndarray)}
    for name, array in arrays.items():
        for other in (*kernel.outputs, *kernel.work):
            if other != name and np.may_share_memory(array, arrays[other]):
                raise ValueError(f"{kernel.name}: {name} shares memory with {other}, which it writes")


def copies(arguments):
    return {name: twin(a) if isinstance(a, np.ndarray) else a for name, a in arguments.items()}


def twin(array):
    """A copy with the same strides, of which the type of an argument depends."""
    if not array.size:
        return array.copy()
    low, high = np.lib.array_utils.byte_bounds(array)
    memory = np.zeros(high - low, dtype=np.uint8)
    result = np.ndarray(array.shape, array.dtype, memory, array.ctypes.data - low, array.strides)
    result[...] = array
    return result
