"""What a target says of each pixel and hit of a simulation, and what targets drawn from the simulation say there."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from lartpc.arrays import to_numpy
from lartpc.autodiff.launch import plain
from lartpc.data.hits import Hits
from lartpc.frontend.frontend import Pixels, make_reads
from lartpc.losses.charges import make_charges, make_vetoes
from lartpc.losses.probability import log_no_hit
from lartpc.losses.target import Aligned, TargetHits, regained, until_deferred
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms
from lartpc.simulation.collect import hits_of, valid
from lartpc.simulation.simulation import Simulation

SURE = np.log(1e-9)  # log of a probability that does not happen
FAR = 6.5  # residuals beyond which hits are no noise
FIRST_SEED = 2**62  # of the targets that are drawn: far from those that people take


@dataclasses.dataclass
class Spots:
    """The pixels of events that a simulation gives charge, columns (n,)."""

    event_id: np.ndarray  # int64
    pixel_id: np.ndarray  # int64
    charge: np.ndarray  # that arrives [e]
    log_silence: np.ndarray  # log of the probability of no hit at all
    drift: np.ndarray  # distance to the anode [cm], mean over the charge, as the next two
    dEdx: np.ndarray  # [MeV/cm]
    cosine: np.ndarray  # of the angle between track and drift field, 0 to 1
    segment: np.ndarray  # int64, row of the segments whose charge is the largest


class Seen(NamedTuple):
    """What a target has at n spots, and its hits there, m of them."""

    hits: np.ndarray  # (n,) int64, number of hits
    left: np.ndarray  # (n,) log of the probability of no more hits after the last
    spot: np.ndarray  # (m,) int64
    r: np.ndarray  # (m,) charge that the threshold lacks at the hit's time, over the reset noise
    u: np.ndarray  # (m,) charge that was read less that expected after the crossing, over the readout noise
    slope: np.ndarray  # (m,) change of r with a time that is later [1/us]
    time: np.ndarray  # (m,) [us]
    charge: np.ndarray  # (m,) [e]
    far: np.ndarray  # (m,) whether r or u is beyond FAR by more than the rounding of the time makes it
    unmatched: int  # hits on other pixels

    def select(self, kept: np.ndarray) -> Seen:
        """With some of the spots (n,), a mask."""
        hit = kept[self.spot]
        of_hits = {name: getattr(self, name)[hit] for name in ("r", "u", "slope", "time", "charge", "far")}
        spot = (np.cumsum(kept) - 1)[self.spot[hit]]
        return Seen(self.hits[kept], self.left[kept], spot, **of_hits, unmatched=self.unmatched)


class Examined(NamedTuple):
    """A target and others drawn from the model, at the same spots."""

    spots: Spots
    target: Seen
    drawn: list[Seen]

    def select(self, kept: np.ndarray) -> Examined:
        """With some of the spots (n,), a mask."""
        spots = Spots(**{name: column[kept] for name, column in vars(self.spots).items()})
        return Examined(spots, self.target.select(kept), [seen.select(kept) for seen in self.drawn])


def examine(
    simulation: Simulation, batches: list[Batch], target: TargetHits, vector: Any, n_drawn: int, noise: bool
) -> Examined:
    """A target at the parameters `vector` of the chain, with `n_drawn` that are drawn, with `noise` or without."""
    parts = []
    for batch in batches:
        waveforms = simulation.waveforms(batch, vector)
        parts.append(examine_batch(simulation, target, n_drawn, noise, batch, waveforms, simulation.pixels(waveforms)))
    return joined(parts)


def joined(parts: list[Examined]) -> Examined:
    """Of batches, as one."""
    n_drawn = len(parts[0].drawn)
    first = np.cumsum([0] + [len(part.spots.event_id) for part in parts])
    spots = Spots(*(np.concatenate([getattr(part.spots, f.name) for part in parts]) for f in dataclasses.fields(Spots)))
    drawn = [_join([part.drawn[k] for part in parts], first) for k in range(n_drawn)]
    return Examined(spots, _join([part.target for part in parts], first), drawn)


def _join(parts: list[Seen], first: np.ndarray) -> Seen:
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Seen._fields[:-1]}
    columns["spot"] = np.concatenate([part.spot + start for part, start in zip(parts, first, strict=False)])
    return Seen(**columns, unmatched=sum(part.unmatched for part in parts))


def examine_batch(
    simulation: Simulation,
    target: TargetHits,
    n_drawn: int,
    noise: bool,
    batch: Batch,
    waveforms: Waveforms,
    pixels: Pixels,
) -> Examined:
    """As `examine`, of one batch where its waveforms are known."""
    drawn = [
        _seen(
            draw(simulation, waveforms, batch, pixels, target.rounded, noise, k), simulation, waveforms, batch, pixels
        )
        for k in range(n_drawn)
    ]
    spots = _spots(simulation, waveforms, batch, pixels)
    return Examined(spots, _seen(target, simulation, waveforms, batch, pixels), drawn)


def draw(
    simulation: Simulation, waveforms: Waveforms, batch: Batch, pixels: Pixels, rounded: bool, noise: bool, k: int
) -> TargetHits | None:
    """The k-th target that the model makes of a batch; None where it has no hit."""
    detector = simulation.detector
    reads = make_reads(waveforms, batch, pixels.threshold, FIRST_SEED + k, noise, detector, plain)
    adc = simulation.adc(reads, pixels, rounded=True)
    hits: Hits = hits_of(waveforms, reads, valid(reads), adc, batch, detector)
    return TargetHits(hits, detector, rounded) if len(hits) else None


def _seen(
    target: TargetHits | None, simulation: Simulation, waveforms: Waveforms, batch: Batch, pixels: Pixels
) -> Seen:
    detector, n = simulation.detector, len(waveforms.windows.pixel)
    if target is None:
        none = np.zeros(0)
        return Seen(
            np.zeros(n, dtype=np.int64), np.zeros(n), none.astype(np.int64), none, none, none, none, none, none > 0, 0
        )
    aligned = target.align(waveforms.windows, batch, simulation.dtype)
    unmatched, hits = aligned.unmatched, to_numpy(aligned.count)
    if target.rounded:
        aligned = regained(aligned, pixels, waveforms.electronics)
    if detector.adc_busy_delay > 0:
        aligned = until_deferred(aligned, detector)
    before, during, rate, _, after = (
        to_numpy(array).astype(np.float64) for array in make_charges(waveforms, aligned, detector)
    )
    threshold = to_numpy(pixels.threshold).astype(np.float64)
    count = to_numpy(aligned.count - aligned.deferred)
    spot, number = np.nonzero(np.arange(before.shape[1]) < count[:, None])
    charge = to_numpy(aligned.charge).astype(np.float64)[spot, number]
    vetoes = make_vetoes(waveforms, aligned, pixels.threshold, detector)
    if vetoes is not None:
        before -= to_numpy(vetoes.lost)
    r = (threshold[spot] - before[spot, number]) / detector.reset_noise
    u = (charge - threshold[spot] - during[spot, number]) / detector.uncorrelated_noise
    if aligned.low is not None:
        u[~np.isfinite(to_numpy(aligned.high - aligned.low))[spot, number]] = np.nan
    ended = to_numpy(aligned.deferred) | (hits >= detector.most_hits)
    left, _ = log_no_hit(np.where(ended, np.inf, threshold - after), detector.reset_noise, detector.uncorrelated_noise)
    if vetoes is not None:
        left = np.where(vetoes.told & ~ended, to_numpy(vetoes.log_silence), left)
    slope, time = rate[spot, number] / detector.reset_noise, to_numpy(aligned.time)[spot, number]
    blur = (0.5 * detector.tick if target.rounded else 0.0) * np.abs(slope)
    far = (np.abs(r) > FAR + blur) | (np.abs(u) > FAR + blur * detector.reset_noise / detector.uncorrelated_noise)
    return Seen(hits, left, spot, r, u, slope, time, charge, far, unmatched)


def _spots(simulation: Simulation, waveforms: Waveforms, batch: Batch, pixels: Pixels) -> Spots:
    """The spots of a batch; means weighted with what each cloud brings to the pixel, as far as it is straight above."""
    windows, detector = waveforms.windows, simulation.detector
    pixel, n = to_numpy(windows.pixel), len(windows.pixel)
    shape = (n, 1)
    xp = simulation.xp
    nothing = Aligned(
        count=xp.zeros(n, dtype=np.int64),
        tick=xp.zeros(shape, dtype=np.int64),
        fraction=xp.zeros(shape, dtype=simulation.dtype),
        time=xp.zeros(shape),
        charge=xp.zeros(shape, dtype=simulation.dtype),
        unmatched=0,
        deferred=xp.zeros(n, dtype=bool),
        ignored=xp.zeros(n, dtype=bool),
    )
    charge = to_numpy(make_charges(waveforms, nothing, detector)[-1]).astype(np.float64)
    threshold = to_numpy(pixels.threshold).astype(np.float64)
    silence, _ = log_no_hit(threshold - charge, detector.reset_noise, detector.uncorrelated_noise)
    vetoes = make_vetoes(waveforms, nothing, pixels.threshold, detector)
    if vetoes is not None:
        silence = np.where(vetoes.told, to_numpy(vetoes.log_silence), silence)

    pairs, window_pair = waveforms.of_steps()
    step, column, row = (to_numpy(array) for array in pairs[:3])
    of_pixel = to_numpy(window_pair)[to_numpy(windows.of_pixel)]
    owner = np.repeat(np.arange(n), np.diff(of_pixel))
    names = ("column", "row", "x", "y", "sigma_T", "charge", "distance")
    steps = {name: to_numpy(getattr(waveforms.steps, name)) for name in names}
    segment = to_numpy(waveforms.steps.segment)
    pitch = np.asarray(detector.pitch)[detector.tpc_of(pixel)][owner]
    weight = steps["charge"][step].astype(np.float64)
    for at, own, number in (("x", "column", column), ("y", "row", row)):
        low = ((number - steps[own][step]) * pitch - steps[at][step]) / steps["sigma_T"][step]
        weight *= ndtr(low + pitch / steps["sigma_T"][step]) - ndtr(low)
    weight += 1e-30  # neighbours of a charge, which none arrives at
    along = to_numpy(batch.end).astype(np.float64) - to_numpy(batch.start)
    length = np.sqrt(np.sum(along**2, axis=1))
    cosine = np.divide(np.abs(along[:, 2]), length, out=np.zeros(len(length)), where=length > 0.0)
    total = np.bincount(owner, weight, n)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weight * values, n) / total

    order = np.lexsort((weight, owner))
    largest = order[of_pixel[1:] - 1]
    return Spots(
        event_id=to_numpy(batch.event_id)[to_numpy(windows.event)],
        pixel_id=pixel,
        charge=charge,
        log_silence=silence,
        drift=mean(steps["distance"][step]),
        dEdx=mean(to_numpy(batch.dEdx)[segment[step]]),
        cosine=mean(cosine[segment[step]]),
        segment=to_numpy(batch.place)[segment[step[largest]]],
    )
