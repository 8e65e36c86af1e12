"""What a fit takes for granted: parameters that are not fitted, how a target speaks of them and what they would bias.

With the information H of the fitted parameters p and one other q, at the minimum in p: another value q + d moves p by
-H_pp^-1 H_pq d. The target asks for the step d = -g/H', g the derivative of -log L by q less what p takes of it,
H' = H_qq - H_qp H_pp^-1 H_pq the information that is left (C. R. Rao, Proc. Camb. Phil. Soc. 44 (1948) 50: the score
test). Where H' is about 0, p follows q and no target can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import Unknowns
from lartpc.fit.constraint import penalty
from lartpc.fit.shown import listed
from lartpc.losses.objective import Objective
from lartpc.parameters import OF_COUNTS, common_name, event_of

CHANGE = 0.01  # of a value, or of its scale where it is nominally 0, that a bias is told for
IMPRECISION = 0.015  # of the reset noise, by which the likelihood misplaces thresholds: 10 +- 2 e of 900, measured
NOTABLE = 0.1  # errors below which a bias is not told
BLIND = 1e-4  # share of the information by one parameter that must be left for a target to tell of it


class Assumption(NamedTuple):
    """A parameter that is not fitted."""

    name: str
    value: float
    unit: str
    change: float  # by which it would have to be wrong
    bias: dict[str, float]  # of each fitted parameter for this change, in its errors
    step: float  # that the target asks for; NaN where it cannot tell
    significance: float  # of the step, in its errors; 0 where it cannot tell

    @property
    def tested(self) -> bool:
        return bool(np.isfinite(self.step))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return {**self._asdict(), "step": self.step if self.tested else None}

    def __str__(self) -> str:
        moved = {name: f"{name} {bias:+.2g}" for name, bias in self.bias.items() if abs(bias) > NOTABLE}
        return (
            f"{self.name} = {self.value:g} {self.unit}".rstrip()
            + f"; {self.change:.3g} more would move "
            + (f"{listed([*moved.values()], [*moved])} errors" if moved else f"nothing by {NOTABLE:g} errors")
        )


def assumptions(
    unknowns: Unknowns,
    values: np.ndarray,
    wide: Unknowns,
    gradient: np.ndarray,
    information: np.ndarray,
    reset_noise: float,
) -> list[Assumption]:
    """Those of a fit that ended at `values` (n,) of its unknowns, with the derivatives of its loss by all N of `wide`.

    gradient (N,), information (N, N), of the n unknowns first; without constraints. `reset_noise` [e]: the detector's,
    with which goes how well the likelihood knows of thresholds.
    """
    n, names = len(unknowns.names), wide.names[len(unknowns.names) :]
    added = penalty(unknowns, values)
    gradient, information = gradient.copy(), information.copy()
    gradient[:n] += added.gradient
    information[:n, :n] += added.information
    scale = 1.0 / np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    gradient, information = gradient * scale, information * np.outer(scale, scale)
    own = np.linalg.pinv(information[:n, :n], rcond=1e-10, hermitian=True)
    errors = np.sqrt(np.diag(own)) * (np.diag(information)[:n] > 0.0)  # none where no hit tells of an event
    result = []
    for k, name in enumerate(names, start=n):
        follow = own @ information[:n, k]
        left = information[k, k] - information[:n, k] @ follow
        score = gradient[k] - gradient[:n] @ follow
        value = float(wide.start[k])
        change = CHANGE * (abs(value) or float(wide.scale[k]))
        moved = np.divide(-follow * change / scale[k], errors, out=np.zeros(n), where=errors > 0.0)
        bias = dict(zip(unknowns.names, moved.tolist(), strict=True))
        blind = left < BLIND
        step = float("nan") if blind else float(-score / left * scale[k])
        known_to = IMPRECISION * reset_noise if common_name(name) == "threshold_offset" else 0.0
        significance = 0.0 if blind else float(step / np.hypot(scale[k] / np.sqrt(left), known_to))
        result.append(Assumption(name, value, wide.units[k], change, bias, step, significance))
    return result


def others(parts: Sequence[Objective], fitted: Sequence[str]) -> tuple[str, ...]:
    """The parameters that all targets depend on and that are not fitted, of modules together or apart.

    Not those of single events, and not the common one of what single ones have values of their own of.
    """
    common = {common_name(name) for name in fitted}
    if not all(part.target.rounded for part in parts):
        common |= set(OF_COUNTS)
    apart = {common_name(name) for part in parts for name in part.simulation.parameters.modules}
    acting = [part.simulation.acting() for part in parts]
    return tuple(
        name
        for name in acting[0]
        if common_name(name) not in common
        and event_of(name) is None
        and name not in apart
        and all(name in of_run for of_run in acting)
    )
