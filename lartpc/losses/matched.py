"""Residuals of hits matched by pixel and order, for a robust start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lartpc.arrays import all_to_numpy, to_numpy
from lartpc.autodiff.tape import Tape
from lartpc.gradients.jacobian import Jacobian
from lartpc.losses.linear import Linear, linear
from lartpc.simulation.batches import Batch


def matched(objective: Any, batch: Batch, parameters: Any) -> Linear:
    """Residuals (time - target)/(0.1 us) and (charge - target)/(1000 e) of hits matched by pixel and order."""
    simulation, tape = objective.simulation, Tape()
    waveforms = simulation.waveforms(batch, parameters, tape.launch)
    windows = waveforms.windows
    pixels = simulation.pixels(waveforms, tape.launch)
    reads = simulation.reads(waveforms, batch, pixels, tape.launch)
    target = objective.target.align(windows, batch, simulation.dtype)
    tick = simulation.detector.tick
    most = min(reads.charge.shape[1], target.charge.shape[1])  # those with as many hits have no more
    time = (windows.tick[reads.window] * tick + reads.time.astype(np.float64))[:, :most] - target.time[:, :most]
    charge = reads.charge[:, :most] - target.charge[:, :most]
    count, found, pixel = all_to_numpy([target.count, reads.count, windows.pixel])
    units = {"time": 0.1, "charge": 1000.0}
    off = {"time": to_numpy(time) / units["time"], "charge": to_numpy(charge) / units["charge"]}
    same = (found == count) & (count > 0)
    rows = [np.flatnonzero(same & (count > n)) for n in range(min(most, int(count[same].max(initial=0))))]

    def seeds() -> Iterator[tuple[np.ndarray, list[tuple[Any, Any]]]]:
        alike = reads.count == target.count
        for n, chosen in enumerate(rows):
            for what in off:
                seed = simulation.xp.zeros_like(reads.charge)
                seed[:, n] = alike & (target.count > n)
                yield chosen, [(getattr(reads, what), seed)]

    # Checks the whole tape; nothing is written after it.
    jacobian = Jacobian(tape, waveforms, objective.slots).of_all(seeds())
    jacobian = [row / unit for row, unit in zip(jacobian, (*units.values(),) * len(rows), strict=True)]
    residual = [both[chosen, n] for n, chosen in enumerate(rows) for both in off.values()]
    hits = int(count[same].sum())
    unmatched = int(count.sum()) - hits + target.unmatched
    pixels = [pixel[chosen] for chosen in rows for _ in off]
    return linear(objective, residual, jacobian, 0.0, 0.0, hits, unmatched, pixels)
