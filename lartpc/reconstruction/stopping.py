"""Stopping tracks that are apart from all others: clusters of hits along a smooth line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.generator.stopping import Particle
from lartpc.generator.transport import LONGEST_STEP
from lartpc.reconstruction.candidates import STOPPING, Candidate, CutFlow, Seed, measured
from lartpc.reconstruction.cluster import clusters
from lartpc.reconstruction.curve import Curve, curve
from lartpc.reconstruction.track import STOPPED

FEWEST = 8  # hits
WIDEST = 0.35  # rms about the curve [cm]
STEEPEST = 0.88  # |cos| of the angle to the drift
MARGIN = 1.0  # [cm] of an end from the borders of its TPC


def find_stopping(
    hits: Hits, points: np.ndarray, detector: Detector, particles: Sequence[Particle]
) -> tuple[list[Candidate], CutFlow]:
    """The clusters of hits, which were at `points` (n, 3) [cm], that look like whole tracks of one of `particles`.

    They are apart from other hits, away from the borders of their TPC and not steep.
    """
    label = clusters(hits, points, detector)
    order = np.argsort(label, kind="stable")
    rows_of = np.split(order, np.cumsum(np.bincount(label))[:-1]) if len(label) else []
    flow = CutFlow().then("clusters of hits", len(rows_of))
    rows_of = [rows for rows in rows_of if len(rows) >= FEWEST]
    flow = flow.then(f"of {FEWEST} hits or more", len(rows_of))
    seen = [(rows, curve(points[rows], hits.charge[rows].astype(np.float64))) for rows in rows_of]
    seen = [(rows, line) for rows, line in seen if line.rms < WIDEST]
    flow = flow.then(f"within {WIDEST} cm of a smooth line", len(seen))
    seen = [(rows, line) for rows, line in seen if line.cosine < STEEPEST]
    flow = flow.then(f"not along the drift (|cos| < {STEEPEST})", len(seen))
    seen = [(rows, line) for rows, line in seen if contained(line.points, detector, hits.tpc[rows])]
    flow = flow.then(f"in one TPC, {MARGIN:g} cm from its borders", len(seen))
    found = []
    for rows, line in seen:
        seeds = seeds_of(line, particles)
        found.append(Candidate(int(hits.event_id[rows[0]]), rows, STOPPING, measured(hits, rows), seeds))
    return found, flow


def seeds_of(line: Curve, particles: Sequence[Particle]) -> tuple[Seed, ...]:
    """Each particle, stopping at either end; first where there is more charge."""
    ways = (("", line.from_stop), (" reversed", line.from_stop[::-1]))
    return tuple(
        Seed(particle.name + told, particle, points, STOPPED, LONGEST_STEP)
        for particle in particles
        for told, points in ways
    )


def contained(points: np.ndarray, detector: Detector, tpcs: np.ndarray) -> bool:
    """Whether points (n, 3) of hits of `tpcs` lie in a single TPC, away from its borders."""
    tpc = int(tpcs[0])
    z = sorted((float(detector.z_anode[tpc]), float(detector.z_cathode[tpc])))
    low = np.array([detector.x_lo[tpc], detector.y_lo[tpc], z[0]]) + MARGIN
    high = np.array([detector.x_hi[tpc], detector.y_hi[tpc], z[1]]) - MARGIN
    return bool((tpcs == tpc).all() and ((points > low) & (points < high)).all())
