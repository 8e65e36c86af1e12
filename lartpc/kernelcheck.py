"""Check one adjoint kernel: random projections of its gradients against central differences of the kernel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .adjoint.pairs import Adjoint
from .kernels.launch import Kernel


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


def check_adjoint(
    kernel: Kernel,
    adjoint: Adjoint,
    threads: int,
    arguments: dict[str, Any],
    *,
    adjoint_threads: int | None = None,
    more: dict[str, Any] | None = None,
    step: float = 1e-6,
    seed: int = 0,
) -> list[Projection]:
    """Project an adjoint on random directions of each input and compare with central differences.

    loss = sum of outputs times random weights; input x is moved along random d, of the size of x, by +/- step:
    `adjoint` = grad_x . d and `difference` = (loss(x + step d) - loss(x - step d))/(2 step) must agree.
    `arguments`: those of the forward kernel by name, outputs filled with zeros, float64 arrays; `more`: what the
    adjoint needs beyond them. One `Projection` an input that has a gradient.
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
        grads[name] = np.zeros((count, *shape) if shared else shape)
    adjoint.kernel(count, *({**bound, **grads}[name] for name in adjoint.kernel.arguments))
    projections = []
    for name in (n.removeprefix("grad_") for n in adjoint.kernel.outputs):
        grad = grads[f"grad_{name}"].sum(axis=0) if name in adjoint.shared else grads[f"grad_{name}"]
        size = np.abs(arguments[name]) + 1e-3 * scale(arguments[name])
        direction = rng.normal(size=np.shape(arguments[name])) * size
        ends = [
            run_kernel(kernel, threads, arguments, {name: arguments[name] + sign * step * direction})
            for sign in (1.0, -1.0)
        ]
        difference = sum(np.sum(weights[n] * (ends[0][n] - ends[1][n])) for n in outputs) / (2.0 * step)
        projections.append(Projection(name, float(np.sum(grad * direction)), float(difference)))
    return projections


def scale(array: Any) -> float:
    """A typical size of an array's values, 1 for zeros."""
    size = float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if np.size(array) else 0.0
    return size if size > 0.0 else 1.0


def run_kernel(kernel: Kernel, threads: int, arguments: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The kernel's outputs, computed in copies."""
    bound = {**arguments, **changed}
    outputs = {name: bound[name].copy() for name in kernel.outputs}
    kernel(threads, *({**bound, **outputs}[name] for name in kernel.arguments))
    return outputs
