"""One launcher for two targets: the arrays decide whether a kernel runs on the CPU (all cores) or on CUDA.

A kernel body is a plain Python function of one thread index and of arrays and scalars. Helpers that it calls are
plain functions marked `device`. From one source the launcher makes a `prange` loop (NumPy arrays) or a grid launch
(CuPy arrays), compiled on first use and kept on disk under a name that holds a hash of all kernel sources.
"""

import functools
import inspect
import os
import threading
import types
from importlib.util import find_spec

import numba
import numpy as np
from numba.extending import intrinsic

from lartpc.kernels.runtime.cache import Compiled, CompiledForCuda, Store
from lartpc.kernels.runtime.counted import counted

# Contraction to fused multiply-add and reassociation of sums vectorise the loops over ticks. NaN, infinity and
# division keep their IEEE meaning.
BODY_FLAGS = {"contract", "reassoc", "nsz"}
HELPER_FLAGS = {"contract"}
THREADS_PER_BLOCK = 128
WARP = 32
MANY = 1 << 16  # threads from which on all multiprocessors of a device have several blocks
# Workers take the next block of threads when they are done with one, some TURNS or more each: so none waits for another
# that is slower, as on a shared machine, and they meet once a launch. A line of the cache that two workers write is
# slow, so blocks are as large as TURNS allows, up to BLOCK.
TURNS = 32
BLOCK = 64
# Launches of `light` kernels with fewer threads than this run on one worker.
LIGHT = 1000
# Of Numba's layers of threads only this one lives on in a forked process, where GNU OpenMP kills. Numba takes one for
# good as soon as anybody asks for the number of threads: so it is named here, unless the environment names one.
if numba.config.THREADING_LAYER == "default":
    numba.config.THREADING_LAYER = "workqueue"
# It must not be entered twice at a time. A fork waits for the end of a launch, or the child would wait for it forever.
LAUNCH_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LAUNCH_LOCK.acquire, after_in_parent=LAUNCH_LOCK.release, after_in_child=LAUNCH_LOCK.release
    )


def may_fork():
    """Whether threads of kernels live on in a forked process."""
    return numba.config.THREADING_LAYER == "workqueue"


# Names that begin with an underscore cannot be those of a body's arguments: see `Kernel`.
LAUNCHER = {
    "cpu": (
        "def {name}(_threads, _workers, _block, _next, {args}):\n"
        "    for _ in prange(_workers):\n"
        "        _first = take(_next, _block)\n"
        "        while _first < _threads:\n"
        "            for _thread in range(_first, min(_first + _block, _threads)):\n"
        "                apart()\n"
        "                body(_thread, {lanes}{args})\n"
        "            _first = take(_next, _block)\n"
    ),
    "cuda": (
        "def {name}(_threads, {args}):\n"
        "    _thread = cuda.grid(1)\n"
        "    if _thread < _threads:\n"
        "        body({lanes}{args})\n"
    ),
}


# What a body with lanes gets first: of one on the CPU, or of several on CUDA.
OF_LANES = {"cpu": "0, 1, ", "cuda": "_thread >> {shift}, _thread & {last}, {lanes}, "}


def device(function):
    """Mark a plain function as a helper that kernel bodies may call."""
    function.is_device = True
    return function


def part(function):
    """Mark a helper that is a part of bodies, whose sums may be taken in any order like theirs."""
    function.is_part = True
    return device(function)


@intrinsic
def apart(context):
    """Keep LLVM from mixing threads, by a fence that costs no instruction.

    A loop over threads that it vectorises leaves some to be done one by one, with sums in another order: the bits of a
    thread would depend on its place.
    """

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst", "singlethread")
        return context.get_dummy_value()

    return numba.types.void(), generate


@intrinsic
def take(context, counter, amount):
    """Add `amount` to counter[0], at once for all workers, and give what it was before."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.atomic_rmw("add", array.data, arguments[1], "monotonic")

    return numba.types.int64(counter, numba.types.int64), generate


class Kernel:
    """A kernel body and its launchers. Call as `kernel(threads, **arrays)`, with all arguments of the body by name.

    `outputs` names the arguments that the body writes, `work` those that it writes to work in: what it leaves there is
    of no use. A `light` body takes well below a microsecond: few threads of it are not worth waiting for workers, which
    may be busy. Results do not depend on the number of workers.

    A body with `lanes`, a power of 2, shares the work of a thread among so many on CUDA: it takes (i, lane, lanes, ...)
    and does every lanes-th element from lane on, without a look at what other lanes write. On the CPU one does all.
    What all lanes of a thread add to, outputs [i, ...] that are `sums`, a body has as [i, lane, ...].
    """

    def __init__(self, body, outputs, work=(), light=False, lanes=1, sums=()):
        self.body = body
        self.name = body.__name__
        self.arguments = tuple(inspect.signature(body).parameters)[3 if lanes > 1 else 1 :]
        self.outputs = outputs
        self.work = work
        self.light = light
        self.lanes = lanes
        self.sums = sums
        self.parts = None
        if lanes & (lanes - 1):
            raise TypeError(f"kernel {self.name}: lanes are a power of 2, not {lanes}")
        if any(name.startswith("_") for name in self.arguments):
            raise TypeError(f"kernel {self.name}: names of arguments must not begin with an underscore")
        for role, names in {"outputs": outputs, "work": work, "sums": sums}.items():
            unknown = set(names) - set(self.arguments)
            if unknown:
                raise TypeError(f"kernel {self.name}: {role} {sorted(unknown)} are no arguments of the body")

    def __call__(self, threads, /, *unnamed, **arrays):
        if unnamed:
            raise TypeError(f"kernel {self.name}: takes its arguments by name alone")
        arguments = in_order(self, arrays)
        if len(arguments) < len(arrays):
            unknown = sorted(set(arrays) - set(self.arguments))
            raise TypeError(f"kernel {self.name}: has no argument {', '.join(unknown)}")
        if threads == 0:
            return
        if any(isinstance(a, np.ndarray) for a in arguments.values()):
            self.launch_loop(threads, **arguments)
        else:
            import cupy

            (self.parts or self.launch_grid)(threads, cupy, **arguments)

    def launch_loop(self, threads, **arguments):
        arguments |= {name: arguments[name][:, None] for name in self.sums}
        available = numba.get_num_threads()
        workers = 1 if self.light and threads < LIGHT else available
        block = min(max(1, threads // (TURNS * workers)), BLOCK)
        following = np.zeros(1, dtype=np.int64)
        with LAUNCH_LOCK:
            if workers == available:
                self.cpu_launcher(threads, workers, block, following, *arguments.values())
            else:
                numba.set_num_threads(workers)
                try:
                    self.cpu_launcher(threads, workers, block, following, *arguments.values())
                finally:
                    numba.set_num_threads(available)

    def launch_grid(self, threads, xp, **arguments):
        threads *= self.lanes
        size, of_lanes = block_size(threads), self.of_lanes(xp, arguments)
        self.cuda_launcher[-(-threads // size), size](np.int64(threads), *(arguments | of_lanes).values())
        for name, of_lane in of_lanes.items():
            arguments[name] += of_lane.sum(axis=1)

    def of_lanes(self, xp, arguments):
        """For each of the `sums` zeros, to which every lane adds its part."""
        found = {name: arguments[name] for name in self.sums}
        return {name: xp.zeros((len(a), self.lanes, *a.shape[1:]), dtype=a.dtype) for name, a in found.items()}

    def on_cuda(self, function):
        """Decorator: on CUDA function(threads, xp, **arrays) launches others instead, of threads with less to do."""
        self.parts = function
        return function

    @functools.cached_property
    def cpu_launcher(self):
        launcher = self.compiled_launcher()
        launcher._cache = Compiled(Store(launcher.py_func, self.body), self.compiled_launcher)
        return launcher

    def compiled_launcher(self):
        inlined = self.lanes > 1  # so that 1 is a constant
        body = numba.njit(error_model="numpy", fastmath=BODY_FLAGS, forceinline=inlined)(rebind(self.body, cpu_helper))
        names = {"prange": numba.prange, "body": body, "apart": apart, "take": take}
        return numba.njit(parallel=True)(self.generate("cpu", names))

    @functools.cached_property
    def cuda_launcher(self):
        from numba import cuda

        launcher = cuda.jit(self.cuda_source())
        launcher._cache = CompiledForCuda(Store(launcher.py_func, self.body))
        return launcher

    def cuda_source(self):
        """The Python function of a grid launch, its helpers bound as CUDA device functions."""
        from numba import cuda

        body = cuda.jit(device=True)(rebind(self.body, cuda_helper, counted))
        return self.generate("cuda", {"cuda": cuda, "body": body})

    def generate(self, target, names):
        """A launcher from source. Its name begins those of its files on disk."""
        name = f"launch_{target}_{self.body.__module__.replace('.', '_')}_{self.name}"
        lanes = "_thread, " if target == "cuda" else ""
        if self.lanes > 1:
            lanes = OF_LANES[target].format(shift=self.lanes.bit_length() - 1, last=self.lanes - 1, lanes=self.lanes)
        source = LAUNCHER[target].format(name=name, args=", ".join(self.arguments), lanes=lanes)
        namespace = dict(names, __name__=self.body.__module__)
        exec(compile(source, f"<{name}>", "exec"), namespace)
        return namespace[name]


def in_order(kernel, arrays):
    """Those of the arrays, by name, that a kernel takes, in its order. TypeError where one is missing."""
    try:
        return {name: arrays[name] for name in kernel.arguments}
    except KeyError:
        missing = [name for name in kernel.arguments if name not in arrays]
        raise TypeError(f"kernel {kernel.name}: missing {', '.join(missing)}") from None


def block_size(threads):
    """Threads of a block: few where there are few of all, for each multiprocessor to have some."""
    return THREADS_PER_BLOCK if threads >= MANY else WARP


def kernel(*outputs, work=(), light=False, lanes=1, sums=()):
    """Decorator: make a `Kernel` of a body; `outputs` and `work` name the arguments that it writes."""
    return lambda body: Kernel(body, outputs, work, light, lanes, sums)


def in_turn(name, *parts):
    """A kernel that does what others with lanes do, in turn, thread by thread; on CUDA each of them is launched.

    Its arguments are all of theirs. What one writes and another takes is work, what else they write are outputs.
    """
    arguments = dict.fromkeys(argument for one in parts for argument in one.arguments)
    calls = (f"    {one.name}(i, {OF_LANES['cpu']}{', '.join(one.arguments)})\n" for one in parts)
    source = f"def {name}(i, {', '.join(arguments)}):\n{''.join(calls)}"
    names = {one.name: part(one.body) for one in parts} | {"__name__": parts[0].body.__module__}
    exec(compile(source, parts[0].body.__code__.co_filename, "exec"), names)
    names[name].source = source
    written = dict.fromkeys(output for one in parts for output in one.outputs)
    work = tuple(n for n in written if any(n in one.arguments and n not in one.outputs for one in parts))
    outputs = tuple(n for n in written if n not in work)
    whole = Kernel(names[name], outputs, work, sums=sum((one.sums for one in parts), ()))

    @whole.on_cuda
    def launch(threads, xp, **arrays):
        for one in parts:
            one(threads, **in_order(one, arrays))

    return whole


def as_written(function):
    """The code of `function`, and the globals that it needs."""
    return function.__code__, dict(function.__globals__)


def rebind(function, helper, form=as_written):
    """A copy of `function`, in this form, in which every `device` helper is compiled by `helper`."""
    code, names = form(function)
    for name in code.co_names:
        if getattr(names.get(name), "is_device", False):
            names[name] = helper(names[name])
    return types.FunctionType(code, names, function.__name__)


@functools.cache
def cpu_helper(function):
    flags = BODY_FLAGS if hasattr(function, "is_part") else HELPER_FLAGS
    return numba.njit(error_model="numpy", fastmath=flags, forceinline=True)(rebind(function, cpu_helper))


@functools.cache
def cuda_helper(function):
    from numba import cuda

    return cuda.jit(device=True)(rebind(function, cuda_helper, counted))


def cuda_available():
    """Whether a CUDA device, its driver and the packages of the extra `cuda` are at hand."""
    if find_spec("cupy") is None or find_spec("numba_cuda") is None:
        return False
    import cupy

    return cupy.cuda.is_available()
