"""Residuals of hits matched by pixel and order, for a robust start."""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.arrays import to_numpy
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
    same = (reads.count == target.count) & (target.count > 0)
    # Checks the whole tape; nothing is written after it.
    of_pixels = Jacobian(tape, waveforms, objective.slots)
    residual, jacobian, pixel = [], [], []
    for n in range(most):
        chosen = simulation.xp.flatnonzero(same & (target.count > n))
        if len(chosen) == 0:
            break
        for what, difference, unit in (("time", time, 0.1), ("charge", charge, 1000.0)):
            seed = simulation.xp.zeros_like(reads.charge)
            seed[chosen, n] = 1.0
            pixel.append(to_numpy(windows.pixel[chosen]))
            residual.append(to_numpy(difference[chosen, n]) / unit)
            jacobian.append(of_pixels.of_seeds([(getattr(reads, what), seed)], chosen) / unit)
    hits = int(target.count[same].sum())
    unmatched = int(target.count.sum()) - hits + target.unmatched
    return linear(objective, residual, jacobian, 0.0, 0.0, hits, unmatched, pixel)
