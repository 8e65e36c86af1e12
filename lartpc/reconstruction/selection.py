"""Which tracks a calibration uses, before and after it has moved the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lartpc.reconstruction.candidates import CROSSING, STOPPING, THROUGH, Candidate, CutFlow
from lartpc.reconstruction.hypotheses import Found
from lartpc.reconstruction.layout import RHO
from lartpc.reconstruction.singles import Fitted

# Mean square of a track's residuals over that expected: of good protons 0.5 to 1.3, of muons, whose losses have long
# tails, 1.2 to 2.6. At a field that is 1 % off a crossing track is 3 mm off itself, so that it is judged once the
# parameters are fitted.
BEFORE = {STOPPING: 4.0, CROSSING: 60.0, THROUGH: 6.0}
AFTER = {STOPPING: 2.5, CROSSING: 2.6, THROUGH: 2.6}
LEAST_LOSS, MOST_LOSS = 0.6, 1.2  # of the mean loss: the usual one of a step of a fast muon
WORST = 0.5  # of the mean square of the worst crossing track: those above it are taken out together
STRAIN = 2.0  # of a track that stops as its particle does
ALIKE = 2.0  # times the median, where that is more: parameters that are some per cent off strain all tracks alike
FEWEST = 6  # hits that are used
CLEAR = 10.0  # of F between a particle or an end and the others


def chosen(found: Sequence[Found], particles: Sequence[str], flow: CutFlow) -> tuple[list[int], CutFlow]:
    """Which of the tracks found, those of `particles`, a joint fit begins with: their places."""
    cuts: tuple[tuple[str, Callable[[Found, list[Found]], bool]], ...] = (
        ("fits that converged", lambda one, _: settled(one)),
        (f"with {FEWEST} hits or more", lambda one, _: one.fitted.near.hits >= FEWEST),
        (f"clearly of {', '.join(particles)}", lambda one, _: is_of(one, particles)),
        ("that lose energy as their particle does", lambda one, _: usual_loss(one)),
        ("that describe their hits", describes_its_hits),
        ("with the charge of their range", has_its_range),
    )
    left = list(range(len(found)))
    for told, cut in cuts:
        stopping = [found[place] for place in left if found[place].candidate.kind == STOPPING]
        left = [place for place in left if cut(found[place], stopping)]
        flow = flow.then(told, len(left))
    return left, flow


def settled(found: Found) -> bool:
    """Whether a fit ended at a minimum; that of a crossing track need not, before the field is known."""
    return (found.fitted.converged or found.candidate.kind == CROSSING) and bool(np.isfinite(found.fitted.near.value))


def usual_loss(found: Found) -> bool:
    """Whether a crossing track loses what a fast muon does, and is no slow proton."""
    if found.candidate.kind == STOPPING:
        return True
    track, eta = found.fitted.track, found.fitted.eta
    usual = track.mean_losses(np.where(np.arange(track.size) == RHO, track.rho.centre, eta))[0]
    return bool(LEAST_LOSS < float(np.median(track.segments(eta).dE / usual)) < MOST_LOSS)


def is_of(found: Found, particles: Sequence[str]) -> bool:
    """Whether it is one of `particles`, and no other does nearly as well. What crosses may be any."""
    if found.candidate.kind != STOPPING:
        return True
    rivals = [value for name, value in found.others.items() if name not in particles]
    return found.fitted.track.particle.name in particles and min(rivals, default=np.inf) > CLEAR


def describes_its_hits(found: Found, stopping: Sequence[Found]) -> bool:
    """Whether its residuals are those of a track of its kind, or much as those of the others that stop."""
    limit = BEFORE[found.candidate.kind]
    if found.candidate.kind == STOPPING:
        limit = max(limit, ALIKE * float(np.median([one.fitted.near.goodness for one in stopping])))
    return found.fitted.near.goodness < limit


def has_its_range(found: Found, stopping: Sequence[Found]) -> bool:
    """Whether a stopping track has the charges that its particle leaves, as far as its energy losses may fluctuate.

    Or much as the others that stop: where parameters are off, all have other charges.
    """
    if found.candidate.kind != STOPPING:
        return True
    return found.strain < max(STRAIN, ALIKE * float(np.median([one.strain for one in stopping])))


def still_good(candidates: Sequence[Candidate], fitted: Sequence[Fitted]) -> np.ndarray:
    """Which of the tracks (n,) a joint fit describes where it ended.

    A bad track that crosses a cathode makes the others bad by the field: only those near the worst of them go at once.
    """
    goodness = np.array([one.near.goodness for one in fitted])
    kinds = np.array([candidate.kind for candidate in candidates], dtype=object)
    crossing, stopping = kinds == CROSSING, kinds == STOPPING
    limit = np.array([AFTER[kind] for kind in kinds])
    limit[crossing] = np.maximum(limit[crossing], WORST * goodness[crossing].max(initial=0.0))
    strain = np.array([one.strain for one in fitted])
    return (goodness < limit) & ~(stopping & (strain > STRAIN))
