"""Stopping power, ranges and straggling."""

import os
from pathlib import Path

import numpy as np
import pytest

from lartpc.generator.stopping import (
    ELECTRON_MASS,
    MAX_COLLISIONS,
    PARTICLES,
    PROTON_MASS,
    RADIATION_LENGTH,
    electron_collision,
    electron_radiation,
    kinematics,
    landau_width,
    max_transfer,
    most_probable_loss,
    range_table,
    stopping_power,
    straggle,
)

MUON_MASS = PARTICLES[13].mass
# Groom, Mokhov and Striganov, At. Data Nucl. Data Tables 78 (2001) 183, muons in liquid argon:
# kinetic energy [MeV], stopping power [MeV cm2/g], CSDA range [g/cm2].
MUON_TABLE = np.array(
    [
        (10, 5.687, 0.9833),
        (14, 4.461, 1.786),
        (20, 3.503, 3.321),
        (30, 2.731, 6.598),
        (40, 2.340, 10.58),
        (80, 1.771, 30.84),
        (100, 1.670, 42.50),
        (140, 1.570, 67.32),
        (200, 1.519, 106.3),
        (300, 1.510, 172.5),
        (400, 1.526, 238.5),
        (800, 1.610, 493.4),
        (1000, 1.645, 616.3),
        (1400, 1.700, 855.2),
        (2000, 1.761, 1202.0),
    ]
)
# NIST PSTAR, protons in argon: the same columns.
PROTON_TABLE = np.array(
    [
        (0.1, 486.2, 2.668e-4),
        (1, 153.4, 4.336e-3),
        (3, 74.09, 2.465e-2),
        (10, 30.61, 0.1887),
        (30, 13.07, 1.296),
        (100, 5.213, 10.92),
        (300, 2.557, 71.44),
        (1000, 1.629, 445.4),
        (2000, 1.521, 1090.0),
    ]
)


def losses(kinetic, mass, thickness, n=100_000):
    """n straggled losses [MeV] in a thickness [g/cm2], with the mean, xi, W_max [MeV] and beta^2 that they are of."""
    rng = np.random.default_rng(7)
    beta2 = float(kinematics(kinetic, mass)[0])
    mean = float(stopping_power(kinetic, mass)) * thickness
    xi, transfer = float(landau_width(kinetic, mass, thickness)), float(max_transfer(kinetic, mass))
    random = rng.standard_normal(n), rng.standard_exponential((n, MAX_COLLISIONS)), rng.random((n, MAX_COLLISIONS))
    lost = straggle(*(np.full(n, value) for value in (mean, xi, transfer, beta2)), *random)
    return lost, mean, xi, transfer, beta2


def test_muon_stopping_power_and_range_are_the_published_ones():
    kinetic, power, csda = MUON_TABLE.T
    np.testing.assert_allclose(stopping_power(kinetic, MUON_MASS), power, rtol=0.006)
    np.testing.assert_allclose(range_table(MUON_MASS).range(kinetic), csda, rtol=0.02)
    np.testing.assert_allclose(range_table(MUON_MASS).range(kinetic[2:]), csda[2:], rtol=0.006)


def test_minimum_ionisation_of_muons():
    kinetic = np.linspace(150, 500, 3501)
    power = stopping_power(kinetic, MUON_MASS)
    assert power.min() == pytest.approx(1.508, rel=0.002)  # PDG, liquid argon
    assert kinetic[power.argmin()] == pytest.approx(270, abs=15)


def test_proton_stopping_power_and_range_are_the_published_ones():
    kinetic, power, csda = PROTON_TABLE.T
    np.testing.assert_allclose(stopping_power(kinetic, PROTON_MASS), power, rtol=0.01)
    np.testing.assert_allclose(range_table(PROTON_MASS).range(kinetic), csda, rtol=0.015)


def test_protons_agree_with_every_line_of_pstar():
    folder = os.environ.get("LARTPC_REFERENCE_DATA")
    if not folder:
        pytest.skip("LARTPC_REFERENCE_DATA is not set")
    kinetic, power, csda = np.loadtxt(Path(folder) / "data" / "nist-proton-range.txt", skiprows=1).T
    # PSTAR's argon is a gas, without density effect, which matters above 2 GeV; below 10 keV nuclei stop protons too.
    fast = (kinetic >= 0.01) & (kinetic <= 2000)
    np.testing.assert_allclose(stopping_power(kinetic[fast], PROTON_MASS), power[fast], rtol=0.02)
    long = fast & (kinetic >= 0.06)
    np.testing.assert_allclose(range_table(PROTON_MASS).range(kinetic[long]), csda[long], rtol=0.02)


def test_electrons_have_argons_critical_energy_and_radiation_length():
    # PDG, liquid argon: at 32.84 MeV the ionisation over one radiation length is the energy itself (Rossi).
    assert electron_collision(32.84) * RADIATION_LENGTH == pytest.approx(32.84, rel=0.005)
    assert 5e4 / electron_radiation(5e4) == pytest.approx(RADIATION_LENGTH, rel=0.02)


def test_kinetic_energy_inverts_range():
    kinetic = np.geomspace(0.01, 1e4, 500)
    for mass in (ELECTRON_MASS, MUON_MASS, PROTON_MASS):
        table = range_table(mass)
        np.testing.assert_allclose(table.kinetic(table.range(kinetic)), kinetic, rtol=1e-10)


@pytest.mark.parametrize(
    ("kinetic", "mass", "thickness"),
    [(1000, MUON_MASS, 0.414), (20, PROTON_MASS, 0.02), (100, PROTON_MASS, 0.4), (300, MUON_MASS, 1e-3)],
)
def test_straggled_losses_have_bethes_mean_and_vavilovs_variance(kinetic, mass, thickness):
    lost, mean, xi, transfer, beta2 = losses(kinetic, mass, thickness)
    assert lost.min() > 0
    error = lost.std() / np.sqrt(len(lost))
    assert abs(lost.mean() - mean) < 4 * error
    deviation = (lost - mean) ** 2
    variance = xi * transfer * (1 - beta2 / 2)
    assert abs(deviation.mean() - variance) < 4 * deviation.std() / np.sqrt(len(lost))


@pytest.mark.slow
@pytest.mark.parametrize(("kinetic", "thickness"), [(1000, 0.414), (300, 0.414), (2000, 1.0)])
def test_most_probable_loss_is_landau_vavilov_bichsels(kinetic, thickness):
    lost, mean, *_ = losses(kinetic, MUON_MASS, thickness, 300_000)
    expected = most_probable_loss(kinetic, MUON_MASS, thickness)
    counts, edges = np.histogram(lost, 40, (0.85 * expected, 1.2 * expected))
    middle = (edges[1:] + edges[:-1]) / 2
    top = counts > 0.75 * counts.max()
    cubic = np.polynomial.Polynomial.fit(middle[top], counts[top], 3)
    fine = np.linspace(middle[top][0], middle[top][-1], 1001)
    assert fine[cubic(fine).argmax()] == pytest.approx(expected, rel=0.01)
    assert expected < 0.9 * mean


@pytest.mark.parametrize("mass", [PROTON_MASS, 105.6583755])
def test_smooth_energy_of_a_range_is_the_tables_with_its_slope(mass):
    table = range_table(mass)
    ranges = np.geomspace(1e-4, 1e3, 300)
    kinetic, slope = table.kinetic_and_slope(ranges)
    assert kinetic == pytest.approx(table.kinetic(ranges), rel=1e-5)
    assert slope == pytest.approx(stopping_power(kinetic, mass), rel=1e-3)
    up, down = (table.kinetic_and_slope(ranges * (1 + h))[0] for h in (1e-4, -1e-4))
    assert (up - down) / (2e-4 * ranges) == pytest.approx(slope, rel=1e-5)
    (below, zero, above), slopes = table.kinetic_and_slope(np.array([-1e-6, 0.0, 1e-6]))
    assert zero == 0 and above == -below > 0
    assert slopes == pytest.approx(above / 1e-6)
