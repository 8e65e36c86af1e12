"""Check one adjoint kernel: random projections of its gradients against central differences of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lartpc.adjoint.pairs import Adjoint
from lartpc.autodiff.launch import plain
from lartpc.kernels.runtime.launch import Kernel


class Projection(NamedTuple):
    """One input of an adjoint: its gradient and the outputs' central difference along the same random direction."""

    name: str
    adjoint: float
    difference: float

    @property
    def relative(self) -> float:
        return relative(self.adjoint, self.difference)


def relative(a: float, b: float) -> float:
    """|a - b| / max(|a|, |b|), 0 where both are 0."""
    size = max(abs(a), abs(b))
    return abs(a - b) / size if size > 0.0 else 0.0


class Direction(NamedTuple):
    """One input of an adjoint and a random direction: the slope by the adjoint, and how the loss changes along it."""

    name: str
    adjoint: float
    change: Callable[[float], float]  # loss at input + h direction, less that at the input


def directions(
    kernel: Kernel,
    adjoint: Adjoint,
    threads: int,
    arguments: dict[str, Any],
    *,
    adjoint_threads: int | None = None,
    more: dict[str, Any] | None = None,
    seed: int = 0,
) -> list[Direction]:
    """A random direction of each input that has a gradient, of the size of the input: a value that is 0 stays so.

    loss = sum of outputs times random weights; `adjoint` = grad . direction. `arguments`: those of the forward kernel
    by name, outputs filled with zeros, float64 arrays; `more`: what the adjoint needs beyond them.
    """
    rng = np.random.default_rng(seed)
    outputs = [n for n in kernel.outputs if f"grad_{n}" in adjoint.kernel.arguments]
    values = run_kernel(kernel, threads, arguments, {})
    weights = {name: rng.normal(size=values[name].shape) / scale(values[name]) for name in outputs}
    bound = {**arguments, **values, **(more or {})}
    count = threads if adjoint_threads is None else adjoint_threads
    grads = {f"grad_{name}": weight.copy() for name, weight in weights.items()}
    for name in adjoint.kernel.outputs:
        shape = np.shape(bound[name.removeprefix("grad_")])
        shared = name.removeprefix("grad_") in adjoint.shared
        grads[name] = np.zeros((count, *shape[1:]) if shared else shape)
    work = {name: np.zeros_like(bound[name.removeprefix("grad_")]) for name in adjoint.kernel.work}
    plain(adjoint.kernel, count, **bound | grads | work)
    found = []
    for name in (n.removeprefix("grad_") for n in adjoint.kernel.outputs):
        grad = grads[f"grad_{name}"]
        if name in adjoint.shared:
            of_thread, grad = grad, np.zeros(np.shape(bound[name]))
            np.add.at(grad, bound[adjoint.row], of_thread)
        direction = rng.normal(size=np.shape(arguments[name])) * np.abs(arguments[name])

        def change(h: float, name: str = name, direction: Any = direction) -> float:
            moved = run_kernel(kernel, threads, arguments, {name: arguments[name] + h * direction})
            return float(sum(np.sum(weights[n] * (moved[n] - values[n])) for n in outputs))

        found.append(Direction(name, float(np.sum(grad * direction)), change))
    return found


def check_adjoint(
    kernel: Kernel, adjoint: Adjoint, threads: int, arguments: dict[str, Any], *, steps: dict[str, float], **more: Any
) -> list[Projection]:
    """Compare the slopes of `directions` (for the other arguments see there) with central differences.

    `difference` = (loss(x + step d) - loss(x - step d))/(2 step), with a step for each input. One `Projection` an input
    that has a gradient.
    """
    return [
        Projection(d.name, d.adjoint, (d.change(steps[d.name]) - d.change(-steps[d.name])) / (2.0 * steps[d.name]))
        for d in directions(kernel, adjoint, threads, arguments, **more)
    ]


def scale(array: Any) -> float:
    """A typical size of an array's values, 1 for zeros."""
    size = float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if np.size(array) else 0.0
    return size if size > 0.0 else 1.0


def run_kernel(kernel: Kernel, threads: int, arguments: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The kernel's outputs, computed in copies."""
    bound = {**arguments, **changed}
    own = {name: bound[name].copy() for name in (*kernel.outputs, *kernel.work)}
    plain(kernel, threads, **bound | own)
    return {name: own[name] for name in kernel.outputs}
