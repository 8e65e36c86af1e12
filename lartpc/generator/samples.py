"""Samples of particles: kinds, energies, where they begin and where they go."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from lartpc.exceptions import InputError
from lartpc.generator.stopping import PARTICLES, PROTON_MASS, range_table
from lartpc.generator.transport import DENSITY, SMALLEST_STEP, of_mass

TRACKS_PER_EVENT = 10
MUONS, PIONS = (13, -13), (211, -211)
ASIDE = 0.2  # of its range: how far from every border a stopping muon or pion would stay if it went straight
BACK_TO_BACK = 5.0  # [cm] between the cathodes of two TPCs that share one, at most
INNER = 0.8  # of the sides of a cathode: where muons cross it
STEEP = 0.88  # |cos| to the drift up to which muons cross a cathode
WAY_TO_CATHODE = 100.0  # [cm] from where a muon begins to the cathode, at most: longer ways scatter past it
KNEE, INDEX = 3640.0, 2.7  # [MeV], 1: of the energies of cosmic muons
SLOWEST, FASTEST = 200.0, 1e5  # [MeV] cosmic muons
CHARGE_RATIO = 1.3  # of cosmic muons, positive to negative


@dataclass(frozen=True)
class Box:
    """The box around all TPCs of a detector: low and high corner, (3,) each [cm], simulation frame (y up, z drift).

    `cathodes`, (n, 2, 3) [cm]: low and high corner of every cathode that two TPCs share.
    """

    low: np.ndarray
    high: np.ndarray
    cathodes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2, 3)))

    @classmethod
    def around(cls, detector):
        """The smallest box that holds every TPC of a `Detector` or `WireDetector`."""
        z = np.concatenate([detector.z_anode, detector.z_cathode])
        low = np.array([np.min(detector.x_lo), np.min(detector.y_lo), np.min(z)], dtype=float)
        high = np.array([np.max(detector.x_hi), np.max(detector.y_hi), np.max(z)], dtype=float)
        return cls(low, high, shared_cathodes(detector))

    def distance(self, position, direction):
        """Way to the border [cm], (n,), from points inside, (n, 3) [cm], along unit vectors, (n, 3)."""
        wall = np.where(direction > 0, self.high, self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            ways = (wall - position) / direction
        return np.maximum(np.min(np.where(direction == 0, np.inf, ways), axis=1), SMALLEST_STEP)


def shared_cathodes(detector):
    """Low and high corner of the cathodes that two TPCs share, (n, 2, 3) [cm]: z is the middle between theirs.

    These are the TPCs of `back_to_back`.
    """
    below, above = back_to_back(detector).T
    cathode = np.asarray(detector.z_cathode)
    return facing(detector, below, above, (cathode[below] + cathode[above]) / 2)


def back_to_back(detector):
    """TPCs that share a cathode, (n, 2), the lower in z first.

    The two drift away from each other, their cathodes are up to `BACK_TO_BACK` apart, and their planes face each other.
    """
    anode, cathode = np.asarray(detector.z_anode), np.asarray(detector.z_cathode)
    below, above = np.nonzero(
        (anode < cathode)[:, None] & (anode > cathode) & (np.abs(cathode[:, None] - cathode) <= BACK_TO_BACK)
    )
    corners = facing(detector, below, above, cathode[below])
    return np.stack((below, above), axis=1)[np.all(corners[:, 0, :2] < corners[:, 1, :2], axis=1)]


def facing(detector, below, above, z):
    """Low and high corner, (n, 2, 3) [cm], at `z` (n,) of where the planes of two TPCs face each other."""
    low = [np.maximum(lo[below], lo[above]) for lo in (np.asarray(detector.x_lo), np.asarray(detector.y_lo))]
    high = [np.minimum(hi[below], hi[above]) for hi in (np.asarray(detector.x_hi), np.asarray(detector.y_hi))]
    return np.stack([np.stack([*low, z], axis=1), np.stack([*high, z], axis=1)], axis=1)


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


def contained(rng, box, pdg):
    """Muons or pions of 25 to 110 MeV, isotropic, that stop inside, on either side of a cathode or through it.

    Straight tracks of their range stay 0.2 ranges from every border, so that less than one in a thousand scatters or
    straggles out. In a box too small for that the highest energy is the one that fits.
    """
    n, size = TRACKS_PER_EVENT, box.high - box.low
    kinds, table = rng.choice(pdg, n), range_table(PARTICLES[pdg[0]].mass)
    highest = min(110.0, float(table.kinetic(DENSITY * 0.9 / (1 + 2 * ASIDE) * np.min(size))))
    kinetic = rng.uniform(min(25.0, highest / 2), highest, n)
    reach = table.range(kinetic)[:, None] / DENSITY
    direction = isotropic(rng, n)
    low = box.low + ASIDE * reach + np.maximum(-direction * reach, 0)
    high = box.high - ASIDE * reach - np.maximum(direction * reach, 0)
    return Primaries(kinds, kinetic, low + (high - low) * rng.random((n, 3)), direction)


def crossing_muons(rng, box):
    """Muons of 1 GeV kinetic energy, either charge, aimed from the border at points of cathodes that two TPCs share.

    Points are uniform on the inner 0.8 x 0.8 of a cathode drawn at random, directions isotropic with
    |cos to the drift| < 0.88. Where the border is more than 100 cm before the cathode they begin there, inside.
    Straight they all cross it; 2 %, most of them flat, scatter past it.
    Raises InputError where no two TPCs share a cathode.
    """
    if not len(box.cathodes):
        raise InputError("sample 'crossing-muons': the detector has no two TPCs that share a cathode; it needs them")
    n = TRACKS_PER_EVENT
    low, high = np.moveaxis(box.cathodes[rng.integers(len(box.cathodes), size=n)], 1, 0)
    cosine, azimuth = rng.uniform(-STEEP, STEEP, n), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    direction = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
    point = (low + high) / 2 + (high - low) / 2 * INNER * rng.uniform(-1, 1, (n, 3))
    way = np.minimum(box.distance(point, -direction), WAY_TO_CATHODE)
    start = np.clip(point - way[:, None] * direction, box.low, box.high)
    return Primaries(rng.choice(MUONS, n), np.full(n, 1000.0), start, direction)


def from_above(rng, box, n):
    """n unit vectors (n, 3) of a flux through the box whose intensity is cos^2 of the zenith angle.

    Their density is cos^2 times the area of the box as seen, from above (y falls).
    """
    area = np.prod(box.high - box.low) / (box.high - box.low)
    found = np.zeros((0, 3))
    while len(found) < n:
        cosine, azimuth = rng.random(4 * n) ** (1 / 3), rng.uniform(0, 2 * np.pi, 4 * n)
        sine = np.sqrt(1 - cosine**2)
        direction = np.stack([sine * np.cos(azimuth), -cosine, sine * np.sin(azimuth)], axis=1)
        kept = rng.random(4 * n) * np.linalg.norm(area) < np.abs(direction) @ area
        found = np.concatenate([found, direction[kept]])
    return found[:n]


def cosmic_muons(rng, box):
    """Muons from above, 1.3 times as many positive as negative, entering through the border.

    Intensity cos^2(zenith) (PDG, "Cosmic rays": muons of 3 GeV at the ground), and whatever the angle
    dN/dT ~ (T + 3.64 GeV)^-2.7 for kinetic energies T from 0.2 to 100 GeV: Gaisser's power law, flattened as by Guan
    et al., arXiv:1509.06176, eq. 3, at the zenith. Left out are their factors for mesons that reach the ground before
    they decay, which halve the flux at 100 GeV, and that slow muons come more from the zenith, fast ones less.
    """
    n = TRACKS_PER_EVENT
    direction = from_above(rng, box, n)
    ends = (np.array([SLOWEST, FASTEST]) + KNEE) ** (1 - INDEX)
    kinetic = rng.uniform(ends[1], ends[0], n) ** (1 / (1 - INDEX)) - KNEE
    pdg = np.where(rng.random(n) * (1 + CHARGE_RATIO) < CHARGE_RATIO, -13, 13)
    return Primaries(pdg, np.clip(kinetic, SLOWEST, FASTEST), entry_points(rng, box, direction), direction)


MIXED = (13, -13, 211, -211, 2212, 2212)
SAMPLES: dict[str, Callable[[np.random.Generator, Box], Primaries]] = {
    "muons": entering_muons,
    "mixed": partial(from_inside, pdg=MIXED, lowest=100.0, highest=2000.0),
    "stopping-protons": contained_protons,
    "stopping-muons": partial(contained, pdg=MUONS),
    "stopping-pions": partial(contained, pdg=PIONS),
    "crossing-muons": crossing_muons,
    "cosmics": cosmic_muons,
    "electrons": partial(from_inside, pdg=(11,), lowest=5.0, highest=50.0),
}
LOOKALIKES = {"stopping-protons": PIONS, "stopping-muons": PIONS, "stopping-pions": MUONS, "crossing-muons": PIONS}


def contaminate(rng, sample, primaries, purity):
    """Primaries of a sample of `LOOKALIKES`, each with probability 1 - purity replaced by a particle of another kind.

    It begins where the other would, in its direction; of its range in samples that stop, else of its kinetic energy.
    """
    pdg, kinetic = primaries.pdg.copy(), primaries.kinetic.copy()
    other = rng.random(len(pdg)) >= purity
    pdg[other] = rng.choice(LOOKALIKES[sample], len(pdg))[other]
    if sample.startswith("stopping"):
        before, after = (np.array([PARTICLES[k].mass for k in kinds[other].tolist()]) for kinds in (primaries.pdg, pdg))
        kinetic[other] = of_mass("kinetic", after, of_mass("range", before, kinetic[other]))
    return replace(primaries, pdg=pdg, kinetic=kinetic)
