"""The losses of hit lists (see hit_losses.py) with their derivatives by the fitted parameters, event by event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.gradients.jacobian import electronics_rows, event_gradients, has_electronics
from lartpc.gradients.trace import Trace
from lartpc.losses.hit_losses import LOSSES
from lartpc.losses.hitlist import present_events, simulated_hits
from lartpc.simulation.batches import Batch


class MeanLoss(NamedTuple):
    """A loss that is the mean over events; n parameters."""

    values: np.ndarray  # (n_events,)
    gradients: np.ndarray  # (n_events, n)
    hits: int
    unmatched: int

    @property
    def value(self) -> float:
        return float(np.mean(self.values))

    @property
    def gradient(self) -> np.ndarray:
        return np.mean(self.gradients, axis=0)

    @property
    def spread(self) -> np.ndarray:
        """Covariance (n, n) of the mean gradient, from its spread over the events; infinite for one event."""
        off, n = self.gradients - self.gradient, len(self.values)
        return off.T @ off / (n * (n - 1)) if n > 1 else np.full((off.shape[1],) * 2, np.inf)

    def among(self, columns: np.ndarray, n: int) -> MeanLoss:
        """By all of n parameters, of which these are `columns`."""
        gradients = np.zeros((len(self.values), n))
        gradients[:, columns] = self.gradients
        return self._replace(gradients=gradients)


def join(results: Sequence[MeanLoss]) -> MeanLoss:
    """All events of several batches."""
    return MeanLoss(
        np.concatenate([p.values for p in results]),
        np.concatenate([p.gradients for p in results]),
        sum(p.hits for p in results),
        sum(p.unmatched for p in results),
    )


def event_loss(name: str) -> Callable[[Any, Batch, Any], MeanLoss]:
    """The loss of that name on one batch, as `Objective` takes it."""

    def of_batch(objective: Any, batch: Batch, parameters: Any) -> MeanLoss:
        simulation = objective.simulation
        trace = Trace(simulation, batch, parameters)
        tape, waveforms, reads, adc = trace.tape, trace.waveforms, trace.reads, trace.adc
        windows = waveforms.windows
        simulated, index = simulated_hits(simulation, batch, windows, reads, adc)
        target = objective.target.hit_list(batch)
        loss = LOSSES[name](simulated, target, simulation.detector)
        seeds = []
        for output, gradient in ((reads.time, loss.time), (reads.charge, loss.charge), (adc, loss.adc)):
            seed = simulation.xp.zeros_like(output)
            seed[index] = gradient
            seeds.append((output, seed))
        steps = waveforms.steps
        tape.backward(seeds, until=(steps.charge, waveforms.electronics))
        present = present_events(batch)
        event = np.searchsorted(present, to_numpy(batch.event[steps.segment]))
        slots = objective.slots
        gradients = event_gradients(tape, steps, event, len(present), slots)
        if has_electronics(tape, slots):
            every = np.arange(len(windows.pixel))
            rows = electronics_rows(tape, [tape.gradient(waveforms.electronics)], every, slots)
            np.add.at(gradients, np.searchsorted(present, to_numpy(windows.event)), rows)
        hits = len(target.charge)
        unmatched = objective.target.align(windows, batch, simulation.dtype).unmatched
        return MeanLoss(to_numpy(loss.value), gradients, hits - unmatched, unmatched)

    return of_batch
