"""What a fit minimises: residuals with their Jacobian, and for the likelihood the terms that are no residuals.

matched: time and charge of simulated hits against measured ones of the same pixel and order, where both have the same
number of hits. Robust and convergent from far away; biased by noise.

likelihood: the probability of the measured hit list. With the simulated noiseless charge Q(t) of a pixel, measured
hits (t_k, q_k), e_k = t_k + hold, reset noise s_r and readout noise s_u:

r_k = (threshold - [Q(t_k) - Q(e_{k-1})])/s_r,  u_k = (q_k - threshold - [Q(e_k) - Q(t_k)])/s_u
-log L = sum_k [r_k^2/2 + u_k^2/2 - log I(t_k)] - sum_pixels log P0(threshold - [Q(end) - Q(e_n)])

P0(x) is the probability that the charge threshold - x which is left gives no hit: with A = reset noise and B = A +
readout noise, it is not both A >= x (the threshold is crossed) and B >= x (the read is not vetoed), as all of it has
arrived by the time of the read. Pixels without hits count too; where the number of hits is capped the term is left out.

residuals: r_k and u_k alone, which vanish at the truth for a target without noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import erf, log_ndtr, ndtr, owens_t

from . import chain
from .jacobian import parameter_rows
from .kernels import slots
from .simulation import Simulation, to_numpy
from .tape import Tape
from .target import Target


class Linear(NamedTuple):
    """An objective near some parameters: sum of squared residuals/2 + rest, with derivatives by what is fitted."""

    residual: np.ndarray  # (m,)
    jacobian: np.ndarray  # (m, n) of the residuals
    rest: float
    gradient_rest: np.ndarray  # (n,)
    hits: int  # target hits that take part
    unmatched: int  # target hits that do not

    @property
    def value(self) -> float:
        return 0.5 * float(self.residual @ self.residual) + self.rest

    @property
    def gradient(self) -> np.ndarray:
        return self.jacobian.T @ self.residual + self.gradient_rest

    @property
    def information(self) -> np.ndarray:
        """The Gauss-Newton form of the Hessian (n, n)."""
        return self.jacobian.T @ self.jacobian


def join(parts: Sequence[Linear]) -> Linear:
    """The sum over batches."""
    return Linear(
        np.concatenate([p.residual for p in parts]),
        np.concatenate([p.jacobian for p in parts]),
        sum(p.rest for p in parts),
        np.sum([p.gradient_rest for p in parts], axis=0),
        sum(p.hits for p in parts),
        sum(p.unmatched for p in parts),
    )


class Objective:
    """One of `OBJECTIVES` on batches of segments; call with a parameter vector for its `Linear` form."""

    def __init__(
        self,
        kind: str,
        simulation: Simulation,
        batches: Sequence[chain.Batch],
        target: Target,
        names: Sequence[str],
        progress: Callable[[Iterable], Iterable] = lambda batches: batches,
    ) -> None:
        self.part = OBJECTIVES[kind]
        self.simulation = simulation
        self.batches = batches
        self.target = target
        self.slots = [slots.PARAMETERS.index(name) for name in names]
        self.progress = progress

    def __call__(self, parameters: np.ndarray) -> Linear:
        vector = self.simulation.xp.asarray(parameters.astype(self.simulation.dtype))
        return join([self.part(self, batch, vector) for batch in self.progress(self.batches)])

    def rows(self, tape: Tape, windows: chain.Windows, grad: Any, pixels: Any) -> np.ndarray:
        return parameter_rows(tape, windows, grad, pixels)[:, self.slots]


def matched(objective: Objective, batch: chain.Batch, parameters: Any) -> Linear:
    """Residuals (time - target)/(0.1 us) and (charge - target)/(1000 e) of hits matched by pixel and order."""
    simulation, tape = objective.simulation, Tape()
    waveforms = simulation.waveforms(batch, parameters, tape.launch)
    windows = waveforms.windows
    pixels = simulation.pixels(windows)
    reads = simulation.reads(waveforms, batch, pixels, tape.launch)
    target = objective.target.align(windows, batch, simulation.dtype)
    tick = simulation.detector.tick
    time = windows.tick[reads.window] * tick + reads.time.astype(np.float64) - target.time
    charge = reads.charge - target.charge
    same = (reads.count == target.count) & (target.count > 0)
    residual, jacobian = [], []
    for n in range(reads.charge.shape[1]):
        chosen = simulation.xp.flatnonzero(same & (target.count > n))
        if len(chosen) == 0:
            break
        for what, difference, unit in (("time", time, 0.1), ("charge", charge, 1000.0)):
            seed = simulation.xp.zeros_like(reads.charge)
            seed[chosen, n] = 1.0
            tape.backward([(getattr(reads, what), seed)], until=waveforms.current)
            rows = objective.rows(tape, windows, tape.gradient(waveforms.current), chosen)
            residual.append(to_numpy(difference[chosen, n]) / unit)
            jacobian.append(rows / unit)
    hits = int(target.count[same].sum())
    return linear(objective, residual, jacobian, 0.0, 0.0, hits, int(target.count.sum()) - hits + target.unmatched)


def residuals(objective: Objective, batch: chain.Batch, parameters: Any) -> Linear:
    """r and u alone."""
    return hit_list(objective, batch, parameters, whole=False)


def likelihood(objective: Objective, batch: chain.Batch, parameters: Any) -> Linear:
    """The whole -log L."""
    return hit_list(objective, batch, parameters, whole=True)


OBJECTIVES = {"likelihood": likelihood, "residuals": residuals, "matched": matched}


def hit_list(objective: Objective, batch: chain.Batch, parameters: Any, whole: bool) -> Linear:
    simulation, tape = objective.simulation, Tape()
    xp, detector = simulation.xp, simulation.detector
    waveforms = simulation.waveforms(batch, parameters, tape.launch)
    windows = waveforms.windows
    threshold = simulation.pixels(windows).threshold
    target = objective.target.align(windows, batch, simulation.dtype)
    outputs = chain.make_charges(waveforms, target, detector, tape.launch)
    before, during, rate, after = outputs
    r = (threshold[:, None] - before) / detector.reset_noise
    u = (target.charge - threshold[:, None] - during) / detector.uncorrelated_noise
    residual, jacobian = [], []

    def derivative(pixels: Any, seeds: Sequence[tuple[Any, Any]]) -> np.ndarray:
        tape.backward(seeds, until=waveforms.current)
        return objective.rows(tape, windows, tape.gradient(waveforms.current), pixels)

    for n in range(before.shape[1]):
        chosen = xp.flatnonzero(target.count > n)
        if len(chosen) == 0:
            break
        for output, value, unit in (
            (before, r, detector.reset_noise),
            (during, u, detector.uncorrelated_noise),
        ):
            seed = xp.zeros_like(output)
            seed[chosen, n] = -1.0 / unit
            jacobian.append(derivative(chosen, [(output, seed)]))
            residual.append(to_numpy(value[chosen, n]).astype(np.float64))
    rest, gradient_rest = 0.0, 0.0
    if whole:
        used = xp.arange(before.shape[1]) < target.count[:, None]
        open_ended = target.count < detector.max_hits
        left = to_numpy(xp.where(open_ended, threshold - after, np.inf)).astype(np.float64)
        log_none, slope = log_no_hit(left, detector.reset_noise, detector.uncorrelated_noise)
        rest = -float(np.sum(log_none)) - float(xp.log(rate[used].astype(np.float64)).sum())
        grad_after = xp.asarray(slope.astype(simulation.dtype))
        chosen = xp.flatnonzero((xp.abs(grad_after) > 1e-9) | (target.count > 0))
        seeds = [(rate, xp.where(used, -1.0 / xp.where(used, rate, 1.0), 0.0)), (after, grad_after)]
        gradient_rest = derivative(chosen, seeds).sum(axis=0)
    return linear(objective, residual, jacobian, rest, gradient_rest, int(target.count.sum()), target.unmatched)


def log_no_hit(x: np.ndarray, reset_noise: float, uncorrelated_noise: float) -> tuple[np.ndarray, np.ndarray]:
    """log P0(x) and d(log P0)/dx; x [e] is threshold less charge, (n,).

    P0 = 1 - P(A >= x, B >= x) = [Phi(h) + Phi(k)]/2 + T(k, s_u/s_r), h = x/s_r, k = x/sqrt(s_r^2 + s_u^2), T Owen's
    function; P(B < x) where that underflows.
    """
    total = np.hypot(reset_noise, uncorrelated_noise)
    h, k, a = x / reset_noise, x / total, uncorrelated_noise / reset_noise
    far = h < -30.0
    near = 0.5 * (ndtr(h) + ndtr(k)) + owens_t(k, a)
    density = 0.5 * (normal(h) / reset_noise + normal(k) / total * (1.0 - erf(a * k / np.sqrt(2.0))))
    safe = np.where(far, 1.0, near)
    log_far = log_ndtr(k)
    slope_far = np.exp(-0.5 * k * k - log_far) / np.sqrt(2.0 * np.pi) / total
    return np.where(far, log_far, np.log(safe)), np.where(far, slope_far, density / safe)


def normal(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)


def linear(
    objective: Objective,
    residual: list[np.ndarray],
    jacobian: list[np.ndarray],
    rest: float,
    gradient_rest: Any,
    hits: int,
    unmatched: int,
) -> Linear:
    n = len(objective.slots)
    return Linear(
        np.concatenate(residual or [np.zeros(0)]),
        np.concatenate(jacobian or [np.zeros((0, n))]),
        rest,
        np.zeros(n) + gradient_rest,
        hits,
        unmatched,
    )
