"""What a fit minimises: residuals with their Jacobian, and for the likelihood the terms that are no residuals.

matched: time and charge of simulated hits against measured ones of the same pixel and order, where both have the same
number of hits. Robust and convergent from far away; biased by noise.

likelihood: the probability of the measured hit list. With the simulated noiseless charge Q(t) of a pixel, measured
hits (t_k, q_k), reads e_k = t_k + hold, ends of reset s_k = e_k + reset_cycles, reset noise s_r and readout noise s_u:

r_k = (threshold - [Q(t_k) - Q(s_{k-1})])/s_r,  u_k = (q_k - threshold - [Q(e_k) - Q(t_k)])/s_u
-log L = sum_k [r_k^2/2 + u_k^2/2 - log I(t_k)] - sum_pixels log P0(threshold - [Q(end) - Q(s_n)])

P0(x) is the probability that the charge threshold - x which is left gives no hit: with A = reset noise and B = A +
readout noise, it is not both A >= x (the threshold is crossed) and B >= x (the read is not vetoed), as all of it has
arrived by the time of the read. Where it goes again before that, vetoed reads between hits have reset the pixel at
times that nothing tells: then `reset_odds` gives P0, and the sum over those times for exp(-r_k^2/2), of which r_k has
the mean of the charge lost and the rest is apart. These odds go to 0 smoothly with the charge that goes, and are 0 for
less than 1 % of the readout noise. Pixels without hits count too; where the number of hits is capped the term is left
out. Where the ADC is busy after a hit, a pixel counts up to its first hit that waited for it
(`target.until_deferred`), and its last term is -log Phi(-(threshold - [Q(free) - Q(s_n)])/s_r).
There is no term for the noise of a discriminator.

residuals: r_k and u_k alone, which vanish at the truth for a target without noise: r_k from the reset of the last
vetoed read that the charge without noise makes (`reset_path`).

A rounded target gives the tick of t_k and the ADC count of q_k alone: its likelihood is in rounded.py. It is no sum of
squares, but f' H^-1 f'/2 is one, with the derivatives f' by all r_k and u_k of a pixel and their Hessian H, and enters
with the information H; what is left of the value is apart, so that value and gradient are exact. The expectation of
f' f'^T is that of H, so the mean square of these residuals is near 1 for a good model: 1 for rounding far finer than
the noise, 0.9 (measured) for module0, where f' is bounded by the ends of ticks and counts.
`residuals` of a rounded target take the middles of tick and count for the values, and do not vanish at the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import all_to_numpy, namespace, to_numpy
from lartpc.autodiff.tape import Tape
from lartpc.detector.detector import Detector
from lartpc.frontend.frontend import Pixels
from lartpc.gradients.jacobian import Jacobian
from lartpc.losses.charges import lost_to_vetoes, make_charges, make_vetoes, rest_of_vetoes
from lartpc.losses.linear import Linear, linear
from lartpc.losses.rounded import RoundedHits, log_ending, log_hits
from lartpc.losses.target import Aligned, TargetHits, regained, until_deferred
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms
from lartpc.simulation.simulation import Simulation

LEAST_CURVATURE = 1e-3  # of -log L by r_k, u_k of rounded hits: a charge far inside a clipped count says nothing
LEAST_SILENCE = 1e-10  # [1/e^2] curvature of log P0 that counts; that of a hit is 1e-6
SMALLEST = 1e-9  # [1/e] slope of log P0 from which a pixel without hits counts in the gradient


def residuals(objective: Any, batch: Batch, parameters: Any) -> Linear:
    """r and u alone."""
    return hit_list(objective, batch, parameters, whole=False)


def likelihood(objective: Any, batch: Batch, parameters: Any) -> Linear:
    """The whole -log L."""
    return hit_list(objective, batch, parameters, whole=True)


def hit_list(objective: Any, batch: Batch, parameters: Any, whole: bool) -> Linear:
    tape = Tape()
    compared = compare(objective.simulation, objective.target, batch, parameters, tape, whole)
    waveforms, pixels, target, terms = compared
    # Checks the whole tape; nothing is written after it.
    of_pixels = Jacobian(tape, waveforms, objective.slots)
    id_of, residual, pixel = to_numpy(waveforms.windows.pixel), [], []

    def losses() -> Iterator[tuple[np.ndarray, list[Seed]]]:
        for chosen, values, seeds in terms.squares:
            pixel.append(id_of[chosen])
            residual.append(values)
            yield chosen, seeds
        if whole:
            yield terms.of_rest

    jacobian = of_pixels.of_all(losses())
    rest, gradient_rest = (terms.rest, jacobian.pop().sum(axis=0)) if whole else (0.0, 0.0)
    objective.watch(batch, waveforms, pixels)
    return linear(objective, residual, jacobian, rest, gradient_rest, compared.used, target.unmatched, pixel)


Seed = tuple[Any, Any]  # an output of a kernel, and what its derivatives count with


class Terms(NamedTuple):
    """-log L of a batch: sum of squared residuals/2 + rest."""

    squares: Iterable[tuple[np.ndarray, np.ndarray, list[Seed]]]  # pixels, residuals, and what their rows are made of
    rest: float
    of_rest: tuple[np.ndarray, list[Seed]]  # pixels that it depends on, and what its gradient is made of
    rest_of_pixel: np.ndarray  # (n_pixels,) float64
    curved: Iterable[tuple[np.ndarray, list[Seed]]]  # pixels, and roots of the curvature of the rest: of an information


class Compared(NamedTuple):
    """A batch of segments next to the hits of its pixels."""

    waveforms: Waveforms
    pixels: Pixels
    target: Aligned
    terms: Terms

    @property
    def used(self) -> int:
        """Target hits of which all is used."""
        return int((self.target.count - self.target.deferred).sum())


def compare(
    simulation: Simulation, target: TargetHits, batch: Batch, parameters: Any, tape: Tape, whole: bool = True
) -> Compared:
    """Simulate a batch, with its launches on the `tape`, and the terms of its pixels' likelihood.

    `whole`: or those of the residuals of a rounded target, which take the middles of tick and count.
    """
    waveforms = simulation.waveforms(batch, parameters, tape.launch)
    pixels = simulation.pixels(waveforms, tape.launch)
    aligned = target.align(waveforms.windows, batch, simulation.dtype)
    if target.rounded:
        aligned = regained(aligned, pixels, waveforms.electronics)
    if simulation.detector.adc_busy_delay > 0:
        aligned = until_deferred(aligned, simulation.detector)
    of = (waveforms, aligned, pixels, simulation.detector, tape)
    terms = rounded_terms(*of) if whole and target.rounded else exact_terms(*of, whole)
    return Compared(waveforms, pixels, aligned, terms)


def exact_terms(
    waveforms: Waveforms, target: Aligned, pixels: Pixels, detector: Detector, tape: Tape, whole: bool = True
) -> Terms:
    """r_k^2/2 + u_k^2/2 - log I(t_k) and -log P0. Not `whole`: r_k behind the vetoed reads that are without noise."""
    threshold = pixels.threshold
    before, during, rate, _, after = make_charges(waveforms, target, detector, tape.launch)
    xp, count = namespace(before), target.count - target.deferred
    used = xp.arange(before.shape[1]) < count[:, None]
    vetoes = make_vetoes(waveforms, target, threshold, detector, tape.launch) if whole else None
    lost = vetoes.lost if vetoes else None
    if not whole:
        lost = lost_to_vetoes(waveforms, target, before, threshold, detector, tape.launch)
    r = (threshold[:, None] - (before if lost is None else before - lost)) / detector.reset_noise
    u = (target.charge - threshold[:, None] - during) / detector.uncorrelated_noise

    def squares() -> Iterator[tuple[np.ndarray, np.ndarray, list[Seed]]]:
        values, number = all_to_numpy([r, u]), to_numpy(count)
        for n in range(int(number.max(initial=0))):
            chosen = np.flatnonzero(number > n)
            for output, value, unit, of_threshold in (
                (before, values[0], detector.reset_noise, 1.0),
                (during, values[1], detector.uncorrelated_noise, -1.0),
            ):
                seed, own = xp.zeros_like(output), xp.zeros_like(threshold)
                seed[:, n] = xp.where(used[:, n], -1.0 / unit, 0.0)
                own[...] = xp.where(used[:, n], of_threshold / unit, 0.0)
                seeds = [(output, seed), (threshold, own)]
                if output is before and lost is not None:
                    seeds.append((lost, -seed))
                if output is during and target.low is not None:
                    seeds += seeds_of_charge(pixels, own, target.charge[:, n])
                yield chosen, value[chosen, n].astype(np.float64), seeds

    left, deferred = left_of(threshold, before, after, target, detector)
    unspoken, more, seeds_more = rest_of_vetoes(vetoes, left, deferred, used)
    log_end, slope = log_ending(unspoken, deferred, detector.reset_noise, detector.uncorrelated_noise)
    log_rate = to_numpy(xp.log(xp.where(used, rate, 1.0).astype(np.float64)).sum(axis=1))
    rest = float(np.sum(more)) - float(np.sum(log_end)) - float(np.sum(log_rate))
    acting = (np.abs(slope) > SMALLEST) | (np.abs(more) > SMALLEST) | (to_numpy(target.count) > 0)
    chosen = np.flatnonzero(acting)
    grad_rate = xp.where(used, -1.0 / xp.where(used, rate, 1.0), 0.0)
    seeds = [(rate, grad_rate), *seeds_of_left(slope, before, after, target, threshold), *seeds_more]
    curved = curved_of(left, deferred, before, rate, after, target, threshold, detector)
    return Terms(squares(), rest, (chosen, seeds), more - log_end - log_rate, curved)


def rounded_terms(waveforms: Waveforms, target: Aligned, pixels: Pixels, detector: Detector, tape: Tape) -> Terms:
    """-log of the probability of ticks and counts (rounded.py), pixel by pixel, and -log P0 of those without hits.

    With its derivative f' by z = (r_1, u_1, r_2, ...) and Hessian H = V diag(l) V^T, a pixel has the residuals
    l^{-1/2} V^T f' with the Jacobian l^{1/2} V^T dz: the gradient is exact and the information H.
    """
    before, during, rate, resume, after = make_charges(waveforms, target, detector, tape.launch)
    xp, threshold = namespace(before), pixels.threshold
    start = target._replace(fraction=xp.zeros_like(target.fraction))
    _, during_start, *_ = make_charges(waveforms, start, detector, tape.launch)
    vetoes = make_vetoes(waveforms, target, threshold, detector, tape.launch)
    noises = detector.reset_noise, detector.uncorrelated_noise
    count = to_numpy(target.count - target.deferred)
    charges = (before if vetoes is None else before - vetoes.lost, during, during_start, rate, resume)
    limit, q, low, high, before_, during_, start_, rate_, resume_ = (
        to_numpy(a).astype(np.float64) for a in (threshold[:, None], target.charge, target.low, target.high, *charges)
    )
    vetoed = (low < limit) & (limit < high)  # a read below threshold is
    low, gain = np.where(vetoed, limit, low), to_numpy(pixels.gain).astype(np.float64)[:, None]
    left, deferred = left_of(threshold, before, after, target, detector)
    used = xp.arange(before.shape[1]) < xp.asarray(count)[:, None]
    silent = np.where(count == 0, left, np.inf)
    left, more, seeds_more = rest_of_vetoes(vetoes, left, deferred, used)
    log_none, slope = log_ending(np.where(count == 0, left, np.inf), False, *noises)
    rest, grad_left = float(np.sum(more)) - float(np.sum(log_none)), slope
    rest_of_pixel = more - log_none
    most = int(count.max(initial=0))
    residual, roots = np.zeros((len(count), 2 * most)), []  # roots: of the pixels with as many hits each
    grad_rate, grad_during, grad_resume, grad_below, grad_above = (np.zeros(before.shape) for _ in range(5))
    for n in np.unique(count[count > 0]):
        at = np.flatnonzero(count == n)
        columns = (limit, q, low, high, before_, during_, start_, rate_, resume_)
        hits = rounded_hits(columns, at, n, left[at], deferred[at], detector)
        f = log_hits(hits, *noises)
        squared, vectors = np.linalg.eigh(f.hessian)
        scale = np.sqrt(np.maximum(squared, LEAST_CURVATURE))
        gradient = np.stack((f.r, f.u), axis=2).reshape(len(at), 1, 2 * n)
        residual[at, : 2 * n] = (gradient @ vectors)[:, 0] / scale
        pairs = (vectors * scale[:, None, :]).reshape(len(at), n, 2, 2 * n)
        roots.append((at, n, -pairs.transpose(0, 2, 1, 3) / np.reshape(noises, (1, 2, 1, 1))))
        rest += float(np.sum(f.value) - 0.5 * np.sum(residual[at] ** 2))
        rest_of_pixel[at] += f.value - 0.5 * np.sum(residual[at] ** 2, axis=1)
        grad_rate[at, :n], grad_resume[at, :n] = f.charge * detector.tick, f.resume * detector.tick
        grad_during[at, :n], grad_left[at] = 2.0 * f.swing, -f.left
        grad_below[at, :n], grad_above[at, :n] = f.below / noises[1], f.above / noises[1]

    def device(array: np.ndarray) -> Any:
        return xp.asarray(array.astype(before.dtype))

    def squares() -> Iterator[tuple[np.ndarray, np.ndarray, list[Seed]]]:
        for j in range(2 * most):
            chosen = np.flatnonzero(2 * count > j)
            seeds = np.zeros((2, *before.shape))
            for at, n, root in roots:
                if 2 * n > j:
                    seeds[:, at, :n] = root[..., j].transpose(1, 0, 2)
            slopes = (seeds[1] - seeds[0], seeds[1] * q / gain, seeds[1] / gain)
            of_pixels = [(array, device(of.sum(axis=1))) for array, of in zip(pixels, slopes, strict=True)]
            of_charges = [(before, device(seeds[0])), (during, device(seeds[1]))]
            if vetoes is not None:
                of_charges.append((vetoes.lost, device(-seeds[0])))
            yield chosen, residual[chosen, j], of_charges + of_pixels

    acting = (np.abs(grad_left) > SMALLEST) | (np.abs(more) > SMALLEST) | (count > 0)
    chosen = np.flatnonzero(acting)
    seeds = [(rate, grad_rate), (resume, grad_resume), (during, grad_during), (during_start, -grad_during)]
    # The edges of a count, from where u_k is taken: they scale with 1/gain, but for the threshold among them.
    below, above = (np.where(np.isfinite(edge), edge, 0.0) for edge in (np.where(vetoed, q, q - low), high - q))
    moved = np.where(vetoed, grad_below, 0.0)
    of_pixels = (-moved, -(grad_below * below + grad_above * above) / gain, -moved / gain)
    seeds += [(array, of.sum(axis=1)) for array, of in zip(pixels, of_pixels, strict=True)]
    seeds = [(output, device(seed)) for output, seed in seeds]
    seeds += [*seeds_of_left(grad_left, before, after, target, threshold), *seeds_more]
    curved = curved_of(silent, False, before, rate, after, target, threshold, detector)
    return Terms(squares(), rest, (chosen, seeds), rest_of_pixel, curved)


def rounded_hits(
    columns: Sequence[np.ndarray], at: np.ndarray, n: int, left: np.ndarray, deferred: np.ndarray, detector: Detector
) -> RoundedHits:
    """The first `n` hits of the pixels `at`, of columns (n_pixels, most).

    These are threshold (n_pixels, 1), charge of the hit, from low to high, and of the simulation before, during, during
    from the start of the tick of the crossing, rate, resume; see `make_charges`. `left`, `deferred` (len(at),).
    """
    limit, charge, low, high, before, during, start, rate, resume = (column[at, :n] for column in columns)
    return RoundedHits(
        (limit - before) / detector.reset_noise,
        (charge - limit - during) / detector.uncorrelated_noise,
        rate * detector.tick,
        2.0 * (during - start),
        resume * detector.tick,
        (charge - low) / detector.uncorrelated_noise,
        (high - charge) / detector.uncorrelated_noise,
        left,
        deferred,
    )


def seeds_of_charge(pixels: Pixels, slope: Any, charge: Any) -> list[Seed]:
    """The seeds by gain and offset for -`slope` (n_pixels,) by a charge (n_pixels,) that an ADC count is the middle of.

    q = (adc full_scale/adc_counts - offset)/gain: dq/d(gain) = -q/gain, dq/d(offset) = -1/gain.
    """
    return [(pixels.gain, slope * charge / pixels.gain), (pixels.offset, slope / pixels.gain)]


def left_of(
    threshold: Any, before: Any, after: Any, target: Aligned, detector: Detector
) -> tuple[np.ndarray, np.ndarray]:
    """Threshold less the charge after the last reset [e], (n_pixels,), and where that is up to a deferred hit.

    Infinite where hits are capped, or nothing is known.
    """
    xp = namespace(after)
    last = xp.maximum(target.count - 1, 0)
    charge = xp.where(target.deferred, before[xp.arange(len(after)), last], after)
    told = target.deferred | (target.count < detector.most_hits)
    left = xp.where(told & ~target.ignored, threshold - charge, np.inf)
    return to_numpy(left).astype(np.float64), to_numpy(target.deferred)


def curved_of(
    left: np.ndarray,
    deferred: np.ndarray | bool,
    before: Any,
    rate: Any,
    after: Any,
    target: Aligned,
    threshold: Any,
    detector: Detector,
) -> Iterator[tuple[np.ndarray, list[Seed]]]:
    """Roots of the second derivative of -log P0 by the charge that is left, and 1/I(t_k) of the rate of each hit.

    Of -log I this is what is expected of the second derivative: the Fisher information of the times of a rate.
    """
    xp, noises = namespace(after), (detector.reset_noise, detector.uncorrelated_noise)
    (_, above), (_, below) = (log_ending(left + step, deferred, *noises) for step in (1.0, -1.0))
    curvature = np.maximum(0.5 * (below - above), 0.0)
    chosen = np.flatnonzero(curvature > LEAST_SILENCE)
    yield chosen, seeds_of_left(np.sqrt(curvature), before, after, target, threshold)
    count = to_numpy(target.count - target.deferred)
    for n in range(int(count.max(initial=0))):
        seed, chosen = xp.zeros_like(rate), np.flatnonzero(count > n)
        own = xp.asarray(chosen)
        seed[own, n] = 1.0 / rate[own, n]
        yield chosen, [(rate, seed)]


def seeds_of_left(slope: np.ndarray, before: Any, after: Any, target: Aligned, threshold: Any) -> list[Seed]:
    """The seeds for a derivative (n_pixels,) by the charge that `left_of` takes from the threshold."""
    xp = namespace(after)
    slope = xp.asarray(slope.astype(after.dtype))
    rows = xp.flatnonzero(target.deferred)
    grad_before = xp.zeros_like(before)
    grad_before[rows, target.count[rows] - 1] = slope[rows]
    return [(after, xp.where(target.deferred, xp.zeros_like(slope), slope)), (before, grad_before), (threshold, -slope)]
