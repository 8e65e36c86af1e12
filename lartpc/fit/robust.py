"""The robust start of a fit: near the minimum from anywhere within the bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.fit.optimizers import newton_step
from lartpc.fit.problem import Problem
from lartpc.fit.runs import Joint
from lartpc.losses.linear import Linear, Parts

STEPS = 8  # iterations at most
TOLERANCE = 1e-3  # largest step, relative to the scales, at which it hands over
GAIN = 0.7  # or when the loss has not fallen to this fraction: what is left is noise


class Robust:
    """The objective `matched` with weights: wrongly matched hits count little."""

    def __init__(self, objective: Joint) -> None:
        self.objective = objective
        self.unknowns, self.batches = objective.unknowns, objective.batches

    def __call__(self, values: np.ndarray, batches: list[int] | None = None) -> Linear | Parts:
        linear: Any = self.objective(values, batches)
        weights = cauchy_weights(linear.residual)
        root = np.sqrt(weights)
        rest = 0.5 * float(linear.residual @ ((1.0 - weights) * linear.residual))
        return linear.weighted(root, rest)


def cauchy_weights(residual: np.ndarray) -> np.ndarray:
    """Weights 1/(1 + (r/3 s)^2), s the median of |r|/0.67."""
    width = 3.0 * np.median(np.abs(residual)) / 0.6745 if len(residual) else 0.0
    return 1.0 / (1.0 + (residual / width) ** 2) if width > 0.0 else np.ones_like(residual)


def warm_up(problem: Problem, start: np.ndarray) -> np.ndarray:
    """Values after some Gauss-Newton steps on matched hits."""
    values, before = start, np.inf
    for _ in range(STEPS):
        now = problem(values)
        if now.hits == 0:  # the first events have nothing to match
            break
        step = newton_step(problem, now)
        values = np.clip(values + step * problem.scale, *problem.bounds.T)
        if np.max(np.abs(step)) < TOLERANCE or now.value > GAIN * before:
            break
        before = now.value
    return values
