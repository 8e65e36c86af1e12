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
VALUE = -7.0  # F over hits of a track that stops as its particle does; that of others is more
FEWEST = 6  # hits that are used
CLEAR = 10.0  # of F between a particle or an end and the others


def chosen(found: Sequence[Found], particles: Sequence[str], flow: CutFlow) -> tuple[list[Found], CutFlow]:
    """The tracks of `particles` to begin a joint fit with."""
    cuts = (
        ("fits that converged", lambda one: one.fitted.converged and np.isfinite(one.fitted.near.value)),
        (f"with {FEWEST} hits or more", lambda one: one.fitted.near.hits >= FEWEST),
        ("of " + ", ".join(particles) + ", and clearly", lambda one: is_of(one, particles)),
        ("that describe their hits", lambda one: one.fitted.near.goodness < BEFORE[one.candidate.kind]),
        ("with the charge of their range", lambda one: one.value_per_hit < VALUE or one.candidate.kind != STOPPING),
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


def still_good(found: Sequence[Found]) -> np.ndarray:
    """Which of the tracks (n,) a joint fit describes where it ended."""
    return np.array([one.fitted.near.goodness < AFTER[one.candidate.kind] for one in found], dtype=bool)
