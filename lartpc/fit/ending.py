"""The evaluation where a fit ends, which tells more than the others: of what is not fitted, and of the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lartpc.contracts import ChainUnknowns
from lartpc.fit.assumptions import Assumption, assumptions, others
from lartpc.fit.optimizers import NEGLIGIBLE
from lartpc.fit.problem import Outcome
from lartpc.fit.runs import Joint, unknowns_of_runs
from lartpc.frontend.frontend import Pixels
from lartpc.goodness.items import Examined, joined
from lartpc.losses.linear import Linear, Parts, join
from lartpc.losses.objective import Objective
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms

Look = Callable[[Batch, Waveforms, Pixels], Examined]


class Ending:
    """A sum of squares of one run, called as `objective` is and to the same bits, that keeps what it finds on the way.

    Derivatives by a few more parameters and the waveforms, which `look` is shown, cost next to nothing there. Kept, of
    the last call: `gradient` and `information` by the N parameters `wide`, those of the objective first, and `parts`.
    """

    def __init__(self, objective: Objective, wide: ChainUnknowns, look: Look | None) -> None:
        self.objective, self.batches, self.look = objective, objective.batches, look
        self.n, self.n_wide = len(objective.unknowns.names), len(wide.names)
        self.gradient, self.information = np.zeros(0), np.zeros((0, 0))
        self.parts: list[Examined] = []

        def watch(batch: Batch, waveforms: Waveforms, pixels: Pixels) -> None:
            if look is not None:
                self.parts.append(look(batch, waveforms, pixels))

        rest = (objective.simulation, objective.batches, objective.target, wide)
        self.whole = Objective(objective.kind, *rest, watch=watch)

    def __call__(self, values: np.ndarray, chosen: Sequence[int] | None = None) -> Linear | Parts:
        """The objective at `values` (n,), of all batches."""
        return self.evaluate(values, self.objective.progress(range(len(self.batches))))

    def evaluate(self, values: np.ndarray, batches: Iterable[int]) -> Linear | Parts:
        """The same, through all its batches."""
        vector, self.parts = self.objective.unknowns.apply(values), []
        self.gradient, self.information = np.zeros(self.n_wide), np.zeros((self.n_wide, self.n_wide))
        results = []
        for k in batches:
            found = self.whole.at(vector, [k])
            assert isinstance(found, Linear | Parts)
            self.gradient += found.gradient
            self.information += found.information
            results.append(found.narrowed(self.n))
        return join(results)


class Endings:
    """Those of all runs, called as their joint `objective` is; `looks`: one a run, see `Ending`."""

    def __init__(self, objective: Joint, looks: Sequence[Look | None]) -> None:
        parts, self.unknowns = objective.parts, objective.unknowns
        names = self.unknowns.fitted
        simulations = [part.simulation for part in parts]
        self.wide = unknowns_of_runs(simulations, (*names, *others(parts, names)), self.unknowns.per_run)
        self.of_run = [Ending(*of) for of in zip(parts, self.wide.of_run, looks, strict=True)]
        self.joint = Joint(self.of_run, self.unknowns)
        self.values, self.known = np.full(len(self.unknowns.names), np.nan), False

    def __call__(self, values: np.ndarray) -> Linear | Parts:
        """The objective at `values` (n,)."""
        self.values, self.known = values.copy(), True
        found = self.joint(values)
        assert isinstance(found, Linear | Parts)
        return found

    def passed(self, values: np.ndarray) -> None:
        """Take `values` (n,) for those of the last call, where an interrupted fit had its result already."""
        self.values, self.known = values.copy(), False

    def at(self, outcome: Outcome) -> Endings:
        """Called where a fit ended, or a step from there that changes nothing."""
        off = outcome.values - self.values
        if not 0.5 * float(off @ outcome.last.information @ off) < NEGLIGIBLE:
            self.passed(outcome.values)
        if not self.known:
            self.known = True
            for ending, columns in zip(self.of_run, self.unknowns.columns, strict=True):
                ending.evaluate(self.values[columns], range(len(ending.batches)))
        return self

    def assumptions(self) -> list[Assumption]:
        """What is taken for granted there: what all runs take is one assumption, that it is another in all of them."""
        n_wide = len(self.wide.names)
        gradient, information = np.zeros(n_wide), np.zeros((n_wide, n_wide))
        for ending, columns in zip(self.of_run, self.wide.columns, strict=True):
            gradient[columns] += ending.gradient
            information[np.ix_(columns, columns)] += ending.information
        noise = max(ending.objective.simulation.detector.reset_noise for ending in self.of_run)
        return assumptions(self.unknowns, self.values, self.wide, gradient, information, noise)

    def examined(self) -> tuple[Examined, ...] | None:
        """What was found of all batches of each run; None where a run was not looked at."""
        if any(ending.look is None for ending in self.of_run):
            return None
        return tuple(joined(ending.parts) for ending in self.of_run)
