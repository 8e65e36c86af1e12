"""Which deposits the charge of hits comes from, as a table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

STORED = 20  # contributions that are kept of a hit, the largest


class Attribution(NamedTuple):
    """Where the charge of n_hits hits comes from, and what arrives of n_segments segments.

    The contributions of a hit are by descending fraction; fractions are of all its charge, stored or not, without
    noise. Where there are fewer, the number is -1 and the fraction 0.
    """

    segment: np.ndarray  # (n_hits, STORED) int64, row in the segments
    fraction: np.ndarray  # (n_hits, STORED) float64
    trajectory: np.ndarray  # (n_hits, STORED) int64, as `file_trajectories` gives
    fraction_traj: np.ndarray  # (n_hits, STORED) float64
    electrons: np.ndarray  # (n_segments,) that arrive at the anodes [e]
    tpc: np.ndarray  # (n_segments,) int64, where most of them do; -1 where none
