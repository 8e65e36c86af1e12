"""Candidates for tracks: hits that may be one particle's, and the curves from which fits of it begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lartpc.data.hits import Hits
from lartpc.generator.stopping import Particle
from lartpc.reconstruction.track import Gaussian


class Measured(NamedTuple):
    """What was measured of one track."""

    hits: Hits
    masked: np.ndarray  # (k,) ids of pixels of which nothing is used, neither hits nor that there are none
    broad: bool = False  # whether some of the charge is beside the track, that of delta rays


class Seed(NamedTuple):
    """Where the fit of one hypothesis begins."""

    name: str  # that of the particle
    particle: Particle
    points: np.ndarray  # (m, 3) [cm] along the track, from where it stops or leaves backwards
    rho: Gaussian  # prior of the residual range there [cm]
    longest: float  # step [cm]
    cut: tuple[bool, bool] = (False, False)  # whether the particle goes on at the first and the last point
    losses: np.ndarray | None = None  # (m,) of energy near each point, over the most probable one
    fast: bool = False  # whether its track is a `FastTrack`


class Candidate(NamedTuple):
    """Hits of an event that may be a particle's track."""

    event: int
    rows: np.ndarray  # of its hits among all (n,)
    kind: str  # of `KINDS`
    measured: Measured
    seeds: tuple[Seed, ...]  # of its hypotheses


STOPPING, CROSSING, THROUGH = "stopping", "crossing the cathode", "through a TPC"
KINDS = (STOPPING, CROSSING, THROUGH)
CANDIDATES = "candidates for tracks"
SAME = 0.5  # of the hits of the smaller of two candidates: if they share more they are the same track


class CutFlow(NamedTuple):
    """How many candidates were left after each cut, in order."""

    cuts: tuple[tuple[str, int], ...] = ()

    def then(self, told: str, left: int) -> CutFlow:
        """With one more cut."""
        return CutFlow((*self.cuts, (told, left)))

    @staticmethod
    def joined(flows: Sequence[CutFlow]) -> CutFlow:
        """The sum of those of several runs."""
        left: dict[str, int] = {}
        for told, n in (cut for flow in flows for cut in flow.cuts):
            left[told] = left.get(told, 0) + n
        return CutFlow(tuple(left.items()))

    @property
    def ended(self) -> str:
        """The cut that left nothing, from the candidates on, in words."""
        names = [told for told, _ in self.cuts]
        cuts = self.cuts[names.index(CANDIDATES) :] if CANDIDATES in names else self.cuts
        before = (CANDIDATES, 0)
        for told, left in cuts:
            if left == 0 and before[1]:
                return f"of {before[1]} {before[0]} none is {told}"
            before = (told, left)
        return f"{cuts[0][1]} {cuts[0][0]} of {self.cuts[0][1]} {self.cuts[0][0]}"

    def __str__(self) -> str:
        return "\n".join(f"{left:8} {told}" for told, left in self.cuts)


def foreign(hits: Hits, rows: np.ndarray) -> np.ndarray:
    """Ids (k,) of the pixels that others than these rows of an event have hits on."""
    others = np.setdiff1d(np.flatnonzero(hits.event_id == hits.event_id[rows[0]]), rows)
    return np.unique(hits.pixel_id[others])


def measured(hits: Hits, rows: np.ndarray, masked: np.ndarray) -> Measured:
    """The hits of a track without the masked pixels (k,), of which nothing is used.

    Raises ValueError where no hit is left.
    """
    own = hits.select(rows)
    if np.isin(own.pixel_id, masked).all():
        raise ValueError(f"all pixels of the {len(own)} hits of a track are masked")
    return Measured(own, masked)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the smaller of two sets of rows that both have."""
    return len(np.intersect1d(one, other)) / max(min(len(one), len(other)), 1)
