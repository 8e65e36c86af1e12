"""All tracks together with the detector's parameters: Gauss-Newton, the tracks eliminated by the Schur complement.

With H_t, B_t, g_t of each track (see `likelihood.Near`), information C and gradient g of the parameters theta,

S = C - sum B_t^T H_t^-1 B_t,  g_S = g - sum B_t^T H_t^-1 g_t,  d(theta) = -S^-1 g_S,  d(eta_t) = -H_t^-1 (g_t + B_t d(theta))

so that S^-1 is the covariance of theta with all tracks marginalised. -log L of the constraints of theta is in C and g.
Each step is followed by steps of the tracks alone: what is minimised is min over eta of F, by theta.
"""  # noqa: E501  (one line a formula)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import ChainUnknowns
from lartpc.fit.constraint import penalty
from lartpc.reconstruction.likelihood import Near, TrackLikelihood
from lartpc.reconstruction.singles import at, fit_singles, moved

DECREMENT = 0.1  # sqrt(g_S S^-1 g_S) [errors] at which theta is at its minimum
ITERATIONS = 25
FOLLOWING = 15  # steps of the tracks alone after each of all together, at most
EASY = 0.01  # damping of the tracks' steps
SHORTER = 0.25  # of a step that did not go down
SHORTEST = 1e-3


class State(NamedTuple):
    """Parameters and tracks at some point of a joint fit."""

    theta: np.ndarray  # (p,)
    eta: tuple[np.ndarray, ...]
    near: tuple[Near, ...]

    @property
    def value(self) -> float:
        """F of all tracks."""
        return float(sum(one.value for one in self.near))


class Reduced(NamedTuple):
    """F with the tracks eliminated, near theta."""

    gradient: np.ndarray  # (p,) g_S
    information: np.ndarray  # (p, p) S
    follow: tuple[np.ndarray, ...]  # (n_t, p) -H_t^-1 B_t
    settle: tuple[np.ndarray, ...]  # (n_t,) -H_t^-1 g_t

    @property
    def step(self) -> np.ndarray:
        """The Newton step of theta (p,)."""
        return -np.linalg.solve(self.information, self.gradient)

    @property
    def decrement(self) -> float:
        """sqrt(g_S S^-1 g_S)."""
        return float(np.sqrt(max(-self.gradient @ self.step, 0.0)))


Report = Callable[[str, State, Reduced, float], None]  # phase, where it is, decrement


class JointFit:
    """The tracks of a `TrackLikelihood` and `unknowns`; `report` is told of each step."""

    def __init__(
        self,
        likelihood: TrackLikelihood,
        unknowns: ChainUnknowns,
        tracks: Sequence[Any],
        report: Report = lambda phase, state, reduced, left: None,
    ) -> None:
        self.likelihood, self.unknowns, self.tracks, self.report = likelihood, unknowns, tuple(tracks), report
        self.rows = range(len(tracks))

    def state(self, theta: np.ndarray, eta: Sequence[np.ndarray]) -> State:
        """There."""
        vector = self.unknowns.apply(theta)
        near = at(self.likelihood, vector, self.tracks, eta, self.rows, self.rows)
        return State(theta, tuple(eta), tuple(near))

    def value(self, state: State) -> float:
        """F of all tracks and the constraints."""
        return state.value + penalty(self.unknowns, state.theta).value

    def reduced(self, state: State) -> Reduced:
        """The Schur complement there."""
        added = penalty(self.unknowns, state.theta)
        gradient, information = added.gradient.copy(), added.information.copy()
        follow, settle = [], []
        for near in state.near:
            solved = np.linalg.solve(near.information, np.column_stack((near.cross, near.gradient)))
            follow.append(-solved[:, :-1])
            settle.append(-solved[:, -1])
            information += near.information_theta + near.cross.T @ follow[-1]
            gradient += near.gradient_theta + near.cross.T @ settle[-1]
        return Reduced(gradient, 0.5 * (information + information.T), tuple(follow), tuple(settle))

    def following(self, state: State, reduced: Reduced, step: np.ndarray, settle: bool = True) -> list[np.ndarray]:
        """The tracks where theta goes by `step`: as the linear model has them follow."""
        return [
            moved(track, eta, follow @ step + (own if settle else 0.0))
            for track, eta, follow, own in zip(self.tracks, state.eta, reduced.follow, reduced.settle, strict=True)
        ]

    def profiled(self, theta: np.ndarray, eta: Sequence[np.ndarray], steps: int = FOLLOWING) -> State:
        """The tracks fitted one by one at theta."""
        fitted = fit_singles(
            self.likelihood, self.unknowns.apply(theta), self.tracks, eta, iterations=steps, damping=EASY
        )
        return State(theta, tuple(one.eta for one in fitted), tuple(one.near for one in fitted))

    def stepped(self, state: State, reduced: Reduced, step: np.ndarray) -> State:
        """theta moved by `step`, within its bounds, and the tracks fitted there."""
        theta = np.clip(state.theta + step, *self.unknowns.bounds.T)
        return self.profiled(theta, self.following(state, reduced, theta - state.theta))

    def run(self, state: State, iterations: int = ITERATIONS) -> tuple[State, Reduced, bool]:
        """From there to the minimum; and whether the decrement says that it was reached."""
        reduced = self.reduced(state)
        self.report("fit", state, reduced, reduced.decrement)
        for _ in range(iterations):
            if reduced.decrement < DECREMENT:
                return state, reduced, True
            share, found = 1.0, None
            while share >= SHORTEST:
                trial = self.stepped(state, reduced, share * reduced.step)
                if np.isfinite(self.value(trial)) and self.value(trial) <= self.value(state):
                    found = trial
                    break
                share *= SHORTER
            if found is None:
                break
            state, reduced = found, self.reduced(found)
            self.report("fit", state, reduced, reduced.decrement)
        return state, reduced, reduced.decrement < DECREMENT
