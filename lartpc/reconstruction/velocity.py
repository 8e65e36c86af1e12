"""The drift velocity from the lines of tracks through a cathode: by how much both sides miss each other there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from lartpc.charge.velocity import drift_velocities
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.generator.stopping import PARTICLES
from lartpc.kernels.runtime.slots import EFIELD
from lartpc.parameters import Parameters
from lartpc.reconstruction.candidates import Candidate
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.crossing import along_drift, find_crossing, prefit

EARLY = 0.08  # [cm] by which hits of fast muons seem to come from further away than those of slow protons
LARGEST = 0.1  # change of a velocity that is believed
ROUNDS = 2
OUTLIER = 4.0  # errors of a track from the median


class Change(NamedTuple):
    """By what the velocity changes, as a part of it; tracks: how many say so."""

    value: float
    error: float
    tracks: int


def change_of_velocity(
    hits: Hits, candidates: Sequence[Candidate], detector: Detector, parameters: Parameters, t0: float = 0.0
) -> Change:
    """The change eps of the velocity with which crossing `candidates` are straightest, kinks as by scattering.

    A hit moves by eps v (t - t0) along the drift. The mean over tracks, without those far off their median.
    """
    points = positions(hits, detector, parameters, t0)
    points[:, 2] -= EARLY * np.sign(detector.z_cathode - detector.z_anode)[hits.tpc]
    drift, found = along_drift(hits, points), []
    for one in candidates:
        seed, rows = one.seeds[0], one.rows
        _, value, error = prefit(points[rows], seed.points, seed.particle, drift[rows])
        found.append((value, error))
    if not found:
        return Change(0.0, np.inf, 0)
    values, errors = np.array(found).T
    kept = np.abs(values - np.median(values)) <= OUTLIER * np.hypot(errors, np.median(errors))
    kept &= np.abs(values) < LARGEST
    if not kept.any():
        return Change(0.0, np.inf, 0)
    weight = kept / errors**2
    return Change(float(weight @ values / weight.sum()), float(weight.sum() ** -0.5), int(kept.sum()))


def straight_field(hits: Hits, detector: Detector, parameters: Parameters, t0: float = 0.0) -> float:
    """The electric field [kV/cm] at which tracks through cathodes are straight; that of `parameters` without any.

    Good to 0.2 %, as the heights from which hits seem to come are. Found in two rounds, the second with more tracks.
    """
    return straightened(hits, detector, parameters, t0)[0]


def straightened(
    hits: Hits, detector: Detector, parameters: Parameters, t0: float = 0.0, module: int = 0
) -> tuple[float, Change]:
    """The same of hits of a module, and by what the velocity still changes after the last round: its error counts."""
    parameters = parameters.replace(eField=float(parameters.table(detector.n_modules)[module, EFIELD]))
    for _ in range(ROUNDS):
        candidates, _ = find_crossing(hits, positions(hits, detector, parameters, t0), detector, [PARTICLES[13]])
        change = change_of_velocity(hits, candidates, detector, parameters, t0)
        parameters = parameters.replace(eField=field_of(change.value, detector, parameters, module))
    return float(parameters.eField), change


def field_of(change: float, detector: Detector, parameters: Parameters, module: int = 0) -> float:
    """The electric field [kV/cm] at which a velocity has changed by the part `change` from that of `parameters`.

    These have one field for all modules.
    """
    wanted = (1 + change) * drift_velocities(detector, parameters)[module]
    here = float(parameters.eField)

    def excess(field: float) -> float:
        return float(drift_velocities(detector, parameters.replace(eField=field))[module] - wanted)

    return float(brentq(excess, 0.7 * here, 1.4 * here, xtol=1e-9))
