"""A fit with what is left out of its target, and what the target says of the model where it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import Unknowns
from lartpc.data.segments import Segments
from lartpc.data.selection import length_batches
from lartpc.fit.optimizers import Adam, Optimizer
from lartpc.fit.problem import Problem, Record
from lartpc.fit.robust import Robust, warm_up
from lartpc.fit.target import Target
from lartpc.goodness.cleaning import Cleaning, find_spoilt
from lartpc.goodness.items import Examined, examine
from lartpc.goodness.verdict import Verdict, judge
from lartpc.losses.catalogue import SQUARES
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits, in_rows
from lartpc.simulation.batches import Batch
from lartpc.simulation.simulation import Simulation

WARM_STEPS_PER_BATCH = 16384  # the robust start needs no more than the first batch of about this many steps
DRAWN = 4  # targets that are drawn from the model to compare with


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

    def robust_start(self, objective: Objective, record: Record) -> np.ndarray:
        """Where the fit begins: after a robust fit of matched hits on the first events."""
        first = objective.simulation.batches(self.segments, WARM_STEPS_PER_BATCH, whole=False)[:1]
        matched: Any = Robust(Objective("matched", objective.simulation, first, objective.target, self.unknowns))
        return warm_up(Problem(matched, record, "warm-up"), self.unknowns.start)

    def examined(self, values: np.ndarray, n_drawn: int) -> Examined:
        """The target as it is given, with the unknowns at `values`."""
        simulation = self.simulation.without_pixels(self.target.unread)
        hits = TargetHits(self.target.hits, simulation.detector, self.target.rounded)
        vector = simulation.xp.asarray(self.unknowns.apply(values).astype(simulation.dtype))
        return examine(simulation, simulation.batches(self.segments, whole=False), hits, vector, n_drawn)

    def spoilt(self, values: np.ndarray) -> Cleaning:
        """What is no data of the model there."""
        return find_spoilt(self.examined(values, 0), self.target.hits)

    def verdict(self, values: np.ndarray, cleaning: Cleaning) -> tuple[Verdict, int]:
        """On the model there, without what is left out, and the hits on pixels where the segments give no charge."""
        examined = self.examined(values, DRAWN if self.target.noise else 0)
        spots, hits = examined.spots, self.target.without(cleaning).hits
        pixels = np.union1d(cleaning.dead, cleaning.noisy)
        lost = np.isin(spots.pixel_id, pixels) | np.isin(spots.event_id, cleaning.events)
        kept = examined.select(~(lost | in_rows(spots.event_id, spots.pixel_id, cleaning.spots)))
        places = np.stack((spots.event_id, spots.pixel_id), axis=1)
        unmatched = int(np.sum(~in_rows(hits.event_id, hits.pixel_id, places)))
        kept = kept._replace(target=kept.target._replace(unmatched=unmatched))
        return judge(kept, self.segments, self.simulation.detector), unmatched
