"""Segments from the waveforms of wires without a track: points, chains, the likelihood's derivatives, and fits."""

import numpy as np
import pytest
from wire_fits import data_of
from wire_samples import small_simulation, small_wires

from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.losses.waveforms import NoiseWeights
from lartpc.reconstruction.wirechains import Pieces, pieces_of
from lartpc.reconstruction.wireseeds import Points, _crossing, _wire, points_of
from lartpc.reconstruction.wiresegments import linearized, newton, segments_from_waveforms
from lartpc.simulation.wires import WireSimulation


def along(n, seed, direction=(0.68, 0.66, 0.33), middle=(15.0, 0.0, 11.0), length=1.0):
    """A line of n pieces whose energies differ."""
    direction = np.array(direction) / np.linalg.norm(direction)
    places = np.array(middle) + np.outer((np.arange(n) - 0.5 * (n - 1)) * length, direction)
    dE = (1.8 + 0.15 * np.random.default_rng(seed).standard_gamma(2.0, n)) * length
    return Pieces(places, np.tile(direction, (n, 1)), dE, np.zeros(n, np.int64), length, 2.1, 0.0)


def read_of(simulation, pieces, seed):
    return data_of(simulation, pieces.sources().segments(np.zeros(len(pieces.dE), np.int64)), seed)


def differences(fit, truth):
    """Of a fit with as many segments, in the order of the truth (n, 4), and its errors."""
    order = np.argsort(fit.pieces.middle @ truth.direction[0])
    off = np.column_stack((fit.pieces.middle[order] - truth.middle, np.log(fit.pieces.dE[order] / truth.dE)))
    return off, fit.errors[order]


def test_gradient_is_that_of_differences():
    simulation = small_simulation(dtype=np.float64)
    truth = along(5, 0)
    read, weights = read_of(simulation, truth, 0), NoiseWeights(simulation.detector, simulation.dtype)
    near = truth.moved(np.random.default_rng(1).normal(0.0, 0.02, (5, 4)))
    at = linearized(simulation, read, 0, weights, near, truth)
    for k, h in enumerate(1e-4 * np.eye(20)):
        more, less = (
            linearized(simulation, read, 0, weights, near.moved(s * h.reshape(5, 4)), truth).value for s in (1.0, -1.0)
        )
        expected, size = (more - less) / 2e-4, np.sqrt(at.information[k, k])
        assert at.gradient[k] == pytest.approx(expected, rel=1e-2, abs=0.05 * size)


def test_crossings_lie_on_both_wires():
    simulation = WireSimulation(WireDetector.built_in("icarus"))
    wires, others = np.array([10, 300, 500]), np.array([700, 800, 900])
    place = _crossing(simulation, 2, wires, 1, others)
    np.testing.assert_allclose(_wire(simulation, 2, place), wires, atol=1e-9)
    np.testing.assert_allclose(_wire(simulation, 1, place), others, atol=1e-9)


def test_points_lie_on_a_line():
    simulation = small_simulation(small_wires(rc=(300.0,)))
    truth = along(12, 2)
    points = points_of(simulation, read_of(simulation, truth, 2), 0)
    off = points.place - truth.middle[0]
    across = off - np.outer(off @ truth.direction[0], truth.direction[0])
    assert len(points.dE) > 12
    assert np.sqrt(np.mean(across**2)) < 0.15
    assert (off @ truth.direction[0]).min() < 0.0 and (off @ truth.direction[0]).max() > 11.0


def test_branches_are_chains_of_their_own_and_lone_points_are_none():
    rng = np.random.default_rng(0)
    s = np.linspace(0.0, 10.0, 31)[:, None]
    trunk = s * np.array([1.0, 0.0, 0.0])
    branch = np.array([6.0, 0.0, 0.0]) + s[:9] * np.array([0.3, 0.9, 0.3])
    place = np.concatenate((trunk, branch, [[50.0, 50.0, 50.0], [80.0, 0.0, 0.0]])) + rng.normal(0.0, 0.02, (42, 3))
    pieces = pieces_of(Points(place, np.ones(len(place))), 0.3, 1.0, 2.1, 0.0)
    first, second = (pieces.middle[pieces.chain == k] for k in (0, 1))
    assert pieces.chain.max() == 1 and len(first) == 10
    assert np.abs(first[:, 1:]).max() < 0.05
    assert np.abs(np.abs(pieces.direction[pieces.chain == 0] @ [1.0, 0.0, 0.0]) - 1.0).max() < 1e-2
    assert (second[:, 1] > 0.5).all()
    assert len(pieces_of(Points(place[-2:], np.ones(2)), 0.3, 1.0, 2.1, 0.0).dE) == 0


def test_segments_are_found_without_a_track():
    """With noise, from nothing but what channels read: charge and places within their errors."""
    simulation = small_simulation(small_wires(rc=(300.0,)))
    truth = along(7, 3, length=2.0)
    fit = segments_from_waveforms(simulation, read_of(simulation, truth, 3), 0, length=2.0)
    assert fit.good and len(fit.pieces.dE) == 7
    off, errors = differences(fit, truth)
    assert np.abs(off / errors).max() < 4.5
    assert np.abs(off[:, :3]).max() < 0.03 and np.abs(off[:, 3]).max() < 0.02
    assert fit.pieces.dE.sum() == pytest.approx(truth.dE.sum(), rel=0.03)


def test_noise_alone_has_no_segments():
    simulation = small_simulation()
    truth = along(3, 0)._replace(dE=np.full(3, 1e-4))
    with pytest.raises(InputError, match="event 0: found no charge on wires that cross"):
        segments_from_waveforms(simulation, read_of(simulation, truth, 0), 0)
    with pytest.raises(InputError, match="dEdx: found 0 MeV/cm, allowed is above 0"):
        segments_from_waveforms(simulation, read_of(simulation, truth, 0), 0, dEdx=0.0)


@pytest.mark.slow
def test_segments_in_sbnd_are_as_good_as_the_bound():
    """10 mm segments, a metre from the wires: errors within 1.2 of the Cramer-Rao bound, pulls of width about 1."""
    simulation = WireSimulation(WireDetector.built_in("sbnd"))
    ratios, pulls = [], []
    for seed in range(3):
        truth = along(24, seed, middle=(230.0 + 10.0 * seed, -20.0 + 10.0 * seed, 102.0))
        read = read_of(simulation, truth, seed)
        fit = segments_from_waveforms(simulation, read, 0)
        weights = NoiseWeights(simulation.detector, simulation.dtype)
        bound = np.sqrt(np.diag(newton(linearized(simulation, read, 0, weights, truth, truth))[1])).reshape(-1, 4)
        assert fit.good and len(fit.pieces.dE) == 24
        off, errors = differences(fit, truth)
        ratios.append(off / bound)
        pulls.append(off / errors)
    assert (np.sqrt(np.mean(np.concatenate(ratios) ** 2, axis=0)) < 1.2).all()
    width = np.sqrt(np.mean(np.concatenate(pulls) ** 2, axis=0))
    assert ((width > 0.6) & (width < 1.3)).all()
