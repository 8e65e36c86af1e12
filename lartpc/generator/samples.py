"""Samples of particles: kinds, energies, where they begin and where they go."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lartpc.generator.stopping import PROTON_MASS, range_table
from lartpc.generator.transport import DENSITY, SMALLEST_STEP

TRACKS_PER_EVENT = 10


@dataclass(frozen=True)
class Box:
    """The box around all TPCs of a detector: low and high corner, (3,) each [cm], simulation frame."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def around(cls, detector):
        """The smallest box that holds every TPC of a `Detector`."""
        z = np.concatenate([detector.z_anode, detector.z_cathode])
        low = np.array([np.min(detector.x_lo), np.min(detector.y_lo), np.min(z)], dtype=float)
        return cls(low, np.array([np.max(detector.x_hi), np.max(detector.y_hi), np.max(z)], dtype=float))

    def distance(self, position, direction):
        """Way to the border [cm], (n,), from points inside, (n, 3) [cm], along unit vectors, (n, 3)."""
        wall = np.where(direction > 0, self.high, self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            ways = (wall - position) / direction
        return np.maximum(np.min(np.where(direction == 0, np.inf, ways), axis=1), SMALLEST_STEP)


@dataclass(frozen=True)
class Primaries:
    """Particles at their start: pdg (n,), kinetic energy (n,) [MeV], position (n, 3) [cm], unit direction (n, 3)."""

    pdg: np.ndarray
    kinetic: np.ndarray
    position: np.ndarray
    direction: np.ndarray


def isotropic(rng, n):
    """n unit vectors, uniform on the sphere, (n, 3)."""
    cosine, azimuth = rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)


def entry_points(rng, box, direction):
    """Points where an isotropic, uniform flux of the given directions, (n, 3), enters the box: (n, 3) [cm].

    A direction enters through the three faces that it looks into, each in proportion to its area as seen.
    """
    size = box.high - box.low
    seen = np.abs(direction) * (np.prod(size) / size)
    fraction = np.cumsum(seen, axis=1) / np.sum(seen, axis=1, keepdims=True)
    face = np.minimum(np.sum(rng.random((len(direction), 1)) > fraction, axis=1), 2)
    points = box.low + size * rng.random((len(direction), 3))
    rows = np.arange(len(direction))
    points[rows, face] = np.where(direction[rows, face] > 0, box.low[face], box.high[face])
    return points


def entering_muons(rng, box):
    """Muons of 1 GeV kinetic energy, either charge, isotropic, entering through the border."""
    n = TRACKS_PER_EVENT
    direction = isotropic(rng, n)
    return Primaries(rng.choice([13, -13], n), np.full(n, 1000.0), entry_points(rng, box, direction), direction)


def from_inside(rng, box, pdg, lowest, highest):
    """Particles of given kinds, isotropic, from anywhere inside, kinetic energy uniform between two limits [MeV]."""
    n = TRACKS_PER_EVENT
    position = box.low + (box.high - box.low) * rng.random((n, 3))
    return Primaries(rng.choice(pdg, n), rng.uniform(lowest, highest, n), position, isotropic(rng, n))


def contained_protons(rng, box):
    """Protons of 50 to 150 MeV, isotropic, that stop inside: no wall is nearer than 1.1 times their range.

    In a box too small for that the highest energy is the one that fits; straggling widens a range by about 1 %.
    """
    n, table, half = TRACKS_PER_EVENT, range_table(PROTON_MASS), (box.high - box.low) / 2
    highest = min(150.0, float(table.kinetic(DENSITY * 0.8 * np.min(half))))
    kinetic = rng.uniform(min(50.0, highest / 2), highest, n)
    room = half - 1.1 * table.range(kinetic)[:, None] / DENSITY
    position = (box.low + box.high) / 2 + room * rng.uniform(-1, 1, (n, 3))
    return Primaries(np.full(n, 2212), kinetic, position, isotropic(rng, n))


MIXED = (13, -13, 211, -211, 2212, 2212)
SAMPLES: dict[str, Callable[[np.random.Generator, Box], Primaries]] = {
    "muons": entering_muons,
    "mixed": partial(from_inside, pdg=MIXED, lowest=100.0, highest=2000.0),
    "stopping-protons": contained_protons,
    "electrons": partial(from_inside, pdg=(11,), lowest=5.0, highest=50.0),
}
