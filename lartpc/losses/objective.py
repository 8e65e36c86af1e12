"""What a fit minimises, on batches of segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lartpc.losses import per_event as events
from lartpc.losses.catalogue import OBJECTIVES, check_noise
from lartpc.losses.linear import Linear, join
from lartpc.losses.per_event import Events
from lartpc.losses.target import TargetHits
from lartpc.simulation.batches import Batch
from lartpc.simulation.simulation import Simulation


class Objective:
    """One of `OBJECTIVES` on batches of segments; call with a parameter vector for value and derivatives.

    Raises InputError: the likelihood with a detector that has discriminator noise.
    """

    def __init__(
        self,
        kind: str,
        simulation: Simulation,
        batches: Sequence[Batch],
        target: TargetHits,
        names: Sequence[str],
        progress: Callable[[Iterable], Iterable] = lambda batches: batches,
    ) -> None:
        check_noise(kind, simulation.detector)
        self.part = OBJECTIVES[kind]
        self.simulation = simulation
        self.batches = batches
        self.target = target
        self.slots = [simulation.parameters.names.index(name) for name in names]
        self.progress = progress

    def __call__(self, parameters: np.ndarray, chosen: Sequence[int] | None = None) -> Linear | Events:
        """The sum (of events, their mean) over the batches, or over those `chosen`."""
        vector = self.simulation.xp.asarray(parameters.astype(self.simulation.dtype))
        batches = self.progress(self.batches) if chosen is None else [self.batches[k] for k in chosen]
        parts = [self.part(self, batch, vector) for batch in batches]
        return events.join(parts) if isinstance(parts[0], Events) else join(parts)
