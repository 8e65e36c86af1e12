"""Stopping tracks, whether alone or inside an interaction: grown from where they stop backwards.

A track's residual range counts from the stop, so that what is beyond a vertex is not needed. Each branch begins at a
tip, a hit with all its neighbours on one side, and goes straight on until other hits are beside it: there it is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.generator.stopping import PARTICLES, Particle, range_table
from lartpc.generator.transport import DENSITY, LONGEST_STEP
from lartpc.reconstruction.candidates import SAME, STOPPING, Candidate, CutFlow, Seed, foreign, measured, overlap
from lartpc.reconstruction.curve import Curve, curve
from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.track import STOPPED

AROUND = 2.0  # [cm] about a tip in which all hits are on one side
CONE = np.cos(np.radians(44.0))
BESIDE = 0.6  # [cm] nearer hits may be beside a tip: pixels next to its own
STEP = 0.5  # [cm] by which a branch grows
TUBE, CLEAR = 0.75, 1.9  # [cm] from its axis: hits within the first are its own, others within the second end it
STRAIGHT, FEW = 3.0, 4  # [cm] whose hits give the direction in which it grows, if there are so many
BEND = np.cos(np.radians(20.0))  # of its direction in one step, at most
GAP = 1.2  # [cm] without hits, at which it has ended by itself
UNUSED = 0.8  # [cm] before a cut of which the hits are not used, as other particles may have made them
FEWEST = 7  # hits that are left
WIDEST = 0.35  # rms of these about a smooth curve [cm]
STEEPEST = 0.88  # |cos| of the angle to the drift
MARGIN = 1.0  # [cm] of an end from the borders of its TPC
LAST = 1.5  # [cm] at the stop whose charge is asked for
FREED = 0.36  # of what a stopping muon frees there: recombination, impurities and thresholds leave half


class Branch(NamedTuple):
    """Hits from a tip on, in an event."""

    rows: np.ndarray  # (m,) of hits, its own
    cut: bool  # whether there was more beyond


def find_branches(
    hits: Hits, points: np.ndarray, detector: Detector, particles: Sequence[Particle]
) -> tuple[list[Candidate], CutFlow]:
    """The branches of hits, which were at `points` (n, 3) [cm], that may be tracks of one of `particles` that stop.

    The pixels that others have hits on are masked, and those from `UNUSED` before a cut on; the length of a branch that
    was cut is held. A track with two tips may give two candidates.
    """
    least = FREED * detector.parameters.MeVToElectrons * lost_by_muon() * LAST
    found: list[tuple[Branch, Curve]] = []
    counts = np.zeros(3, dtype=np.int64)
    for event in np.unique(hits.event_id):
        rows = np.flatnonzero(hits.event_id == event)
        own, charge, tpc = points[rows], hits.charge[rows].astype(np.float64), hits.tpc[rows]
        tree = cKDTree(own)
        tips, directions = tips_of(own, tree)
        enough = [k for k, tip in enumerate(tips) if charge[tree.query_ball_point(own[tip], LAST)].sum() > least]
        within = [k for k in enough if inside(own[tips[k]], detector, int(tpc[tips[k]]))]
        counts += len(tips), len(enough), len(within)
        for k in within:
            branch = grow(own, charge, tpc, tree, int(tips[k]), directions[k])
            if len(branch.rows) >= FEWEST:
                line = from_tip(curve(own[branch.rows], charge[branch.rows]), own[tips[k]])
                found.append((branch._replace(rows=rows[branch.rows]), line))
    flow = CutFlow().then("ends of lines of hits", int(counts[0]))
    flow = flow.then(f"with the charge of a particle that stops in {LAST:g} cm", int(counts[1]))
    flow = flow.then(f"{MARGIN:g} cm from the borders of a TPC", int(counts[2]))
    flow = flow.then(f"{FEWEST} hits before others begin", len(found))
    found = [(branch, line) for branch, line in found if line.rms < WIDEST]
    flow = flow.then(f"within {WIDEST} cm of a smooth line", len(found))
    found = [(branch, line) for branch, line in found if line.cosine < STEEPEST]
    flow = flow.then(f"not along the drift (|cos| < {STEEPEST})", len(found))
    found = apart(found)
    flow = flow.then("different from each other", len(found))
    candidates = [candidate_of(hits, detector, branch, line, particles) for branch, line in found]
    left = [one for one in candidates if one is not None]
    return left, flow.then(f"{FEWEST} hits on pixels of their own", len(left))


def tips_of(points: np.ndarray, tree: cKDTree) -> tuple[np.ndarray, np.ndarray]:
    """Which of the points (n, 3) of an event have all others within `AROUND` in a cone, and its axes (k, 3)."""
    pairs = tree.query_pairs(AROUND, output_type="ndarray")
    here, there = np.concatenate((pairs, pairs[:, ::-1])).T
    away = points[there] - points[here]
    distance = np.linalg.norm(away, axis=1)
    axis = np.zeros_like(points)
    np.add.at(axis, here, away / np.maximum(distance, 1e-9)[:, None])
    norm = np.linalg.norm(axis, axis=1, keepdims=True)
    axis /= np.maximum(norm, 1e-12)
    along = np.sum(away * axis[here], axis=1)
    outside = np.where(distance > BESIDE, along < CONE * distance, along < -0.5 * BESIDE)
    tip = norm[:, 0] > 0
    tip[here[outside]] = False
    return np.flatnonzero(tip), axis[tip]


def grow(
    points: np.ndarray, charge: np.ndarray, tpc: np.ndarray, tree: cKDTree, tip: int, direction: np.ndarray
) -> Branch:
    """From a tip among the points (n, 3) of an event, of charges and in TPCs (n,), until others begin or none is left.

    direction (3,): roughly where it goes.
    """
    own = np.zeros(len(points), dtype=bool)
    around = np.array(tree.query_ball_point(points[tip], AROUND), dtype=np.int64)
    centre, direction = axis_of(points[around], charge[around], direction)
    at, empty = centre + ((points[tip] - centre) @ direction - STEP) * direction, 0.0
    while True:
        near = np.array(tree.query_ball_point(at + 0.5 * STEP * direction, np.hypot(CLEAR, STEP)), dtype=np.int64)
        away = points[near] - at
        along = away @ direction
        off = np.linalg.norm(away - along[:, None] * direction, axis=1)
        ahead = (along > 0) & (along <= STEP) & ~own[near]
        ours = near[ahead & (off < TUBE)]
        if (ahead & (off >= TUBE) & (off < CLEAR)).any() or (tpc[ours] != tpc[tip]).any():
            return Branch(np.flatnonzero(own), True)
        own[ours] = True
        at = at + STEP * direction
        empty = 0.0 if len(ours) else empty + STEP
        if empty > GAP:
            return Branch(np.flatnonzero(own), False)
        last = np.flatnonzero(own & (np.linalg.norm(points - at, axis=1) < STRAIGHT))
        if np.linalg.norm(at - points[tip]) < AROUND or len(last) < FEW:
            continue
        centre, new = axis_of(points[last], charge[last], direction)
        if new @ direction < BEND:
            return Branch(np.flatnonzero(own), True)
        direction, at = new, centre + ((at - centre) @ new) * new


def axis_of(points: np.ndarray, charge: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (3,) and principal axis (3,) of points (n, 3) of some charge (n,), the way that `direction` (3,) goes."""
    centre = charge @ points / charge.sum()
    spread = points - centre
    axis = np.linalg.eigh(spread.T @ (charge[:, None] * spread))[1][:, -1]
    return centre, axis if axis @ direction > 0 else -axis


def from_tip(line: Curve, tip: np.ndarray) -> Curve:
    """The same curve with the end that is nearer to the tip first."""
    if np.linalg.norm(line.points[0] - tip) <= np.linalg.norm(line.points[-1] - tip):
        return line
    return line._replace(points=line.points[::-1])


def lost_by_muon() -> float:
    """What a muon loses in its last `LAST` cm, a cm [MeV/cm]: of all that stop and are not electrons the least."""
    return float(range_table(PARTICLES[13].mass).kinetic(np.array([LAST * DENSITY]))[0]) / LAST


def inside(point: np.ndarray, detector: Detector, tpc: int) -> bool:
    """Whether a point (3,) is away from the borders of a TPC."""
    z = sorted((float(detector.z_anode[tpc]), float(detector.z_cathode[tpc])))
    low = np.array([detector.x_lo[tpc], detector.y_lo[tpc], z[0]]) + MARGIN
    high = np.array([detector.x_hi[tpc], detector.y_hi[tpc], z[1]]) - MARGIN
    return bool(((point > low) & (point < high)).all())


def apart(found: Sequence[tuple[Branch, Curve]]) -> list[tuple[Branch, Curve]]:
    """Without those that begin at the same tip as a longer one."""
    kept: list[tuple[Branch, Curve]] = []
    for branch, line in sorted(found, key=lambda one: -len(one[0].rows)):
        stop = line.points[0]
        near = [other for other, longer in kept if np.linalg.norm(stop - longer.points[0]) < AROUND]
        if all(overlap(branch.rows, other.rows) <= SAME for other in near):
            kept.append((branch, line))
    return kept


def candidate_of(
    hits: Hits, detector: Detector, branch: Branch, line: Curve, particles: Sequence[Particle]
) -> Candidate | None:
    """The candidate of a branch along a curve from its tip; None where too few hits are on pixels of their own."""
    rows, beyond = branch.rows, np.zeros(0, dtype=np.int64)
    whole = not branch.cut and inside(line.points[-1], detector, int(hits.tpc[rows[0]]))
    if not whole:
        beyond = pixels_beyond(line, detector, int(hits.tpc[rows[0]]))
        rows = rows[~np.isin(hits.pixel_id[rows], beyond)]
    if len(rows) < FEWEST:
        return None
    masked = np.union1d(foreign(hits, rows), beyond)
    if np.sum(~np.isin(hits.pixel_id[rows], masked)) < FEWEST:
        return None
    cut = (False, not whole)
    seeds = tuple(Seed(one.name, one, line.points, STOPPED, LONGEST_STEP, cut) for one in particles)
    return Candidate(int(hits.event_id[rows[0]]), rows, STOPPING, measured(hits, rows, masked), seeds)


def pixels_beyond(line: Curve, detector: Detector, tpc: int) -> np.ndarray:
    """Pixels near a curve that are nearest to the last `UNUSED` cm of it: ids (k,)."""
    pitch, n_x, n_y = detector.pitch[tpc], int(detector.n_x[tpc]), int(detector.n_y[tpc])
    low = np.array([detector.x_lo[tpc], detector.y_lo[tpc]])
    across = line.points[:, :2]
    first = np.maximum(np.floor((across.min(axis=0) - AROUND - low) / pitch).astype(int), 0)
    last = np.minimum(np.floor((across.max(axis=0) + AROUND - low) / pitch).astype(int), [n_x - 1, n_y - 1])
    ix, iy = (grid.ravel() for grid in np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(first, last, strict=True))))
    centre = low + (np.stack((ix, iy), axis=1) + 0.5) * pitch
    distance, nearest = cKDTree(across).query(centre)
    beyond = (distance < AROUND) & (path_length(line.points)[nearest] > line.length - UNUSED)
    return detector.first_pixel[tpc] + ix[beyond] + n_x * iy[beyond]
