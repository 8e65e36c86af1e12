"""Tracks through a cathode that two TPCs share: what lies near it on either side along one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from lartpc.blas import one_blas_thread
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.generator.samples import back_to_back
from lartpc.generator.stopping import Particle
from lartpc.reconstruction.candidates import CROSSING, Candidate, CutFlow, Seed, foreign, measured
from lartpc.reconstruction.cluster import clusters
from lartpc.reconstruction.curve import curve
from lartpc.reconstruction.fast import FastTrack
from lartpc.reconstruction.layout import FIRST
from lartpc.reconstruction.polyline import at_fractions, path_length
from lartpc.reconstruction.track import Gaussian

BESIDE = 3.0  # [cm] of the cathode's side in which a track's hits begin it
AT_CATHODE = 1.3  # [cm] of the cathode that its first hit is within
FEWEST = 3  # hits that begin it
LOCAL = 4.0  # [cm] of its first hit whose hits tell its direction
APART, ALONG = 1.5, 4.0  # [cm] between both sides: across the line of either, and between their first hits
STRAIGHT = 0.97  # |cos| of the angle between both sides
STEEPEST = 0.88  # |cos| of the angle to the drift
CROP = 15.0  # [cm] of the path on either side that is used
SHORTEST = 4.0  # [cm] of the same
TUBE = 0.7  # [cm] from the line within which hits are the track's
HARD = 1.7  # times the usual loss, from which it was a single electron's: where that was is not known to a step
FOREIGN = 1.4  # [cm] from hits beyond that within which a track's hits may be another's as well
SMOOTH = 0.35  # [cm] along the line over which charge is taken together
WIDEST = 0.3  # rms of these about the line [cm]
GROWTH = (6.0, 10.0, CROP)  # [cm] on either side up to which the line is followed, one after the other
BEFORE_END = 0.4  # [cm], and a pixel's length along the track, before an end whose pixels are left out
STEP = 0.5  # [cm]
# [cm] as `FastTrack` takes it: what the particle is and how fast is not known, so that its losses are 20 % about those
# of a fast muon, and tell nothing of Ab.
RANGE = Gaussian(250.0, 50.0)
ACROSS = 0.15  # [cm] error of a hit's place
OUTLYING = 0.3  # [cm] from the line at which a hit counts half
FASTER = 0.03  # part by which the drift velocity may be off
PREFIT = 8  # Gauss-Newton iterations


class Side(NamedTuple):
    """A track's hits on one side of a cathode, near it."""

    tip: np.ndarray  # (3,) [cm] nearest the cathode
    centre: np.ndarray  # (3,) [cm]
    direction: np.ndarray  # (3,) away from the cathode
    rows: np.ndarray


@one_blas_thread
def find_crossing(
    hits: Hits, points: np.ndarray, detector: Detector, particles: Sequence[Particle]
) -> tuple[list[Candidate], CutFlow]:
    """The tracks of one of `particles` through a cathode, from hits that were at `points` (n, 3) [cm].

    Of a track `CROP` on either side is used, and the pixels that others have hits on are not, those of delta rays among
    them. It may go on at both ends, and be off by some mm along the drift, as where the field is not known yet.
    """
    flow, lines = CutFlow(), []
    pairs = list(pairs_of_sides(hits, points, detector))
    flow = flow.then("pairs of clusters of hits along one line through a cathode", len(pairs))
    pairs = [(event, rows) for event, rows in pairs if curve(points[rows], np.ones(len(rows))).cosine < STEEPEST]
    flow = flow.then(f"not along the drift (|cos| < {STEEPEST})", len(pairs))
    order = np.argsort(hits.event_id, kind="stable")
    for event, rows in pairs:
        first, last = np.searchsorted(hits.event_id[order], (event, event + 1))
        line = followed(hits, points, detector, order[first:last], rows, particles[0])
        if line is not None:
            lines.append((event, *line))
    flow = flow.then(f"of {SHORTEST:g} cm or more on either side, within {WIDEST} cm of it", len(lines))
    found = []
    for event, rows, nodes, losses in lines:
        seeds = tuple(Seed(one.name, one, nodes, RANGE, STEP, (True, True), losses, True) for one in particles)
        found.append(
            Candidate(event, rows, CROSSING, measured(hits, rows, foreign(hits, rows))._replace(broad=True), seeds)
        )
    return found, flow


def pairs_of_sides(hits: Hits, points: np.ndarray, detector: Detector) -> Iterator[tuple[int, np.ndarray]]:
    """Event and rows of the hits on both sides of a cathode that lie along one line; each hit in one pair at most."""
    for below, above in back_to_back(detector):
        middle = float(detector.z_cathode[below] + detector.z_cathode[above]) / 2
        for event in np.unique(hits.event_id):
            of_event = hits.event_id == event
            sides = [
                list(sides_of(hits, points, detector, np.flatnonzero(of_event & (hits.tpc == tpc)), middle))
                for tpc in (below, above)
            ]
            rated = [
                (apart, i, j)
                for i, first in enumerate(sides[0])
                for j, second in enumerate(sides[1])
                if (apart := distance(first, second)) < APART
            ]
            used: set[tuple[int, int]] = set()
            for _, i, j in sorted(rated):
                if not used & {(0, i), (1, j)}:
                    used |= {(0, i), (1, j)}
                    yield int(event), np.concatenate((sides[0][i].rows, sides[1][j].rows))


def sides_of(hits: Hits, points: np.ndarray, detector: Detector, rows: np.ndarray, middle: float) -> Iterator[Side]:
    """What begins at a cathode at z = `middle`, of the hits `rows` of an event and TPC."""
    height = np.abs(points[:, 2] - middle)
    rows = rows[height[rows] < BESIDE]
    if not len(rows):
        return
    label = clusters(hits.select(rows), points[rows], detector)
    for k in range(label.max() + 1):
        own = rows[label == k]
        tip = points[own[np.argmin(height[own])]]
        local = own[np.linalg.norm(points[own] - tip, axis=1) < LOCAL]
        if len(local) < FEWEST or np.abs(tip[2] - middle) > AT_CATHODE:
            continue
        centre = points[local].mean(axis=0)
        direction = np.linalg.svd(points[local] - centre, full_matrices=False)[2][0]
        away = np.sign(direction @ (centre - tip)) or 1.0
        yield Side(tip, centre, away * direction, local)


def distance(first: Side, second: Side) -> float:
    """How far two sides are from one line [cm]; infinite where they are not along one."""
    between = second.tip - first.tip
    if -first.direction @ second.direction < STRAIGHT or np.linalg.norm(between) > ALONG:
        return np.inf
    across = [
        np.linalg.norm(np.cross(one.tip - other.centre, other.direction))
        for one, other in ((first, second), (second, first))
    ]
    return float(max(across))


def followed(
    hits: Hits, points: np.ndarray, detector: Detector, candidates: np.ndarray, rows: np.ndarray, particle: Particle
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Rows of a track's hits, its nodes (m, 3) [cm] and losses at these, from `rows` near the cathode, if it is one.

    Hits near others of the event that are not along the line are left out, and where the particle lost much.
    """
    nodes = curve(points[rows], np.ones(len(rows))).points[::20]
    middle = points[rows].mean(axis=0)
    drift, straight = along_drift(hits, points), points.copy()
    for reach in GROWTH:
        longer = extended(nodes, reach + STEP)
        off, along = nearest(straight[candidates], longer)
        _, origin = nearest(middle[None], longer)
        there = along[off < TUBE] - origin
        own = candidates[off < TUBE][np.abs(there) < reach]
        if min(-there.min(initial=0.0), there.max(initial=0.0)) < SHORTEST:
            return None
        nodes, faster, _ = prefit(points[own], longer, particle, drift[own])
        straight[candidates] = points[candidates] + faster * drift[candidates]
        off, along = nearest(straight[own], nodes)
        if np.sqrt(np.mean(np.minimum(off, TUBE) ** 2)) > WIDEST:
            return None
    _, (origin,) = nearest(middle[None], nodes)
    own, along = own[off < TUBE], along[off < TUBE]
    low, high = along.min(initial=origin), along.max(initial=origin)
    if min(origin - low, high - origin) < SHORTEST:
        return None
    margin = BEFORE_END + float(detector.pitch.max()) / np.sqrt(1 - curve(nodes, np.ones(len(nodes))).cosine ** 2)
    inside = (along > low + margin) & (along < high - margin)
    others = nearest(straight[candidates], nodes)[0] > TUBE
    inside &= ~beside_others(straight[own], straight[candidates][others])
    line = between(nodes, low, high)
    losses = losses_along(line, straight[own], hits.charge[own].astype(np.float64))
    inside &= np.interp(along - low, path_length(line), losses) < HARD
    if inside.sum() < 2 * FEWEST:
        return None
    return own[inside], line, losses


def beside_others(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of a track's hits, at (n, 3), are near hits that are not, at (m, 3) [cm]."""
    if not len(others):
        return np.zeros(len(own), dtype=bool)
    return cKDTree(others).query(own, distance_upper_bound=FOREIGN)[0] < FOREIGN


def losses_along(nodes: np.ndarray, points: np.ndarray, charge: np.ndarray) -> np.ndarray:
    """Charge near each node of a line (m, 3) over what is usual, (m,), 1 at least: where a particle lost much."""
    _, along = nearest(points, nodes)
    near = np.exp(-0.5 * ((path_length(nodes)[:, None] - along) / SMOOTH) ** 2) @ charge
    return np.maximum(near / np.median(near), 1.0)


def along_drift(hits: Hits, points: np.ndarray) -> np.ndarray:
    """How charge at `points` (n, 3) has drifted, (n, 3) [cm]; a part more of it where it is faster by that part."""
    drift = np.zeros((len(hits), 3))
    drift[:, 2] = points[:, 2] - hits.z_anode
    return drift


def between(nodes: np.ndarray, low: float, high: float) -> np.ndarray:
    """The part of a line (n, 3) from `low` to `high` along it."""
    s = path_length(nodes)
    inner = s[(s > low + 1e-6) & (s < high - 1e-6)]
    return at_fractions(nodes, np.concatenate(([low], inner, [high])) / s[-1])


def extended(nodes: np.ndarray, reach: float) -> np.ndarray:
    """A line (n, 3) made `2 reach` long about its middle: cut, or gone on straight from its last `LOCAL` cm."""
    s = path_length(nodes)
    at = min(LOCAL, s[-1] / 2) / s[-1]
    low, high = at_fractions(nodes, np.array([at, 1 - at]))
    missing = max(reach - s[-1] / 2, 0.0)
    ends = [
        end + missing * (end - inner) / np.linalg.norm(end - inner)
        for end, inner in ((nodes[0], low), (nodes[-1], high))
    ]
    return nodes if missing == 0 else np.concatenate((ends[:1], nodes, ends[1:]))


def nearest(points: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of points (n, 3) from a line (m, 3), and how far along it they are, (n,) [cm]."""
    segment, share, off = projected(points, nodes)
    s = path_length(nodes)
    return np.linalg.norm(off, axis=1), s[segment] + share * np.diff(s)[segment]


def projected(points: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The segment of a line (m, 3) that points (n, 3) are nearest to, where on it from 0 to 1, and what leads there."""
    chord = np.diff(nodes, axis=0)
    from_start = points[:, None] - nodes[:-1]
    share = np.clip(np.sum(from_start * chord, axis=2) / np.sum(chord**2, axis=1), 0.0, 1.0)
    off = share[:, :, None] * chord - from_start
    segment = np.argmin(np.sum(off**2, axis=2), axis=1)
    rows = np.arange(len(points))
    return segment, share[rows, segment], off[rows, segment]


def prefit(
    points: np.ndarray, nodes: np.ndarray, particle: Particle, drift: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """The track along `nodes` (m, 3) [cm] that is nearest to points (n, 3) of hits: its nodes, eps and eps' error.

    eps is by what part the drift velocity is larger than that with which the points were made, `drift` (n, 3) [cm].

    Least of sum rho(d_i) + sum alpha^2/2 + eps^2/(2 FASTER^2) by Gauss-Newton, d_i the distances of points + eps drift
    in units of `ACROSS`, alpha the track's kinks, and rho of Cauchy's form, so that what is beside the track counts
    little. Along itself the track is held.
    """
    track, eta = FastTrack.through(nodes, particle, rho=RANGE, longest=STEP)
    moved = np.r_[:5, FIRST : FIRST + 2 * (track.steps - 1)]
    moved = np.delete(moved, np.argmax(np.abs(track.frame[0])))  # so that it does not slide along itself
    prior = np.append(np.where(moved < FIRST, 0.0, 1.0), FASTER**-2)
    eps = 0.0
    for _ in range(PREFIT):
        there, jacobian = track.nodes(eta), track.nodes_jacobian(eta)[:, :, moved]
        segment, share, off = projected(points + eps * drift, there)
        weight = 1 / (1 + np.sum(off**2, axis=1) / OUTLYING**2) / ACROSS**2
        of_nodes = (1 - share)[:, None, None] * jacobian[segment] + share[:, None, None] * jacobian[segment + 1]
        slope = np.concatenate((of_nodes, -drift[:, :, None]), axis=2)
        chord = np.diff(there, axis=0)[segment]
        chord /= np.linalg.norm(chord, axis=1, keepdims=True)
        slope -= chord[:, :, None] * np.einsum("ij,ijk->ik", chord, slope)[:, None]
        off -= chord * np.sum(chord * off, axis=1, keepdims=True)
        rows = np.sqrt(weight)[:, None, None] * slope
        rows = rows.reshape(-1, len(prior))
        gradient = rows.T @ (np.sqrt(weight)[:, None] * off).ravel() + prior * np.append(eta[moved], eps)
        covariance = np.linalg.inv(rows.T @ rows + np.diag(prior))
        step = covariance @ gradient
        eta[moved] -= step[:-1]
        eps -= float(step[-1])
    return track.nodes(eta), eps, float(np.sqrt(covariance[-1, -1]))
