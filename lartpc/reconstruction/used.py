"""The tracks of a joint fit: what is known of them, where they begin, and which of those found are used."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.contracts import ChainUnknowns
from lartpc.data.hits import Hits
from lartpc.exceptions import InputError
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.target import Target
from lartpc.reconstruction.candidates import Candidate, CutFlow
from lartpc.reconstruction.hypotheses import begin, without_doubles
from lartpc.reconstruction.joint import JointFit, Report, State, Times, unheard
from lartpc.reconstruction.layout import TIME
from lartpc.reconstruction.likelihood import TrackLikelihood
from lartpc.reconstruction.reconstruct import KNOWN, STOPPABLE, fit_candidates
from lartpc.reconstruction.selection import chosen
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

    turn: int  # how often tracks had been found before
    found_at: np.ndarray  # (p,) the unknowns at which these were found
    theta: np.ndarray  # (p,)
    tracks: tuple[tuple[int, int, str], ...]  # run, place and name of the hypothesis
    eta: tuple[np.ndarray, ...]
    flow: CutFlow


class OwnTime(NamedTuple):
    """What the fit of a track by itself says of its time."""

    weight: float  # [1/us^2]
    follow: np.ndarray  # (n,) d(eta)/d(time), all others where they are best

    @staticmethod
    def of(information: np.ndarray) -> OwnTime:
        """From that of the track's unknowns (n, n)."""
        covariance = np.linalg.inv(information)[TIME]
        return OwnTime(1.0 / covariance[TIME], covariance / covariance[TIME])


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
    begun: Sequence[Begun],
    turn: int,
    start: np.ndarray,
    particles: Sequence[str],
    known: Known,
    progress: Callable[[Iterable], Iterable],
) -> tuple[Saved, list[OwnTime]]:
    """The tracks fitted one by one, those chosen that are of `particles` and described, and their own times."""
    names, etas, flows, of_time = [], [], [], []
    for k, run in enumerate(begun):
        found = fit_candidates(run.simulation, run.target, run.candidates, known.t0, known.density, progress)
        single = without_doubles(found)
        picked, flow = chosen([found[k] for k in single], particles, run.flow.then("different hits", len(single)))
        places = [single[k] for k in picked]
        names += [(k, place, found[place].name) for place in places]
        etas += [found[place].fitted.eta for place in places]
        of_time += [OwnTime.of(found[place].fitted.near.information) for place in places]
        flows.append(flow)
    flow = CutFlow.joined(flows)
    if not names:
        raise InputError(f"{begun[0].target.source}: no track that can be used; {flow.ended}")
    return Saved(turn, start, start, tuple(names), tuple(etas), flow), of_time


def with_mean_times(times: Times, etas: Sequence[np.ndarray], of_time: Sequence[OwnTime]) -> list[np.ndarray]:
    """The tracks with the weighted mean of the times that those of their event have by themselves.

    With its time each track goes along the drift: left behind, by some mm, a fit of it ends in another minimum.
    """
    own, weight = np.array([eta[TIME] for eta in etas]), np.array([one.weight for one in of_time])
    mean = np.bincount(times.event, weight * own) / np.bincount(times.event, weight)
    shared = [eta + (mean[e] - eta[TIME]) * one.follow for eta, e, one in zip(etas, times.event, of_time, strict=True)]
    for eta, e in zip(shared, times.event, strict=True):
        eta[TIME] = mean[e]  # to the bit the same
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
