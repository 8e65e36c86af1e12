"""An objective near some parameters: residuals with their Jacobian, and what is no square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Linear(NamedTuple):
    """An objective near some parameters: sum of squared residuals/2 + rest, with derivatives by what is fitted."""

    residual: np.ndarray  # (m,)
    jacobian: np.ndarray  # (m, n) of the residuals
    rest: float
    gradient_rest: np.ndarray  # (n,)
    hits: int  # target hits that are used
    unmatched: int  # target hits that do not
    pixel: np.ndarray  # (m,) int64, ids of those that the residuals are of

    @property
    def value(self) -> float:
        return 0.5 * float(self.residual @ self.residual) + self.rest

    @property
    def gradient(self) -> np.ndarray:
        return self.jacobian.T @ self.residual + self.gradient_rest

    @property
    def information(self) -> np.ndarray:
        """The Gauss-Newton form of the Hessian (n, n)."""
        return self.jacobian.T @ self.jacobian


def join(results: Sequence[Linear]) -> Linear:
    """The sum over batches."""
    return Linear(
        np.concatenate([p.residual for p in results]),
        np.concatenate([p.jacobian for p in results]),
        sum(p.rest for p in results),
        np.sum([p.gradient_rest for p in results], axis=0),
        sum(p.hits for p in results),
        sum(p.unmatched for p in results),
        np.concatenate([p.pixel for p in results]),
    )


def linear(
    objective: Any,
    residual: list[np.ndarray],
    jacobian: list[np.ndarray],
    rest: float,
    gradient_rest: Any,
    hits: int,
    unmatched: int,
    pixel: list[np.ndarray],
) -> Linear:
    n = len(objective.unknowns.slots)
    return Linear(
        np.concatenate(residual or [np.zeros(0)]),
        np.concatenate(jacobian or [np.zeros((0, n))]),
        rest,
        np.zeros(n) + gradient_rest,
        hits,
        unmatched,
        np.concatenate(pixel or [np.zeros(0, dtype=np.int64)]),
    )
