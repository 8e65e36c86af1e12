"""The tape: a list of launches, walked backwards through their adjoints. It knows nothing of physics."""

from __future__ import annotations

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


class Launch(NamedTuple):
    kernel: Kernel
    arguments: dict[str, Any]
    threads: int  # of the adjoint

    def made(self, array: Any) -> bool:
        """Whether the array is an output."""
        return any(self.arguments[name] is array for name in self.kernel.outputs)


class Tape:
    """Record launches, then walk them backwards.

    An adjoint gets its arguments by name: those of the forward launch, what the launch gave for the adjoint alone,
    and gradients as grad_<name>. What the launches give for an array is summed; read it with `gradient`.
    """

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.marks: dict[int, tuple[Any, int, str]] = {}  # id of an array: the array, its mark, where it was used
        self.gradients: dict[int, Any] = {}

    def launch(self, kernel: Kernel, threads: int, *, adjoint_threads: int | None = None, **arrays: Any):
        """Run a kernel and remember it; arrays that are no arguments of the kernel are for its adjoint alone.

        Raises TapeError where it would write into a remembered array.
        """
        work = {*kernel.work, *(ADJOINTS[kernel].kernel.work if kernel in ADJOINTS else ())}
        for name, array in arrays.items():
            if name in (*kernel.outputs, *work) and id(array) in self.marks:
                raise TapeError(f"{kernel.name}: would overwrite its argument {name}, used by {self.used(array)}")
        kernel(threads, **in_order(kernel, arrays))
        for name, argument in arrays.items():
            if name in work:
                continue  # holds nothing between forward and backward
            if hasattr(argument, "dtype") and argument.ndim and id(argument) not in self.marks:
                self.marks[id(argument)] = (argument, mark(argument), f"{kernel.name}, argument {name}")
        self.launches.append(Launch(kernel, arrays, threads if adjoint_threads is None else adjoint_threads))

    def used(self, array: Any) -> str:
        return self.marks[id(array)][2]

    def backward(self, seeds: list[tuple[Any, Any]], until: Sequence[Any] = (), check: bool = True) -> None:
        """Sum d(loss)/d(array) into `gradient` of every array, from the (array, gradient) pairs of `seeds`.

        `until` arrays: go back no further than to them. Raises TapeError, naming kernel and argument, where an array
        on the way no longer holds what the forward pass left; without `check` it is taken for granted that they do.
        """
        ends = [k for k, launch in enumerate(self.launches) if any(launch.made(array) for array in until)]
        after = range(min(ends, default=-1) + 1, len(self.launches))
        walked = [self.launches[k] for k in reversed(after) if k not in ends]
        if check:
            self.check(walked)
        self.gradients = {}
        for array, gradient in seeds:
            seed = namespace(array).empty_like(array)
            seed[...] = gradient
            self.add(array, seed)
        for launch in walked:
            adjoint, of = ADJOINTS[launch.kernel], launch.arguments
            if not any(id(of[name]) in self.gradients for name in launch.kernel.outputs):
                continue
            rows = {name: self.rows(launch, name) for name in adjoint.shared}
            written = {name: namespace(of[name]).empty_like(of[name]) for name in adjoint.writes}
            own = rows | written
            arguments = {name: self.argument(launch, name, own) for name in adjoint.kernel.arguments}
            adjoint.kernel(launch.threads, **arguments)
            for name, gradient in written.items():
                self.add(of[name], gradient)
            for name, of_thread in rows.items():
                grad, xp = self.gradient(of[name]), namespace(of_thread)
                reads = of[adjoint.row] == xp.arange(len(grad))[:, None]
                grad += xp.einsum("kn,n...->k...", reads.astype(np.float64), of_thread)

    def check(self, launches: list[Launch]) -> None:
        """Raise TapeError where an argument of a launch no longer holds what the forward pass left."""
        used = {id(argument) for launch in launches for argument in launch.arguments.values()}
        for one, (array, before, where) in self.marks.items():
            if one in used and mark(array) != before:
                raise TapeError(f"{where}: overwritten between forward and backward")

    def argument(self, launch: Launch, name: str, own: dict[str, Any]) -> Any:
        if not name.startswith("grad_"):
            return launch.arguments[name]
        name = name.removeprefix("grad_")
        return own[name] if name in own else self.gradient(launch.arguments[name])

    def rows(self, launch: Launch, name: str) -> Any:
        array = launch.arguments[name]
        return namespace(array).zeros((launch.threads, *array.shape[1:]), dtype=array.dtype)

    def add(self, array: Any, gradient: Any) -> None:
        """Add to the gradient of an array, or make it its gradient."""
        if id(array) in self.gradients:
            self.gradients[id(array)] += gradient
        else:
            self.gradients[id(array)] = gradient

    def gradient(self, array: Any) -> Any:
        """The gradient with respect to an array, of its shape; zeros where nothing depends on it."""
        if id(array) not in self.gradients:
            self.gradients[id(array)] = namespace(array).zeros(array.shape, dtype=array.dtype)
        return self.gradients[id(array)]


def mark(array: Any) -> int:
    """A number that changes when the array's bytes do: of large ones the sum of their words, by `checksum`."""
    if array.nbytes < LARGE:
        return hash(array.tobytes())
    xp = namespace(array)
    rest = array.ravel().view(np.uint8)
    whole = len(rest) // 8 * 8
    total = xp.empty(-(-whole // (8 * WORDS)), dtype=np.uint64)
    checksum(len(total), words=rest[:whole].view(np.uint64), total=total)
    return int(total.sum()) + (int(rest[whole:].sum()) if whole < len(rest) else 0)
