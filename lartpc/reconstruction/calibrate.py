"""Calibrate from data alone: the detector's parameters and all tracks together, from hits."""

from __future__ import annotations

import copy
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
from lartpc.fit.unknowns import as_unknowns, check_start
from lartpc.generator.transport import DENSITY
from lartpc.reconstruction import marginal
from lartpc.reconstruction.candidates import Candidate, CutFlow
from lartpc.reconstruction.hypotheses import begin, without_doubles
from lartpc.reconstruction.joint import JointFit, Reduced, Report, State, Times, unheard
from lartpc.reconstruction.layout import TIME
from lartpc.reconstruction.likelihood import TrackLikelihood
from lartpc.reconstruction.marginal import Marginal
from lartpc.reconstruction.reconstruct import KNOWN, STOPPABLE, candidates_in, fit_candidates
from lartpc.reconstruction.selection import chosen, still_good
from lartpc.reconstruction.track import Gaussian, Track
from lartpc.reconstruction.velocity import straight_field
from lartpc.simulation.simulation import Simulation

FIELD = "eField"
T0_OF = EVENT, _ = ("event", "track")  # whose a time is
Finder = Callable[[Simulation, Hits, Sequence[str], Gaussian], tuple[list[Candidate], CutFlow]]


class Known(NamedTuple):
    """What is known of tracks: the prior of times [us], whose they are, and the density of the argon [g/cm3]."""

    t0: Gaussian
    t0_of: str
    density: float

    @property
    def shared(self) -> bool:
        """Whether tracks of an event have one time, which is not known."""
        return self.t0_of == EVENT and self.t0.width > KNOWN.width

    @property
    def of_track(self) -> Gaussian:
        """The prior of the time of a track in a joint fit."""
        return self.t0._replace(width=0.0) if self.shared else self.t0


class HitRun(NamedTuple):
    """What a calibration from data alone takes of one run: hits, and the model."""

    simulation: Simulation
    target: Target | Hits


class Used(NamedTuple):
    """A track in a joint fit."""

    run: int
    place: int  # of its candidate among those of the run
    candidate: Candidate
    name: str  # of the hypothesis
    track: Track
    eta: np.ndarray


class Saved(NamedTuple):
    """Where a joint fit is: all that it needs to go on, to the same bits."""

    theta: np.ndarray  # (p,)
    tracks: tuple[tuple[int, int, str], ...]  # run, place and name of the hypothesis
    eta: tuple[np.ndarray, ...]
    flow: CutFlow


@dataclasses.dataclass(frozen=True)
class Journal:
    """Where an interrupted fit was, who is told of each step and of where it is, and what wraps what takes long."""

    saved: Saved | None = None
    save: Callable[[Saved], None] = lambda saved: None
    report: Callable[[str, State, Reduced, float, int], None] = lambda phase, state, reduced, left, hits: None
    progress: Callable[[Iterable], Iterable] = lambda steps: steps


class Half(NamedTuple):
    """A fit of the tracks of every second event."""

    values: np.ndarray  # (p,), tracks marginalised
    errors: np.ndarray  # (p,)
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
    `particles` and describe their hits are fitted together with the unknowns, see `joint`; the result is that of the
    marginal likelihood, see `marginal`. t0 [us]: prior of the time of each event, which its tracks share, or
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
    told = zip(runs, varied.of_run, varied.columns, strict=True)
    begun = [Begun.of(run, own, start[columns], t0, finder) for run, own, columns in told]
    known = Known(t0, t0_of, density)
    saved = journal.saved
    if saved is None:
        saved, weight = first(begun, start, particles, known, journal)
        fit = joint_fit(begun, varied, restored(begun, saved, known), known)
        if fit.times is not None:
            saved = saved._replace(eta=fit.profiled(start, with_mean_times(fit.times, saved.eta, weight)).eta)
        journal.save(saved)
    tracks = restored(begun, saved, known)
    theta, flow = saved.theta, saved.flow
    while True:  # each fit without the tracks that the one before does not describe

        def keep(phase: str, state: State, reduced: Reduced, left: float, tracks: list = tracks) -> None:
            journal.save(Saved(state.theta, names_of(tracks), state.eta, flow))
            journal.report(phase, state, reduced, left, hits_of(state))

        fit = joint_fit(begun, varied, tracks, known, keep)
        state, reduced = fit.run(fit.state(theta, [one.eta for one in tracks]))
        tracks, theta = refitted(tracks, state), state.theta
        kept = still_good([one.candidate for one in tracks], state.near)
        if kept.all():
            break
        tracks = [one for one, good in zip(tracks, kept, strict=True) if good]
        if not tracks:
            raise InputError(f"{begun[0].target.source}: the joint fit describes none of {len(kept)} tracks")
    flow = flow.then("that the joint fit describes", len(tracks))
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


class Begun(NamedTuple):
    """A run with its unknowns where they start, and its candidates for tracks."""

    simulation: Simulation
    target: Target
    candidates: list[Candidate]
    flow: CutFlow

    @staticmethod
    def of(run: HitRun, unknowns: ChainUnknowns, values: np.ndarray, t0: Gaussian, finder: Finder) -> Begun:
        """The simulation without noise and unread pixels, and the unknowns at `values`."""
        target, _ = Target.of(run.target).usable(run.simulation.detector)
        simulation = started(run.simulation, unknowns, values).without_pixels(target.unread).without_noise()
        return Begun(simulation, target, *finder(simulation, target.hits, STOPPABLE, t0))


def first(
    begun: Sequence[Begun], start: np.ndarray, particles: Sequence[str], known: Known, journal: Journal
) -> tuple[Saved, np.ndarray]:
    """The tracks fitted one by one, and those chosen that are of `particles` and described.

    With how well each tells its time (n,) [1/us^2].
    """
    names, etas, flows, weight = [], [], [], []
    for k, run in enumerate(begun):
        found = fit_candidates(run.simulation, run.target, run.candidates, known.t0, known.density, journal.progress)
        single = without_doubles(found)
        picked, flow = chosen([found[k] for k in single], particles, run.flow.then("different hits", len(single)))
        places = [single[k] for k in picked]
        names += [(k, place, found[place].name) for place in places]
        etas += [found[place].fitted.eta for place in places]
        weight += [1.0 / np.linalg.inv(found[place].fitted.near.information)[TIME, TIME] for place in places]
        flows.append(flow)
    flow = CutFlow.joined(flows)
    if not names:
        raise InputError(f"{begun[0].target.source}: no track that can be used; {flow.ended}")
    return Saved(start, tuple(names), tuple(etas), flow), np.array(weight)


def with_mean_times(times: Times, etas: Sequence[np.ndarray], weight: np.ndarray) -> list[np.ndarray]:
    """The tracks with the weighted mean of the times that those of their event have by themselves."""
    own = np.array([eta[TIME] for eta in etas])
    mean = np.bincount(times.event, weight * own) / np.bincount(times.event, weight)
    shared = [eta.copy() for eta in etas]
    for eta, e in zip(shared, times.event, strict=True):
        eta[TIME] = mean[e]
    return shared


def restored(begun: Sequence[Begun], saved: Saved, known: Known) -> list[Used]:
    """The tracks of what was saved; where they are near is found anew."""
    tracks = []
    for (run, place, name), eta in zip(saved.tracks, saved.eta, strict=True):
        candidate = begun[run].candidates[place]
        seed = next(seed for seed in candidate.seeds if seed.name == name)
        track, _ = begin(seed, known.of_track, known.density)
        tracks.append(Used(run, place, candidate, name, track, eta))
    return tracks


def names_of(tracks: Sequence[Used]) -> tuple[tuple[int, int, str], ...]:
    """Run, place and hypothesis of each."""
    return tuple((one.run, one.place, one.name) for one in tracks)


def hits_of(state: State) -> int:
    """That are used."""
    return sum(near.hits for near in state.near)


def nearer_start(runs: Sequence[HitRun], unknowns: RunUnknowns, t0: Gaussian) -> np.ndarray:
    """Where the unknowns start (p,); a field of which nothing is known, where lines through a cathode are straight."""
    theta = unknowns.start.copy()
    held = {name for one in unknowns.constraints for name in one.names}
    fields: dict[int, list[float]] = {}
    for run, own, columns in zip(runs, unknowns.of_run, unknowns.columns, strict=True):
        place = own.names.index(FIELD) if FIELD in own.names else None
        if place is None or unknowns.names[columns[place]] in held:
            continue
        target, _ = Target.of(run.target).usable(run.simulation.detector)
        begun = started(run.simulation, own, theta[columns])
        fields.setdefault(int(columns[place]), []).append(
            straight_field(target.hits, begun.detector, begun.parameters, t0.centre)
        )
    for k, found in fields.items():
        theta[k] = np.clip(np.mean(found), *unknowns.bounds[k])
    return theta


def started(simulation: Simulation, unknowns: ChainUnknowns, values: np.ndarray) -> Simulation:
    """The simulation with the unknowns at `values`."""
    begun = copy.copy(simulation.apart(unknowns.names))
    begun.parameters = begun.parameters.replace(**dict(zip(unknowns.names, values.tolist(), strict=True)))
    return begun


def joint_fit(
    begun: Sequence[Begun], unknowns: RunUnknowns, tracks: Sequence[Used], known: Known, report: Report = unheard
) -> JointFit:
    """The fit of `unknowns` and tracks, which are in the order of the runs."""
    likelihoods = []
    for k, (run, own) in enumerate(zip(begun, unknowns.of_run, strict=True)):
        measured = [one.candidate.measured for one in tracks if one.run == k]
        likelihoods.append(TrackLikelihood(run.simulation, measured, own.slots, run.target.rounded))
    times = None
    if known.shared:
        of_track = np.array([(one.run, one.candidate.event) for one in tracks])
        _, event = np.unique(of_track, axis=0, return_inverse=True)
        times = Times(event.ravel(), known.t0)
    return JointFit(likelihoods, unknowns, [one.track for one in tracks], report, times)


def refitted(tracks: Sequence[Used], state: State) -> list[Used]:
    """The tracks as a joint fit left them."""
    return [one._replace(eta=eta) for one, eta in zip(tracks, state.eta, strict=True)]


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
        halves.append(Half(whole.state.theta + step, np.sqrt(np.diag(reduced.covariance)), len(rows)))
    return tuple(halves)


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
