"""The marginal of the detector's parameters: -log of the integral over all tracks, by Laplace's method.

F_L(theta) = min over eta of F + sum over tracks of log det H_t(theta)/2 + sum over shared times of log h_e(theta)/2

Without the logarithms (plain MAP) what the tracks' many unknowns take from the data biases theta towards larger
freedom of the tracks. Their slopes are found by differences along the directions in which theta is uncorrelated, by
steps of parts of their errors, with the tracks following: to both sides where F is minimal; further on to one side,
less what the curvature makes of it, and where theta has gone less than an error since, not at all.

H_t is the Gauss-Newton form, without R = sum r d2r/d(eta)2. Of log det(H + R)/2 = log det H/2 + tr(H^-1 R)/2 + ... the
slope has a mean through dr/d(theta), see `bent`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from lartpc.reconstruction.joint import JointFit, Reduced, State
from lartpc.reconstruction.layout import TIME

STEP = 0.5  # [errors] of differences
ROUNDS = 4  # of Newton steps of F_L
DECREMENT = 0.2  # [errors] of F_L, whose slopes take most of the time
NEAR = 1.0  # [errors] that theta goes before slopes are taken anew: they change by about 0.2 in each
JUMP, SMALL = 0.6, 0.2  # change of a track's slope from side to side, of which 60 % or 0.2/error is none
SMOOTHER = 0.75  # part of it that is left by half the steps where there is a jump; half of it is, where there is none
PROBES, PROBE = 4, 0.25  # random directions in which residuals' curvature is found, and the steps [errors of each]


class Marginal(NamedTuple):
    """Where F_L is minimal, and what it took to get there."""

    state: State
    reduced: Reduced
    slopes: np.ndarray  # (n_tracks, p) d(log det H_t/2)/d(theta), and `bent`
    left: float  # sqrt of the Newton decrement of F_L
    jumping: np.ndarray  # (n_tracks,) tracks whose log det is not continuous there, which are left out of the slopes

    @property
    def converged(self) -> bool:
        """Whether the decrement says so."""
        return self.left < DECREMENT


class Trial(NamedTuple):
    """Where a step of F_L ends."""

    state: State
    reduced: Reduced
    slopes: Slopes
    gradient: np.ndarray  # (p,) of F_L
    left: float  # how far its minimum is [errors]


class Slopes(NamedTuple):
    """Derivatives of log det H_t/2 of each track, with what it adds to log h_e/2, along directions, where theta was."""

    theta: np.ndarray  # (p,)
    directions: np.ndarray  # (p, q) of one error each, without correlation
    along: np.ndarray  # (q, p), what turns derivatives along these into those by theta
    first: np.ndarray  # (n_tracks, q) [1/error]
    second: np.ndarray  # (n_tracks, q) [1/error^2]
    bent: np.ndarray  # (n_tracks, p)

    @property
    def by_theta(self) -> np.ndarray:
        """(n_tracks, p)."""
        return self.first @ self.along + self.bent

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
    return Slopes(state.theta, reduced.directions, reduced.along, first, second, bent(fit, state))


def bent(fit: JointFit, state: State) -> np.ndarray:
    """d(theta)-slopes (n_tracks, p) of tr(H_t^-1 R_t)/2 that have a mean: sum of dr/d(theta) tr(H^-1 d2r/d(eta)2)/2.

    dr/d(theta) with the track following is J_theta - J H^-1 B. Traces are means of second differences along L z, L L^T
    = H^-1, z random signs (M. F. Hutchinson, Commun. Stat. Simul. 19 (1990) 433): one residual's is off by as much as
    it is, of either sign, and they are many. Of a track that reaches other hits there it is taken for 0.
    """
    curvature = [np.zeros(len(near.residual)) for near in state.near]
    for k in range(PROBES):
        random, steps = np.random.default_rng(k), []
        for near in state.near:
            signs = random.choice((-1.0, 1.0), len(near.gradient))
            signs[TIME] *= near.of_time is None
            lower = np.linalg.cholesky(near.information)
            steps.append(PROBE * solve_triangular(lower, signs, lower=True, trans="T"))
        both = [
            fit.state(state.theta, [eta + sense * step for eta, step in zip(state.eta, steps, strict=True)]).near
            for sense in (1.0, -1.0)
        ]
        for own, here, high, low in zip(curvature, state.near, *both, strict=True):
            if len(here.residual) == len(high.residual) == len(low.residual):
                second = high.residual + low.residual - 2.0 * here.residual
                own += np.where(np.isfinite(second), second, 0.0) / (2.0 * PROBE**2 * PROBES)
    found = np.zeros((len(state.near), len(state.theta)))
    for track, (near, own) in enumerate(zip(state.near, curvature, strict=True)):
        following = near.jacobian_theta - near.jacobian @ np.linalg.solve(near.information, near.cross)
        found[track, fit.columns(track)] = following.T @ own
    return found


def jumping(fit: JointFit, state: State, reduced: Reduced, found: Slopes) -> np.ndarray:
    """Tracks (n_tracks,) whose slopes to both sides are not the same, nor become so by steps of half the size.

    And those whose log det is no number there.
    """
    change = np.abs(STEP * found.second)
    no_number = ~np.isfinite(change)
    suspect = change > np.maximum(JUMP * np.abs(found.first), SMALL)
    if suspect.any():
        high, low = (towards(fit, state, reduced, sense * 0.5 * STEP * reduced.directions) for sense in (1.0, -1.0))
        suspect &= np.abs(high + low) / (0.5 * STEP) > SMOOTHER * change
    return (suspect | no_number).any(axis=1)


def renewed(fit: JointFit, state: State, reduced: Reduced, before: Slopes) -> Slopes:
    """Those there along the directions `before`, with its second derivatives, by differences to one side.

    Those of before where the log det is no number.
    """
    high = towards(fit, state, reduced, STEP * before.directions)
    first = np.where(np.isfinite(high), high / STEP - 0.5 * STEP * before.second, before.first)
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
        trial = stepped(fit, state, reduced, found, gradient, jumps)
        if not trial.left < left:  # nor where it is no number
            break
        state, reduced, found, gradient, left = trial
        fit.report("marginal", state, reduced, left)
        if left < DECREMENT:
            break
    return Marginal(state, reduced, found.by_theta, left, jumps)


def stepped(
    fit: JointFit, state: State, reduced: Reduced, found: Slopes, gradient: np.ndarray, jumps: np.ndarray
) -> Trial:
    """A Newton step of F_L further."""
    state = fit.stepped(state, reduced, -reduced.covariance @ gradient)
    if not np.isfinite(fit.value(state)):
        return Trial(state, reduced, found, gradient, np.inf)
    reduced = fit.reduced(state)
    if found.errors_from(state.theta) > NEAR:
        found = renewed(fit, state, reduced, found).without(jumps)
    return Trial(state, reduced, found, *asked(reduced, found))


def asked(reduced: Reduced, found: Slopes) -> tuple[np.ndarray, float]:
    """The gradient of F_L by theta (p,), and how far its minimum is [errors]."""
    gradient = reduced.gradient + found.by_theta.sum(axis=0)
    return gradient, float(np.linalg.norm(reduced.directions.T @ gradient))
