"""The drift velocity of each module from muons through its cathodes: by their joint fit, and by straight lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.charge.velocity import drift_velocities
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.generator.stopping import PARTICLES
from lartpc.parameters import Parameters
from lartpc.reconstruction.candidates import Candidate, CutFlow
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.crossing import find_crossing, nearest
from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.result import HitsResult
from lartpc.reconstruction.track import TIME, Gaussian
from lartpc.reconstruction.velocity import EARLY, Change, straightened
from lartpc.simulation.simulation import Simulation

FIELD = "eField"
FEWEST_TRACKS = 3  # of a module
HEIGHTS = 2e-3  # part to which straight lines tell a velocity: as the heights are that hits seem to come from
DISAGREE = 5e-3  # part of the velocity between both ways
SLOPE = 1e-3  # part of a field over which the velocity's slope is taken


class Quick(NamedTuple):
    """What straight lines say of a module."""

    module: int
    velocity: float  # [cm/us]
    error: float
    field: float  # [kV/cm]
    tracks: int


class OfModule(NamedTuple):
    """What is found of a module."""

    name: str  # of the field
    quick: Quick
    velocity: float  # [cm/us]
    error: float
    field: float  # [kV/cm]
    field_error: float
    tracks: int  # of the joint fit

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return {**self._asdict(), "quick": self.quick._asdict()}


class Residuals(NamedTuple):
    """How far hits are off the fitted tracks along the drift (n,), towards positive z [cm]."""

    height: np.ndarray  # distance to the cathode [cm], negative on the side of lower z
    before: np.ndarray  # with the velocity that was given
    after: np.ndarray  # with that of the fit


class VelocityResult(NamedTuple):
    """Prints as lines, writes itself as JSON."""

    joint: HitsResult
    modules: tuple[OfModule, ...]
    temperature: float  # [K]
    residuals: Residuals
    without: tuple[int, ...]  # modules that no track tells of

    @property
    def good(self) -> bool:
        """Whether it may be used."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not to be used; none where it may be."""
        reasons = list(self.joint.reasons)
        for one in self.modules:
            if one.tracks < FEWEST_TRACKS:
                reasons.append(f"{one.name}: {one.tracks} tracks, {FEWEST_TRACKS} are needed")
            apart = one.quick.velocity / one.velocity - 1
            if abs(apart) > DISAGREE:
                reasons.append(f"{one.name}: lines that are straight say otherwise, by {100 * apart:+.2g} %")
        return tuple(reasons)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What these tracks cannot tell."""
        return (*self.joint.remarks, *(f"no track crosses a cathode of module {k}" for k in self.without))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        modules = {str(one.quick.module): one.as_dict() for one in self.modules}
        own = {"modules": modules, "temperature": self.temperature}
        return self.joint.answer_dict(own, self.remarks, self.reasons)

    def __str__(self) -> str:
        lines = [
            f"module {one.quick.module}: velocity {one.velocity:.6f} +- {one.error:.2g} cm/us, field "
            f"{one.field:.5f} +- {one.field_error:.2g} kV/cm at {self.temperature:g} K, {one.tracks} tracks; "
            f"by straight lines {one.quick.velocity:.5f} +- {one.quick.error:.2g} cm/us, {one.quick.tracks} tracks"
            for one in self.modules
        ]
        return self.joint.answer(lines, self.remarks, self.reasons)


def crossing_in(
    simulation: Simulation, hits: Hits, particles: Sequence[str], t0: Gaussian
) -> tuple[list[Candidate], CutFlow]:
    """Candidates of fast muons through a cathode, see `find_crossing`."""
    points = positions(hits, simulation.detector, simulation.parameters, t0.centre)
    return find_crossing(hits, points, simulation.detector, [PARTICLES[13]])


def quick_estimates(hits: Hits, detector: Detector, parameters: Parameters, t0: float = 0.0) -> list[Quick]:
    """Of each module by straight lines; those without tracks are not among them."""
    found = []
    for module in range(detector.n_modules):
        own = hits.select(np.flatnonzero(detector.module[hits.tpc] == module))
        field, change = straightened(own, detector, parameters, t0, module) if len(own) else (0.0, Change(0, np.inf, 0))
        if change.tracks:
            velocity = float(drift_velocities(detector, parameters.replace(eField=field))[module])
            error = velocity * float(np.hypot(change.error, HEIGHTS))
            found.append(Quick(module, velocity, error, field, change.tracks))
    return found


def name_of(module: int, detector: Detector) -> str:
    """That of a module's field."""
    return FIELD if detector.n_modules == 1 else f"{FIELD}.{module}"


def result_of_velocity(
    joint: HitsResult, quick: Sequence[Quick], hits: Hits, detector: Detector, given: Parameters
) -> VelocityResult:
    """Of a joint fit of tracks that one run has, whose parameters were `given` where they are not fitted."""
    values = dict(zip(joint.fit.names, joint.fit.values.tolist(), strict=True))
    errors = dict(zip(joint.fit.names, joint.fit.errors.tolist(), strict=True))
    fitted, tracks = given.replace(**values), joint.of_hits.tracks
    of_track = [int(detector.module[one.candidate.measured.hits.tpc[0]]) for one in tracks]
    modules = []
    for one in quick:
        name = name_of(one.module, detector)
        high, low = (
            drift_velocities(detector, fitted.replace(**{name: values[name] * (1 + sign * SLOPE)}))[one.module]
            for sign in (1, -1)
        )
        slope = float(high - low) / (2 * SLOPE * values[name])
        velocity = float(drift_velocities(detector, fitted)[one.module])
        n = of_track.count(one.module)
        error = errors[name]
        modules.append(OfModule(name, one, velocity, abs(slope) * error, values[name], error, n))
    told = {one.module for one in quick}
    without = tuple(k for k in range(detector.n_modules) if k not in told)
    residuals = residuals_of(joint, detector, given, fitted)
    return VelocityResult(joint, tuple(modules), float(fitted.temperature), residuals, without)


def residuals_of(joint: HitsResult, detector: Detector, given: Parameters, fitted: Parameters) -> Residuals:
    """Of the hits of all tracks, by where their pixels are along these."""
    height, off = [], []
    for one in joint.of_hits.tracks:
        hits, nodes = one.candidate.measured.hits, one.track.nodes(one.eta)
        flat = np.concatenate((nodes[:, :2], np.zeros((len(nodes), 1))), axis=1)
        _, at = nearest(np.stack((hits.x, hits.y, np.zeros(len(hits))), axis=1), flat)
        line = np.interp(at, path_length(flat), nodes[:, 2])
        towards = np.sign(detector.z_anode - detector.z_cathode)[hits.tpc]
        time = float(one.eta[TIME])
        there = [positions(hits, detector, parameters, time)[:, 2] for parameters in (given, fitted)]
        off.append([z + EARLY * towards - line for z in there])
        height.append(line - detector.z_cathode[hits.tpc])
    before, after = np.concatenate(off, axis=1)
    return Residuals(np.concatenate(height), before, after)
