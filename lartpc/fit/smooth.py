"""A problem as a function of unbounded variables, for libraries that ask for value, gradient and Hessian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lartpc.fit.problem import Evaluation, Outcome, Problem

EDGE = 0.05  # a start nearer to a bound than this fraction of half the range is moved: the transform is flat there
RESTART = 0.03  # of an error that a minimiser may leave to do before it begins again
DECADE = 10.0
UNIT = 0.1  # longest unit of w, relative to the scales


def spans_decades(bounds: np.ndarray) -> np.ndarray:
    """Where bounds (n, 2) are so wide, and above 0, that only the logarithm (n,) of what is within is near linear."""
    return (bounds[:, 0] > 0.0) & (bounds[:, 1] > DECADE * bounds[:, 0])


class Inside:
    """theta = m + h sin((u scale - m)/h), m the middle and h half of the bounds: within them for every u.

    Where these span decades so does log theta, with scale 1.
    """

    def __init__(self, problem: Problem) -> None:
        self.log = spans_decades(problem.bounds)
        low, high = self.straight(problem.bounds.T)
        self.middle, self.half = 0.5 * (low + high), 0.5 * (high - low)
        self.scale = np.where(self.log, 1.0, problem.scale)

    def straight(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.log, np.log(np.where(self.log, values, 1.0)), values)

    def inner(self, values: np.ndarray) -> np.ndarray:
        sine = np.clip((self.straight(values) - self.middle) / self.half, EDGE - 1.0, 1.0 - EDGE)
        return (self.middle + self.half * np.arcsin(sine)) / self.scale

    def outer(self, u: np.ndarray) -> np.ndarray:
        straight = self.middle + self.half * np.sin((u * self.scale - self.middle) / self.half)
        return np.where(self.log, np.exp(np.where(self.log, straight, 0.0)), straight)

    def slope(self, u: np.ndarray) -> np.ndarray:
        slope = self.scale * np.cos((u * self.scale - self.middle) / self.half)
        return np.where(self.log, slope * self.outer(u), slope)


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
