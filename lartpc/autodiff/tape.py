"""The tape: a list of launches, walked backwards through their adjoints. It knows nothing of physics."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.arrays import namespace
from lartpc.kernels.runtime.checksum import WORDS, checksum
from lartpc.kernels.runtime.launch import Kernel, in_order

LARGE = 2**15  # bytes of an array from which a kernel sums them


class TapeError(RuntimeError):
    """An array was overwritten between forward and backward, so its gradient would be wrong."""


class Outline:
    """An array that launches took, which lives no longer for that: its shape and type, and a mark of what it held."""

    def __init__(self, array: Any, written: bool) -> None:
        self.reference, self.written = weakref.ref(array), written  # by a launch
        self.shape, self.dtype, self.xp = array.shape, array.dtype, namespace(array)
        self.where = ""  # used, where it holds something between forward and backward
        self.mark: int | None = None  # of what it holds, in main memory: on a device each would wait for it

    @property
    def array(self) -> Any:
        """Itself, or None where nothing holds it any more."""
        return self.reference()


def empty(like: Any) -> Any:
    """An array like an argument of a launch, there still or not."""
    xp = like.xp if isinstance(like, Outline) else namespace(like)
    return xp.empty(like.shape, dtype=like.dtype)


def zeros(like: Any) -> Any:
    """Zeros like an argument of a launch, there still or not."""
    result = empty(like)
    result[...] = 0
    return result


class Launch(NamedTuple):
    kernel: Kernel
    held: dict[str, Any]  # arguments; of arrays that its adjoint does not read, `Outline`
    threads: int  # of the adjoint

    @property
    def arguments(self) -> dict[str, Any]:
        """By name; for arrays that are gone, what is known of them."""
        return {name: lives(argument) for name, argument in self.held.items()}

    def made(self, array: Any) -> bool:
        """Whether the array is an output."""
        return any(lives(self.held[name]) is array for name in self.kernel.outputs)


def lives(argument: Any) -> Any:
    """The argument, or the array that it stands for, where that is still there."""
    array = argument.array if isinstance(argument, Outline) else None
    return argument if array is None else array


def zeros_of_threads(threads: int, array: Any) -> Any:
    """A row for each thread, of an array of which each reads one."""
    return namespace(array).zeros((threads, *array.shape[1:]), dtype=array.dtype)


def read_rows(row, n):
    """1 where thread k reads row i of n, else 0: (n, n_threads), from the rows that threads read."""
    return (row == namespace(row).arange(n)[:, None]).astype(np.float64)


def read_by_adjoint(kernel: Kernel) -> set[str]:
    """Names of the arguments whose values the adjoint needs."""
    adjoint = ADJOINTS.get(kernel)
    return {*adjoint.kernel.arguments, adjoint.row} - {*adjoint.kernel.work} if adjoint else set()


class Tape:
    """Record launches, then walk them backwards.

    An adjoint gets its arguments by name: those of the forward launch, what the launch gave for the adjoint alone,
    and gradients as grad_<name>. What the launches give for an array is summed; read it with `gradient`.
    Arrays that launches write and no adjoint reads are not kept: without another holder their memory is free at once,
    and that of their gradient as soon as it has been handed on.
    """

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.outlines: dict[int, Outline] = {}  # by the id of an array that was there
        self.gradients: dict[Outline, Any] = {}
        self.rows: dict[Kernel, dict[str, Any]] = {}  # of what threads share: gradients of each, of the last one walked

    def launch(self, kernel: Kernel, threads: int, *, adjoint_threads: int | None = None, **arrays: Any):
        """Run a kernel and remember it; arrays that are no arguments of the kernel are for its adjoint alone.

        Raises TapeError where it would write into a remembered array.
        """
        work = {*kernel.work, *(ADJOINTS[kernel].kernel.work if kernel in ADJOINTS else ())}
        written = {*kernel.outputs, *work}
        for name in written & arrays.keys():
            before = self.known(arrays[name])
            if before is not None and before.where:
                raise TapeError(f"{kernel.name}: would overwrite its argument {name}, used by {before.where}")
        kernel(threads, **in_order(kernel, arrays))
        needed, held = read_by_adjoint(kernel), {}
        for name, argument in arrays.items():
            held[name] = argument
            if not (hasattr(argument, "dtype") and argument.ndim):
                continue
            known = self.known(argument)
            if known is None:
                known = self.outlines[id(argument)] = Outline(argument, name in written)
            if not known.where and name not in work:
                known.where = f"{kernel.name}, argument {name}"
                known.mark = mark(argument) if known.xp is np else None
            if known.written and name not in needed:
                held[name] = known
        self.launches.append(Launch(kernel, held, threads if adjoint_threads is None else adjoint_threads))

    def known(self, array: Any) -> Outline | None:
        """What is known of an array that launches took before."""
        found = self.outlines.get(id(array))
        return found if found is not None and found.array is array else None

    def backward(self, seeds: list[tuple[Any, Any]], until: Sequence[Any] = (), check: bool = True) -> None:
        """Sum d(loss)/d(array) into `gradient` of every array, from the (array, gradient) pairs of `seeds`.

        `until` arrays: go back no further than to them. Raises TapeError, naming kernel and argument, where an array
        on the way, in main memory, no longer holds what the forward pass left; without `check`, and on a device, it is
        taken for granted that they do.
        """
        ends = [k for k, launch in enumerate(self.launches) if any(launch.made(array) for array in until)]
        after = range(min(ends, default=-1) + 1, len(self.launches))
        walked = [self.launches[k] for k in reversed(after) if k not in ends]
        if check:
            self.check(walked)
        self.gradients, self.rows = {}, {}
        last, reads = None, None  # rows that threads read, and `read_rows` of them: several kernels have the same
        for array, gradient in seeds:
            seed = namespace(array).empty_like(array)
            seed[...] = gradient
            self.add(array, seed)
        for launch in walked:
            adjoint, of = ADJOINTS[launch.kernel], launch.arguments
            if not any(self.of(of[name]) in self.gradients for name in launch.kernel.outputs):
                continue
            rows = {name: zeros_of_threads(launch.threads, of[name]) for name in adjoint.shared}
            self.rows[launch.kernel] = rows
            written = {name: empty(of[name]) for name in adjoint.writes}
            own = rows | written
            arguments = {name: self.argument(of, name, own) for name in adjoint.kernel.arguments}
            adjoint.kernel(launch.threads, **arguments)
            del arguments  # and what it worked in
            for name, gradient in written.items():
                self.add(of[name], gradient)
            for name, of_thread in rows.items():
                grad, row = self.gradient(of[name]), of[adjoint.row]
                if row is not last:
                    last, reads = row, read_rows(row, len(grad))
                grad += namespace(row).einsum("kn,n...->k...", reads, of_thread)
            for name in launch.kernel.outputs:
                if isinstance(of[name], Outline):  # nobody can ask for it
                    self.gradients.pop(of[name], None)

    def check(self, launches: list[Launch]) -> None:
        """Raise TapeError where an argument of a launch, in main memory, no longer holds what the forward pass left."""
        used = {id(lives(argument)) for launch in launches for argument in launch.held.values()}
        for one, known in self.outlines.items():
            if one in used and known.mark is not None and known.array is not None and mark(known.array) != known.mark:
                raise TapeError(f"{known.where}: overwritten between forward and backward")

    def argument(self, of: dict[str, Any], name: str, own: dict[str, Any]) -> Any:
        """What an adjoint gets by that name: of the launch's arguments, or a gradient, or what is its own."""
        if not name.startswith("grad_"):
            return empty(of[name]) if isinstance(of[name], Outline) else of[name]  # to work in
        name = name.removeprefix("grad_")
        return own[name] if name in own else self.gradient(of[name])

    def of(self, array: Any) -> Outline:
        """What is known of an array; from now on something is."""
        if isinstance(array, Outline):
            return array
        known = self.known(array)
        if known is None:
            known = self.outlines[id(array)] = Outline(array, False)
        return known

    def add(self, array: Any, gradient: Any) -> None:
        """Add to the gradient of an array, or make it its gradient."""
        known = self.of(array)
        if known in self.gradients:
            self.gradients[known] += gradient
        else:
            self.gradients[known] = gradient

    def gradient(self, array: Any) -> Any:
        """The gradient with respect to an array, of its shape; zeros where nothing depends on it."""
        known = self.of(array)
        if known not in self.gradients:
            self.gradients[known] = zeros(known)
        return self.gradients[known]


def mark(array: np.ndarray) -> int:
    """A number that changes when the array's bytes do: of large ones the sum of their words, by `checksum`."""
    if array.nbytes < LARGE:
        return hash(array.tobytes())
    rest = array.ravel().view(np.uint8)
    whole = len(rest) // 8 * 8
    total = np.empty(-(-whole // (8 * WORDS)), dtype=np.uint64)
    checksum(len(total), words=rest[:whole].view(np.uint64), total=total)
    return int(total.sum()) + (int(rest[whole:].sum()) if whole < len(rest) else 0)
