"""The prior of log dE: derivatives, and that it is the generator's density."""

import numpy as np
import pytest
from scipy.stats import chi2

from lartpc.generator.stopping import (
    MAX_COLLISIONS,
    PARTICLES,
    PROTON_MASS,
    kinematics,
    landau_width,
    max_transfer,
    stopping_power,
    straggle,
)
from lartpc.reconstruction.energyloss import EnergyLoss, G, log_density

MUON = PARTICLES[13].mass


def step(kinetic, mass, length):
    """`EnergyLoss` of one step of a length [cm], its mean loss, xi, W_max [MeV] and beta^2."""
    thickness = length * 1.38
    mean = stopping_power(kinetic, mass) * thickness
    loss = EnergyLoss.of_steps(np.array([kinetic]), mass, np.array([thickness]), np.array([mean]))
    transfer = max_transfer(kinetic, np.asarray(mass))
    return loss, mean, landau_width(kinetic, mass, thickness), transfer, kinematics(kinetic, mass)[0]


def straggled(n, mean, xi, transfer, beta2):
    """n losses [MeV] of the generator."""
    rng = np.random.default_rng(2)
    random = rng.standard_normal(n), rng.standard_exponential((n, MAX_COLLISIONS)), rng.random((n, MAX_COLLISIONS))
    return straggle(*(np.full(n, value) for value in (mean, xi, transfer, beta2)), *random)


def minus_log(loss, g):
    """-log p of one step at many g."""
    return np.array([loss(np.array([value]))[0][0] for value in g])


def quantiles(loss, shares):
    """g below which the shares of the prior lie, up to the end of the table."""
    g = np.linspace(-5, G[-1], 1501)
    below = np.cumsum(np.exp(-minus_log(loss, g)))
    return np.interp(shares, below / below[-1], g)


@pytest.mark.slow
@pytest.mark.parametrize("kinetic, length", [(45.0, 0.3), (20.0, 0.05), (300.0, 0.3), (1000.0, 0.1)])
def test_losses_of_muons_have_vavilovs_density_of_log_loss(kinetic, length):
    loss, mean, *rest = step(kinetic, MUON, length)
    assert rest[0] / rest[1] < 0.06  # kappa
    n, bins = 20_000, 40
    g = (np.log(straggled(n, mean, *rest) / mean) - loss.offset) / loss.width
    edges = quantiles(loss, np.arange(1, bins) / bins)
    within = g[g < G[-1]]
    assert len(within) > 0.94 * n
    counts = np.bincount(np.searchsorted(edges, within), minlength=bins)
    expected = len(within) / bins
    assert chi2.sf(np.sum((counts - expected) ** 2) / expected, bins - 1) > 1e-3
    assert abs(np.median(g)) < 1 and 0.5 < np.diff(np.percentile(g, [16, 84]))[0] / 2 < 2


def test_log_normal_has_mean_and_width_of_protons_losses():
    loss, mean, *rest = step(70.0, PROTON_MASS, 0.3)
    assert rest[0] / rest[1] > 1
    g = (np.log(straggled(40_000, mean, *rest) / mean) - loss.offset) / loss.width
    assert np.mean(g) == pytest.approx(0, abs=0.02)
    assert np.std(g) == pytest.approx(1, abs=0.02)


def test_density_is_landaus_for_small_kappa():
    variable = np.linspace(-3.3, 20, 40)
    t = np.arange(1, 40_000) * 2e-3
    landau = np.exp(-t * np.log(t) - variable[:, None] * t) @ np.sin(np.pi * t) * 2e-3 / np.pi
    # Vavilov's differs from Landau's by terms of order kappa ln kappa.
    assert np.exp(log_density(variable, 5e-4, 1.0)) == pytest.approx(landau, rel=0.02)


@pytest.mark.parametrize("kappa", [5e-3, 0.05, 0.19])
@pytest.mark.parametrize("beta2", [0.2, 0.9])
def test_density_is_normalised_with_the_mean_loss(kappa, beta2):
    variable = np.linspace(-3.9, 60, 8000)
    density = np.exp(log_density(variable, kappa, beta2))
    lost = variable + 1 - np.euler_gamma + beta2 + np.log(kappa)  # (dE - mean)/xi
    beyond = max(1 / 60 - kappa, 0)  # collisions of more than 60 xi
    assert np.trapezoid(density, variable) == pytest.approx(1, abs=1e-3 + beyond * 1.5)
    if kappa >= 0.05:
        assert np.trapezoid(density * lost, variable) == pytest.approx(0, abs=3e-3)
        variance = np.trapezoid(density * lost**2, variable)
        assert variance == pytest.approx((1 - beta2 / 2) / kappa, rel=4e-3)


def test_slope_and_curvature_are_derivatives():
    kinetic = np.array([20.0, 45.0, 45.0, 300.0, 5.0])
    length = np.array([0.05, 0.3, 0.3, 0.3, 0.1])
    loss = EnergyLoss.of_steps(kinetic, MUON, length * 1.38, stopping_power(kinetic, MUON) * length * 1.38)
    assert loss.landau.tolist() == [0, 1, 2, 3]
    for g in np.linspace(-4, 12, 77):
        g = np.full(5, g)
        value, slope, curvature = loss(g)
        (up, slope_up, _), (down, slope_down, _) = loss(g + 1e-4), loss(g - 1e-4)
        assert (up - down) / 2e-4 == pytest.approx(slope, abs=1e-6, rel=1e-6)
        if not np.any(np.abs(g - G[:, None]) < 2e-4):
            second = (slope_up - slope_down) / 2e-4
            assert curvature == pytest.approx(np.maximum(second, 0.05), abs=1e-5, rel=1e-5)
        assert np.all(value >= -1e-3)
        assert np.all(value - loss(np.zeros(5))[0] > -1.5)


def test_far_tails_push_back():
    loss = EnergyLoss.of_steps(*np.array([[33.0], [MUON], [0.41], [0.9]]))
    for g in (-8.0, -3.0, 9.0, 30.0):
        assert loss(np.array([g]))[1][0] * g > 0
