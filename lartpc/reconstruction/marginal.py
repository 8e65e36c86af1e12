"""The marginal of the detector's parameters: -log of the integral over all tracks, by Laplace's method.

F_L(theta) = min over eta of F + sum over tracks of log det H_t(theta)/2

Without the second term (plain MAP) what the tracks' many unknowns take from the data biases theta towards larger
freedom of the tracks. Its gradient is found by central differences along the directions in which theta is uncorrelated,
by steps of parts of their errors, with the tracks following.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lartpc.reconstruction.joint import JointFit, Reduced, State

STEP, OTHER = 0.5, 0.25  # [errors], by which differences are taken, and by which the largest of them is checked
ROUNDS = 4  # of Newton steps of F_L
DECREMENT = 0.2  # [errors] of F_L, whose slopes take most of the time
AGREE, SMALL = 0.3, 0.1  # slopes [1/error] of a track by both steps: within 30 % or 0.1, else it is not continuous


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


def half_log_det(state: State) -> np.ndarray:
    """log det H_t/2 of each track (n_tracks,)."""
    return np.array([0.5 * np.linalg.slogdet(near.information)[1] for near in state.near])


def slope(fit: JointFit, state: State, reduced: Reduced, change: np.ndarray, size: float) -> np.ndarray:
    """d(log det H_t/2) of each track (n_tracks,) by `change` (p,) of theta, by a difference of `size` times it."""
    high, low = (
        half_log_det(fit.state(state.theta + step, fit.following(state, reduced, step)))
        for step in (size * change, -size * change)
    )
    return (high - low) / (2.0 * size)


def slopes(fit: JointFit, state: State, reduced: Reduced) -> np.ndarray:
    """d(log det H_t/2)/d(theta) of each track (n_tracks, p), along directions of one error without correlation."""
    found = np.stack([slope(fit, state, reduced, direction, STEP) for direction in reduced.directions.T], axis=1)
    return found @ reduced.along


def run(fit: JointFit, state: State, reduced: Reduced) -> Marginal:
    """From the minimum of F to that of F_L."""
    jumps = np.zeros(len(state.near), dtype=bool)
    before, left = np.inf, np.inf
    for k in range(ROUNDS):
        by_track = np.where(jumps[:, None], 0.0, slopes(fit, state, reduced))
        if k == 0:
            jumps = jumping(fit, state, reduced, by_track)
            by_track[jumps] = 0.0
        gradient = reduced.gradient + by_track.sum(axis=0)
        step = -reduced.covariance @ gradient
        before, left = left, float(np.linalg.norm(reduced.directions.T @ gradient))
        fit.report("marginal", state, reduced, left)
        state = fit.stepped(state, reduced, step)
        reduced = fit.reduced(state)
        if k > 0:
            left *= min(left / before, 1.0)  # what the next step would find, as steps shrink in proportion
        if left < DECREMENT:
            break
    return Marginal(state, reduced, by_track, left, jumps)


def jumping(fit: JointFit, state: State, reduced: Reduced, by_track: np.ndarray) -> np.ndarray:
    """Tracks (n_tracks,) whose slopes along the step that all of them ask for are not those by a smaller difference."""
    errors = reduced.directions.T @ by_track.sum(axis=0)
    change = reduced.directions @ errors / max(float(np.linalg.norm(errors)), 1e-300)
    wide, near = by_track @ change, slope(fit, state, reduced, change, OTHER)
    return np.abs(wide - near) > np.maximum(AGREE * np.maximum(np.abs(wide), np.abs(near)), SMALL)
