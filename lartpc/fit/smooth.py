"""A problem as a function of unbounded variables, for libraries that ask for value, gradient and Hessian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lartpc.fit.problem import Evaluation, Outcome, Problem

EDGE = 0.05  # a start nearer to a bound than this fraction of half the range is moved: the transform is flat there
RESTART = 0.03  # of an error that a minimiser may leave to do before it begins again
UNIT = 0.1  # longest unit of w, relative to the scales


class Inside:
    """theta = m + h sin((u scale - m)/h), m the middle and h half of the range: within the bounds for every u."""

    def __init__(self, problem: Problem) -> None:
        low, high = problem.bounds.T
        self.middle, self.half = 0.5 * (low + high), 0.5 * (high - low)
        self.scale = problem.scale

    def inner(self, values: np.ndarray) -> np.ndarray:
        sine = np.clip((values - self.middle) / self.half, EDGE - 1.0, 1.0 - EDGE)
        return (self.middle + self.half * np.arcsin(sine)) / self.scale

    def outer(self, u: np.ndarray) -> np.ndarray:
        return self.middle + self.half * np.sin((u * self.scale - self.middle) / self.half)

    def slope(self, u: np.ndarray) -> np.ndarray:
        return self.scale * np.cos((u * self.scale - self.middle) / self.half)


class Spent(Exception):
    """The evaluations that were allowed are used up."""


class Function:
    """A problem as a function of w, for libraries that ask for value, gradient and Hessian one at a time.

    u = u of the start + axes w: a unit of w is the error that a parameter had alone at the start, where the loss has an
    information, as these differ by orders of magnitude; but at most `UNIT`, which it is for the other losses.
    """

    def __init__(self, problem: Problem, start: np.ndarray, most: int) -> None:
        self.problem = problem
        self.inside = Inside(problem)
        self.left = most
        self.last: Evaluation | None = None
        self.best: Evaluation | None = None
        self.origin = self.inside.inner(start)
        self.axes = UNIT * np.eye(len(start))
        self.start = np.zeros(len(start))
        information = self.at(self.start).information
        self.squares = bool(np.isfinite(information).all())
        if self.squares:
            slope = self.inside.slope(self.origin)
            self.axes = np.diag(1.0 / np.sqrt(np.maximum(np.diag(information) * slope**2, UNIT**-2)))

    def inner(self, w: np.ndarray) -> np.ndarray:
        return self.origin + self.axes @ np.asarray(w, dtype=np.float64)

    def at(self, w: np.ndarray) -> Evaluation:
        values = self.inside.outer(self.inner(w))
        if self.last is None or not np.array_equal(self.last.values, values):
            if self.left == 0:
                raise Spent
            self.left -= 1
            self.last = self.problem(values)
            if self.best is None or self.last.value < self.best.value:
                self.best = self.last
        return self.last

    def value(self, w: np.ndarray) -> float:
        return self.at(w).value

    def gradient(self, w: np.ndarray) -> np.ndarray:
        return self.axes.T @ (self.at(w).gradient * self.inside.slope(self.inner(w)))

    def hessian(self, w: np.ndarray) -> np.ndarray:
        slope = self.inside.slope(self.inner(w))
        return self.axes.T @ (self.at(w).information * np.outer(slope, slope)) @ self.axes

    def whiten(self) -> bool:
        """Count from the best so far, in units of errors along the axes of its information; whether there is need.

        There is where the loss has an information and a Newton step of more than RESTART of an error is left.
        """
        if not self.squares or self.best is None:
            return False
        self.origin = self.inside.inner(self.best.values)
        slope = self.inside.slope(self.origin)
        values, vectors = np.linalg.eigh(self.best.information * np.outer(slope, slope))
        self.axes = vectors / np.sqrt(np.maximum(values, UNIT**-2))
        left = self.axes.T @ (self.best.gradient * slope)
        return bool(np.max(np.abs(left)) > RESTART)

    def run(self, minimise: Callable[[], str]) -> Outcome:
        """The best that `minimise` found; its message is told, but what is left to do says whether it has converged.

        In single precision a line search may end in the rounding of the loss, which libraries call a failure.
        """
        try:
            message, ended = minimise(), True
        except Spent:
            message, ended = "not converged in the iterations allowed", False
        assert self.best is not None  # the start is evaluated on construction
        return Outcome(self.best, self.best.values, ended, message)
