"""Fits of tracks one by one, at given parameters of the detector: Gauss-Newton with damping by the prior's metric.

Damping by diag(H) stalls, as kinks have large diagonals and the soft directions are sums of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.reconstruction.layout import LENGTH, RHO, SLOPES, TIME, Z
from lartpc.reconstruction.likelihood import Near, TrackLikelihood
from lartpc.reconstruction.track import Track

DAMPING, LOWEST, HIGHEST = 3.0, 1e-3, 1e9
EASED, RAISED = 0.1, 8.0  # of the damping, after a step that went as foreseen and one that went up
AS_FORESEEN, HARDLY = 0.75, 0.25  # of the decrease that the linear model foresees
NOISE = 1e-3  # of F: what rounding of numbers makes of it
DECREMENT = 0.05  # sqrt(g H^-1 g) [errors] down to which a track is fitted
CLOSE = 0.5  # below which it is at its minimum, but for what a joint fit does anyway
ITERATIONS = 30
REACH, REACH_POINT, REACH_SLOPE, REACH_TIME = 2.0, 0.2, 0.15, 2.0  # of steps: in errors, [cm], 1, [us]
REACH_RANGE = 0.5  # of the residual range, where that is more than `REACH_POINT`
SHORTEST = 0.1  # [cm]


def decrement(near: Near) -> float:
    """sqrt(g H^-1 g): how far the minimum is, in errors."""
    square = float(near.gradient @ np.linalg.solve(near.information, near.gradient))
    return float(np.sqrt(max(square, 0.0)))


class Fitted(NamedTuple):
    """A track where its fit ended."""

    track: Track
    eta: np.ndarray
    near: Near

    @property
    def converged(self) -> bool:
        """Whether its fit ended near a minimum."""
        return decrement(self.near) < CLOSE

    @property
    def strain(self) -> float:
        """(sum of squared residuals - 2 log prior)/(number of residuals): about 1 where the hypothesis is right."""
        prior, _, _ = self.track.prior(self.eta)
        return (self.near.squares + 2.0 * prior) / max(len(self.near.residual), 1)


def moved(track: Track, eta: np.ndarray, step: np.ndarray, drift: float = 0.0) -> np.ndarray:
    """eta + step, where no number goes further than a linear model may be believed and the length stays above 0.

    drift: [cm] that z goes along with a given time, in which the model is linear however far.
    """
    reach = np.full(len(eta), REACH)
    reach[:3] = reach[LENGTH] = REACH_POINT
    reach[Z] += drift
    reach[RHO] = max(REACH_POINT, REACH_RANGE * eta[RHO])
    reach[SLOPES], reach[TIME] = REACH_SLOPE, REACH_TIME
    step, both = step.copy(), [Z, TIME]  # a place along the drift and the time go together
    step[both] *= np.min(reach[both] / np.maximum(np.abs(step[both]), reach[both]))
    there = eta + np.clip(step, -reach, reach)
    there[LENGTH] = max(there[LENGTH], SHORTEST)
    return there


def damped(damping: float, gain: float, foreseen: float) -> float:
    """The damping after a step by which F fell by `gain`, `foreseen` by the linear model; NaN: by no number."""
    if not gain >= -NOISE:
        return RAISED * damping
    if gain > AS_FORESEEN * foreseen:
        return max(EASED * damping, LOWEST)
    return 0.5 * RAISED * damping if gain < HARDLY * foreseen else damping


def fit_singles(
    likelihood: TrackLikelihood,
    vector: np.ndarray,
    tracks: Sequence[Track],
    etas: Sequence[np.ndarray],
    *,
    near: Sequence[Near] | None = None,
    rows: Sequence[int] | None = None,
    iterations: int = ITERATIONS,
    damping: float = DAMPING,
    progress: Callable[[Iterable], Iterable] = lambda steps: steps,
) -> list[Fitted]:
    """Minimise F of each track by its own unknowns, from `etas`, where it is `near` if that is known.

    `rows`: of the tracks' hits in the likelihood, by default those of the same place.
    """
    n = len(tracks)
    rows = range(n) if rows is None else rows
    eta = [np.array(one, dtype=np.float64) for one in etas]
    here = list(near) if near is not None else at(likelihood, vector, tracks, eta, rows, range(n))
    damp = np.full(n, damping)
    left = np.array([decrement(one) for one in here])
    for _ in progress(range(iterations)):
        active = np.flatnonzero((left > DECREMENT) & (damp < HIGHEST)).tolist()
        if len(active) == 0:
            break
        trial = list(eta)
        foreseen = {}
        for k in active:
            matrix = here[k].information + np.diag(damp[k] * tracks[k].metric())
            trial[k] = moved(tracks[k], eta[k], -np.linalg.solve(matrix, here[k].gradient))
            step = trial[k] - eta[k]
            foreseen[k] = -float(here[k].gradient @ step + 0.5 * step @ here[k].information @ step)
        for k, found in zip(active, at(likelihood, vector, tracks, trial, rows, active), strict=True):
            gain = here[k].value - found.value
            damp[k] = damped(damp[k], gain, foreseen[k])
            if gain >= -NOISE:
                eta[k], here[k], left[k] = trial[k], found, decrement(found)
    return [Fitted(*of) for of in zip(tracks, eta, here, strict=True)]


def at(
    likelihood: TrackLikelihood,
    vector: np.ndarray,
    tracks: Sequence[Track],
    etas: Sequence[np.ndarray],
    rows: Sequence[int],
    chosen: Iterable[int],
) -> list[Near]:
    """`Near` of the `chosen` of the tracks, whose hits are the likelihood's `rows`."""
    chosen = list(chosen)
    return likelihood.at(vector, [tracks[k] for k in chosen], [etas[k] for k in chosen], [rows[k] for k in chosen])
