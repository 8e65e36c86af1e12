"""Particles in argon: scattering, ranges, the Bragg peak, radiation."""

import numpy as np
import pytest

from lartpc.generator.generate import event_generator
from lartpc.generator.samples import Box, Primaries
from lartpc.generator.stopping import (
    ELECTRON_MASS,
    PARTICLES,
    PROTON_MASS,
    RADIATION_LENGTH,
    electron_collision,
    kinematics,
    range_table,
    stopping_power,
)
from lartpc.generator.transport import propagate

MUON_MASS = PARTICLES[13].mass
DENSITY = 1.38  # [g/cm3]


def beam(pdg, kinetic, n, box):
    """Tracks from the origin along +z in a box: what `propagate` returns."""
    direction = np.tile([0.0, 0.0, 1.0], (n, 1))
    primaries = Primaries(np.full(n, pdg), np.full(n, float(kinetic)), np.zeros((n, 3)), direction)
    return propagate(box, [primaries], [event_generator(0, 0)])


def big_box():
    return Box(np.full(3, -1000.0), np.full(3, 1000.0))


@pytest.mark.slow
def test_scattering_is_highlands():
    n, kinetic = 3000, 1000.0
    for length, allowed in ((RADIATION_LENGTH / DENSITY, 0.03), (3.6, 0.11)):  # 11 %: the formula's own accuracy
        slab = Box(np.full(3, -1e3), np.array([1e3, 1e3, length]))
        track, start, end, *_ = beam(13, kinetic, n, slab)
        last = np.append(track[1:] != track[:-1], True)
        step = (end - start)[last]
        slope = step[:, :2] / step[:, 2:]
        beta2, beta_gamma = kinematics(kinetic - length, MUON_MASS)  # in the middle, at 2 MeV/cm
        x = (np.mean(start[last][:, 2])) * DENSITY / RADIATION_LENGTH
        highland = 13.6 / (np.sqrt(beta2) * beta_gamma * MUON_MASS) * np.sqrt(x) * (1 + 0.038 * np.log(x / beta2))
        assert np.sqrt(np.mean(slope**2)) == pytest.approx(highland, rel=allowed)


@pytest.mark.slow
@pytest.mark.parametrize(("pdg", "kinetic"), [(2212, 120.0), (13, 80.0), (211, 60.0)])
def test_stopping_particles_deposit_their_energy_over_their_range(pdg, kinetic):
    track, _, _, length, deposit, *_ = beam(pdg, kinetic, 400, big_box())
    np.testing.assert_allclose(np.bincount(track, deposit), kinetic, rtol=1e-9)
    path = np.bincount(track, length)
    expected = range_table(PARTICLES[pdg].mass).range(kinetic) / DENSITY
    assert path.mean() == pytest.approx(expected, rel=0.01)
    # Range straggling: 1 to 2 % for protons, sqrt(M_p/M) times more for lighter particles.
    heavier = np.sqrt(PROTON_MASS / PARTICLES[pdg].mass)
    assert 0.009 * heavier < path.std() / expected < 0.02 * heavier


def test_protons_end_in_a_bragg_peak():
    track, _, _, length, deposit, *_ = beam(2212, 120.0, 300, big_box())
    total = np.bincount(track, length)
    before = np.cumsum(length) - np.concatenate([[0.0], np.cumsum(total)])[track] - length / 2
    residual = total[track] - before
    last, plateau = residual < 1, (residual > 7) & (residual < 8)
    density = [deposit[chosen].sum() / length[chosen].sum() for chosen in (last, plateau)]
    assert density[0] == pytest.approx(31.0, rel=0.03)  # PSTAR: 31.0 MeV have a range of 1 cm
    assert density[0] > 3 * density[1]
    tip = residual < 0.1
    assert deposit[tip].sum() / length[tip].sum() > 2 * density[0]


def test_electrons_radiate_part_of_their_energy():
    track, _, _, _, deposit, *_ = beam(11, 50.0, 200, big_box())
    kept = np.bincount(track, deposit) / 50.0
    assert kept.max() < 1
    # The fraction of the mean: int S_col/S dT / T.
    kinetic = np.linspace(0.01, 50.0, 5000)
    expected = np.mean(electron_collision(kinetic) / stopping_power(kinetic, ELECTRON_MASS))
    assert kept.mean() == pytest.approx(expected, rel=0.03)
