"""The marginal of the detector's parameters: -log of the integral over all tracks, by Laplace's method.

F_L(theta) = min over eta of F + sum over tracks of log det H_t(theta)/2

Without the second term (plain MAP) what the tracks' many unknowns take from the data biases theta towards larger
freedom of the tracks. Its gradient is found by central differences along the directions in which theta is uncorrelated,
by steps of parts of their errors, with the tracks following.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lartpc.reconstruction.joint import DECREMENT, JointFit, Reduced, State

STEPS = (0.5, 0.25)  # [errors], by which differences are taken
ROUNDS = 3  # of Newton steps of F_L
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


def slopes(
    fit: JointFit, state: State, reduced: Reduced, sizes: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """d(log det H_t/2) of each track by one error along each of p directions, (sizes, n_tracks, p), and these (p, p).

    By differences of as many errors as `sizes` say; column j of the directions is a change of theta.
    """
    directions = np.linalg.cholesky(np.linalg.inv(reduced.information))
    found = np.zeros((len(sizes), len(state.near), len(directions)))
    for k, size in enumerate(sizes):
        for j, direction in enumerate(directions.T):
            sides = []
            for sign in (1.0, -1.0):
                step = sign * size * direction
                sides.append(half_log_det(fit.state(state.theta + step, fit.following(state, reduced, step, False))))
            found[k, :, j] = (sides[0] - sides[1]) / (2.0 * size)
    return found, directions


def run(fit: JointFit, state: State, reduced: Reduced) -> Marginal:
    """From the minimum of F to that of F_L."""
    jumps, sizes, left = np.zeros(len(state.near), dtype=bool), STEPS, np.inf
    for k in range(ROUNDS):
        found, directions = slopes(fit, state, reduced, sizes)
        if len(sizes) > 1:
            apart = np.abs(found[0] - found[1])
            jumps = (apart > np.maximum(AGREE * np.abs(found).max(axis=0), SMALL)).any(axis=1)
        by_track = np.where(jumps[:, None], 0.0, np.linalg.solve(directions.T, found[0].T).T)
        gradient = reduced.gradient + by_track.sum(axis=0)
        step = -np.linalg.solve(reduced.information, gradient)
        left = float(np.sqrt(max(-gradient @ step, 0.0)))
        fit.report("marginal", state, reduced, left)
        if left < DECREMENT or k == ROUNDS - 1:
            break
        state = fit.stepped(state, reduced, step)
        reduced, sizes = fit.reduced(state), STEPS[:1]
    return Marginal(state, reduced, by_track, left, jumps)
