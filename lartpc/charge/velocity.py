"""Drift velocities of a detector's modules."""

from __future__ import annotations

import numpy as np

from lartpc.detector.detector import Detector
from lartpc.kernels.charge.drift import drift_velocity
from lartpc.kernels.runtime.slots import EFIELD
from lartpc.parameters import Parameters


def common_velocity(detector: Detector) -> float:
    """Of the values that all modules have in common."""
    table = detector.parameters.vector(np.float64)[None]
    return float(drift_velocity(table[0, EFIELD], table, 0))


def drift_velocities(detector: Detector, parameters: Parameters) -> np.ndarray:
    """The drift velocity in each module (n_modules,) [cm/us]."""
    table = parameters.table(detector.n_modules)
    return np.array([drift_velocity(table[m, EFIELD], table, m) for m in range(len(table))])


def longest_drift(detector: Detector, parameters: Parameters) -> float:
    """The time from a cathode to its anode [us], of the TPC where it is longest."""
    length = np.abs(detector.z_cathode - detector.z_anode)
    return float(np.max(length / drift_velocities(detector, parameters)[detector.module]))
