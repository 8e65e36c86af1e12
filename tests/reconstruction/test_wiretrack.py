"""A straight track from the waveforms of wires: its derivatives, the blur, and fits from far away."""

import numpy as np
import pytest
from wire_fits import data_of
from wire_samples import small_simulation, small_wires

from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.losses.waveforms import NoiseWeights
from lartpc.reconstruction import wireblur
from lartpc.reconstruction.wireblur import blurred_normal
from lartpc.reconstruction.wiremodel import normal, seen
from lartpc.reconstruction.wiretrack import ALL, PLACE, TURN, Line, track_from_waveforms
from lartpc.simulation.wires import WireSimulation
from lartpc.wires.noise import noise_of

SCHEDULE = ((12.0, PLACE), (8.0, PLACE), (6.0, TURN), *((sigma, ALL) for sigma in (4.0, 4.0, 2.0, 2.0)))
OFF = np.array([2.0, -2.5, 3.0, 0.15, -0.15, np.log(1.2)])


def line(direction=(0.55, 0.6, 0.58), middle=(14.0, 1.0, 11.0), length=14.0):
    direction = np.array(direction) / np.linalg.norm(direction)
    return Line(np.array(middle), direction, length, 2.1 * length, 2.1)


def read_of(simulation, truth, seed=0, noise=True):
    return data_of(simulation, truth.source().segments(np.zeros(1, np.int64)), seed, noise)


def off(fit, truth):
    """Differences of the unknowns to the truth (6,)."""
    turn = np.linalg.lstsq(
        np.stack([truth.moved(h).direction - truth.moved(-h).direction for h in 1e-4 * np.eye(6)[3:5]], axis=1) / 2e-4,
        fit.line.direction - truth.direction,
        rcond=None,
    )[0]
    return np.concatenate((fit.line.middle - truth.middle, turn, [np.log(fit.line.dE / truth.dE)]))


def test_gradient_of_the_likelihood_is_that_of_its_value():
    simulation = small_simulation(small_wires(rc=(300.0,)), dtype=np.float64)
    truth = line()
    read, weights = read_of(simulation, truth), NoiseWeights(simulation.detector, simulation.dtype)
    near = truth.moved(np.array([0.05, -0.04, 0.06, 0.01, -0.01, 0.1]))
    at = normal(weights, seen(simulation, read, 0, near.source(), near.changes(), scaled=True), 1)
    for k, h in enumerate(1e-4 * np.eye(6)):
        more, less = (
            normal(weights, seen(simulation, read, 0, near.moved(s * h).source(), [], scaled=True), 1).value
            for s in (1.0, -1.0)
        )
        assert at.gradient[k] == pytest.approx((more - less) / 2e-4, rel=3e-3)


def test_sums_less_a_line():
    rng = np.random.default_rng(0)
    rows, samples = rng.normal(size=(3, 50)), rng.normal(size=50)
    sums = np.cumsum(samples)
    expected = rows @ (sums - np.arange(50) / 49 * sums[-1])
    np.testing.assert_allclose(wireblur._of_sums(rows) @ samples, expected, atol=1e-12)


@pytest.mark.parametrize("sigma", [2.0, 10.0])
def test_blurred_noise_has_a_deviation_of_one(sigma):
    """Noise alone, of both planes, against its own prediction."""
    simulation = small_simulation()
    d = simulation.detector
    track, squares = line(), []
    for seed in range(4):
        of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
        noise = noise_of(d.noise, np.arange(d.n_channels), np.zeros(d.n_channels, np.int64), seed, *of)
        model = wireblur._windows(simulation, track.source())
        for image in wireblur._images(d, model, sigma):
            data = [(c, d.first_tick, noise[c]) for c in image.channels]
            squares.append(np.mean(image.blurred(data) ** 2))
    assert np.mean(squares) == pytest.approx(1.0, abs=0.25)


def test_blurred_gradient_vanishes_at_the_truth_alone():
    """Without noise; off the truth the Gauss-Newton step points back to it."""
    simulation = small_simulation()
    truth = line()
    read = read_of(simulation, truth, noise=False)
    at = blurred_normal(simulation, read, 0, truth.source(), truth.changes(), 4.0)
    assert at.value < 1e-3 and np.abs(np.linalg.solve(at.information, at.gradient)).max() < 1e-4
    near = truth.moved(np.array([0.3, -0.3, 0.3, 0.0, 0.0, 0.0]))
    at = blurred_normal(simulation, read, 0, near.source(), near.changes(), 4.0)
    np.testing.assert_allclose(np.linalg.solve(at.information, -at.gradient)[:3], [-0.3, 0.3, -0.3], atol=0.1)


def test_a_track_is_found_from_far_away():
    """From 4.4 cm, 0.2 rad and 20 % off, with noise: within the errors, and without the blur it is not."""
    simulation = small_simulation(small_wires(rc=(300.0,)))
    truth = line()
    read = read_of(simulation, truth, 3)
    fit = track_from_waveforms(simulation, read, 0, truth.moved(OFF), SCHEDULE)
    found = off(fit, truth)
    assert fit.good
    assert np.abs(found / fit.errors).max() < 4.0
    assert np.abs(found[:3]).max() < 0.03 and np.abs(found[3:]).max() < 0.01
    assert not track_from_waveforms(simulation, read, 0, truth.moved(OFF), ()).good


def test_no_minimum_is_off_along_the_track():
    """By some spacings of its points, which are no further apart than charge diffuses, the likelihood pulls it back."""
    simulation = small_simulation()
    truth = line()
    steps = simulation.waveforms(simulation.batch(truth.source().segments(np.zeros(1, np.int64))), simulation.vector())
    place = np.cumsum(np.full(len(steps.steps.x), truth.length / len(steps.steps.x)))
    assert np.diff(place).max() < 1.2 * steps.steps.sigma_T.max()
    read = read_of(simulation, truth, 4)
    for shift in (-0.4, 0.2, 0.4):
        start = truth._replace(middle=truth.middle + shift * truth.direction)
        fit = track_from_waveforms(simulation, read, 0, start, ())
        assert fit.good and np.abs(off(fit, truth) / fit.errors).max() < 4.0


def test_a_track_without_data_is_refused():
    simulation = small_simulation()
    with pytest.raises(InputError, match="event 3: no data"):
        track_from_waveforms(simulation, lambda *_: None, 3, line(), ())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_muon_in_sbnd_is_found_from_far_away(seed):
    """40 cm, from 10 to 15 cm, 0.2 rad and 20 % off: within 0.2 mm, 1 mrad, 0.4 %."""
    detector = WireDetector.built_in("sbnd")
    simulation = WireSimulation(detector)
    rng = np.random.default_rng(seed)
    truth = line(rng.normal(size=3), (rng.uniform(150, 350), rng.uniform(-90, 90), rng.uniform(50, 150)), 40.0)
    signs = rng.choice((-1.0, 1.0), 6)
    start = truth.moved(signs * np.array([10.0, 12.0, 15.0, 0.2, 0.2, 0.2]))
    fit = track_from_waveforms(simulation, read_of(simulation, truth, seed), 0, start)
    found = off(fit, truth)
    assert fit.good and np.abs(found / fit.errors).max() < 4.0
    assert np.abs(found[:3]).max() < 0.02 and np.abs(found[3:5]).max() < 1e-3 and abs(found[5]) < 4e-3
