"""Calibrate from data alone: the detector's parameters and all tracks together, from hits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.contracts import ChainUnknowns
from lartpc.data.hits import Hits
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import SIX, truth_of
from lartpc.fit.runs import RunUnknowns, unknowns_of_runs
from lartpc.fit.target import Target
from lartpc.fit.uncertainty import invert
from lartpc.fit.unknowns import as_unknowns, check_start
from lartpc.generator.transport import DENSITY
from lartpc.parameters import common_name
from lartpc.reconstruction import marginal
from lartpc.reconstruction.candidates import CutFlow
from lartpc.reconstruction.joint import JointFit, Reduced, State
from lartpc.reconstruction.marginal import Marginal
from lartpc.reconstruction.reconstruct import KNOWN, candidates_in
from lartpc.reconstruction.selection import still_good
from lartpc.reconstruction.singles import Fitted
from lartpc.reconstruction.track import Gaussian
from lartpc.reconstruction.used import (
    EVENT,
    T0_OF,
    Begun,
    Finder,
    HitRun,
    Known,
    Saved,
    Used,
    first,
    joint_fit,
    names_of,
    nearer_start,
    refitted,
    restored,
    with_mean_times,
)
from lartpc.simulation.simulation import Simulation

LIFETIME = "lifetime"
# Tracks are found and chosen anew where the fit ended, unless it ended within so many errors of where they were: which
# are clear, and what describes them, depends on the parameters.
FAR, AGAIN = 1.0, 2  # errors; times


@dataclasses.dataclass(frozen=True)
class Journal:
    """Where an interrupted fit was, who is told of each step and of where it is, and what wraps what takes long."""

    saved: Saved | None = None
    save: Callable[[Saved], None] = lambda saved: None
    report: Callable[[str, State, Reduced, float, int], None] = lambda phase, state, reduced, left, hits: None
    progress: Callable[[Iterable], Iterable] = lambda steps: steps


class Half(NamedTuple):
    """A fit of the tracks of every second event. A lifetime below 0 has an inverse below 0."""

    values: np.ndarray  # (p,), tracks marginalised
    errors: np.ndarray  # (p,), infinite where these tracks leave a direction open
    tracks: int


class HitsFit(NamedTuple):
    """Parameters and tracks where a fit ended; arrays in the order of the unknowns, p of them."""

    unknowns: RunUnknowns
    known: Known
    tracks: tuple[Used, ...]  # that were used, as they are fitted at the end
    most_likely: np.ndarray  # (p,) where F is minimal by parameters and tracks (MAP)
    most_likely_errors: np.ndarray  # (p,)
    most_likely_left: float  # the decrement there
    marginal: Marginal
    halves: tuple[Half, ...]  # of every second event; none where one of them has no track
    flow: CutFlow
    truth: np.ndarray | None  # (p,) where known

    @property
    def values(self) -> np.ndarray:
        """(p,), tracks marginalised."""
        return self.marginal.state.theta

    @property
    def covariance(self) -> np.ndarray:
        """Of the same (p, p)."""
        return self.marginal.reduced.covariance


def calibrate_hits(
    simulation: Simulation,
    target: Target | Hits,
    unknowns: Sequence[str] | ChainUnknowns = SIX,
    *,
    particles: Sequence[str] = ("proton",),
    t0: Gaussian = KNOWN,
    t0_of: str = EVENT,
    density: float = DENSITY,
    journal: Journal = Journal(),
) -> HitsFit:
    """Fit `unknowns` to hits whose deposits are not known: together with the tracks that made them.

    Tracks are found and fitted one by one at the simulation's parameters, see `reconstruct`; those that stop as one of
    `particles` and describe their hits are fitted together with the unknowns, see `joint`. Where these end more than an
    error from there, all this is done again from where they ended, at most twice. The result is that of the marginal
    likelihood, see `marginal`. t0 [us]: prior of the time of each event, which its tracks share, or
    of each track by itself (t0_of "track"). density: of the argon that they lose energy in [g/cm3].

    Raises InputError: as `calibrate` for the unknowns, hits of another detector, no track that can be used.
    """
    varied = RunUnknowns.of(as_unknowns(simulation, unknowns))
    run = HitRun(simulation, target)
    return calibrate_hits_of_runs(
        [run], varied, particles=particles, t0=t0, t0_of=t0_of, density=density, journal=journal
    )


@one_blas_thread
def calibrate_hits_of_runs(
    runs: Sequence[HitRun],
    unknowns: Sequence[str] | RunUnknowns = SIX,
    *,
    per_run: Sequence[str] = (),
    particles: Sequence[str] = ("proton",),
    t0: Gaussian = KNOWN,
    t0_of: str = EVENT,
    density: float = DENSITY,
    journal: Journal = Journal(),
    finder: Finder = candidates_in,
) -> HitsFit:
    """Fit the hits of several runs at once; parameters of `per_run` have a value in each. As `calibrate_hits`.

    finder: of the candidates for tracks among the hits of a run.
    """
    if not runs:
        raise InputError("runs: there is none, allowed are one or more")
    check_choice("t0_of", t0_of, T0_OF)
    if isinstance(unknowns, RunUnknowns):
        varied = unknowns
    else:
        varied = unknowns_of_runs([run.simulation for run in runs], unknowns, per_run)
    check_start(varied)
    start = nearer_start(runs, varied, t0)
    known = Known(t0, t0_of, density)
    saved = journal.saved
    turn, found_at = (0, start) if saved is None else (saved.turn, saved.found_at)
    while True:
        told = zip(runs, varied.of_run, varied.columns, strict=True)
        begun = [Begun.of(run, own, found_at[columns], t0, finder) for run, own, columns in told]
        if saved is None:
            saved = found_tracks(begun, varied, turn, found_at, particles, known, journal)
        fit, state, reduced, tracks = fitted_without_outliers(begun, varied, saved, known, journal)
        theta, flow = state.theta, saved.flow.then("that the joint fit describes", len(tracks))
        way = theta - found_at
        if turn == AGAIN or way @ reduced.information @ way < FAR**2:
            break
        turn, found_at, saved = turn + 1, theta, None
    errors = np.sqrt(np.diag(reduced.covariance))

    def report(phase: str, state: State, reduced: Reduced, left: float) -> None:
        journal.report(phase, state, reduced, left, hits_of(state))

    fit.report = report
    found = marginal.run(fit, state, reduced)
    tracks = refitted(tracks, found.state)
    halves = halves_of(begun, varied, tracks, known, found)
    truths = [truth_of(one.target.truth, own.names) for one, own in zip(begun, varied.of_run, strict=True)]
    truth = varied.told(truths)
    return HitsFit(varied, known, tuple(tracks), theta, errors, reduced.decrement, found, halves, flow, truth)


def found_tracks(
    begun: Sequence[Begun],
    unknowns: RunUnknowns,
    turn: int,
    values: np.ndarray,
    particles: Sequence[str],
    known: Known,
    journal: Journal,
) -> Saved:
    """The tracks that a joint fit begins with, each fitted by itself at `values` (p,); with the times of events."""
    saved, of_time = first(begun, turn, values, particles, known, journal.progress)
    fit = joint_fit(begun, unknowns, restored(begun, saved, known), known)
    if fit.times is not None:
        saved = saved._replace(eta=fit.profiled(values, with_mean_times(fit.times, saved.eta, of_time)).eta)
    journal.save(saved)
    return saved


def fitted_without_outliers(
    begun: Sequence[Begun], unknowns: RunUnknowns, saved: Saved, known: Known, journal: Journal
) -> tuple[JointFit, State, Reduced, list[Used]]:
    """Joint fits from where it was `saved`, each without the tracks that the one before does not describe; the last."""
    tracks, theta = restored(begun, saved, known), saved.theta
    while True:

        def keep(phase: str, state: State, reduced: Reduced, left: float, tracks: list = tracks) -> None:
            journal.save(saved._replace(theta=state.theta, tracks=names_of(tracks), eta=state.eta))
            told = phase if saved.turn == 0 else f"{phase} anew"
            journal.report(told, state, reduced, left, hits_of(state))

        fit = joint_fit(begun, unknowns, tracks, known, keep)
        state, reduced = fit.run(fit.state(theta, [one.eta for one in tracks]))
        tracks, theta = refitted(tracks, state), state.theta
        ended = [Fitted(one.track, one.eta, near) for one, near in zip(tracks, state.near, strict=True)]
        kept = still_good([one.candidate for one in tracks], ended)
        if kept.all():
            return fit, state, reduced, tracks
        tracks = [one for one, good in zip(tracks, kept, strict=True) if good]
        if not tracks:
            raise InputError(f"{begun[0].target.source}: the joint fit describes none of {len(kept)} tracks")


def hits_of(state: State) -> int:
    """That are used."""
    return sum(near.hits for near in state.near)


def halves_of(
    begun: Sequence[Begun], unknowns: RunUnknowns, tracks: Sequence[Used], known: Known, whole: Marginal
) -> tuple[Half, ...]:
    """The tracks of every second event by themselves: one step of theirs from where all of them ended."""
    odd, halves = every_second(tracks), []
    for rows in (np.flatnonzero(~odd).tolist(), np.flatnonzero(odd).tolist()):
        if len(rows) == 0:
            return ()
        fit = joint_fit(begun, unknowns, [tracks[k] for k in rows], known)
        own = [whole.state.near[k] for k in rows]
        reduced = fit.reduced(State(whole.state.theta, tuple(tracks[k].eta for k in rows), tuple(own)))
        step = -reduced.covariance @ (reduced.gradient + whole.slopes[rows].sum(axis=0))
        covariance, _ = invert(reduced.information, unknowns.size(whole.state.theta))
        errors = np.sqrt(np.diag(covariance))
        halves.append(Half(*along_inverse(unknowns.names, whole.state.theta, step, errors), len(rows)))
    return tuple(halves)


def along_inverse(
    names: Sequence[str], theta: np.ndarray, step: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors (p,) where theta goes by a step, all (p,).

    Of a lifetime its inverse does, which the charge that is lost goes with.
    """
    values, errors = theta + step, errors.copy()
    inverse = [k for k, name in enumerate(names) if common_name(name) == LIFETIME]
    values[inverse] = theta[inverse] / (1.0 - step[inverse] / theta[inverse])
    errors[inverse] *= (values[inverse] / theta[inverse]) ** 2
    return values, errors


def every_second(tracks: Sequence[Used]) -> np.ndarray:
    """Which of the tracks (n,) are of every second event that has their kind; where a single one has, every second.

    Halves of a sample must have what fixes each parameter.
    """
    odd = np.zeros(len(tracks), dtype=bool)
    for kind in {one.candidate.kind for one in tracks}:
        rows = [k for k, one in enumerate(tracks) if one.candidate.kind == kind]
        events = sorted({(tracks[k].run, tracks[k].candidate.event) for k in rows})
        rank = [events.index((tracks[k].run, tracks[k].candidate.event)) for k in rows]
        odd[rows] = np.array(rank if len(events) > 1 else np.arange(len(rows))) % 2
    return odd
