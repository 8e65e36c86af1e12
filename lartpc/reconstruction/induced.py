"""Hits that pixels have of charge over their neighbours, which lines of hits must not be followed through."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.reconstruction.candidates import Candidate, foreign, measured

NEXT, SOON = 1.2, 15.0  # pitches across and [us] to where the charge passes, of which a neighbour feels the approach
SHARE = 0.4  # of a neighbour's charge below which a hit may be induced by that


def owners(hits: Hits, detector: Detector) -> np.ndarray:
    """For each hit (n,) the row of the hit beside which it is, that with the most charge: itself, where it is none."""
    pitch = detector.pitch[hits.tpc]
    scaled = np.stack((hits.x / (NEXT * pitch), hits.y / (NEXT * pitch), hits.t / SOON), axis=1)
    owner = np.arange(len(hits))
    for event in np.unique(hits.event_id):
        for tpc in np.unique(hits.tpc[hits.event_id == event]):
            rows = np.flatnonzero((hits.event_id == event) & (hits.tpc == tpc))
            tree = cKDTree(scaled[rows])
            charge = hits.charge[rows]
            # From the most charge down, so that an owner is beside none.
            for k in np.argsort(-charge, kind="stable"):
                near = np.array(tree.query_ball_point(scaled[rows[k]], 1.0, p=np.inf))
                most = near[np.argmax(charge[near])]
                if charge[k] < SHARE * charge[most]:
                    owner[rows[k]] = owner[rows[most]]
    return owner


def with_beside(hits: Hits, candidate: Candidate, main: np.ndarray, owner: np.ndarray) -> Candidate:
    """A candidate that was found among the rows `main` of hits, with the hits beside its own."""
    rows = np.flatnonzero(np.isin(owner, main[candidate.rows]))
    masked = np.union1d(candidate.measured.masked, foreign(hits, rows))
    return candidate._replace(rows=rows, measured=measured(hits, rows, masked)._replace(broad=candidate.measured.broad))
