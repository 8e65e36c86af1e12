"""Derivatives of losses next to central differences, and the remainder of their Taylor series; a table of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.autodiff.kernelcheck import relative

LARGEST_STEPS = (3e-3, 3e-4, 3e-5)  # relative; the first at which results are still alike is taken
TAYLOR_STEPS = 10.0 ** -np.arange(0.0, 3.5, 0.5)  # times the largest step: three decades
DIFFERENCE_STEP = 1e-2  # times the largest step
ROUNDING = 3e-15  # remainders below this, relative to the loss and its terms, are rounding
IDLE = 100.0  # times their rounding, below which derivatives are none
TOLERANCE = 1e-5
SLOPE = (1.9, 2.1)


class Row(NamedTuple):
    """The derivative of one loss by one parameter, relative to its value, or its scale where that is 0."""

    parameter: str
    loss: str
    adjoint: float
    difference: float
    slope: float | None  # of the Taylor remainder, median over three decades; None where that is rounding (linear)

    @property
    def relative(self) -> float:
        return relative(self.adjoint, self.difference)

    @property
    def idle(self) -> bool:
        """Whether the loss does not depend on the parameter here, so that nothing is checked."""
        return self.adjoint == 0.0 == self.difference

    @property
    def passed(self) -> bool:
        return self.relative <= TOLERANCE and (self.slope is None or SLOPE[0] <= self.slope <= SLOPE[1])


class Report(NamedTuple):
    """All rows, and what is near to an edge. Prints as a table."""

    rows: list[Row]
    hits: int | None = None  # None: of waveforms, which have none
    near: int = 0  # pixels with a hit that nearly vanishes, or that are near to one more: within NEAR of the threshold
    left_out: int = 0  # hits on pixels where a read's tick or their number changed within the steps: not in the losses

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)

    def __str__(self) -> str:
        lines = [f"{'parameter':<18}{'loss':<11}{'adjoint':>17}{'difference':>17}{'relative':>10}{'slope':>8}"]
        for row in self.rows:
            slope = "linear" if row.slope is None else f"{row.slope:.3f}"
            lines.append(
                f"{row.parameter:<18}{row.loss:<11}{row.adjoint:>17.9g}{row.difference:>17.9g}{row.relative:>10.1e}"
                f"{slope:>8}  {'no effect' if row.idle else 'ok' if row.passed else 'FAIL'}"
            )
        failed = sum(not row.passed for row in self.rows)
        idle = sum(row.idle for row in self.rows)
        lines.append(
            f"{len(self.rows) - failed - idle} ok, {failed} failed, {idle} without effect here and not "
            "checked (derivatives by relative changes, of what is 0 by its scale)"
        )
        if self.hits is None:
            return "\n".join(lines)
        lines.append(
            f"{self.hits} hits; {self.near} pixels within 0.1 % of the threshold of a hit more or less, where the "
            f"gradient is one-sided; up to {self.left_out} hits left out, which moved to another tick within the steps"
        )
        return "\n".join(lines)


def steps_of(largest: float) -> list[float]:
    """Where the losses are asked for: at 0, for central differences, and for the Taylor series from the largest on."""
    small = largest * DIFFERENCE_STEP
    return [0.0, small, -small, 2.0 * small, -2.0 * small, *(largest * TAYLOR_STEPS).tolist()]


def rows_of(
    name: str,
    losses: Sequence[str],
    at: Callable[[float], np.ndarray],
    gradient: np.ndarray,
    largest: float,
    noise: np.ndarray | float = 0.0,
) -> list[Row]:
    """The rows of one parameter: `at(h)` gives the losses (n,) with it moved by h times its size.

    `gradient` (n,): their derivatives by h, of adjoints; `largest`: step of the Taylor series; `noise` (n,): what the
    losses' terms are, where these are larger than they are, relative to which they are rounded.
    """
    base, above, below, far_above, far_below, *changed = map(at, steps_of(largest))
    scales, small = largest * TAYLOR_STEPS, largest * DIFFERENCE_STEP
    # Of fourth order: with second order no step is both large enough for rounding and small enough for all losses.
    difference = (8.0 * (above - below) - (far_above - far_below)) / (12.0 * small)
    remainder = np.abs(np.array(changed) - base - scales[:, None] * gradient)
    size = np.maximum(np.abs(base), np.abs(gradient)) + noise
    # What is left by rounding where a loss does not depend on the parameter, as that of whole waveforms on a time.
    nothing = np.maximum(np.abs(gradient), np.abs(difference)) < IDLE * ROUNDING * size / small
    gradient, difference = (np.where(nothing, 0.0, derivative) for derivative in (gradient, difference))
    rows = []
    for i, loss in enumerate(losses):
        good = remainder[:, i] > ROUNDING * size[i]
        slope = None
        if np.count_nonzero(good) >= 4:
            # The median: the edges of the quadrature rules put kinks of 1e-4 of a step's charge at single steps.
            slope = float(np.median(np.diff(np.log(remainder[good, i])) / np.diff(np.log(scales[good]))))
        rows.append(Row(name, loss, float(gradient[i]), float(difference[i]), slope))
    return rows
