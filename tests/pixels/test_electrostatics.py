"""The weighting potential of a pad, and the charges and currents that follow from it."""

import dataclasses

import numpy as np
import pytest
from helpers import PITCH, VELOCITY, one_plane

from lartpc.parameters import Parameters
from lartpc.pixels.electrostatics import weighting_potential
from lartpc.pixels.response import Response


def fourier_potential(x, y, z, pitch, height):
    """The solution of Laplace's equation between two planes as a Fourier integral, by the midpoint rule."""
    k = (np.arange(1500) + 0.5) * 0.04
    pad_x, pad_y = (2.0 * np.sin(0.5 * k * pitch) / k * np.cos(k * at) for at in (x, y))
    kk = np.hypot(k[:, None], k)
    down = np.exp(-kk * z) * (1.0 - np.exp(-2.0 * kk * (height - z))) / (1.0 - np.exp(-2.0 * kk * height))
    return 4.0 * 0.04**2 / (2.0 * np.pi) ** 2 * np.einsum("i,j,ij", pad_x, pad_y, down)


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.3), (0.2, 0.1, 0.25), (0.5, 0.3, 0.4), (1.3, -0.9, 0.8)])
def test_weighting_potential_solves_laplace(place):
    found = weighting_potential(*place, PITCH, 2.0)
    assert found == pytest.approx(fourier_potential(*place, PITCH, 2.0), abs=2e-6)


def test_weighting_potential_on_the_planes():
    x = np.array([0.0, 0.2, 0.23, 0.9])
    np.testing.assert_allclose(weighting_potential(x, 0.1, 0.0, PITCH, 3.0), [1.0, 1.0, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(weighting_potential(x, 0.1, 3.0, PITCH, 3.0), 0.0, atol=1e-15)


def test_weighting_potentials_of_all_pads_sum_to_that_of_a_plane():
    """1 - z/height: a charge induces on all pads together what it does on one electrode."""
    n = PITCH * np.arange(-25, 26)
    for z in (0.1, 0.7, 1.5):
        total = weighting_potential(n[:, None] + 0.17, n + 0.05, z, PITCH, 2.0).sum()
        assert total == pytest.approx(1.0 - z / 2.0, abs=1e-4)


def test_ramo():
    """Charge collected: 1 on the pad, 0 on neighbours, whatever they saw before; as much induced up as down."""
    detector = one_plane()
    response = Response.electrostatic(detector)
    assert response.response.shape == (45, 45, 315)
    own = np.zeros((45, 45))
    own[:5, :5] = 1.0
    np.testing.assert_allclose(response.charge, own, atol=1e-9)
    np.testing.assert_array_equal(response.response, response.response.transpose(1, 0, 2))
    beside = response.response[7, 0]  # on the next pixel, a quarter of a pitch from the border
    induced = np.clip(beside, 0.0, None).sum() * 0.1
    assert 0.05 < induced < 0.2
    assert response.response[0, 0].argmax() * 0.1 == pytest.approx(5.0 / VELOCITY, abs=1.5)
    # a higher field: the same charges, sooner
    faster = Response.electrostatic(dataclasses.replace(detector, parameters=Parameters(eField=0.6)))
    assert faster.response.shape[2] < response.response.shape[2]
    np.testing.assert_allclose(faster.charge, own, atol=1e-9)
