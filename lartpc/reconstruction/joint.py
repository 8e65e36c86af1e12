"""All tracks together with the detector's parameters: Gauss-Newton, the tracks eliminated by the Schur complement.

With H_t, B_t, g_t of each track (see `likelihood.Near`), information C and gradient g of the parameters theta,

S = C - sum B_t^T H_t^-1 B_t,  g_S = g - sum B_t^T H_t^-1 g_t,  d(theta) = -S^-1 g_S,  d(eta_t) = -H_t^-1 B_t d(theta)

so that S^-1 is the covariance of theta with all tracks marginalised. -log L of the constraints of theta is in C and g.
Each step is followed by fits of the tracks alone: what is minimised is the minimum of F over all eta, by theta. Steps
of theta and tracks at once, without these fits, end in the middle of the valley that leads to the start.

A time that tracks of an event share is fixed in each track. All of them take a step of theta and the times T_e, with S
and g_S of both: S of the times is diagonal, h_e, and they are eliminated as the tracks are, S - sum v_e v_e^T/h_e.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.fit.constraint import penalty
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.uncertainty import DEGENERATE
from lartpc.reconstruction.layout import TIME, Z
from lartpc.reconstruction.likelihood import Near, TrackLikelihood
from lartpc.reconstruction.singles import REACH_TIME, at, fit_singles, moved
from lartpc.reconstruction.track import Gaussian, Track

DECREMENT = 0.1  # sqrt(g_S S^-1 g_S) [errors] at which theta is at its minimum
ITERATIONS = 25
FOLLOWING = 15  # steps of the tracks alone after each of all together, at most
EASY = 0.01  # damping of the first of these
SHORTER = 0.25  # of a step that did not go down
SHORTEST = 1e-3
WITHIN = 1e-6  # [1/us^2] information on a time, should no hit tell it: it is within 1 ms


class State(NamedTuple):
    """Parameters and tracks at some point of a joint fit."""

    theta: np.ndarray  # (p,)
    eta: tuple[np.ndarray, ...]
    near: tuple[Near, ...]

    @property
    def value(self) -> float:
        """F of all tracks."""
        return float(sum(one.value for one in self.near))


class Times(NamedTuple):
    """The times that tracks share, one an event."""

    event: np.ndarray  # (n_tracks,) int64, from 0
    prior: Gaussian  # [us] of each

    def values(self, eta: Sequence[np.ndarray]) -> np.ndarray:
        """Those of the events (n_events,), from tracks that have them."""
        values = np.zeros(self.event.max() + 1)
        values[self.event] = [one[TIME] for one in eta]
        return values


class Reduced(NamedTuple):
    """F with the tracks and their shared times eliminated, near theta."""

    gradient: np.ndarray  # (p,) g_S
    information: np.ndarray  # (p, p) S
    follow: tuple[np.ndarray, ...]  # (n_t, p) d(eta)/d(theta) at the same times: -H_t^-1 B_t
    with_time: tuple[np.ndarray, ...] = ()  # (n_t,) d(eta)/d(time) of shared times
    times_follow: np.ndarray = np.zeros((0, 0))  # (n_events, p) d(time)/d(theta)
    settle: np.ndarray = np.zeros(0)  # (n_events,) the step of the times at the same theta
    of_time: np.ndarray = np.zeros(0)  # (n_events,) h_e
    of_track: np.ndarray = np.zeros(0)  # (n_tracks,) what of it each track tells
    unsettled: float = 0.0  # mean square of the decrements of the times at the same theta

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
        """sqrt(g_S S^-1 g_S), with the root mean square of those of the times."""
        return float(np.hypot(np.linalg.norm(self.directions.T @ self.gradient), np.sqrt(self.unsettled)))


class OfRun(NamedTuple):
    """The tracks of one run, which are `rows` of all."""

    likelihood: TrackLikelihood
    rows: range


Report = Callable[[str, State, Reduced, float], None]  # phase, where it is, decrement


def unheard(phase: str, state: State, reduced: Reduced, left: float) -> None:
    """The report that nobody hears."""


class TimeLeft(NamedTuple):
    """F of a track by its time, which is fixed, with the track's own unknowns eliminated."""

    slope: float
    curvature: float
    cross: np.ndarray  # (p,)
    follow: np.ndarray  # (n,) d(eta)/d(time)


def without_times(reduced: Reduced, times: Times, of_tracks: Sequence[TimeLeft], values: np.ndarray) -> Reduced:
    """With the shared times eliminated, too; these are at their `values` (n_events,)."""
    event, n, off = times.event, len(values), values - times.prior.centre
    slope = np.bincount(event, [one.slope for one in of_tracks], n) + off / times.prior.width**2
    of_time = np.bincount(event, [one.curvature for one in of_tracks], n) + times.prior.width**-2 + WITHIN
    cross = np.zeros((n, len(reduced.gradient)))
    np.add.at(cross, event, [one.cross for one in of_tracks])
    times_follow, settle = -cross / of_time[:, None], -slope / of_time
    information = reduced.information + cross.T @ times_follow
    return Reduced(
        reduced.gradient + cross.T @ settle,
        0.5 * (information + information.T),
        reduced.follow,
        tuple(one.follow for one in of_tracks),
        times_follow,
        settle,
        of_time,
        np.array([one.curvature for one in of_tracks]),
        float(np.mean(-settle * slope)),
    )


class JointFit:
    """The tracks of runs, one after the other, and the `unknowns` of all; `report` is told of each step.

    times: those that tracks share, which are fixed in the tracks.
    """

    def __init__(
        self,
        likelihoods: Sequence[TrackLikelihood],
        unknowns: RunUnknowns,
        tracks: Sequence[Track],
        report: Report = unheard,
        times: Times | None = None,
    ) -> None:
        self.unknowns, self.tracks, self.report, self.times = unknowns, tuple(tracks), report, times
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
        """F of all tracks, the times and the constraints."""
        value = state.value + penalty(self.unknowns, state.theta).value
        if self.times is None:
            return value
        off = self.times.values(state.eta) - self.times.prior.centre
        return value + 0.5 * float(off @ off) / self.times.prior.width**2

    def reduced(self, state: State) -> Reduced:
        """The Schur complement there."""
        added = penalty(self.unknowns, state.theta)
        gradient, information = added.gradient.copy(), added.information.copy()
        follow, left = [], []
        for k, near in enumerate(state.near):
            columns, time = self.columns(k), near.of_time
            right = (near.cross, near.gradient) if time is None else (near.cross, near.gradient, time.by_eta)
            solved = np.linalg.solve(near.information, np.column_stack(right))
            by_theta, own = solved[:, : len(columns)], solved[:, len(columns)]
            follow.append(np.zeros((len(own), len(gradient))))
            follow[-1][:, columns] = -by_theta
            information[np.ix_(columns, columns)] += near.information_theta - near.cross.T @ by_theta
            gradient[columns] += near.gradient_theta - near.cross.T @ own
            if time is not None:
                cross = np.zeros(len(gradient))
                cross[columns] = time.by_theta - time.by_eta @ by_theta
                slope = time.gradient - float(time.by_eta @ own)
                curvature = time.information - float(time.by_eta @ solved[:, -1])
                with_time = -solved[:, -1]
                with_time[TIME] = 1.0
                left.append(TimeLeft(slope, curvature, cross, with_time))
        found = Reduced(gradient, 0.5 * (information + information.T), tuple(follow))
        return found if self.times is None else without_times(found, self.times, left, self.times.values(state.eta))

    def following(self, state: State, reduced: Reduced, step: np.ndarray, share: float = 0.0) -> list[np.ndarray]:
        """The tracks where theta goes by `step`: as the linear model has them follow.

        share: of the step of shared times at the same theta, which they go too.
        """
        steps = [follow @ step for follow in reduced.follow]
        drift = np.zeros(len(steps))
        if self.times is not None:
            late = np.clip(reduced.times_follow @ step + share * reduced.settle, -REACH_TIME, REACH_TIME)
            with_it = [late[e] * one for e, one in zip(self.times.event, reduced.with_time, strict=True)]
            steps = [alone + one for alone, one in zip(steps, with_it, strict=True)]
            drift = np.abs([one[Z] for one in with_it])
        return [moved(*of) for of in zip(self.tracks, state.eta, steps, drift, strict=True)]

    def profiled(self, theta: np.ndarray, eta: Sequence[np.ndarray]) -> State:
        """The tracks fitted one by one at theta."""
        fitted = []
        for run, vector in zip(self.runs, self.vectors(theta), strict=True):
            own = slice(run.rows.start, run.rows.stop)
            begun = self.tracks[own], eta[own]
            fitted += fit_singles(run.likelihood, vector, *begun, iterations=FOLLOWING, damping=EASY)
        return State(theta, tuple(one.eta for one in fitted), tuple(one.near for one in fitted))

    def stepped(self, state: State, reduced: Reduced, step: np.ndarray, share: float = 1.0) -> State:
        """theta moved by a share of `step`, within its bounds, and the tracks fitted there."""
        theta = np.clip(state.theta + share * step, *self.unknowns.bounds.T)
        return self.profiled(theta, self.following(state, reduced, theta - state.theta, share))

    def run(self, state: State) -> tuple[State, Reduced]:
        """From there to the minimum, or to where no step goes down."""
        reduced = self.reduced(state)
        self.report("fit", state, reduced, reduced.decrement)
        for _ in range(ITERATIONS):
            found, share = None, 1.0
            while reduced.decrement >= DECREMENT and found is None and share >= SHORTEST:
                trial = self.stepped(state, reduced, reduced.step, share)
                found = trial if self.value(trial) <= self.value(state) else None  # nor where it is no number
                share *= SHORTER
            if found is None:
                break
            state, reduced = found, self.reduced(found)
            self.report("fit", state, reduced, reduced.decrement)
        return state, reduced
