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

    def weighted(self, root: np.ndarray, rest: float) -> Linear:
        """With residuals times `root` (m,), and another rest."""
        return self._replace(residual=root * self.residual, jacobian=root[:, None] * self.jacobian, rest=rest)

    def narrowed(self, n: int) -> Linear:
        """By the first n parameters alone."""
        return self._replace(jacobian=np.ascontiguousarray(self.jacobian[:, :n]), gradient_rest=self.gradient_rest[:n])

    def among(self, columns: np.ndarray, n: int) -> Parts:
        """By all of n parameters, of which these are `columns`."""
        return Parts((self,), (columns,), n)

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

    @property
    def mean_square(self) -> float:
        """Of the residuals; NaN where there are none."""
        return mean_square(self.residual)


class Parts(NamedTuple):
    """A sum of objectives, each near some parameters and by the `columns` alone that it depends on, of n parameters.

    With parameters of single events a Jacobian of all rows and columns is large, and nearly all of it 0.
    """

    parts: tuple[Linear, ...]
    columns: tuple[np.ndarray, ...]
    n: int
    rest: float = 0.0

    def narrowed(self, n: int) -> Parts:
        """By the first n parameters alone."""
        parts = tuple(part.narrowed(int(np.sum(own < n))) for part, own in zip(self.parts, self.columns, strict=True))
        return self._replace(parts=parts, columns=tuple(own[own < n] for own in self.columns), n=n)

    def among(self, columns: np.ndarray, n: int) -> Parts:
        """By all of n parameters, of which these are `columns`."""
        return self._replace(columns=tuple(columns[own] for own in self.columns), n=n)

    def weighted(self, root: np.ndarray, rest: float) -> Parts:
        """With residuals times `root` (m,), and another rest."""
        pieces = np.split(root, np.cumsum([len(part.residual) for part in self.parts])[:-1])
        return self._replace(
            parts=tuple(part.weighted(piece, 0.0) for part, piece in zip(self.parts, pieces, strict=True)), rest=rest
        )

    @property
    def residual(self) -> np.ndarray:
        return np.concatenate([part.residual for part in self.parts])

    @property
    def hits(self) -> int:
        return sum(part.hits for part in self.parts)

    @property
    def unmatched(self) -> int:
        return sum(part.unmatched for part in self.parts)

    @property
    def value(self) -> float:
        return sum(part.value for part in self.parts) + self.rest

    @property
    def gradient(self) -> np.ndarray:
        total = np.zeros(self.n)
        for part, columns in zip(self.parts, self.columns, strict=True):
            total[columns] += part.gradient
        return total

    @property
    def information(self) -> np.ndarray:
        """The Gauss-Newton form of the Hessian (n, n)."""
        total = np.zeros((self.n, self.n))
        for part, columns in zip(self.parts, self.columns, strict=True):
            total[np.ix_(columns, columns)] += part.information
        return total

    @property
    def mean_square(self) -> float:
        """Of the residuals; NaN where there are none."""
        return mean_square(self.residual)


def mean_square(residual: np.ndarray) -> float:
    """Of residuals (m,); NaN where there are none."""
    return float(np.mean(residual**2)) if len(residual) else np.nan


class Normal(NamedTuple):
    """An objective of squares near some parameters by its normal equations alone: of residuals too many to keep."""

    value: float
    gradient: np.ndarray  # (n,)
    information: np.ndarray  # (n, n), the Gauss-Newton form of the Hessian
    squares: float  # sum of the squared residuals
    residuals: int
    hits: int  # what of the target is used

    @property
    def unmatched(self) -> int:
        return 0

    @property
    def mean_square(self) -> float:
        return self.squares / self.residuals if self.residuals else np.nan


def join(results: Sequence[Any]) -> Linear | Parts:
    """The sum over batches, `Linear` of all or `Parts` of all."""
    if isinstance(results[0], Parts):
        return Parts(sum((p.parts for p in results), ()), sum((p.columns for p in results), ()), results[0].n)
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
    n = len(objective.slots)
    return Linear(
        np.concatenate(residual or [np.zeros(0)]),
        np.concatenate(jacobian or [np.zeros((0, n))]),
        rest,
        np.zeros(n) + gradient_rest,
        hits,
        unmatched,
        np.concatenate(pixel or [np.zeros(0, dtype=np.int64)]),
    )
