"""What an optimizer sees: a loss with its derivatives as a function of the fitted parameters, each evaluation kept.

Optimizers are deterministic. So an interrupted fit continues to the same bits when its evaluations are handed back to
it in order, whatever the optimizer keeps inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lartpc.exceptions import InputError
from lartpc.fit.constraint import penalty
from lartpc.fit.shown import listed
from lartpc.losses.linear import Linear, Normal, Parts
from lartpc.losses.per_event import MeanLoss
from lartpc.parameters import event_of

if TYPE_CHECKING:
    from lartpc.fit.ending import Endings


class Evaluation(NamedTuple):
    """A loss at some values of the n parameters; sums over the batch."""

    phase: str
    batch: int  # -1: all batches
    values: np.ndarray  # (n,)
    value: float
    gradient: np.ndarray  # (n,)
    information: np.ndarray  # (n, n) Gauss-Newton form of the Hessian; NaN where the loss has none
    spread: np.ndarray  # (n, n) covariance of the gradient, from its spread over the events; NaN where not needed
    events: int  # that the spread is of
    hits: int  # target hits that are used
    unmatched: int  # target hits that do not
    mean_square: float  # of the residuals; NaN where the loss has none


class Outcome(NamedTuple):
    """Where an optimizer ended, and whether by its own criterion."""

    last: Evaluation  # at `values`, or one negligible step before
    values: np.ndarray
    ended: bool
    message: str


class Record:
    """The evaluations of a fit, in order; the first ones may be known already from an interrupted one."""

    def __init__(self, done: Sequence[Evaluation], report: Callable[[Evaluation], None]) -> None:
        self.done = list(done)
        self.history: list[Evaluation] = []
        self.report = report

    def find(self, phase: str, batch: int, values: np.ndarray) -> Evaluation | None:
        """The next known evaluation where it is this one; else all that is known is of another fit."""
        known = self.done[len(self.history)] if len(self.history) < len(self.done) else None
        if known is not None and (known.phase, known.batch) == (phase, batch) and np.array_equal(known.values, values):
            return known
        self.done = []
        return None

    def add(self, evaluation: Evaluation) -> Evaluation:
        self.history.append(evaluation)
        self.report(evaluation)
        return evaluation


class Problem:
    """`objective`, an `Objective` or what is like one, as a function of its unknowns; arrays in their order.

    They are within `bounds` (n, 2), by default theirs. `endings` are called instead where a fit may end: they give the
    same, and keep more than that.
    """

    def __init__(
        self,
        objective: Any,
        record: Record,
        phase: str = "fit",
        bounds: np.ndarray | None = None,
        endings: Endings | None = None,
    ) -> None:
        self.objective = objective
        self.unknowns = objective.unknowns
        self.names, self.scale = self.unknowns.names, self.unknowns.scale
        self.bounds = self.unknowns.bounds if bounds is None else bounds
        self.record = record
        self.phase = phase
        self.endings = endings

    @property
    def n_batches(self) -> int:
        return len(self.objective.batches)

    def untold(self, at: Evaluation) -> np.ndarray:
        """Which of the unknowns (n,) are of single events of which no hit is used, so that nothing depends on them."""
        of_events = np.array([event_of(name) is not None for name in self.names], dtype=bool)
        return of_events & (np.diag(at.information) == 0.0)

    def __call__(self, values: np.ndarray, batch: int = -1, last: bool = False) -> Evaluation:
        """The loss with the unknowns at `values` (n,), all else as in the simulation; `last`: a fit may end there.

        Raises FloatingPointError where the loss or a derivative is not finite, InputError where no hit is used.
        """
        known = self.record.find(self.phase, batch, values)
        endings = self.endings if last else None
        if known is not None:
            if endings is not None:
                endings.passed(values)
            return self.record.add(known)
        where = listed([f"{name} = {value:g}" for name, value in zip(self.names, values, strict=True)], self.names)
        try:
            found: Any = endings(values) if endings else self.objective(values, None if batch < 0 else [batch])
        except FloatingPointError as failure:
            raise FloatingPointError(f"{failure} at {where}") from None
        evaluation = self.constrained(evaluate(self.phase, batch, values.copy(), found))
        known_squares = isinstance(found, MeanLoss) or np.isfinite(evaluation.information).all()
        if not (np.isfinite(evaluation.value) and np.isfinite(evaluation.gradient).all() and known_squares):
            raise FloatingPointError(f"the loss or its derivatives are not finite at {where}")
        if evaluation.hits == 0 and self.phase == "fit" and batch < 0:
            raise InputError("target: no hit is on a pixel where the segments give charge")
        return self.record.add(evaluation)

    def constrained(self, evaluation: Evaluation) -> Evaluation:
        """With the constraints of the unknowns, an even share of them in each batch."""
        if not self.unknowns.constraints:
            return evaluation
        share = 1.0 if evaluation.batch < 0 else 1.0 / self.n_batches
        added = penalty(self.unknowns, evaluation.values)
        return evaluation._replace(
            value=evaluation.value + share * added.value,
            gradient=evaluation.gradient + share * added.gradient,
            information=evaluation.information + share * added.information,
        )


def evaluate(phase: str, batch: int, values: np.ndarray, found: Linear | Parts | Normal | MeanLoss) -> Evaluation:
    """What is kept of a result of the objective."""
    n = len(values)
    nothing = np.full((n, n), np.nan)
    if isinstance(found, MeanLoss):
        information, mean_square, spread, events = nothing, np.nan, found.spread, len(found.values)
    else:
        information, spread, events, mean_square = found.information, nothing, 0, found.mean_square
    return Evaluation(
        phase,
        batch,
        values,
        float(found.value),
        np.asarray(found.gradient, dtype=np.float64),
        information,
        spread,
        events,
        found.hits,
        found.unmatched,
        mean_square,
    )
