"""The evaluation where a fit ends, which tells more than the others: of what is not fitted, and of the target."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from lartpc.contracts import Unknowns
from lartpc.fit.assumptions import Assumption, assumptions, others
from lartpc.fit.optimizers import NEGLIGIBLE
from lartpc.fit.problem import Outcome
from lartpc.fit.unknowns import unknowns_of
from lartpc.frontend.frontend import Pixels
from lartpc.goodness.items import Examined, joined
from lartpc.losses.linear import Linear, join
from lartpc.losses.objective import Objective
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms


class Ending:
    """A sum of squares, called as `objective` is and to the same bits, that keeps what it finds on the way.

    Derivatives by a few more parameters and the waveforms, which `examine` is shown, cost next to nothing there.
    Kept, of the last call at `values` (n,): `gradient` and `information` by the N parameters `wide`, and `parts`.
    """

    def __init__(
        self, objective: Objective, examine: Callable[[Batch, Waveforms, Pixels], Examined] | None = None
    ) -> None:
        self.objective = objective
        fitted = objective.unknowns.names
        self.wide: Unknowns = unknowns_of(objective.simulation, (*fitted, *others(objective, fitted)))
        self.values, self.known = np.full(len(fitted), np.nan), False
        self.gradient, self.information = np.zeros(0), np.zeros((0, 0))
        self.parts: list[Examined] = []

        def watch(batch: Batch, waveforms: Waveforms, pixels: Pixels) -> None:
            if examine is not None:
                self.parts.append(examine(batch, waveforms, pixels))

        rest = (objective.simulation, objective.batches, objective.target, self.wide)
        self.whole = Objective(objective.kind, *rest, watch=watch)

    def __call__(self, values: np.ndarray) -> Linear:
        """The objective at `values` (n,)."""
        self.passed(values)
        return self.evaluate(self.objective.progress(range(len(self.objective.batches))))

    def passed(self, values: np.ndarray) -> None:
        """Take `values` (n,) for those of the last call, where an interrupted fit had its result already."""
        self.values, self.known = values.copy(), False

    def evaluate(self, batches: Iterable[int]) -> Linear:
        """The objective at `self.values`, through all its batches."""
        n, vector = len(self.values), self.objective.unknowns.apply(self.values)
        self.known, self.parts = True, []
        self.gradient, self.information = np.zeros(len(self.wide.names)), np.zeros((len(self.wide.names),) * 2)
        results = []
        for k in batches:
            found = self.whole.at(vector, [k])
            assert isinstance(found, Linear)
            self.gradient += found.gradient
            self.information += found.information
            jacobian, gradient_rest = np.ascontiguousarray(found.jacobian[:, :n]), found.gradient_rest[:n]
            results.append(found._replace(jacobian=jacobian, gradient_rest=gradient_rest))
        return join(results)

    def at(self, outcome: Outcome) -> Ending:
        """Called where a fit ended, or a step from there that changes nothing."""
        off = outcome.values - self.values
        if not 0.5 * float(off @ outcome.last.information @ off) < NEGLIGIBLE:
            self.passed(outcome.values)
        if not self.known:
            self.evaluate(range(len(self.objective.batches)))
        return self

    def assumptions(self) -> list[Assumption]:
        """What is taken for granted there."""
        return assumptions(self.objective.unknowns, self.values, self.wide, self.gradient, self.information)

    def examined(self) -> Examined:
        """What `examine` found of all batches."""
        return joined(self.parts)
