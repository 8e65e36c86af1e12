"""The weighting potential of a pad, and the charges and currents that follow from it."""

import dataclasses

import numpy as np
import pytest
from helpers import PITCH, VELOCITY, make_segments, one_tpc, sample, waveforms

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.parameters import Parameters
from lartpc.pixels.electrostatics import weighting_potential
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation


def fourier_potential(x, y, z, pitch, height):
    """The solution of Laplace's equation between two planes as a Fourier integral, by the midpoint rule."""
    k = (np.arange(1500) + 0.5) * 0.04
    pad_x, pad_y = (2.0 * np.sin(0.5 * k * pitch) / k * np.cos(k * at) for at in (x, y))
    kk = np.hypot(k[:, None], k)
    down = np.exp(-kk * z) * (1.0 - np.exp(-2.0 * kk * (height - z))) / (1.0 - np.exp(-2.0 * kk * height))
    return 4.0 * 0.04**2 / (2.0 * np.pi) ** 2 * np.einsum("i,j,ij", pad_x, pad_y, down)


@pytest.mark.parametrize("position", [(0.0, 0.0, 0.3), (0.2, 0.1, 0.25), (0.5, 0.3, 0.4), (1.3, -0.9, 0.8)])
def test_weighting_potential_solves_laplace(position):
    found = weighting_potential(*position, PITCH, 2.0)
    assert found == pytest.approx(fourier_potential(*position, PITCH, 2.0), abs=2e-6)


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


@pytest.mark.slow
def test_ramo():
    """Charge collected: 1 on the pad, 0 on neighbours, whatever they saw before; as much induced up as down."""
    detector = one_tpc()
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


@pytest.mark.slow
def test_signal_before_the_charge_is_there():
    """Charge at 1 cm counts as if it had come from where the table begins: what it would have induced on the way."""
    position = (0.5 * PITCH, 0.5 * PITCH, 1.0)
    found, ticks = waveforms(make_segments(position, position), response="electrostatic"), np.arange(-400, 400)
    current = sample(found, 55, ticks)
    early = current[ticks < 0].sum() / current.sum()
    assert early == pytest.approx(0.03, abs=2e-3)
    assert early == pytest.approx(weighting_potential(0.0, 0.0, 1.0, PITCH, 5.0), abs=1e-3)


@pytest.mark.slow
def test_induced_charge_that_is_gone_when_it_is_read():
    """7 % of the reads of muons, with noise."""
    segments = from_table(generate("muons", Detector.module0(), 1, 0), "generated")
    simulation = Simulation(response="electrostatic", noise=True)
    batch = simulation.batch(segments)
    found = simulation.waveforms(batch, simulation.vector())
    reads = simulation.reads(found, batch, simulation.pixels(found))
    used = np.arange(reads.valid.shape[1]) < reads.count[:, None]
    assert np.count_nonzero(used) > 1000
    assert 1.0 - reads.valid[used].mean() == pytest.approx(0.07, abs=0.01)
