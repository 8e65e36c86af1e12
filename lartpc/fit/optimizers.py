"""Optimizers, each a small record of its options whose `run(problem, start)` gives an `Outcome`.

Gauss-Newton takes steps within the bounds by bounded least squares, so that a fit may end at a bound and leave it
again; Adam's steps end at the bounds. The others move in u, of which each parameter is a smooth function that stays
within its bounds (see `Inside`) and is u times its scale in the middle of them, or exp(u) where they span decades.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from importlib.util import find_spec
from typing import ClassVar, Protocol

import numpy as np
from scipy.optimize import BFGS, lsq_linear, minimize

from lartpc.checks import check_choice
from lartpc.exceptions import InputError
from lartpc.fit.problem import Evaluation, Outcome, Problem
from lartpc.fit.smooth import Function, spans_decades

TOLERANCE = 1e-5  # largest step, relative to the scales, at which a fit has converged; single precision gives 3e-6
DECREASE = 1e-4  # or a predicted decrease of -log L below this: a hundredth of an error
NOISE = 1e-2  # an increase below this is the rounding of single precision, no reason to halve a step
NEGLIGIBLE = 1e-3  # such a decrease changes nothing that is told of a fit but its values
LIKELY = 1.0  # predicted decrease from which the next evaluation is likely the last
NOISELESS = 1e-2  # mean square of the residuals below which there is no noise that would give the loss a scale
DAMPING = 1e-12  # relative, so that a direction that nothing fixes does not move
HALVINGS = 8
FALL = 4.0
RADIUS = 1e-4  # of the trust region, in units of w, at which it ends
AGAIN = 5


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


def newton_step(problem: Problem, evaluation: Evaluation) -> np.ndarray:
    """The Gauss-Newton step from an evaluation, within the bounds and reach, relative to the scales.

    What spans decades falls by a factor of `FALL` at most, and what no hit tells of (`Problem.untold`) stays.
    """
    scale, values, reach = problem.scale, evaluation.values, problem.unknowns.reach
    low, high = problem.bounds.T - values
    fall = np.where(spans_decades(problem.bounds), np.minimum(reach, (1.0 - 1.0 / FALL) * values), reach)
    span = np.maximum(low, -fall) / scale, np.minimum(high, reach) / scale
    told, step = np.flatnonzero(~problem.untold(evaluation)), np.zeros(len(values))
    if len(told):
        information = evaluation.information * np.outer(scale, scale)
        low, high = (limit[told] for limit in span)
        step[told] = step_within(information[np.ix_(told, told)], (evaluation.gradient * scale)[told], low, high)
    return step


def gauss_newton(problem: Problem, start: np.ndarray, most: int) -> Outcome:
    """Gauss-Newton steps within the bounds, halved where the loss would grow."""
    scale = problem.scale
    best = problem(start)
    for _ in range(most):
        step = newton_step(problem, best)
        decrease = -0.5 * float(best.gradient @ (step * scale))
        if np.max(np.abs(step)) < TOLERANCE:
            return Outcome(best, np.clip(best.values + step * scale, *problem.bounds.T), True, "converged")
        if decrease < DECREASE and best.mean_square > NOISELESS:  # in an open direction the step may still be long
            return Outcome(best, best.values, True, "converged")
        for _ in range(HALVINGS):
            with suppress(FloatingPointError):  # so far away that the chain has no result
                trial = problem(
                    np.clip(best.values + step * scale, *problem.bounds.T), last=NEGLIGIBLE < decrease < LIKELY
                )
                if trial.value <= best.value + NOISE:
                    break
            step = step / 2.0
        else:
            message = "no step along the Gauss-Newton direction lowers the loss"
            return Outcome(best, best.values, False, message)
        best = trial
    return Outcome(best, best.values, False, f"not converged in {most} iterations")


def l_bfgs_b(problem: Problem, start: np.ndarray, most: int) -> Outcome:
    """SciPy's L-BFGS-B (Byrd, Lu, Nocedal and Zhu 1995), on value and gradient.

    Where its line search ends in the rounding of the loss with a step left to do, it begins again from there.
    """
    function = Function(problem, start, most)

    def run() -> str:
        options = {"maxiter": 10 * most, "maxfun": 10 * most, "ftol": 1e-12, "gtol": 1e-8}
        for _ in range(AGAIN):
            found = minimize(function.value, function.start, jac=function.gradient, method="L-BFGS-B", options=options)
            if not function.whiten():
                break
        return f"ended by {str(found.message).rstrip(': .')}"

    return function.run(run)


def trust_region(problem: Problem, start: np.ndarray, most: int) -> Outcome:
    """SciPy's trust-constr, with the Gauss-Newton form of the Hessian or, where the loss has none, a BFGS estimate."""
    function = Function(problem, start, most)

    def run() -> str:
        found = minimize(
            function.value,
            function.start,
            jac=function.gradient,
            hess=function.hessian if function.squares else BFGS(),
            method="trust-constr",
            options={"maxiter": 10 * most, "xtol": RADIUS, "gtol": 1e-8, "initial_tr_radius": 1.0},
        )
        return f"ended by {str(found.message).rstrip(': .')}"

    return function.run(run)


def minuit(problem: Problem, start: np.ndarray, most: int) -> Outcome:
    """MIGRAD of MINUIT (James and Roos 1975), through iminuit, with our gradient."""
    from iminuit import Minuit

    function = Function(problem, start, most)

    def run() -> str:
        fit = Minuit(function.value, function.start, grad=function.gradient)
        fit.errordef = Minuit.LIKELIHOOD
        fit.errors = np.ones(len(start))
        fit.strategy = 1  # at 0 the EDM is believed where its covariance is far off
        fit.precision = float(np.finfo(np.float32).eps)  # else it takes steps in the rounding of the loss
        fit.migrad(ncall=10 * most)
        return f"MIGRAD {'converged' if fit.valid else 'ended'} at EDM {fit.fmin.edm:.1e}"

    return function.run(run)


RATE, DECAY, BETAS, SMALL, CLIP = 5e-2, 0.95, (0.9, 0.999), 1e-8, 1.0


def adam(problem: Problem, start: np.ndarray, most: int) -> Outcome:
    """Adam (Kingma and Ba 2014) over `most` epochs of batches, with the published settings.

    Learning rate 5e-2, times 0.95 after each epoch, gradient clipped to norm 1, parameters divided by nominal values.
    Steps end at the bounds: the first ones are half as wide as the range of the field, and where a smooth transform is
    flat they would stay.
    """
    scale = problem.scale
    values = start
    first, second, step = np.zeros(len(start)), np.zeros(len(start)), 0
    for epoch in range(most):
        for batch in range(problem.n_batches):
            gradient = problem(values, batch).gradient * scale
            gradient = gradient * min(1.0, CLIP / max(float(np.linalg.norm(gradient)), 1e-300))
            step += 1
            first = BETAS[0] * first + (1.0 - BETAS[0]) * gradient
            second = BETAS[1] * second + (1.0 - BETAS[1]) * gradient**2
            mean, square = first / (1.0 - BETAS[0] ** step), second / (1.0 - BETAS[1] ** step)
            move = RATE * DECAY**epoch * mean / (np.sqrt(square) + SMALL)
            values = np.clip(values - move * scale, *problem.bounds.T)
    return Outcome(problem(values), values, True, f"{most} epochs done")


class Optimizer(Protocol):
    """A record of options; `squares` where it needs a loss that has a Gauss-Newton form."""

    name: ClassVar[str]
    squares: ClassVar[bool]

    def run(self, problem: Problem, start: np.ndarray) -> Outcome:
        """Minimise from `start` (n,)."""


@dataclasses.dataclass(frozen=True)
class GaussNewton:
    """Steps by the Gauss-Newton form of the Hessian, within the bounds; at most so many."""

    iterations: int = 20
    name: ClassVar[str] = "gauss-newton"
    squares: ClassVar[bool] = True

    def run(self, problem: Problem, start: np.ndarray) -> Outcome:
        return gauss_newton(problem, start, self.iterations)


@dataclasses.dataclass(frozen=True)
class TrustRegion:
    """SciPy's trust-constr; evaluations at most."""

    iterations: int = 200
    name: ClassVar[str] = "trust-region"
    squares: ClassVar[bool] = False

    def run(self, problem: Problem, start: np.ndarray) -> Outcome:
        return trust_region(problem, start, self.iterations)


@dataclasses.dataclass(frozen=True)
class LBFGSB:
    """SciPy's L-BFGS-B; evaluations at most."""

    iterations: int = 500
    name: ClassVar[str] = "l-bfgs-b"
    squares: ClassVar[bool] = False

    def run(self, problem: Problem, start: np.ndarray) -> Outcome:
        return l_bfgs_b(problem, start, self.iterations)


@dataclasses.dataclass(frozen=True)
class Minuit:
    """MIGRAD; evaluations at most. Raises InputError where iminuit is not installed."""

    iterations: int = 1000
    name: ClassVar[str] = "minuit"
    squares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if find_spec("iminuit") is None:
            raise InputError("optimizer: minuit needs the package iminuit, pip install 'lartpc[minuit]'")

    def run(self, problem: Problem, start: np.ndarray) -> Outcome:
        return minuit(problem, start, self.iterations)


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam through batches of whole events, shuffled with `seed` and filled to `batch_length` [cm], `epochs` times."""

    epochs: int = 80
    batch_length: float = 100.0
    seed: int = 0
    name: ClassVar[str] = "adam"
    squares: ClassVar[bool] = False

    def run(self, problem: Problem, start: np.ndarray) -> Outcome:
        return adam(problem, start, self.epochs)


OPTIMIZERS: dict[str, type[Optimizer]] = {row.name: row for row in (GaussNewton, TrustRegion, LBFGSB, Minuit, Adam)}


def find_optimizer(optimizer: str | Optimizer | None, squares: bool) -> Optimizer:
    """The optimizer of a name, or the one given; None: the best for a loss that has a Gauss-Newton form, or has none.

    Raises InputError: an unknown name, one that needs such a form where `squares` says that the loss has none, minuit
    where iminuit is not installed.
    """
    if optimizer is None:
        return GaussNewton() if squares else LBFGSB()
    if isinstance(optimizer, str):
        check_choice("optimizer", optimizer, OPTIMIZERS)
        optimizer = OPTIMIZERS[optimizer]()
    if optimizer.squares and not squares:
        allowed = " or ".join(name for name, row in OPTIMIZERS.items() if not row.squares)
        raise InputError(
            f"optimizer: {optimizer.name} needs the loss likelihood or residuals; with others allowed is {allowed}"
        )
    return optimizer
