"""The result of a fit: values, errors, correlation; prints as a table, writes itself as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.fit.problem import Outcome, Problem
from lartpc.fit.uncertainty import Uncertainty, open_components, told_open

AT_BOUND = 1e-4  # of the range


class FitResult(NamedTuple):
    """Arrays in the order of `names`; `truth` where the target's parameters are known."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    size: np.ndarray  # what changes are told relative to: the values, or a typical size of those that are 0 nominally
    errors: np.ndarray  # infinite where the data leave a direction open
    covariance: np.ndarray
    intervals: np.ndarray | None  # (n, 2) of the profile likelihood, where asked for
    start: np.ndarray
    bounds: np.ndarray
    truth: np.ndarray | None
    loss: str
    optimizer: str
    value: float
    hits: int
    unmatched: int
    iterations: int  # evaluations of the loss and its derivatives, without those for the errors
    mean_square: float  # of the residuals: 1 where model and noise describe the target, 0 for one without; or NaN
    converged: bool
    message: str
    errors_from: str
    open_direction: dict[str, float] | None  # components of the direction, relative to the values, that data leave open

    @property
    def correlation(self) -> np.ndarray:
        """(n, n); 0 where an error is infinite."""
        safe = np.where(np.isfinite(self.errors) & (self.errors > 0.0), self.errors, np.inf)
        return np.where(np.isfinite(self.covariance), self.covariance, 0.0) / np.outer(safe, safe)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; an infinite error is null."""
        parameters = {}
        for i, name in enumerate(self.names):
            parameters[name] = {
                "value": float(self.values[i]),
                "error": float(self.errors[i]) if np.isfinite(self.errors[i]) else None,
                "interval": None
                if self.intervals is None
                else [v if np.isfinite(v) else None for v in self.intervals[i].tolist()],
                "unit": self.units[i],
                "start": float(self.start[i]),
                "bounds": self.bounds[i].tolist(),
                "truth": None if self.truth is None else float(self.truth[i]),
            }
        keep = (
            "loss",
            "optimizer",
            "value",
            "hits",
            "unmatched",
            "iterations",
            "converged",
            "message",
            "errors_from",
        )
        return {
            "parameters": parameters,
            "correlation": self.correlation.tolist(),
            "open_direction": self.open_direction,
            "mean_square": self.mean_square if np.isfinite(self.mean_square) else None,
            **{name: getattr(self, name) for name in keep},
        }

    def __str__(self) -> str:
        head = f"{'':3}{'name':<15} {'value':>13} {'error':>11} {'rel. error':>10} {'start':>11}  unit"
        head_line = f"{self.loss}: {self.value:.6g}, {self.hits} hits, {self.iterations} iterations of {self.optimizer}"
        lines = [f"{head_line}, {self.message}"]
        if np.isfinite(self.mean_square):
            lines.append(
                f"mean square of the residuals: {self.mean_square:.3g} (about 1 if the model describes the target)"
            )
        known = self.truth is not None
        lines.append(head + ("   (value - truth)/truth     /error" if known else ""))
        for i, name in enumerate(self.names):
            value, error = self.values[i], self.errors[i]
            line = f"{i:<3}{name:<15} {value:13.7g} {error:11.3g} {error / self.size[i]:10.1e} {self.start[i]:11.5g}"
            line += f"  {self.units[i]}"
            if self.truth is not None:
                off = value - self.truth[i]
                line = f"{line:<{len(head) + 4}} {off / (self.truth[i] or self.size[i]):+15.2e} {off / error:+13.2f}"
            if self.intervals is not None:
                low, high = self.intervals[i] - value
                line += f"   profile {low:+.3g} {high:+.3g}"
            if at_bound(value, self.bounds[i]):
                line += "  at its bound"
            lines.append(line)
        lines.append(f"errors: {self.errors_from}")
        if self.open_direction is not None:
            lines.append(told_open(self.open_direction))
        return "\n".join(lines)


def at_bound(value: float, bounds: np.ndarray) -> bool:
    """Whether a value is at one of its bounds (2,), which smooth transforms only come close to."""
    return bool(np.min(np.abs(bounds - value)) < AT_BOUND * (bounds[1] - bounds[0]))


def make_result(
    problem: Problem,
    outcome: Outcome,
    uncertainty: Uncertainty,
    truth: np.ndarray | None,
    loss: str,
    optimizer: str,
) -> FitResult:
    """The result of a fit that ended at `outcome`."""
    names, values, last = problem.names, outcome.values, outcome.last
    message, converged = outcome.message, outcome.ended
    if uncertainty.left > 1.0:
        converged = False
        left = f"a Newton step of {uncertainty.left:.2g} times what is allowed is left"
        message += f"; {left if np.isfinite(uncertainty.left) else 'the loss still falls in some direction'}"
    if uncertainty.open_direction is not None:
        converged = False
        message += ", but the data leave a direction open"
    bounded = [n for n, v, b in zip(names, values, problem.bounds, strict=True) if at_bound(v, b)]
    if bounded:
        message += f", at the bound of {', '.join(bounded)}, where errors mean little"
    return FitResult(
        names=names,
        units=problem.unknowns.units,
        values=values,
        size=problem.unknowns.size(values),
        errors=np.sqrt(np.diag(uncertainty.covariance)),
        covariance=uncertainty.covariance,
        intervals=uncertainty.intervals,
        start=problem.unknowns.start,
        bounds=problem.bounds,
        truth=truth,
        loss=loss,
        optimizer=optimizer,
        value=last.value,
        hits=last.hits,
        unmatched=last.unmatched,
        iterations=sum(evaluation.phase != "errors" for evaluation in problem.record.history),
        mean_square=last.mean_square,
        converged=converged,
        message=message,
        errors_from=uncertainty.made_from,
        open_direction=open_components(names, uncertainty.open_direction),
    )
