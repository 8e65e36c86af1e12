"""Particles on their way through argon: energy loss with straggling, multiple scattering."""

import numpy as np

from lartpc.generator.stopping import (
    MAX_COLLISIONS,
    PARTICLES,
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
STEP_OF_RANGE = 0.1  # fraction of the remaining range that a step takes: resolves the Bragg peak
SMALLEST_STEP = 1e-6  # [cm]; the border is never nearer than this, so that no step has length 0
BLOCK = 16  # steps for which an event draws its random numbers at once


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
    fraction = np.minimum(kinetic / (lost + radiated), 1.0)
    after = np.where(fraction < 1, 0.0, kinetic - lost - radiated)
    return length * fraction, lost * fraction, after


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
