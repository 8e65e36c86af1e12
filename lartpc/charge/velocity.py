"""Drift velocities of a detector's modules."""

from __future__ import annotations

import numpy as np

from lartpc.detector.detector import Detector
from lartpc.kernels.charge.drift import A0, A1, A2, A3, A4, A5, T0, drift_velocity
from lartpc.kernels.runtime.slots import EFIELD, VDRIFT
from lartpc.parameters import Parameters


def common_velocity(detector: Detector) -> float:
    """Of the values that all modules have in common."""
    table = detector.parameters.vector(np.float64)[None]
    return float(drift_velocity(table[0, EFIELD], table, 0))


def with_velocity(parameters: Parameters) -> Parameters:
    """The same with a value of `vdrift` [cm/us]: its own, or what follows from the common field and temperature."""
    if parameters.vdrift is not None:
        return parameters
    table = parameters.vector(np.float64)[None]
    return parameters.replace(vdrift=float(drift_velocity(table[0, EFIELD], table, 0)))


def velocities(detector: Detector, fields: np.ndarray) -> np.ndarray:
    """At fields (n,) in units of the common one [cm/us]: as the mobility has them, times what is left to `vdrift`."""
    table = detector.parameters.vector(np.float64)[None]
    table[0, VDRIFT] = 0.0
    common = drift_velocity(table[0, EFIELD], table, 0)
    found = np.array([drift_velocity(table[0, EFIELD] * field, table, 0) for field in fields])
    return found * (common_velocity(detector) / common)


def velocity_of(field: np.ndarray, temperature: float) -> np.ndarray:
    """v [cm/us] at fields [kV/cm] of any shape and one temperature [K]: the kernel's formula, for many fields at once.

    Li et al., NIM A 816 (2016) 160, equation 3.
    """
    root = np.sqrt(field)
    numerator = A0 + field * (A1 + root * (A2 + A3 * field))
    denominator = 1.0 + field * (A1 / A0 + field * (A4 + A5 * field))
    return numerator / denominator * field * (T0 / temperature) ** 1.5 / 1000.0


def drift_velocities(detector: Detector, parameters: Parameters) -> np.ndarray:
    """The drift velocity in each module (n_modules,) [cm/us]."""
    table = parameters.table(detector.n_modules)
    return np.array([drift_velocity(table[m, EFIELD], table, m) for m in range(len(table))])


def longest_drift(detector: Detector, parameters: Parameters) -> float:
    """The time from a cathode to its anode [us], of the TPC where it is longest."""
    length = np.abs(detector.z_cathode - detector.z_anode)
    return float(np.max(length / drift_velocities(detector, parameters)[detector.module]))
