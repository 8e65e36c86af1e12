"""Particle generator: straight-stepped tracks of muons, pions, protons and electrons in a box of liquid argon.

A track loses energy with fluctuations, scatters, and ends where its energy does or at the border. Left out: nuclear
interactions, decays and captures at rest; delta rays are deposited on the track; radiated photons of electrons leave.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lartpc.errors import InputError
from lartpc.stopping import (
    MAX_COLLISIONS,
    PARTICLES,
    PROTON_MASS,
    RADIATION_LENGTH,
    collision_stopping_power,
    kinematics,
    landau_width,
    max_transfer,
    range_table,
    stopping_power,
    straggle,
)

DENSITY = 1.38  # [g/cm3]
SPEED_OF_LIGHT = 29979.2458  # [cm/us]
LONGEST_STEP = 0.3  # [cm]
SHORTEST_STEP = 0.02  # [cm]; a particle with less range than this stops in one step
STEP_OF_RANGE = 0.1  # share of the remaining range that a step takes: resolves the Bragg peak
TRACKS_PER_EVENT = 10
SMALLEST_STEP = 1e-6  # [cm]; the border is never nearer than this, so that no step has length 0
BATCH = 100  # events that are stepped together: bounds the memory
BLOCK = 16  # steps for which an event draws its random numbers at once

SEGMENT_DTYPE = np.dtype(
    [
        ("event_id", "u4"),
        ("vertex_id", "u8"),
        ("file_vertex_id", "u8"),
        ("segment_id", "u4"),
        ("z_end", "f4"),
        ("traj_id", "u4"),
        ("file_traj_id", "u4"),
        ("tran_diff", "f4"),
        ("z_start", "f4"),
        ("x_end", "f4"),
        ("y_end", "f4"),
        ("n_electrons", "u4"),
        ("pdg_id", "i4"),
        ("x_start", "f4"),
        ("y_start", "f4"),
        ("t_start", "f4"),
        ("t0_start", "f8"),
        ("t0_end", "f8"),
        ("t0", "f8"),
        ("dx", "f4"),
        ("long_diff", "f4"),
        ("pixel_plane", "i4"),
        ("t_end", "f4"),
        ("dEdx", "f4"),
        ("dE", "f4"),
        ("t", "f4"),
        ("y", "f4"),
        ("x", "f4"),
        ("z", "f4"),
        ("n_photons", "f4"),
    ]
)


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
    share = np.cumsum(seen, axis=1) / np.sum(seen, axis=1, keepdims=True)
    face = np.minimum(np.sum(rng.random((len(direction), 1)) > share, axis=1), 2)
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


def scattering_width(kinetic, mass, thickness):
    """Width of the multiple-scattering angle in a plane [rad]; Highland's formula, PDG eq. 34.16, made additive.

    theta_0 = 13.6 MeV/(beta p) sqrt(x/X0) [1 + 0.038 ln(x/(X0 beta^2))], with the logarithm taken at x = X0 so that
    the squares of the widths of steps add up to that of their sum: Highland's value after one radiation length (14 cm),
    6 % above it after a quarter of one; the formula itself is good to 11 %.
    kinetic, mass [MeV], thickness [g/cm2]: arrays that broadcast.
    """
    beta2, beta_gamma = kinematics(kinetic, mass)
    log = 1 - 0.038 * np.log(beta2)
    return 13.6 / (np.sqrt(beta2) * beta_gamma * mass) * np.sqrt(thickness / RADIATION_LENGTH) * log


def deflect(direction, angle):
    """Unit vectors, (n, 3), turned by plane angles, (n, 2) [rad], along two directions at right angles to each."""
    smallest = np.zeros_like(direction)
    smallest[np.arange(len(direction)), np.argmin(np.abs(direction), axis=1)] = 1.0
    u = np.cross(direction, smallest)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(direction, u)
    theta = np.hypot(angle[:, 0], angle[:, 1])
    across = angle[:, :1] * u + angle[:, 1:] * v
    turned = direction * np.cos(theta)[:, None] + across * np.sinc(theta / np.pi)[:, None]
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)


def of_mass(method, mass, values):
    """`RangeTable.range` or `.kinetic`, whichever is named, by each particle's own mass: (n,) of (n,), (n,)."""
    result = np.empty_like(values)
    for value in np.unique(mass):
        kind = mass == value
        result[kind] = getattr(range_table(float(value)), method)(values[kind])
    return result


def lose(kinetic, mass, length, random):
    """Energy that particles deposit, and that they radiate, in steps that do not exhaust their mean range.

    Parameters: kinetic, mass [MeV], length [g/cm2]: (n,); random: normal (n,), exponential and uniform
    (n, MAX_COLLISIONS). Returns two (n,) [MeV]; their sum may exceed the kinetic energy.
    """
    csda_range = of_mass("range", mass, kinetic)
    # Over a short part of the range S x is exact enough; the difference of two table values is not.
    short = stopping_power(kinetic, mass) * length
    mean = np.where(length < 1e-3 * csda_range, short, kinetic - of_mass("kinetic", mass, csda_range - length))
    middle = kinetic - mean / 2
    collision = mean * collision_stopping_power(middle, mass) / stopping_power(middle, mass)
    beta2, _ = kinematics(middle, mass)
    xi, transfer = landau_width(middle, mass, length), max_transfer(middle, mass)
    return straggle(collision, xi, transfer, beta2, *random), mean - collision


def advance(kinetic, mass, reach, random):
    """One step of particles whose way is free for `reach`.

    Parameters: kinetic, mass [MeV], reach [cm]: (n,); random: normal (n,), exponential and uniform (n, MAX_COLLISIONS).
    Returns (n,) arrays: length [cm], deposit [MeV], kinetic energy after the step [MeV] (0: stopped).
    """
    left = of_mass("range", mass, kinetic) / DENSITY
    length = np.minimum(np.clip(STEP_OF_RANGE * left, SHORTEST_STEP, LONGEST_STEP), np.minimum(left, reach))
    lost, radiated = kinetic.copy(), np.zeros_like(kinetic)
    moves = length < left
    lost[moves], radiated[moves] = lose(
        kinetic[moves], mass[moves], length[moves] * DENSITY, [r[moves] for r in random]
    )
    # A loss of more than there is ends the track where the energy did.
    share = np.minimum(kinetic / (lost + radiated), 1.0)
    after = np.where(share < 1, 0.0, kinetic - lost - radiated)
    return length * share, lost * share, after


def draw(rngs, counts):
    """A block of random numbers: for each event its own generator draws for its own number of tracks.

    Returns normal (tracks, BLOCK, 3), exponential and uniform (tracks, BLOCK, MAX_COLLISIONS), tracks of all events.
    """
    drawn = [
        (
            rng.standard_normal((n, BLOCK, 3), np.float32),
            rng.standard_exponential((n, BLOCK, MAX_COLLISIONS), np.float32),
            rng.random((n, BLOCK, MAX_COLLISIONS), np.float32),
        )
        for rng, n in zip(rngs, counts, strict=True)
    ]
    return [np.concatenate(arrays) for arrays in zip(*drawn, strict=True)]


def propagate(box, primaries, rngs):
    """Steps of all particles until each has stopped or left the box.

    Parameters: box; primaries: one `Primaries` an event; rngs: one numpy Generator an event.
    Returns arrays over steps, sorted by track (counted through all events) and along it: track (n,) int, start, end
    (n, 3) [cm], length (n,) [cm], deposit (n,) [MeV], time at start and end (n,) [us] from the particle's start.
    """
    counts = [len(event.pdg) for event in primaries]
    total = sum(counts)
    mass = np.array([PARTICLES[pdg].mass for event in primaries for pdg in event.pdg.tolist()])
    kinetic = np.concatenate([event.kinetic for event in primaries])
    position = np.concatenate([event.position for event in primaries])
    direction = np.concatenate([event.direction for event in primaries])
    time = np.zeros(total)
    alive = np.arange(total)
    steps = []
    while len(alive):
        normal, *collisions = draw(rngs, counts)
        for k in range(BLOCK):
            m, t, began = mass[alive], kinetic[alive], time[alive]
            start, along, bend = position[alive], direction[alive], normal[alive, k, 1:]
            reach = box.distance(start, along)
            random = [normal[alive, k, 0], *(numbers[alive, k] for numbers in collisions)]
            length, deposit, after = advance(t, m, reach, random)
            end = start + length[:, None] * along
            beta2, _ = kinematics((t + after) / 2, m)
            ended = began + length / (SPEED_OF_LIGHT * np.sqrt(beta2))
            steps.append((alive, start, end, length, deposit, began, ended))
            angle = scattering_width((t + after) / 2, m, length * DENSITY)[:, None] * bend
            kinetic[alive], position[alive], time[alive] = after, end, ended
            direction[alive] = deflect(along, angle)
            alive = alive[(after > 0) & (length < reach)]
    arrays = [np.concatenate(column) for column in zip(*steps, strict=True)]
    order = np.argsort(arrays[0], kind="stable")
    return [array[order] for array in arrays]


def event_generator(seed, event):
    """The numpy Generator of one event of a seed; independent of every other (seed, event)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(event,)))


def simulate(sample, box, rngs):
    """Segments of a batch of events, one numpy Generator each; events and tracks count from 0, as in `generate`."""
    primaries = [SAMPLES[sample](rng, box) for rng in rngs]
    track, start, end, length, deposit, began, ended = propagate(box, primaries, rngs)
    event = np.repeat(np.arange(len(rngs)), [len(of_event.pdg) for of_event in primaries])
    within = np.concatenate([np.arange(len(of_event.pdg)) for of_event in primaries])
    segments = np.zeros(len(track), SEGMENT_DTYPE)
    segments["event_id"] = event[track]
    segments["vertex_id"] = segments["traj_id"] = within[track]
    segments["file_vertex_id"] = segments["file_traj_id"] = track
    segments["pdg_id"] = np.concatenate([of_event.pdg for of_event in primaries])[track]
    for column, axis in (("x", 2), ("y", 1), ("z", 0)):  # the drift axis is z here and x in the file
        segments[f"{column}_start"], segments[f"{column}_end"] = start[:, axis], end[:, axis]
        segments[column] = (start[:, axis] + end[:, axis]) / 2
    segments["t0_start"], segments["t0_end"], segments["t0"] = began, ended, (began + ended) / 2
    segments["dx"], segments["dE"], segments["dEdx"] = length, deposit, deposit / length
    return segments


def check(sample, events, seed):
    """Raise InputError unless the sample is known, and events and seed are whole numbers that are not negative."""
    if sample not in SAMPLES:
        near = difflib.get_close_matches(str(sample), SAMPLES, 1, 0.0)
        raise InputError(f"sample {sample!r}: unknown; did you mean {near[0]!r}? Allowed: {', '.join(SAMPLES)}")
    for name, value in (("events", events), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise InputError(f"{name} {value!r}: not allowed; must be a whole number, 0 or more")


def generate(sample, detector, events=100, seed=0):
    """Energy deposits of a sample of particles, as edep-sim would write them.

    Event k depends on the seed and k alone, whatever the number of events. Every particle is its own vertex and
    trajectory; times t0 are times of flight from the start of the event. Scratch columns are 0.

    Parameters
    ----------
    sample: `muons` (ten of 1 GeV kinetic energy, isotropic, entering through the border), `mixed` (ten muons, pions and
        protons, a third each, of 0.1 to 2 GeV from anywhere inside), `stopping-protons` (ten of 50 to 150 MeV that stop
        inside), `electrons` (ten of 5 to 50 MeV from anywhere inside)
    detector: `Detector`; only the box around its TPCs matters
    events: number of events
    seed: any whole number from 0

    Returns
    -------
    (n,) structured array of `SEGMENT_DTYPE`, edep-sim frame (x drift, z beam) [cm, MeV, us], by event, track and step.

    Raises InputError for an unknown sample, or a number of events or a seed that is negative or not whole.
    """
    check(sample, events, seed)
    if events == 0:
        return np.zeros(0, SEGMENT_DTYPE)
    box = Box.around(detector)
    batches = [
        simulate(sample, box, [event_generator(int(seed), event) for event in range(first, min(first + BATCH, events))])
        for first in range(0, events, BATCH)
    ]
    tracks = 0
    for k, segments in enumerate(batches):
        segments["event_id"] += k * BATCH
        for column in ("file_vertex_id", "file_traj_id"):
            segments[column] += segments.dtype[column].type(tracks)
        tracks = int(segments["file_traj_id"][-1]) + 1
    segments = np.concatenate(batches)
    segments["segment_id"] = np.arange(len(segments))
    return segments
