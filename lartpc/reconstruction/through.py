"""Fast muons that go through a TPC: long lines of hits that enter and leave it, a track of their own in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.generator.stopping import Particle
from lartpc.reconstruction.candidates import THROUGH, Candidate, CutFlow, Seed, foreign, measured
from lartpc.reconstruction.cluster import clusters
from lartpc.reconstruction.crossing import (
    BEFORE_END,
    STEEPEST,
    STEP,
    TUBE,
    WIDEST,
    beside_others,
    between,
    extended,
    losses_along,
    nearest,
    prefit,
)
from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.track import Gaussian

FEWEST = 20  # hits of a cluster
SHORTEST = 10.0  # [cm] of the line
AT_BORDER = 2.0  # [cm] of both its ends from the borders of its TPC
BROKEN = 0.7  # of a cluster's hits that are along its line, at least
ROUNDS, OUTLYING = 8, 0.5  # of straight lines, and the distance [cm] at which a hit counts half for these
RANGE = Gaussian(1000.0, 40.0)  # [cm] as `FastTrack` takes it: losses of cosmic muons are 4 % about the usual


class Line(NamedTuple):
    """A track's hits in one TPC, and the line that they are along."""

    event: int
    rows: np.ndarray  # of all its hits
    nodes: np.ndarray  # (m, 3) [cm]
    inside: np.ndarray  # which of the rows are used: not at its ends, nor near others
    losses: np.ndarray  # (m,) see `losses_along`


@one_blas_thread
def find_through(
    hits: Hits, points: np.ndarray, detector: Detector, particles: Sequence[Particle]
) -> tuple[list[Candidate], CutFlow]:
    """The tracks of one of `particles` that enter and leave a TPC, from hits that were at `points` (n, 3) [cm].

    Each TPC has a track of its own: where a particle goes on through a cathode tells nothing of the charge. Pixels that
    others have hits on are not used, those of delta rays among them, nor those at both ends.
    """
    flow = CutFlow()
    seen = list(straight(hits, points, detector))
    flow = flow.then(f"clusters of {FEWEST} hits or more in a TPC", len(seen))
    seen = [one for one in seen if len(one[1]) >= BROKEN * one[2]]
    flow = flow.then("along one line", len(seen))
    seen = [one for one in seen if one[3].length >= SHORTEST]
    flow = flow.then(f"of {SHORTEST:g} cm or more", len(seen))
    seen = [one for one in seen if abs(one[3].direction[2]) < STEEPEST]
    flow = flow.then(f"not along the drift (|cos| < {STEEPEST})", len(seen))
    lines = [line for one in seen if (line := followed(hits, points, detector, *one[:2], one[3], particles[0]))]
    flow = flow.then(f"within {WIDEST} cm of a smooth one", len(lines))
    lines = [one for one in lines if goes_through(one.nodes, detector, int(hits.tpc[one.rows[0]]))]
    flow = flow.then(f"with both ends within {AT_BORDER:g} cm of the borders of the TPC", len(lines))
    return [candidate(hits, one, particles) for one in lines], flow


def candidate(hits: Hits, line: Line, particles: Sequence[Particle]) -> Candidate:
    """Of a line."""
    seeds = tuple(Seed(one.name, one, line.nodes, RANGE, STEP, (True, True), line.losses, True) for one in particles)
    used = line.rows[line.inside]
    return Candidate(line.event, used, THROUGH, measured(hits, used, foreign(hits, used))._replace(broad=True), seeds)


class Straight(NamedTuple):
    """A straight line through hits."""

    centre: np.ndarray  # (3,) [cm]
    direction: np.ndarray  # (3,)
    reach: tuple[float, float]  # [cm] along it from the centre

    @property
    def length(self) -> float:
        """[cm]."""
        return self.reach[1] - self.reach[0]

    @property
    def ends(self) -> np.ndarray:
        """(2, 3) [cm]."""
        return self.centre + np.array(self.reach)[:, None] * self.direction


def straight(hits: Hits, points: np.ndarray, detector: Detector) -> Iterator[tuple[int, np.ndarray, int, Straight]]:
    """Of each cluster in a TPC: event, rows of the hits along its straight line, how many it has, and the line."""
    for tpc in np.unique(hits.tpc):
        of_tpc = np.flatnonzero(hits.tpc == tpc)
        label = clusters(hits.select(of_tpc), points[of_tpc], detector)
        for k in np.flatnonzero(np.bincount(label) >= FEWEST):
            rows = of_tpc[label == k]
            line, near = straight_line(points[rows])
            yield int(hits.event_id[rows[0]]), rows[near], len(rows), line


def straight_line(points: np.ndarray) -> tuple[Straight, np.ndarray]:
    """The line that most of points (n, 3) [cm] are near to, and which of them are: least squares, Cauchy's weights."""
    weight = np.ones(len(points))
    for _ in range(ROUNDS):
        centre = weight @ points / weight.sum()
        spread = points - centre
        direction = np.linalg.eigh(spread.T @ (weight[:, None] * spread))[1][:, -1]
        along = spread @ direction
        off = np.linalg.norm(spread - along[:, None] * direction, axis=1)
        weight = 1 / (1 + (off / OUTLYING) ** 2)
    near = off < 2 * TUBE
    reach = (float(along[near].min(initial=0.0)), float(along[near].max(initial=0.0)))
    return Straight(centre, direction, reach), near


def followed(
    hits: Hits,
    points: np.ndarray,
    detector: Detector,
    event: int,
    rows: np.ndarray,
    begun: Straight,
    particle: Particle,
) -> Line | None:
    """The track along a straight line that has the hits `rows`, from all hits of its event and TPC; None of none."""
    there = np.flatnonzero((hits.event_id == event) & (hits.tpc == hits.tpc[rows[0]]))
    held = np.zeros((len(rows), 3))  # the velocity is as it is
    nodes, _, _ = prefit(points[rows], sampled(begun.ends), particle, held)
    longer = extended(nodes, path_length(nodes)[-1] / 2 + AT_BORDER)
    off, _ = nearest(points[there], longer)
    own = there[off < TUBE]
    if len(own) < FEWEST:
        return None
    nodes, _, _ = prefit(points[own], longer, particle, np.zeros((len(own), 3)))
    off, along = nearest(points[own], nodes)
    if np.sqrt(np.mean(np.minimum(off, TUBE) ** 2)) > WIDEST:
        return None
    own, along = own[off < TUBE], along[off < TUBE]
    low, high = along.min(initial=np.inf), along.max(initial=0.0)
    if high - low < SHORTEST:
        return None
    chord = nodes[-1] - nodes[0]
    sine = np.sqrt(1 - (chord[2] / np.linalg.norm(chord)) ** 2)
    margin = BEFORE_END + float(detector.pitch.max()) / sine
    inside = (along > low + margin) & (along < high - margin)
    inside &= ~beside_others(points[own], points[np.setdiff1d(there, own)])
    line = between(nodes, low, high)
    losses = losses_along(line, points[own], hits.charge[own].astype(np.float64))
    return Line(event, own, line, inside, losses) if inside.sum() >= FEWEST else None


def sampled(ends: np.ndarray) -> np.ndarray:
    """Points (n, 3) between two, a step apart."""
    n = max(int(np.linalg.norm(ends[1] - ends[0]) / STEP), 2)
    return np.linspace(ends[0], ends[1], n)


def goes_through(nodes: np.ndarray, detector: Detector, tpc: int) -> bool:
    """Whether both ends of a line (n, 3) [cm] are near the borders of its TPC."""
    z = sorted((float(detector.z_anode[tpc]), float(detector.z_cathode[tpc])))
    low = np.array([detector.x_lo[tpc], detector.y_lo[tpc], z[0]]) + AT_BORDER
    high = np.array([detector.x_hi[tpc], detector.y_hi[tpc], z[1]]) - AT_BORDER
    return bool(all(((end < low) | (end > high)).any() for end in nodes[[0, -1]]))
