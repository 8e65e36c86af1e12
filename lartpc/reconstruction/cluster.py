"""Hits to clusters: where hits are in space, and which of them belong together."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from lartpc.charge.velocity import drift_velocities
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.parameters import Parameters

LINK = 2.2  # [pitches] across, so that a dead pixel is bridged
LINK_DRIFT = 1.2  # [cm] along the drift
CROSSING = 0.2  # height [cm] above the anode from which charge begins to make a hit at once


def positions(hits: Hits, detector: Detector, parameters: Parameters, t0: float = 0.0) -> np.ndarray:
    """Where the charge of hits was (n, 3) [cm]: the pixel's centre, and along the drift v (t - t0) from the anode.

    A hit is there later than the charge at the plane by what the response takes, as if it came from `CROSSING`.
    """
    velocity = drift_velocities(detector, parameters)[detector.module[hits.tpc]]
    away = np.sign(detector.z_cathode - detector.z_anode)[hits.tpc]
    z = hits.z_anode + away * (CROSSING + velocity * (hits.t - t0))
    return np.stack((hits.x, hits.y, z), axis=1)


def clusters(hits: Hits, points: np.ndarray, detector: Detector) -> np.ndarray:
    """The cluster of each hit (n,), from 0: by single linkage within events, of hits at `points` (n, 3).

    Hits of different TPCs belong together where they are near, as across the cathode.
    """
    label = np.zeros(len(hits), dtype=np.int64)
    link = np.stack([LINK * detector.pitch[hits.tpc]] * 2 + [np.full(len(hits), LINK_DRIFT)], axis=1)
    first = 0
    for event in np.unique(hits.event_id):
        rows = np.flatnonzero(hits.event_id == event)
        pairs = cKDTree(points[rows] / link[rows]).query_pairs(1.0, output_type="ndarray")
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(rows),) * 2)
        n, found = connected_components(graph, directed=False)
        label[rows] = first + found
        first += n
    return label
