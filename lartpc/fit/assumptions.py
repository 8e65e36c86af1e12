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

from lartpc.fit.constraint import penalty
from lartpc.fit.runs import Joint, unknowns_of_runs
from lartpc.fit.shown import listed
from lartpc.losses.hitlist import present_events
from lartpc.losses.objective import Objective
from lartpc.parameters import OF_COUNTS, common_name, event_of
from lartpc.simulation.batches import Batch

CHANGE = 0.01  # of a value, or of its scale where it is nominally 0, that a bias is told for
ENOUGH = 8  # events that tell the size of a bias
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


def assumptions(objective: Joint, values: np.ndarray, few: bool = False) -> list[Assumption]:
    """Those of a fit with a sum of squares that ended at `values` (n,) of its unknowns; from a `few` of the events.

    What all runs take for granted is one assumption, that it is another in all of them.
    """
    parts, unknowns = objective.parts, objective.unknowns
    fitted, of_run = unknowns.names, unknowns.of_run[0].names
    names = others(parts, of_run)
    if not names:
        return []
    start = dict(zip(fitted, values.tolist(), strict=True))
    wide = unknowns_of_runs([part.simulation for part in parts], (*of_run, *names), unknowns.per_run, start)
    n, n_wide = len(fitted), len(wide.names)
    gradient, information = np.zeros(n_wide), np.zeros((n_wide, n_wide))
    for part, varied, columns in zip(parts, wide.of_run, wide.columns, strict=True):
        batches, stride = some_of(part.batches) if few else (part.batches, 1)
        found: Any = Objective(part.kind, part.simulation, batches, part.target, varied)(varied.start)
        gradient[columns] += found.gradient * stride
        information[np.ix_(columns, columns)] += found.information * stride
    added = penalty(objective.unknowns, values)
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
        bias = dict(zip(fitted, moved.tolist(), strict=True))
        blind = left < BLIND
        step = float("nan") if blind else float(-score / left * scale[k])
        significance = 0.0 if blind else float(-score / np.sqrt(left))
        result.append(Assumption(name, value, wide.units[k], change, bias, step, significance))
    return result


def some_of(batches: Sequence[Batch]) -> tuple[list[Batch], int]:
    """The segments of `ENOUGH` events or a few more, spread over all, and of how many events one is taken."""
    n_events = len(np.unique(np.concatenate([present_events(batch) for batch in batches])))
    stride = max(n_events // ENOUGH, 1)
    taken = [batch.select(batch.event % stride == 0) for batch in batches]
    return [batch for batch in taken if len(batch.dE)], stride


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
        and all(name in others for others in acting)
    )
