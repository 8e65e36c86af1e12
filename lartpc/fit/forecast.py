"""Errors to be expected of a fit before any is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.contracts import Unknowns
from lartpc.data.segments import Segments
from lartpc.fit.calibrate import SIX
from lartpc.fit.uncertainty import invert, open_components, told_open
from lartpc.fit.unknowns import check_events, unknowns_of
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.simulation.simulation import Simulation


class Forecast(NamedTuple):
    """What a fit of the n parameters `names` can have at best; arrays in this order. Prints as a table."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray  # (n,) that they are taken to have
    size: np.ndarray  # (n,) that relative errors are relative to
    covariance: np.ndarray  # (n, n)
    open_direction: dict[str, float] | None  # components of the direction, relative to the values, that data leave open

    @property
    def errors(self) -> np.ndarray:
        """(n,); infinite where the data leave a direction open."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """(n, n); NaN where an error is infinite."""
        errors = self.errors
        return self.covariance / np.where(np.isfinite(errors), np.outer(errors, errors), np.nan)

    def __str__(self) -> str:
        lines = [f"{'':3}{'name':<15} {'value':>13} {'error':>11} {'rel. error':>10}  unit"]
        for i, (name, value, error) in enumerate(zip(self.names, self.values, self.errors, strict=True)):
            row = f"{i:<3}{name:<15} {value:13.7g} {error:11.3g} {error / self.size[i]:10.1e}"
            lines.append(f"{row}  {self.units[i]}".rstrip())
        lines.append("correlation")
        for i, (name, row) in enumerate(zip(self.names, self.correlation, strict=True)):
            cells = (f"{c:8.3f}" if np.isfinite(c) else f"{'-':>8}" for c in row)
            lines.append(f"{i:<3}{name:<15}{''.join(cells)}")
        lines.append("Cramer-Rao bound for one such sample with the detector's noise")
        if self.open_direction is not None:
            lines.append(told_open(self.open_direction))
        return "\n".join(lines)


@one_blas_thread
def forecast(
    simulation: Simulation, segments: Segments, names: Sequence[str] = SIX, *, rounded: bool = False
) -> Forecast:
    """The Cramer-Rao bound on the errors of `names`, fitted together, at the parameters of `simulation`.

    sqrt(diag(I^-1)), I the Gauss-Newton information of -log likelihood (exact hits: J^T J of the residuals; `rounded`
    ones: see `losses.likelihood`) for the hits without noise, which stand for those expected. What the current at the
    crossings tells besides is left out. Infinite where the data leave a direction open. C. R. Rao, Bull. Calcutta Math.
    Soc. 37 (1945) 81; Review of Particle Physics, Statistics. Raises InputError where there are no hits, and for names
    that cannot be fitted.
    """
    check_events(names, segments.events)
    quiet = simulation.apart(names).without_noise()
    target = TargetHits(quiet(segments).hits, quiet.detector, rounded)
    batches = quiet.batches(segments, whole=False)
    unknowns = unknowns_of(quiet, names)
    linear: Any = Objective("likelihood", quiet, batches, target, unknowns)(unknowns.start)
    return bound(unknowns, linear.information)


def bound(unknowns: Unknowns, information: np.ndarray) -> Forecast:
    """The forecast of an information (n, n) of `unknowns` where they start."""
    size = unknowns.size(unknowns.start)
    covariance, direction = invert(information, size)
    opened = open_components(unknowns.names, direction)
    return Forecast(unknowns.names, unknowns.units, unknowns.start, size, covariance, opened)
