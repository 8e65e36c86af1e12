"""Calibrate from data alone: the detector's parameters and all tracks together, from hits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.contracts import ChainUnknowns
from lartpc.data.hits import Hits
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import SIX, truth_of
from lartpc.fit.target import Target
from lartpc.fit.unknowns import as_unknowns, check_start
from lartpc.generator.transport import DENSITY
from lartpc.reconstruction import marginal
from lartpc.reconstruction.candidates import CutFlow
from lartpc.reconstruction.hypotheses import Found
from lartpc.reconstruction.joint import JointFit, Report, State
from lartpc.reconstruction.likelihood import TrackLikelihood
from lartpc.reconstruction.marginal import Marginal
from lartpc.reconstruction.reconstruct import KNOWN, reconstruct
from lartpc.reconstruction.selection import chosen, still_good
from lartpc.reconstruction.singles import Fitted
from lartpc.reconstruction.track import Gaussian
from lartpc.simulation.simulation import Simulation

ROUNDS = 3  # of joint fits, each without the tracks that the one before does not describe


class Half(NamedTuple):
    """A fit of the tracks of every second event."""

    values: np.ndarray  # (p,), tracks marginalised
    errors: np.ndarray  # (p,)
    tracks: int


class TracksFit(NamedTuple):
    """Parameters and tracks where a fit ended; arrays in the order of the unknowns, p of them."""

    unknowns: ChainUnknowns
    tracks: tuple[Found, ...]  # that were used, as they are fitted at the end
    most_likely: np.ndarray  # (p,) where F is minimal by parameters and tracks (MAP)
    most_likely_left: float  # the decrement there
    marginal: Marginal
    halves: tuple[Half, ...]  # of even and odd events; none where there are too few tracks
    flow: CutFlow
    truth: np.ndarray | None  # (p,) where known

    @property
    def values(self) -> np.ndarray:
        """(p,), tracks marginalised."""
        return self.marginal.state.theta

    @property
    def covariance(self) -> np.ndarray:
        """Of the same (p, p)."""
        return np.linalg.inv(self.marginal.reduced.information)

    @property
    def errors(self) -> np.ndarray:
        """(p,)"""
        return np.sqrt(np.diag(self.covariance))


@one_blas_thread
def calibrate_tracks(
    simulation: Simulation,
    target: Target | Hits,
    unknowns: Sequence[str] | ChainUnknowns = SIX,
    *,
    particles: Sequence[str] = ("proton",),
    t0: Gaussian = KNOWN,
    density: float = DENSITY,
    report: Report = lambda phase, state, reduced, left: None,
    progress: Callable[[Iterable], Iterable] = lambda steps: steps,
) -> TracksFit:
    """Fit `unknowns` to hits whose deposits are not known: together with the tracks that made them.

    Tracks are found and fitted one by one at the simulation's parameters, see `reconstruct`; those that stop as one of
    `particles` and describe their hits are fitted together with the unknowns, see `joint`; the result is that of the
    marginal likelihood, see `marginal`. t0 [us]: prior of each track's time. density: of the argon that they lose
    energy in [g/cm3].

    Raises InputError: as `calibrate` for the unknowns, hits of another detector, no track that can be used.
    """
    varied = as_unknowns(simulation, unknowns)
    check_start(varied)
    target = Target.of(target)
    first = reconstruct(started(simulation, varied), target, t0=t0, density=density, progress=progress)
    tracks, flow = chosen(first.found, particles, first.flow)
    if not tracks:
        raise InputError(f"{target.source}: no track that can be used: {flow.cuts[-1][0]}: 0 of {flow.cuts[0][1]}")
    usable, _ = target.usable(simulation.detector)
    quiet = simulation.apart(varied.names).without_pixels(usable.unread).without_noise()
    theta = varied.start
    for _ in range(ROUNDS):
        fit = joint_fit(quiet, varied, tracks, usable.rounded, report)
        state, reduced, left = fit.run(fit.state(theta, [one.fitted.eta for one in tracks]))
        tracks, theta = refitted(tracks, state), state.theta
        kept = still_good(tracks)
        if kept.all():
            break
        tracks = [one for one, good in zip(tracks, kept, strict=True) if good]
        if not tracks:
            raise InputError(f"{target.source}: no track that a joint fit describes")
    flow = flow.then("described by the joint fit", len(tracks))
    found = marginal.run(fit, state, reduced)
    tracks = refitted(tracks, found.state)
    truth = truth_of(target.truth, varied.names)
    halves = tuple(halves_of(quiet, varied, tracks, usable.rounded, found))
    return TracksFit(varied, tuple(tracks), theta, left, found, halves, flow, truth)


def started(simulation: Simulation, unknowns: ChainUnknowns) -> Simulation:
    """The simulation with the unknowns where they start."""
    begun = copy.copy(simulation.apart(unknowns.names))
    begun.parameters = begun.parameters.replace(**dict(zip(unknowns.names, unknowns.start.tolist(), strict=True)))
    return begun


def joint_fit(
    simulation: Simulation, unknowns: ChainUnknowns, tracks: Sequence[Found], rounded: bool, report: Report
) -> JointFit:
    """The fit of `unknowns` and tracks."""
    measured = [one.candidate.measured for one in tracks]
    likelihood = TrackLikelihood(simulation, measured, unknowns.slots, rounded)
    return JointFit(likelihood, unknowns, [one.fitted.track for one in tracks], report)


def refitted(tracks: Sequence[Found], state: State) -> list[Found]:
    """The tracks as a joint fit left them."""
    return [
        one._replace(fitted=Fitted(one.fitted.track, eta, near, True))
        for one, eta, near in zip(tracks, state.eta, state.near, strict=True)
    ]


def halves_of(
    simulation: Simulation, unknowns: ChainUnknowns, tracks: Sequence[Found], rounded: bool, whole: Marginal
) -> list[Half]:
    """The tracks of even and of odd events by themselves, with the slopes of the log det as they are for all."""
    odd = np.array([one.candidate.event % 2 for one in tracks], dtype=bool)
    halves = []
    for chosen_ones in (np.flatnonzero(~odd), np.flatnonzero(odd)):
        if len(chosen_ones) == 0:
            return []
        own = [tracks[k] for k in chosen_ones]
        fit = joint_fit(simulation, unknowns, own, rounded, lambda *told: None)
        state, reduced, _ = fit.run(fit.state(whole.state.theta, [one.fitted.eta for one in own]))
        step = -np.linalg.solve(reduced.information, reduced.gradient + whole.slopes[chosen_ones].sum(axis=0))
        errors = np.sqrt(np.diag(np.linalg.inv(reduced.information)))
        halves.append(Half(state.theta + step, errors, len(own)))
    return halves
