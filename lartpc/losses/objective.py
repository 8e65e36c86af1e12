"""What a fit minimises, on batches of segments."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.contracts import ChainUnknowns
from lartpc.frontend.frontend import Pixels
from lartpc.losses import per_event
from lartpc.losses.catalogue import OBJECTIVES, check_acting, check_noise
from lartpc.losses.hitlist import present_events
from lartpc.losses.linear import Linear, Parts, join
from lartpc.losses.per_event import MeanLoss
from lartpc.losses.target import TargetHits
from lartpc.parameters import event_of
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms
from lartpc.simulation.simulation import Simulation


class Objective:
    """One of `OBJECTIVES` on batches of segments; call with values of the unknowns for value and derivatives.

    `watch` is shown the waveforms and pixels of each batch where it is a likelihood or residuals.

    Raises InputError: the likelihood with a detector that has discriminator noise, an unknown on which no such loss
    depends.
    """

    def __init__(
        self,
        kind: str,
        simulation: Simulation,
        batches: Sequence[Batch],
        target: TargetHits,
        unknowns: ChainUnknowns,
        progress: Callable[[Iterable], Iterable] = lambda batches: batches,
        watch: Callable[[Batch, Waveforms, Pixels], None] = lambda batch, waveforms, pixels: None,
    ) -> None:
        check_noise(kind, simulation.detector)
        check_acting(kind, target.rounded, unknowns.names)
        self.kind = kind
        self.of_batch = OBJECTIVES[kind]
        self.simulation = simulation
        self.batches = batches
        self.target = target
        self.unknowns = unknowns
        self.slots = unknowns.slots  # by which derivatives are taken
        names = simulation.parameters.names
        self.event = [event_of(names[k]) for k in unknowns.slots]  # of each that is of a single one
        self.progress = progress
        self.watch = watch

    def __call__(self, values: np.ndarray, chosen: Sequence[int] | None = None) -> Linear | Parts | MeanLoss:
        """The sum (of events, their mean) over the batches, or over those `chosen`."""
        return self.at(self.unknowns.apply(values), chosen)

    def at(self, vector: np.ndarray, chosen: Sequence[int] | None = None) -> Linear | Parts | MeanLoss:
        """The same at any parameters of the chain, (n_values,)."""
        vector = self.simulation.xp.asarray(vector.astype(self.simulation.dtype))
        batches = self.progress(self.batches) if chosen is None else [self.batches[k] for k in chosen]
        results: list[Any] = [self.on(batch, vector) for batch in batches]
        return per_event.join(results) if isinstance(results[0], MeanLoss) else join(results)

    def on(self, batch: Batch, vector: Any) -> Any:
        """What one batch gives, with derivatives by what acts on its events, where unknowns are of single ones."""
        if all(event is None for event in self.event):
            return self.of_batch(self, batch, vector)
        here = set(to_numpy(batch.event_id)[present_events(batch)].tolist())
        columns = np.flatnonzero([event is None or event in here for event in self.event])
        narrow = copy.copy(self)
        narrow.slots = self.slots[columns]
        return self.of_batch(narrow, batch, vector).among(columns, len(self.slots))
