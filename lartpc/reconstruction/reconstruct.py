"""Tracks from hits, at given parameters of the detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.data.hits import Hits
from lartpc.exceptions import InputError
from lartpc.fit.target import Target
from lartpc.generator.stopping import ELECTRON_MASS, PARTICLES
from lartpc.generator.transport import DENSITY
from lartpc.reconstruction.branches import find_branches
from lartpc.reconstruction.candidates import CANDIDATES, Candidate, CutFlow
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.crossing import find_crossing
from lartpc.reconstruction.hypotheses import Found, compare, without_doubles
from lartpc.reconstruction.induced import owners, with_beside
from lartpc.reconstruction.likelihood import TrackLikelihood
from lartpc.reconstruction.track import Gaussian
from lartpc.simulation.simulation import Simulation

KNOWN = Gaussian(0.0, 1e-3)  # [us] of tracks whose time is known
WORST = 4.0  # mean square of a track's residuals over that expected
HEAVY = tuple(particle.name for particle in PARTICLES.values() if particle.mass > ELECTRON_MASS)
STOPPABLE = ("proton", "muon", "pion+")


class Reconstruction(NamedTuple):
    """Tracks that were found and fitted, good or not, and how many candidates each cut left."""

    found: tuple[Found, ...]
    flow: CutFlow

    def of_hits(self, n: int) -> np.ndarray:
        """The track of each of n hits, -1 of none."""
        track = np.full(n, -1, dtype=np.int64)
        for k, one in enumerate(self.found):
            track[one.candidate.rows] = k
        return track

    @property
    def good(self) -> np.ndarray:
        """Which of the tracks are."""
        return np.array([is_good(one) for one in self.found], dtype=bool)


def is_good(found: Found) -> bool:
    """Whether the fit of a track converged and describes its hits."""
    return found.fitted.converged and found.fitted.near.goodness < WORST


@one_blas_thread
def reconstruct(
    simulation: Simulation,
    target: Target | Hits,
    particles: Sequence[str] = STOPPABLE,
    *,
    t0: Gaussian = KNOWN,
    density: float = DENSITY,
    progress: Callable[[Iterable], Iterable] = lambda steps: steps,
) -> Reconstruction:
    """Find the tracks in hits and fit each with its own unknowns, see `track`, at the simulation's parameters.

    particles: names of those that a stopping track may be. t0: prior of the tracks' time [us]; its centre is the time
    of the events. density: of the argon that they lose energy in [g/cm3].

    Raises InputError: a particle that is not in the table or no particle, a density or width that is not above 0.
    """
    check_choices(particles, t0, density)
    target, _ = Target.of(target).usable(simulation.detector)
    candidates, flow = candidates_in(simulation, target.hits, particles, t0)
    fitted = fit_candidates(simulation, target, candidates, t0, density, progress)
    found = [fitted[k] for k in without_doubles(fitted)]
    flow = flow.then("different hits", len(found))
    flow = flow.then("fits that converged", sum(one.fitted.converged for one in found))
    flow = flow.then("and describe their hits", sum(is_good(one) for one in found))
    return Reconstruction(tuple(found), flow)


def check_choices(
    particles: Sequence[str], t0: Gaussian, density: float, told: Sequence[str] = ("particle", "t0", "density")
) -> None:
    """Raise InputError for a wrong choice of `reconstruct`; `told`: what the choices are called."""
    for name in particles or ("none",):
        check_choice(told[0], name, HEAVY)
    if not t0.width > 0:
        raise InputError(f"{told[1]}: found a width of {t0.width:g} us, allowed is above 0")
    if not 0 < density < np.inf:
        raise InputError(f"{told[2]}: found {density:g} g/cm3, allowed is above 0")


def candidates_in(
    simulation: Simulation, hits: Hits, particles: Sequence[str], t0: Gaussian
) -> tuple[list[Candidate], CutFlow]:
    """Candidates for tracks among hits."""
    by_name = {particle.name: particle for particle in PARTICLES.values()}
    detector = simulation.detector
    own = np.arange(len(hits)) if simulation.readout.conserved else owners(hits, detector)
    main = np.unique(own)
    seen = hits if len(main) == len(hits) else hits.select(main)
    points = positions(seen, detector, simulation.parameters, t0.centre)
    stopping, flow = find_branches(seen, points, detector, [by_name[name] for name in particles])
    crossing, cuts = find_crossing(seen, points, detector, [by_name["muon"]])
    used = np.concatenate([one.rows for one in stopping]) if stopping else np.zeros(0, dtype=np.int64)
    crossing = [one for one in crossing if not np.isin(one.rows, used).any()]
    found = stopping + crossing
    if len(main) < len(hits):
        found = [with_beside(hits, one, main, own) for one in found]
    return found, CutFlow(flow.cuts + cuts.cuts).then(CANDIDATES, len(found))


def fit_candidates(
    simulation: Simulation,
    target: Target,
    candidates: Sequence[Candidate],
    t0: Gaussian,
    density: float,
    progress: Callable[[Iterable], Iterable],
) -> list[Found]:
    """The best hypothesis on each."""
    quiet = simulation.without_pixels(target.unread).without_noise()
    likelihood = TrackLikelihood(quiet, [one.measured for one in candidates], (), target.rounded)
    return compare(likelihood, quiet.parameters.vector(np.float64), candidates, t0, density, progress)
