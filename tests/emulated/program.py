"""Translated kernels, compiled for this machine, and their launches."""

import ctypes
import functools
import struct

import llvmlite.binding as llvm
import numba
import numpy as np
from ptx_source import as_on_device, ptx

from lartpc.kernels.runtime.launch import block_size, in_order
from tests.emulated.memory import ACCESS, HEAD, TRAP, Memory, access
from tests.emulated.opcodes import HELPERS, Unsupported
from tests.emulated.ptx import Translation

CC = (9, 0)


@functools.cache
def helpers():
    """The functions that programs call, compiled."""
    functions = {**HELPERS, access: ACCESS}
    return [numba.cfunc(signature, error_model="numpy")(function) for function, signature in functions.items()]


class Program:
    """A kernel in PTX, ready to run."""

    def __init__(self, source, translation=Translation, **options):
        self.translation = translation(source, **options)
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        for function in helpers():
            llvm.add_symbol(function.__name__, function.address)
        module = llvm.parse_assembly(self.translation.text)
        module.verify()
        features = llvm.get_host_cpu_features().flatten()
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=1)
        tuning = llvm.create_pipeline_tuning_options(speed_level=1)
        passes = llvm.create_pass_builder(machine, tuning)
        passes.getModulePassManager().run(module, passes)
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        prototype = ctypes.CFUNCTYPE(None, pointer, pointer, number, ctypes.c_int32, pointer)
        self.function = prototype(self.engine.get_function_address("run"))

    def run(self, threads, arguments, order=None, left=0):
        """Run a launch on arguments by name, its threads in an `order` of their numbers.

        Its `Memory` where checked; of programs whose threads leave numbers behind, as many as `left` each, these.
        """
        arrays = {name: a for name, a in {**arguments, **self.translation.tables}.items() if is_array(a)}
        memory = Memory(arrays) if self.translation.checked else None
        addresses = memory.addresses if memory else {name: a.ctypes.data for name, a in arrays.items()}
        slots = [threads, *parameters(arguments, addresses), *(addresses[name] for name in self.translation.tables)]
        slots = np.array(slots, dtype=np.uint64)
        assert len(slots) == len(self.translation.slots)
        order = np.ascontiguousarray(grid(threads) if order is None else order, dtype=np.int64)
        table = memory.table if memory else np.zeros(HEAD + left * len(order), dtype=np.int64)
        self.function(slots.ctypes.data, order.ctypes.data, len(order), block_size(threads), table.ctypes.data)
        if table[TRAP]:
            raise Unsupported("the cosine of a huge number")
        return table[HEAD:] if left else memory


def is_array(argument):
    return isinstance(argument, np.ndarray) and argument.ndim > 0


def grid(threads):
    """The numbers of all threads of a launch, with those of its last block that have nothing to do."""
    size = block_size(threads)
    return np.arange(-(-threads // size) * size)


def parameters(arguments, addresses):
    """Arguments as numba-cuda passes them: of an array seven numbers or more, of a number its bits."""
    for name, value in arguments.items():
        if is_array(value):
            yield from (0, 0, value.size, value.itemsize, addresses[name], *value.shape)
            yield from (stride % 2**64 for stride in value.strides)
        elif isinstance(value, np.float32):
            yield struct.unpack("<I", struct.pack("<f", value))[0]
        elif isinstance(value, float):
            yield struct.unpack("<Q", struct.pack("<d", value))[0]
        else:
            yield int(value) % 2**64


@functools.cache
def program(kernel, types, **options):
    """The program of a kernel for types of its arguments, compiled once."""
    return Program(ptx(kernel, types, CC), **options)


def types_of(arguments):
    """Numba's types of a launch with arguments by name, in the order of its kernel."""
    return (numba.types.int64, *map(as_on_device, arguments.values()))


def emulate(kernel, threads, arguments, order=None, **options):
    """Launch a kernel, through PTX, on NumPy arrays by name."""
    of_lanes = kernel.of_lanes(np, arguments)
    bound = in_order(kernel, arguments | of_lanes)
    memory = program(kernel, types_of(bound), **options).run(threads * kernel.lanes, bound, order)
    for name, of_lane in of_lanes.items():
        arguments[name] += of_lane.sum(axis=1)
    return memory
