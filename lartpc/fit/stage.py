"""A fit with what is left out of its targets, and what these say of the model where it ended."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import ChainUnknowns
from lartpc.data.segments import Segments
from lartpc.data.selection import length_batches
from lartpc.fit.compare import examined, number_drawn, verdict
from lartpc.fit.ending import Endings
from lartpc.fit.optimizers import Adam, Optimizer
from lartpc.fit.problem import Problem, Record
from lartpc.fit.robust import Robust, warm_up
from lartpc.fit.runs import Joint, RunUnknowns
from lartpc.fit.target import Target
from lartpc.frontend.frontend import Pixels
from lartpc.goodness.cleaning import Cleaning, find_spoilt
from lartpc.goodness.items import Examined, examine_batch
from lartpc.goodness.verdict import Verdict
from lartpc.losses.catalogue import SQUARES
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms
from lartpc.simulation.simulation import Simulation

WARM_STEPS_PER_BATCH = 16384  # the robust start needs no more than the first batch of about this many steps


class Stage(NamedTuple):
    """Segments and a target of one run as they are given, and how they are fitted."""

    simulation: Simulation  # without noise, with its parameters apart
    segments: Segments
    target: Target
    unknowns: ChainUnknowns  # of this run
    loss: str
    optimizer: Optimizer
    progress: Callable[[Iterable], Iterable]

    def objective(self, cleaning: Cleaning) -> Objective:
        """The loss without what `cleaning` leaves out."""
        target = self.target.without(cleaning)
        simulation = self.simulation.without_pixels(target.unread)
        hits = TargetHits(target.hits, simulation.detector, target.rounded, target.ignored)
        batches = self.batches(simulation, cleaning.kept(self.segments))
        return Objective(self.loss, simulation, batches, hits, self.unknowns, self.progress)

    def batches(self, simulation: Simulation, segments: Segments) -> list[Batch]:
        """As the optimizer takes them."""
        if isinstance(self.optimizer, Adam):
            chosen = length_batches(segments, self.optimizer.batch_length, self.optimizer.seed)
            return [simulation.cut(simulation.batch(segments.select(rows))) for rows in chosen]
        return simulation.batches(segments, whole=self.loss not in SQUARES)

    def look(self, objective: Objective, cleaning: Cleaning) -> Callable[[Batch, Waveforms, Pixels], Examined] | None:
        """What examines the target batch by batch where the objective is evaluated.

        None where something is left out of it, or batches hold parts of events.
        """
        if not cleaning.empty or isinstance(self.optimizer, Adam):
            return None
        given = (objective.simulation, objective.target, number_drawn(self.target), self.target.noise)
        return functools.partial(examine_batch, *given)

    def matched(self, objective: Objective) -> Objective:
        """The loss of matched hits on the first events."""
        first = objective.simulation.batches(self.segments, WARM_STEPS_PER_BATCH, whole=False)[:1]
        return Objective("matched", objective.simulation, first, objective.target, self.unknowns)

    def vector(self, values: np.ndarray) -> Any:
        """All parameters of the chain, with the unknowns at `values`."""
        return self.simulation.xp.asarray(self.unknowns.apply(values).astype(self.simulation.dtype))

    def examined(self, values: np.ndarray) -> Examined:
        """The target as it is given, with the unknowns at `values`."""
        return examined(self.simulation, self.segments, self.target, self.vector(values))

    def spoilt(self, found: Examined) -> Cleaning:
        """What is no data of the model there."""
        return find_spoilt(found, self.target.hits)

    def verdict(self, found: Examined, cleaning: Cleaning) -> Verdict:
        """On the model there, without what is left out."""
        return verdict(self.simulation, self.segments, self.target, found, cleaning)


class Stages(NamedTuple):
    """All runs of a fit; what is told of a run is in a tuple, in their order."""

    runs: tuple[Stage, ...]
    unknowns: RunUnknowns
    loss: str
    optimizer: Optimizer

    @property
    def clean(self) -> tuple[Cleaning, ...]:
        """Nothing left out."""
        return tuple(Cleaning() for _ in self.runs)

    def objective(self, cleanings: tuple[Cleaning, ...]) -> Joint:
        """The loss of all runs without what is left out of each."""
        parts = [run.objective(cleaning) for run, cleaning in zip(self.runs, cleanings, strict=True)]
        return Joint(parts, self.unknowns)

    def robust_start(self, objective: Joint, record: Record) -> np.ndarray:
        """Where the fit begins: after a robust fit of matched hits on the first events of each run."""
        parts = [run.matched(part) for run, part in zip(self.runs, objective.parts, strict=True)]
        matched: Any = Robust(Joint(parts, self.unknowns))
        return warm_up(Problem(matched, record, "warm-up"), self.unknowns.start)

    def endings(self, objective: Joint, cleanings: tuple[Cleaning, ...]) -> Endings:
        """Of a fit of the objective without what is left out."""
        looks = [run.look(*of) for run, *of in zip(self.runs, objective.parts, cleanings, strict=True)]
        return Endings(objective, looks)

    def examined(self, values: np.ndarray) -> tuple[Examined, ...]:
        """The targets as they are given, with the unknowns at `values`."""
        columns = self.unknowns.columns
        return tuple(run.examined(values[of]) for run, of in zip(self.runs, columns, strict=True))

    def spoilt(self, found: tuple[Examined, ...]) -> tuple[Cleaning, ...]:
        """What is no data of the model there."""
        return tuple(run.spoilt(one) for run, one in zip(self.runs, found, strict=True))

    def verdicts(self, found: tuple[Examined, ...], cleanings: tuple[Cleaning, ...]) -> tuple[Verdict, ...]:
        """On the model there, without what is left out."""
        return tuple(run.verdict(one, out) for run, one, out in zip(self.runs, found, cleanings, strict=True))
