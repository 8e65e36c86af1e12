"""A strict stand-in for CuPy on arrays in main memory, with the functions that lartpc uses.

It refuses what mixes host and device without saying so, fills `empty` with poison, and counts, by line of the source,
operations, what makes the host wait for the device and what moves an array there. Reductions give arrays of no
dimension, as CuPy's do.
"""

import builtins
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import lartpc
from tests.emulated.memory import poison

PACKAGE = Path(lartpc.__file__).parent  # installed, or the checkout
FREE = 10**10  # bytes that the device has
WAITS, TRANSFERS, OPERATIONS = Counter(), Counter(), Counter()  # ([what,] file, line): how often


def place():
    """File and line of lartpc that called."""
    frame = sys._getframe(2)
    while frame and not frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
        frame = frame.f_back
    return (frame.f_code.co_filename.removeprefix(str(PACKAGE.parent)), frame.f_lineno) if frame else ("", 0)


def forget():
    """Begin to count anew."""
    for counter in (WAITS, TRANSFERS, OPERATIONS):
        counter.clear()


def inside(value):
    """The memory of an operand. An array of NumPy is refused, as CuPy does."""
    if isinstance(value, ndarray):
        return value.memory
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)(map(inside, value))
    return value


def outside(value):
    """Results of NumPy as arrays of the device."""
    if isinstance(value, np.ndarray | np.generic):
        OPERATIONS[place()] += 1
        return ndarray(np.asarray(value))
    if isinstance(value, tuple):
        return tuple(map(outside, value))
    return value


class ndarray:
    """An array that only this module reads. `memory`: where it is."""

    __hash__ = None

    def __init__(self, memory):
        self.memory = memory

    @property
    def __cuda_array_interface__(self):
        """As of CuPy: strides where it is not contiguous."""
        of = self.memory
        strides = None if of.flags.c_contiguous else of.strides
        pointer = (of.ctypes.data if of.size else 0, False)
        return {"shape": of.shape, "typestr": of.dtype.str, "data": pointer, "version": 3, "strides": strides}

    def __array__(self, *arguments, **more):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **more):
        if method != "__call__" or any(not isinstance(one, ndarray) for one in out):
            raise TypeError(f"{ufunc.__name__}: not on a device")
        result = ufunc(*map(inside, inputs), **more, **({"out": tuple(map(inside, out))} if out else {}))
        return out[0] if out else outside(result)

    def __array_function__(self, function, types, arguments, more):
        mine = globals().get(function.__name__)
        if mine is None:
            raise TypeError(f"cupy.{function.__name__}: unknown")
        return mine(*arguments, **more)

    def __len__(self):
        return len(self.memory)

    def __iter__(self):
        return (outside(one) for one in self.memory)

    def __getitem__(self, key):
        return outside(self.memory[index(key)])

    def __setitem__(self, key, value):
        self.memory[index(key)] = inside(value)


def index(key):
    """What an array is indexed with. A mask makes the host wait: how many are chosen?"""
    for one in key if isinstance(key, tuple) else (key,):
        if isinstance(one, ndarray) and one.memory.dtype == bool and one.memory.ndim:
            WAITS["mask", *place()] += 1
    return inside(key)


def attribute(name):
    return property(lambda self: outside(getattr(self.memory, name)) if name == "T" else getattr(self.memory, name))


def operator(name):
    def method(self, *others):
        result = getattr(self.memory, name)(*map(inside, others))
        return self if name.startswith("__i") and name != "__invert__" else outside(result)

    return method


def method(name):
    def call(self, *arguments, **more):
        return outside(getattr(self.memory, name)(*map(inside, arguments), **{n: inside(v) for n, v in more.items()}))

    return call


def waiting(name, convert):
    def call(self):
        WAITS[name, *place()] += 1
        return convert(self.memory)

    return call


ATTRIBUTES = ("dtype", "shape", "ndim", "size", "nbytes", "itemsize", "strides", "flags", "T")
for name in ATTRIBUTES:
    setattr(ndarray, name, attribute(name))
for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split():
    for prefix in ("", "r", "i"):
        setattr(ndarray, f"__{prefix}{name}__", operator(f"__{prefix}{name}__"))
for name in "lt le gt ge eq ne neg pos abs invert".split():
    setattr(ndarray, f"__{name}__", operator(f"__{name}__"))
METHODS = "all any argmax argmin argsort astype copy cumsum max mean min ravel reshape sum take transpose view"
for name in METHODS.split():
    setattr(ndarray, name, method(name))
WAITING = {
    "get": np.copy,
    "item": np.ndarray.item,
    "tolist": np.ndarray.tolist,
    "tobytes": np.ndarray.tobytes,
    "__int__": int,
    "__float__": float,
    "__bool__": bool,
}
for name, convert in WAITING.items():
    setattr(ndarray, name, waiting(name.strip("_"), convert))


def asarray(a, dtype=None, order=None):
    if isinstance(a, ndarray):
        return ndarray(np.asarray(a.memory, dtype, order=order))
    if isinstance(a, list | tuple) and builtins.any(isinstance(one, ndarray) for one in a):
        return ndarray(np.array(inside(a), dtype, order=order))
    TRANSFERS[place()] += 1
    return ndarray(np.array(a, dtype, order=order))


def ascontiguousarray(a, dtype=None):
    return asarray(a, dtype, "C")


def empty(shape, dtype=float, order="C"):
    return ndarray(poison(np.empty(shape, dtype, order)))


def empty_like(prototype, dtype=None):
    return ndarray(poison(np.empty_like(inside(prototype), dtype)))


def function(name, waits):
    def call(*arguments, **more):
        if waits:
            WAITS[name, *place()] += 1
        result = getattr(np, name)(*map(inside, arguments), **{n: inside(v) for n, v in more.items()})
        return more["out"] if "out" in more else outside(result)

    return call


FUNCTIONS = (
    "abs append arange bincount clip concatenate cumsum diff einsum exp full full_like isin lexsort log maximum "
    "minimum ones ones_like rint searchsorted sort sqrt stack sum where zeros zeros_like"
)
for name in FUNCTIONS.split():
    globals()[name] = function(name, False)
WAITING_FUNCTIONS = ("flatnonzero", "nonzero", "unique")
for name in WAITING_FUNCTIONS:
    globals()[name] = function(name, True)


class fft:
    @staticmethod
    def irfft(a, n=None, axis=-1):
        return outside(np.fft.irfft(inside(a), n, axis))


class cuda:
    @staticmethod
    def is_available():
        return True

    class runtime:
        @staticmethod
        def memGetInfo():
            return FREE, 2 * FREE


class get_default_memory_pool:
    def total_bytes(self):
        return 0
