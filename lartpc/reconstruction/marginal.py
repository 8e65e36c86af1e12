"""The marginal of the detector's parameters: -log of the integral over all tracks, by Laplace's method.

F_L(theta) = min over eta of F + sum over tracks of log det H_t(theta)/2 + sum over shared times of log h_e(theta)/2

Without the logarithms (plain MAP) what the tracks' many unknowns take from the data biases theta towards larger
freedom of the tracks. Their slopes are found by differences along the directions in which theta is uncorrelated, by
steps of parts of their errors, with the tracks following: to both sides where F is minimal; further on to one side,
less what the curvature makes of it, and where theta has gone less than an error since, not at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lartpc.reconstruction.joint import JointFit, Reduced, State

STEP = 0.5  # [errors] of differences
ROUNDS = 4  # of Newton steps of F_L
DECREMENT = 0.2  # [errors] of F_L, whose slopes take most of the time
NEAR = 1.0  # [errors] that theta goes before slopes are taken anew: they change by about 0.2 in each
JUMP, SMALL = 0.6, 0.2  # change of a track's slope from side to side, of which 60 % or 0.2/error is none
SMOOTHER = 0.75  # part of it that is left by half the steps where there is a jump; half of it is, where there is none


class Marginal(NamedTuple):
    """Where F_L is minimal, and what it took to get there."""

    state: State
    reduced: Reduced
    slopes: np.ndarray  # (n_tracks, p) d(log det H_t/2)/d(theta)
    left: float  # sqrt of the Newton decrement of F_L
    jumping: np.ndarray  # (n_tracks,) tracks whose log det is not continuous there, which are left out of the slopes

    @property
    def converged(self) -> bool:
        """Whether the decrement says so."""
        return self.left < DECREMENT


class Slopes(NamedTuple):
    """Derivatives of log det H_t/2 of each track, with what it adds to log h_e/2, along directions, where theta was."""

    theta: np.ndarray  # (p,)
    directions: np.ndarray  # (p, q) of one error each, without correlation
    along: np.ndarray  # (q, p), what turns derivatives along these into those by theta
    first: np.ndarray  # (n_tracks, q) [1/error]
    second: np.ndarray  # (n_tracks, q) [1/error^2]

    @property
    def by_theta(self) -> np.ndarray:
        """(n_tracks, p)."""
        return self.first @ self.along

    def without(self, tracks: np.ndarray) -> Slopes:
        """0 of the `tracks` (n_tracks,)."""
        first, second = (np.where(tracks[:, None], 0.0, told) for told in (self.first, self.second))
        return self._replace(first=first, second=second)

    def errors_from(self, theta: np.ndarray) -> float:
        """How far theta is from there [errors]."""
        return float(np.linalg.norm(self.along @ (theta - self.theta)))


def half_log_det(state: State) -> np.ndarray:
    """log det H_t/2 of each track (n_tracks,)."""
    return np.array([0.5 * np.linalg.slogdet(near.information)[1] for near in state.near])


def of_shared_times(before: Reduced, after: Reduced, event: np.ndarray) -> np.ndarray:
    """What each track (n_tracks,), of an `event`, adds to the change of log h_e/2 of the time that it shares.

    log(h'/h) = (h' - h)/M, M the logarithmic mean of both, of which h' - h is the sum of what tracks tell more: a track
    that jumps does not make the others of its event jump.
    """
    part = after.of_time / before.of_time - 1.0
    slope = np.divide(np.log1p(part), part, out=np.ones_like(part), where=part != 0.0) / before.of_time
    return 0.5 * slope[event] * (after.of_track - before.of_track)


def slopes(fit: JointFit, state: State, reduced: Reduced) -> Slopes:
    """Those there, by differences to both sides."""
    high, low = (towards(fit, state, reduced, sense * STEP * reduced.directions) for sense in (1.0, -1.0))
    first, second = (high - low) / (2.0 * STEP), (high + low) / STEP**2
    return Slopes(state.theta, reduced.directions, reduced.along, first, second)


def jumping(fit: JointFit, state: State, reduced: Reduced, found: Slopes) -> np.ndarray:
    """Tracks (n_tracks,) whose slopes to both sides are not the same, nor become so by steps of half the size."""
    change = np.abs(STEP * found.second)
    suspect = change > np.maximum(JUMP * np.abs(found.first), SMALL)
    if suspect.any():
        high, low = (towards(fit, state, reduced, sense * 0.5 * STEP * reduced.directions) for sense in (1.0, -1.0))
        suspect &= np.abs(high + low) / (0.5 * STEP) > SMOOTHER * change
    return suspect.any(axis=1)


def renewed(fit: JointFit, state: State, reduced: Reduced, before: Slopes) -> Slopes:
    """Those there along the directions `before`, with its second derivatives, by differences to one side."""
    high = towards(fit, state, reduced, STEP * before.directions)
    first = high / STEP - 0.5 * STEP * before.second
    return before._replace(theta=state.theta, first=first)


def towards(fit: JointFit, state: State, reduced: Reduced, steps: np.ndarray) -> np.ndarray:
    """What log det H_t/2 of each track, and its part of log h_e/2, gains by steps of theta (p, q): (n_tracks, q)."""
    here, found = half_log_det(state), []
    for step in steps.T:
        there = fit.state(state.theta + step, fit.following(state, reduced, step))
        found.append(half_log_det(there) - here)
        if fit.times is not None:
            found[-1] += of_shared_times(reduced, fit.reduced(there), fit.times.event)
    return np.stack(found, axis=1)


def run(fit: JointFit, state: State, reduced: Reduced) -> Marginal:
    """From the minimum of F to that of F_L."""
    found = slopes(fit, state, reduced)
    jumps = jumping(fit, state, reduced, found)
    found = found.without(jumps)
    gradient, left = asked(reduced, found)
    fit.report("marginal", state, reduced, left)
    for _ in range(ROUNDS):
        state = fit.stepped(state, reduced, -reduced.covariance @ gradient)
        reduced = fit.reduced(state)
        if found.errors_from(state.theta) > NEAR:
            found = renewed(fit, state, reduced, found).without(jumps)
        gradient, left = asked(reduced, found)
        fit.report("marginal", state, reduced, left)
        if left < DECREMENT:
            break
    return Marginal(state, reduced, found.by_theta, left, jumps)


def asked(reduced: Reduced, found: Slopes) -> tuple[np.ndarray, float]:
    """The gradient of F_L by theta (p,), and how far its minimum is [errors]."""
    gradient = reduced.gradient + found.by_theta.sum(axis=0)
    return gradient, float(np.linalg.norm(reduced.directions.T @ gradient))
