"""-log of the likelihood of hits as a function of the threshold of each pixel, all else as it is.

The charges between measured hits do not depend on thresholds: once they are known, those of all pixels can move. Of a
read with little charge after its crossing, which may have been vetoed, the charge is not used: what is read is above
the threshold by definition, and a likelihood whose support moves with what is estimated is biased. Whether the charge
expected is little does not depend on what was read, so that to leave it out biases nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.losses.charges import make_charges, make_vetoes
from lartpc.losses.likelihood import left_of, rounded_hits
from lartpc.losses.rounded import RoundedHits, log_ending, log_hits
from lartpc.losses.target import TargetHits, regained, until_deferred
from lartpc.simulation.batches import Batch
from lartpc.simulation.simulation import Simulation

SURE = 3.0  # readout noises of charge after the crossing, from which a read is not vetoed
ANYWHERE = 1e6  # readout noises to the edges of an ADC count of which nothing is used


class ThresholdTerms(NamedTuple):
    """What hits of n pixels of events say of their thresholds; columns (n,).

    -log L of one whose threshold is higher by d [e]: linear d^2/2 + constant d - log P(left + d), P as in `log_ending`,
    and what `log_hits` says of those in `rounded`, which have their own P.
    """

    pixel: np.ndarray  # int64, ids
    hits: np.ndarray  # int64, that are used
    linear: np.ndarray  # [1/e^2]
    constant: np.ndarray  # [1/e]
    left: np.ndarray  # threshold less charge after the last reset [e]
    deferred: np.ndarray  # whether one more hit is known to have begun
    rounded: list[tuple[np.ndarray, RoundedHits]]  # rows, and their hits: as many each
    noises: tuple[float, float]  # of reset and readout [e]

    def slope(self, shift: np.ndarray) -> np.ndarray:
        """The derivative of -log L (n,) [1/e] where the thresholds are higher by `shift` (n,) [e]."""
        _, end = log_ending(self.left + shift, self.deferred, *self.noises)
        result = self.linear * shift + self.constant - end
        for rows, hits in self.rounded:
            d = shift[rows]
            r, u = (d[:, None] / noise for noise in self.noises)
            f = log_hits(hits._replace(r=hits.r + r, u=hits.u - u, left=hits.left + d), *self.noises)
            result[rows] += f.r.sum(axis=1) / self.noises[0] - f.u.sum(axis=1) / self.noises[1] + f.left
        return result


def threshold_terms(simulation: Simulation, batch: Batch, vector: Any, target: TargetHits) -> ThresholdTerms:
    """Of the pixels of a batch that the simulation gives charge, at the parameters `vector` of the chain."""
    detector = simulation.detector
    waveforms = simulation.waveforms(batch, vector)
    pixels = simulation.pixels(waveforms)
    aligned = target.align(waveforms.windows, batch, simulation.dtype)
    if target.rounded:
        aligned = regained(aligned, pixels, waveforms.electronics)
    if detector.adc_busy_delay > 0:
        aligned = until_deferred(aligned, detector)
    charges = make_charges(waveforms, aligned, detector)
    left, deferred = left_of(pixels.threshold, charges[0], charges[-1], aligned, detector)
    before, during, rate, resume, _ = (to_numpy(array).astype(np.float64) for array in charges)
    vetoes = make_vetoes(waveforms, aligned, pixels.threshold, detector)
    if vetoes is not None:
        before -= to_numpy(vetoes.lost)
    limit, charge = (to_numpy(array).astype(np.float64) for array in (pixels.threshold[:, None], aligned.charge))
    noises = detector.reset_noise, detector.uncorrelated_noise
    count = to_numpy(aligned.count - aligned.deferred)
    used = np.arange(before.shape[1]) < count[:, None]
    sure = used & (during > SURE * noises[1])
    linear, constant = np.zeros(len(count)), np.zeros(len(count))
    rounded = []
    if aligned.low is None:
        linear += used.sum(axis=1) / noises[0] ** 2 + sure.sum(axis=1) / noises[1] ** 2
        constant += np.sum(np.where(used, limit - before, 0.0), axis=1) / noises[0] ** 2
        constant -= np.sum(np.where(sure, charge - limit - during, 0.0), axis=1) / noises[1] ** 2
    else:
        at_start = aligned._replace(fraction=aligned.fraction * 0)
        start = to_numpy(make_charges(waveforms, at_start, detector)[1]).astype(np.float64)
        low, high = (to_numpy(array).astype(np.float64) for array in (aligned.low, aligned.high))
        low, high = (
            np.where(sure, edge, charge + side * ANYWHERE * noises[1]) for edge, side in ((low, -1), (high, 1))
        )
        columns = (limit, charge, low, high, before, during, start, rate, resume)
        for n in np.unique(count[count > 0]):
            at = np.flatnonzero(count == n)
            rounded.append((at, rounded_hits(columns, at, n, left[at], deferred[at], detector)))
        left = np.where(count > 0, np.inf, left)
    pixel = to_numpy(waveforms.windows.pixel)
    return ThresholdTerms(pixel, count, linear, constant, left, deferred, rounded, noises)


def join_terms(parts: Sequence[ThresholdTerms]) -> ThresholdTerms:
    """Those of all batches."""
    first = np.cumsum([0] + [len(part.pixel) for part in parts])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ThresholdTerms._fields[:6]
    }
    rounded = [(rows + start, hits) for part, start in zip(parts, first, strict=False) for rows, hits in part.rounded]
    return ThresholdTerms(**columns, rounded=rounded, noises=parts[0].noises)
