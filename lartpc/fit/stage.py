"""A fit with what is left out of its target, and what the target says of the model where it ended."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import Unknowns
from lartpc.data.segments import Segments
from lartpc.data.selection import length_batches
from lartpc.fit.compare import examined, number_drawn, verdict
from lartpc.fit.ending import Ending
from lartpc.fit.optimizers import Adam, Optimizer
from lartpc.fit.problem import Problem, Record
from lartpc.fit.robust import Robust, warm_up
from lartpc.fit.target import Target
from lartpc.goodness.cleaning import Cleaning, find_spoilt
from lartpc.goodness.items import Examined, examine_batch
from lartpc.goodness.verdict import Verdict
from lartpc.losses.catalogue import SQUARES
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.simulation.batches import Batch
from lartpc.simulation.simulation import Simulation

WARM_STEPS_PER_BATCH = 16384  # the robust start needs no more than the first batch of about this many steps


class Stage(NamedTuple):
    """Segments and a target as they are given, and how they are fitted."""

    simulation: Simulation  # without noise, with its parameters apart
    segments: Segments
    target: Target
    unknowns: Unknowns
    loss: str
    optimizer: Optimizer
    progress: Callable[[Iterable], Iterable]

    def objective(self, cleaning: Cleaning) -> Objective:
        """The loss without what `cleaning` leaves out."""
        target = self.target.without(cleaning)
        simulation = self.simulation.without_pixels(target.unread)
        segments = self.segments.select(~np.isin(self.segments.event_id, cleaning.events))
        hits = TargetHits(target.hits, simulation.detector, target.rounded, target.ignored)
        batches = self.batches(simulation, segments)
        return Objective(self.loss, simulation, batches, hits, self.unknowns, self.progress)

    def batches(self, simulation: Simulation, segments: Segments) -> list[Batch]:
        """As the optimizer takes them."""
        if isinstance(self.optimizer, Adam):
            chosen = length_batches(segments, self.optimizer.batch_length, self.optimizer.seed)
            return [simulation.batch(segments.select(rows)) for rows in chosen]
        return simulation.batches(segments, whole=self.loss not in SQUARES)

    def ending(self, objective: Objective, cleaning: Cleaning) -> Ending:
        """Of a fit of the objective of `cleaning`, which examines the target where nothing is left out of it."""
        given = (objective.simulation, objective.target, number_drawn(self.target), self.target.noise)
        return Ending(objective, functools.partial(examine_batch, *given) if cleaning.empty else None)

    def robust_start(self, objective: Objective, record: Record) -> np.ndarray:
        """Where the fit begins: after a robust fit of matched hits on the first events."""
        first = objective.simulation.batches(self.segments, WARM_STEPS_PER_BATCH, whole=False)[:1]
        matched: Any = Robust(Objective("matched", objective.simulation, first, objective.target, self.unknowns))
        return warm_up(Problem(matched, record, "warm-up"), self.unknowns.start)

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
