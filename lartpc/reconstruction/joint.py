"""All tracks together with the detector's parameters: Gauss-Newton, the tracks eliminated by the Schur complement.

With H_t, B_t, g_t of each track (see `likelihood.Near`), information C and gradient g of the parameters theta,

S = C - sum B_t^T H_t^-1 B_t,  g_S = g - sum B_t^T H_t^-1 g_t,  d(theta) = -S^-1 g_S,  d(eta_t) = -H_t^-1 B_t d(theta)

so that S^-1 is the covariance of theta with all tracks marginalised. -log L of the constraints of theta is in C and g.
Each step is followed by fits of the tracks alone: what is minimised is the minimum of F over all eta, by theta. Steps
of theta and tracks at once, without these fits, end in the middle of the valley that leads to the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.fit.constraint import penalty
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.uncertainty import DEGENERATE
from lartpc.reconstruction.likelihood import Near, TrackLikelihood
from lartpc.reconstruction.singles import at, fit_singles, moved
from lartpc.reconstruction.track import Track

DECREMENT = 0.1  # sqrt(g_S S^-1 g_S) [errors] at which theta is at its minimum
ITERATIONS = 25
FOLLOWING = 15  # steps of the tracks alone after each of all together, at most
EASY = 0.01  # damping of the first of these
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

    @property
    def directions(self) -> np.ndarray:
        """Changes of theta by one error each, without correlation, (p, q): all but those that the data leave open."""
        scale, eigenvalues, vectors = self.closed()
        return scale[:, None] * vectors / np.sqrt(eigenvalues)

    @property
    def along(self) -> np.ndarray:
        """What turns derivatives along `directions` into those by theta, (q, p)."""
        scale, eigenvalues, vectors = self.closed()
        return (vectors * np.sqrt(eigenvalues)).T / scale

    def closed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scales (p,) of theta, and of the information in these the eigenvalues and vectors (q,), (p, q), not open."""
        scale = 1.0 / np.sqrt(np.maximum(np.diag(self.information), np.finfo(float).tiny))
        eigenvalues, vectors = np.linalg.eigh(self.information * np.outer(scale, scale))
        kept = eigenvalues > DEGENERATE * eigenvalues[-1]
        return scale, eigenvalues[kept], vectors[:, kept]

    @property
    def covariance(self) -> np.ndarray:
        """S^-1 (p, p), without open directions."""
        return self.directions @ self.directions.T

    @property
    def step(self) -> np.ndarray:
        """The Newton step of theta (p,)."""
        return -self.covariance @ self.gradient

    @property
    def decrement(self) -> float:
        """sqrt(g_S S^-1 g_S)."""
        return float(np.linalg.norm(self.directions.T @ self.gradient))


class OfRun(NamedTuple):
    """The tracks of one run, which are `rows` of all."""

    likelihood: TrackLikelihood
    rows: range


Report = Callable[[str, State, Reduced, float], None]  # phase, where it is, decrement


class JointFit:
    """The tracks of runs, one after the other, and the `unknowns` of all; `report` is told of each step."""

    def __init__(
        self,
        likelihoods: Sequence[TrackLikelihood],
        unknowns: RunUnknowns,
        tracks: Sequence[Track],
        report: Report = lambda phase, state, reduced, left: None,
    ) -> None:
        self.unknowns, self.tracks, self.report = unknowns, tuple(tracks), report
        ends = np.cumsum([0] + [len(one.measured) for one in likelihoods]).tolist()
        rows = [range(*pair) for pair in zip(ends[:-1], ends[1:], strict=True)]
        self.runs = [OfRun(*of) for of in zip(likelihoods, rows, strict=True)]

    def columns(self, track: int) -> np.ndarray:
        """The unknowns that a track depends on."""
        return next(c for run, c in zip(self.runs, self.unknowns.columns, strict=True) if track in run.rows)

    def vectors(self, theta: np.ndarray) -> list[np.ndarray]:
        """The chain's parameters of each run."""
        told = zip(self.unknowns.of_run, self.unknowns.columns, strict=True)
        return [own.apply(theta[columns]) for own, columns in told]

    def state(self, theta: np.ndarray, eta: Sequence[np.ndarray]) -> State:
        """There."""
        near: list[Near] = []
        for run, vector in zip(self.runs, self.vectors(theta), strict=True):
            own = slice(run.rows.start, run.rows.stop)
            n = len(run.rows)
            near += at(run.likelihood, vector, self.tracks[own], eta[own], range(n), range(n))
        return State(theta, tuple(eta), tuple(near))

    def value(self, state: State) -> float:
        """F of all tracks and the constraints."""
        return state.value + penalty(self.unknowns, state.theta).value

    def reduced(self, state: State) -> Reduced:
        """The Schur complement there."""
        added = penalty(self.unknowns, state.theta)
        gradient, information = added.gradient.copy(), added.information.copy()
        follow = []
        for k, near in enumerate(state.near):
            columns = self.columns(k)
            solved = np.linalg.solve(near.information, np.column_stack((near.cross, near.gradient)))
            of_all = np.zeros((len(near.gradient), len(gradient)))
            of_all[:, columns] = -solved[:, :-1]
            follow.append(of_all)
            information[np.ix_(columns, columns)] += near.information_theta - near.cross.T @ solved[:, :-1]
            gradient[columns] += near.gradient_theta - near.cross.T @ solved[:, -1]
        return Reduced(gradient, 0.5 * (information + information.T), tuple(follow))

    def following(self, state: State, reduced: Reduced, step: np.ndarray) -> list[np.ndarray]:
        """The tracks where theta goes by `step`: as the linear model has them follow."""
        own = zip(self.tracks, state.eta, reduced.follow, strict=True)
        return [moved(track, eta, follow @ step) for track, eta, follow in own]

    def profiled(self, theta: np.ndarray, eta: Sequence[np.ndarray]) -> State:
        """The tracks fitted one by one at theta."""
        fitted = []
        for run, vector in zip(self.runs, self.vectors(theta), strict=True):
            own = slice(run.rows.start, run.rows.stop)
            begun = self.tracks[own], eta[own]
            fitted += fit_singles(run.likelihood, vector, *begun, iterations=FOLLOWING, damping=EASY)
        return State(theta, tuple(one.eta for one in fitted), tuple(one.near for one in fitted))

    def stepped(self, state: State, reduced: Reduced, step: np.ndarray) -> State:
        """theta moved by `step`, within its bounds, and the tracks fitted there."""
        theta = np.clip(state.theta + step, *self.unknowns.bounds.T)
        return self.profiled(theta, self.following(state, reduced, theta - state.theta))

    def run(self, state: State) -> tuple[State, Reduced]:
        """From there to the minimum, or to where no step goes down."""
        reduced = self.reduced(state)
        self.report("fit", state, reduced, reduced.decrement)
        for _ in range(ITERATIONS):
            found, share = None, 1.0
            while reduced.decrement >= DECREMENT and found is None and share >= SHORTEST:
                trial = self.stepped(state, reduced, share * reduced.step)
                found = trial if self.value(trial) <= self.value(state) else None  # nor where it is no number
                share *= SHORTER
            if found is None:
                break
            state, reduced = found, self.reduced(found)
            self.report("fit", state, reduced, reduced.decrement)
        return state, reduced
