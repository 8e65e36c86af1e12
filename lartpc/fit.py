"""Gauss-Newton fits of the detector's parameters, within bounds, with covariance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import lsq_linear

from .errors import InputError
from .objectives import Linear, Objective
from .parameters import TABLE

WARM_STEPS = 8  # iterations of the robust start at most
WARM_TOLERANCE = 1e-3  # largest step, relative to nominal values, at which it hands over
WARM_GAIN = 0.7  # or when the loss has not fallen to this share: what is left is noise
TOLERANCE = 1e-5  # largest step, relative to nominal values, at which a fit has converged; single precision gives 3e-6
DECREASE = 1e-4  # or a predicted decrease of -log L below this: a hundredth of an error
NOISE = 1e-2  # an increase below this is the rounding of single precision, no reason to halve a step
DAMPING = 1e-12  # relative, so that a direction that nothing fixes does not move
DEGENERATE = 1e-6  # ratio of the smallest to the largest eigenvalue of the scaled information: a direction is open


class Iteration(NamedTuple):
    """One line of a fit's history."""

    phase: str
    values: np.ndarray  # (n,) where the objective was evaluated
    value: float
    hits: int
    step: float  # largest step taken from here, relative to nominal values


class Minimum(NamedTuple):
    """Where a fit ended; arrays in the order of `names`."""

    names: tuple[str, ...]
    values: np.ndarray
    linear: Linear
    history: list[Iteration]
    converged: bool
    message: str


def step_within(information: np.ndarray, gradient: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The minimum of g s + s H s/2 for low <= s <= high; H is scaled to 1 on its diagonal and slightly damped."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    H = information * np.outer(scale, scale)
    values, vectors = np.linalg.eigh(H)
    root = np.sqrt(np.maximum(values, 0.0) + DAMPING * max(values[-1], 1e-300))
    A = root[:, None] * vectors.T
    b = -(vectors.T @ (gradient * scale)) / root
    low, high = np.minimum(low / scale, -1e-15), np.maximum(high / scale, 1e-15)
    return lsq_linear(A, b, (low, high), tol=1e-14).x * scale


def cauchy_weights(residual: np.ndarray) -> np.ndarray:
    """Weights 1/(1 + (r/3 s)^2), s the median of |r|/0.67: wrongly matched hits count little."""
    width = 3.0 * np.median(np.abs(residual)) / 0.6745
    return 1.0 / (1.0 + (residual / width) ** 2) if width > 0.0 else np.ones_like(residual)


def warm_up(
    objective: Objective,
    start: np.ndarray,
    names: Sequence[str],
    bounds: np.ndarray,
    done: Sequence[Iteration],
    report: Callable[[Iteration], None],
) -> tuple[np.ndarray, list[Iteration]]:
    """Robust Gauss-Newton on matched hits: near the minimum from anywhere within the bounds."""
    nominal = np.array([TABLE[name].nominal for name in names])
    values, history = start.copy(), list(done)
    while len(history) < WARM_STEPS:
        linear = evaluate(objective, names, values)
        if linear.hits == 0:  # the first events have nothing to match
            break
        J, r = linear.jacobian * nominal, linear.residual
        weights = cauchy_weights(r)
        span = (bounds - values[:, None]) / nominal[:, None]
        step = step_within(J.T @ (weights[:, None] * J), J.T @ (weights * r), *span.T)
        history.append(Iteration("warm-up", values.copy(), linear.value, linear.hits, float(np.max(np.abs(step)))))
        report(history[-1])
        values = np.clip(values + step * nominal, *bounds.T)
        stalled = len(history) > 1 and history[-1].value > WARM_GAIN * history[-2].value
        if history[-1].step < WARM_TOLERANCE or stalled:
            break
    return values, history


def evaluate(objective: Objective, names: Sequence[str], values: np.ndarray) -> Linear:
    """The objective with the named parameters at `values`, the others as in its simulation."""
    parameters = objective.simulation.parameters.vector(np.float64)
    parameters[objective.slots] = values
    linear = objective(parameters)
    if not np.isfinite(linear.value) or not np.isfinite(linear.jacobian).all():
        where = ", ".join(f"{name} = {value:g}" for name, value in zip(names, values, strict=True))
        raise FloatingPointError(f"the loss or its derivatives are not finite at {where}")
    return linear


def gauss_newton(
    objective: Objective,
    start: np.ndarray,
    names: Sequence[str],
    bounds: np.ndarray,
    iterations: int,
    done: Sequence[Iteration],
    report: Callable[[Iteration], None],
) -> Minimum:
    """Gauss-Newton steps within `bounds` (n, 2), halved where the objective would grow."""
    nominal = np.array([TABLE[name].nominal for name in names])
    values, history = start.copy(), list(done)
    best = evaluate(objective, names, values)
    if best.hits == 0:
        raise InputError("target: no hit is on a pixel where the segments give charge")
    converged, message = False, f"not converged in {iterations} iterations"
    while sum(iteration.phase == "fit" for iteration in history) < iterations:
        span = (bounds - values[:, None]) / nominal[:, None]
        scale = np.outer(nominal, nominal)
        step = step_within(best.information * scale, best.gradient * nominal, *span.T)
        size = float(np.max(np.abs(step)))
        history.append(Iteration("fit", values.copy(), best.value, best.hits, size))
        report(history[-1])
        decrease = -0.5 * float(best.gradient @ (step * nominal))
        if size < TOLERANCE or (best.rest != 0.0 and decrease < DECREASE):
            values = np.clip(values + step * nominal, *bounds.T)
            converged, message = True, "converged"
            break
        for _ in range(8):
            trial = np.clip(values + step * nominal, *bounds.T)
            linear = evaluate(objective, names, trial)
            if linear.value <= best.value + NOISE:
                break
            step = step / 2.0
        else:
            message = "no step along the Gauss-Newton direction lowers the loss"
            break
        values, best = trial, linear
    return Minimum(tuple(names), values, best, history, converged, message)
