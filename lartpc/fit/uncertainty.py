"""Errors of a fit: from the information, the Hessian, the profile of the likelihood, or the spread of the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lartpc.fit.optimizers import TOLERANCE, gauss_newton, newton_step
from lartpc.fit.problem import Evaluation, Problem
from lartpc.fit.shown import listed

DEGENERATE = 1e-6  # ratio of the smallest to the largest eigenvalue of the scaled information: a direction is open
HESSIAN_STEP = 0.5  # in units of the error that a parameter had alone
LOSS_STEP = 2e-3  # relative to the scales, for losses without information
PROFILE_ITERATIONS = 20
PROFILE_STEPS = 6
PROFILE_TOLERANCE = 0.01  # of an error
LEFT = 0.1  # a fit that ended with more than this fraction of an error (and `TOLERANCE`) left to go has not converged
SMALL = 1e-3  # or, for losses that are no likelihood, with more than this fraction of a scale

GAUSS_NEWTON = "inverse Gauss-Newton information of the likelihood"
HESSIAN = "inverse Hessian of -log likelihood, by differences of its exact gradient"
PROFILE = "profile likelihood: where -log L, minimal in the other parameters, is 1/2 above its minimum"
EXPECTED = "expected for one such target with the detector's noise (Cramer-Rao bound); this target has none"
SANDWICH = "sandwich H^-1 S H^-1: Hessian H of the loss, spread S of the gradients of {} events; not a likelihood"
NO_MINIMUM = "none: the Hessian of the loss is not positive where the fit ended"
TOO_FEW = "none: the sandwich estimate needs more events than parameters, found {}"


class Uncertainty(NamedTuple):
    """Errors of n parameters: their covariance, and what it was made of."""

    covariance: np.ndarray  # (n, n), infinite variance where the data leave a direction open
    open_direction: np.ndarray | None  # (n,), relative to their sizes
    made_from: str
    intervals: np.ndarray | None = None  # (n, 2), of the profile likelihood
    left: float = 0.0  # the largest component of the Newton step that was left to do, over what is allowed

    def after(self, step: np.ndarray, allowed: np.ndarray) -> Uncertainty:
        """With `left` from the step that was left to do and what is allowed, (n,) each, relative to the scales."""
        return self._replace(left=float(np.max(np.abs(step) / np.maximum(allowed, 1e-300))))


def hessian(problem: Problem, at: Evaluation) -> np.ndarray:
    """(n, n) by central differences of the gradient, by steps of about half an error, within the bounds."""
    n = len(at.values)
    untold = problem.untold(at)
    alone = np.where(untold, 1.0, np.diag(at.information))
    steps = HESSIAN_STEP / np.sqrt(alone) if (alone > 0.0).all() else LOSS_STEP * problem.scale
    steps = np.minimum(steps, 0.1 * np.diff(problem.bounds, axis=1)[:, 0])
    matrix = np.zeros((n, n))
    for i in np.flatnonzero(~untold):
        low, high = (np.clip(at.values + s * np.eye(n)[i] * steps, *problem.bounds.T) for s in (-1.0, 1.0))
        matrix[i] = (problem(high).gradient - problem(low).gradient) / (high[i] - low[i])
    return 0.5 * (matrix + matrix.T)


def invert(matrix: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The inverse of an information and, where that is singular, the open direction relative to `size` (n,).

    Every parameter that an open direction involves gets an infinite variance.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), np.finfo(float).tiny))
    eigenvalues, vectors = np.linalg.eigh(matrix * np.outer(scale, scale))
    closed = eigenvalues > DEGENERATE * eigenvalues[-1]
    inverse = (vectors[:, closed] / eigenvalues[closed]) @ vectors[:, closed].T * np.outer(scale, scale)
    if closed.all():
        return inverse, None
    direction = vectors[:, 0] * scale / size
    direction = direction / np.max(np.abs(direction))
    involved = (np.abs(vectors[:, ~closed]) > 0.01).any(axis=1)
    inverse[involved, :] = inverse[:, involved] = np.nan
    inverse[np.diag_indices(len(size))] = np.where(involved, np.inf, np.diag(inverse))
    return inverse, direction


def invert_told(matrix: np.ndarray, size: np.ndarray, untold: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The same without the `untold` (n,), a mask: their variances are infinite, no direction is open for them."""
    told = np.flatnonzero(~untold)
    inner, inner_direction = invert(matrix[np.ix_(told, told)], size[told])
    inverse = np.diag(np.where(untold, np.inf, 0.0))
    inverse[np.ix_(told, told)] = inner
    if inner_direction is None:
        return inverse, None
    direction = np.zeros(len(size))
    direction[told] = inner_direction
    return inverse, direction


def open_components(names: Sequence[str], direction: np.ndarray | None) -> dict[str, float] | None:
    """The components of an open direction (n,), as `invert` gives it, by parameter; None where none is."""
    if direction is None:
        return None
    return {name: float(component) for name, component in zip(names, direction, strict=True) if abs(component) > 0.01}


def told_open(components: dict[str, float]) -> str:
    """The line that tells an open direction."""
    changes = listed([f"{name} {component:+.2g}" for name, component in components.items()], list(components))
    return f"the data leave a direction open: relative changes {changes} change nothing; errors are infinite"


def is_minimum(matrix: np.ndarray) -> bool:
    """Whether a Hessian has no direction in which the loss falls."""
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(matrix)), np.finfo(float).tiny))
    eigenvalues = np.linalg.eigvalsh(matrix * np.outer(scale, scale))
    return bool(eigenvalues[0] > -DEGENERATE * eigenvalues[-1])


def no_minimum(at: Evaluation) -> Uncertainty:
    """Infinite errors, and the step that is left without bound."""
    return Uncertainty(np.diag(np.full(len(at.values), np.inf)), None, NO_MINIMUM, left=np.inf)


def from_information(problem: Problem, at: Evaluation, made_from: str = GAUSS_NEWTON) -> Uncertainty:
    """Errors from the Gauss-Newton form sum(dr dr^T + du du^T)."""
    return of_likelihood(problem, at, at.information, made_from)


def from_hessian(problem: Problem, at: Evaluation) -> Uncertainty:
    """Errors from the second derivatives of -log L."""
    H = hessian(problem, at)
    return of_likelihood(problem, at, H, HESSIAN) if is_minimum(H) else no_minimum(at)


def of_likelihood(problem: Problem, at: Evaluation, information: np.ndarray, made_from: str) -> Uncertainty:
    """Errors from an information of the likelihood."""
    uncertainty = Uncertainty(
        *invert_told(information, problem.unknowns.size(at.values), problem.untold(at)), made_from
    )
    allowed = TOLERANCE + LEFT * np.sqrt(np.diag(uncertainty.covariance)) / problem.scale
    return uncertainty.after(newton_step(problem, at), allowed)


def sandwich(problem: Problem, at: Evaluation) -> Uncertainty:
    """H^-1 S H^-1 (Huber 1967; White 1982): right for any smooth loss that is a mean over independent events."""
    H = hessian(problem, at)
    if not is_minimum(H):
        return no_minimum(at)
    inverse, direction = invert(H, problem.unknowns.size(at.values))
    if direction is not None:
        return Uncertainty(inverse, direction, SANDWICH.format(at.events))
    step, allowed = newton_step(problem, at._replace(information=H)), np.full(len(at.values), SMALL)
    if at.events <= len(at.values):
        uncertainty = Uncertainty(np.diag(np.full(len(at.values), np.inf)), None, TOO_FEW.format(at.events))
    else:
        uncertainty = Uncertainty(inverse @ at.spread @ inverse, None, SANDWICH.format(at.events))
        allowed += LEFT * np.sqrt(np.diag(uncertainty.covariance)) / problem.scale
    return uncertainty.after(step, allowed)


def profile(problem: Problem, at: Evaluation, uncertainty: Uncertainty) -> Uncertainty:
    """Asymmetric errors: for each parameter both values where -log L, minimal in the others, is 1/2 above `at`.

    A bound that is reached before is the end of the interval; NaN where none was found. Needs errors without open
    direction.
    """
    n = len(at.values)
    sigma = np.sqrt(np.diag(uncertainty.covariance))
    intervals = np.full((n, 2), np.nan)
    if uncertainty.open_direction is not None:
        return uncertainty
    for i in np.flatnonzero(np.isfinite(sigma)).tolist():
        along = uncertainty.covariance[i] / uncertainty.covariance[i, i]
        for side, sign in enumerate((-1.0, 1.0)):
            intervals[i, side] = crossing(problem, at, i, sign * sigma[i], along)
    return uncertainty._replace(made_from=PROFILE, intervals=intervals)


def crossing(problem: Problem, at: Evaluation, i: int, step: float, along: np.ndarray) -> float:
    """The value of parameter i on the side of `step` where the minimum over the others is 1/2 above that of `at`."""
    low, high = problem.bounds[i]
    for _ in range(PROFILE_STEPS):
        value = float(np.clip(at.values[i] + step, low, high))
        bounds = problem.bounds.copy()
        bounds[i] = value
        fixed = Problem(problem.objective, problem.record, problem.phase, bounds)
        start = np.clip(at.values + along * (value - at.values[i]), *bounds.T)
        rise = gauss_newton(fixed, start, PROFILE_ITERATIONS).last.value - at.value
        away = np.sqrt(max(2.0 * rise, 0.01))  # from the minimum, in units of the error
        if abs(away - 1.0) < PROFILE_TOLERANCE or (value in (low, high) and away < 1.0):
            return value
        step = (value - at.values[i]) / away
    return np.nan
