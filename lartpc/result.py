"""The result of a fit: values, errors, correlation; prints as a table, writes itself as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .fit import DEGENERATE, Minimum
from .parameters import TABLE

LIKELIHOOD = "inverse Gauss-Newton information of the likelihood"
EXPECTED = "expected for one such target with the detector's noise (Cramer-Rao bound); this target has none"


class FitResult(NamedTuple):
    """Arrays in the order of `names`; `truth` where the target's parameters are known."""

    names: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray  # infinite where the data leave a direction open
    covariance: np.ndarray
    start: np.ndarray
    bounds: np.ndarray
    truth: np.ndarray | None
    loss: str
    value: float
    hits: int
    unmatched: int
    iterations: int
    mean_square: float  # of the residuals: 1 where model and noise describe the target, 0 for one without noise
    converged: bool
    message: str
    errors_from: str
    open_direction: dict[str, float] | None  # parts of the direction, relative to the values, that data leave open

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
                "unit": TABLE[name].unit,
                "start": float(self.start[i]),
                "bounds": self.bounds[i].tolist(),
                "truth": None if self.truth is None else float(self.truth[i]),
            }
        keep = (
            "loss",
            "value",
            "hits",
            "unmatched",
            "iterations",
            "mean_square",
            "converged",
            "message",
            "errors_from",
        )
        return {
            "parameters": parameters,
            "correlation": self.correlation.tolist(),
            "open_direction": self.open_direction,
            **{name: getattr(self, name) for name in keep},
        }

    def __str__(self) -> str:
        head = f"{'':3}{'name':<15} {'value':>13} {'error':>11} {'rel. error':>10} {'start':>11}  unit"
        lines = [f"{self.loss}: {self.value:.6g}, {self.hits} hits, {self.iterations} iterations, {self.message}"]
        lines.append(f"mean square of the residuals: {self.mean_square:.3g} (1 for a target that the model describes)")
        known = self.truth is not None
        lines.append(head + ("   (value - truth)/truth     /error" if known else ""))
        for i, name in enumerate(self.names):
            value, error = self.values[i], self.errors[i]
            line = f"{i:<3}{name:<15} {value:13.7g} {error:11.3g} {error / abs(value):10.1e} {self.start[i]:11.5g}"
            line += f"  {TABLE[name].unit}"
            if known:
                off = value - self.truth[i]
                line = f"{line:<{len(head) + 4}} {off / self.truth[i]:+15.2e} {off / error:+13.2f}"
            if value in self.bounds[i]:
                line += "  at its bound"
            lines.append(line)
        lines.append(f"errors: {self.errors_from}")
        if self.open_direction is not None:
            parts = ", ".join(f"{name} {part:+.2g}" for name, part in self.open_direction.items())
            lines.append(
                f"the data leave a direction open: relative changes {parts} change nothing; errors are infinite"
            )
        return "\n".join(lines)


def covariance(information: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The inverse of the information and, where that is singular, the open direction relative to the values.

    Every parameter that takes part in an open direction gets an infinite variance.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    eigenvalues, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    closed = eigenvalues > DEGENERATE * eigenvalues[-1]
    inverse = (vectors[:, closed] / eigenvalues[closed]) @ vectors[:, closed].T * np.outer(scale, scale)
    if closed.all():
        return inverse, None
    direction = vectors[:, 0] * scale / values
    direction = direction / np.max(np.abs(direction))
    takes_part = (np.abs(vectors[:, ~closed]) > 0.01).any(axis=1)
    inverse[takes_part, :] = inverse[:, takes_part] = np.nan
    inverse[np.diag_indices(len(values))] = np.where(takes_part, np.inf, np.diag(inverse))
    return inverse, direction


def make_result(
    minimum: Minimum, start: np.ndarray, bounds: np.ndarray, truth: np.ndarray | None, loss: str
) -> FitResult:
    """The result of a fit that ended at `minimum`."""
    matrix, direction = covariance(minimum.linear.information, minimum.values)
    opened = None
    if direction is not None:
        opened = {n: float(d) for n, d in zip(minimum.names, direction, strict=True) if abs(d) > 0.01}
    message = minimum.message if opened is None else f"{minimum.message}, but the data leave a direction open"
    at_bound = [n for n, v, b in zip(minimum.names, minimum.values, bounds, strict=True) if v in b]
    if at_bound:
        message = f"{message}, at the bound of {', '.join(at_bound)}, where errors mean little"
    return FitResult(
        names=minimum.names,
        values=minimum.values,
        errors=np.sqrt(np.diag(matrix)),
        covariance=matrix,
        start=start,
        bounds=bounds,
        truth=truth,
        loss=loss,
        value=minimum.linear.value,
        hits=minimum.linear.hits,
        unmatched=minimum.linear.unmatched,
        iterations=len(minimum.history),
        mean_square=float(np.mean(minimum.linear.residual**2)),
        converged=minimum.converged and opened is None,
        message=message,
        errors_from=LIKELIHOOD if loss == "likelihood" else EXPECTED,
        open_direction=opened,
    )
