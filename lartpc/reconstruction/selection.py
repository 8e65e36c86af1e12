"""Which tracks a calibration uses, before and after it has moved the parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lartpc.reconstruction.candidates import CROSSING, STOPPING, CutFlow
from lartpc.reconstruction.hypotheses import Found

# Mean square of a track's residuals, of which its unknowns take a part. At a field that is 1 % off a crossing track is
# 3 mm off itself, so that it is judged once the parameters are fitted.
BEFORE = {STOPPING: 2.0, CROSSING: 30.0}
AFTER = {STOPPING: 1.3, CROSSING: 1.3}
STRAIN = 2.0  # of a track that stops as its particle does, at parameters that are some per cent off
FEWEST = 6  # hits that are used
CLEAR = 10.0  # of F between a particle or an end and the others


def chosen(found: Sequence[Found], particles: Sequence[str], flow: CutFlow) -> tuple[list[Found], CutFlow]:
    """The tracks of `particles` to begin a joint fit with."""
    cuts = (
        ("fits that converged", lambda one: one.fitted.converged and np.isfinite(one.fitted.near.value)),
        (f"with {FEWEST} hits or more", lambda one: one.fitted.near.hits >= FEWEST),
        ("of " + ", ".join(particles) + ", and clearly", lambda one: is_of(one, particles)),
        ("that describe their hits", lambda one: one.fitted.near.goodness < BEFORE[one.candidate.kind]),
        ("with the charge of their range", has_its_range),
    )
    left = list(found)
    for told, cut in cuts:
        left = [one for one in left if cut(one)]
        flow = flow.then(told, len(left))
    return left, flow


def is_of(found: Found, particles: Sequence[str]) -> bool:
    """Whether it is one of `particles`, and no other particle does nearly as well."""
    rivals = [value for name, value in found.others.items() if name.removesuffix(" reversed") not in particles]
    return found.fitted.track.particle.name in particles and min(rivals, default=np.inf) > CLEAR


def has_its_range(found: Found) -> bool:
    """Whether a stopping track has the charges that its particle leaves, as far as its energy losses may fluctuate."""
    return found.candidate.kind != STOPPING or found.strain < STRAIN


def still_good(found: Sequence[Found]) -> np.ndarray:
    """Which of the tracks (n,) a joint fit describes where it ended."""
    good = [one.fitted.near.goodness < AFTER[one.candidate.kind] and has_its_range(one) for one in found]
    return np.array(good, dtype=bool)
