"""The track model: its geometry, deposits and priors, their derivatives, and how it follows curves."""

import numpy as np
import pytest

from lartpc.generator.stopping import PARTICLES, range_table
from lartpc.generator.transport import scattering_width
from lartpc.reconstruction.layout import TIME, Z
from lartpc.reconstruction.polyline import at_fractions, frame_along, path_length, step_fractions
from lartpc.reconstruction.singles import moved
from lartpc.reconstruction.track import FREE, Gaussian, Track

PROTON, MUON = PARTICLES[2212], PARTICLES[13]


def curve(length, bend=0.0):
    """Points along an arc from (1, 2, 3), of a length [cm] and a curvature [1/cm]."""
    s = np.linspace(0, length, 400)
    turned = s * bend
    along = np.stack([np.sinc(turned / np.pi / 2) * s * np.cos(turned / 2), 0.3 * s, 0 * s], axis=1)
    along[:, 2] = np.sinc(turned / np.pi / 2) * s * np.sin(turned / 2)
    return [1.0, 2.0, 3.0] + along * length / path_length(along)[-1]


def rows(segments):
    """(n, 9): x, y, z of start and end, dE, dEdx, t0."""
    return np.concatenate([segments.start, segments.end, np.stack(segments[2:], axis=1)], axis=1)


def disturbed(track, eta):
    """Unknowns drawn from the priors about eta, end and length somewhat moved."""
    rng = np.random.default_rng(4)
    eta = eta + np.concatenate([[0.1, -0.2, 0.1, 0.05, -0.1, 0.05, 0.3, 0.02], rng.standard_normal(track.size - 8)])
    return eta


@pytest.mark.parametrize("particle, length", [(PROTON, 0.5), (PROTON, 9.0), (MUON, 12.0)])
def test_jacobian_against_differences(particle, length):
    track, eta = Track.through(curve(length, 0.03), particle, rho=Gaussian(0.05, 0.1))
    eta = disturbed(track, eta)
    jacobian = track.jacobian(eta)
    assert jacobian.shape == (track.steps, 9, track.size)
    scale = np.maximum(np.max(np.abs(jacobian), axis=(0, 2)), 1e-3)
    for k, direction in enumerate(np.eye(track.size)):
        h = 1e-5
        difference = (rows(track.segments(eta + h * direction)) - rows(track.segments(eta - h * direction))) / (2 * h)
        assert np.max(np.abs(jacobian[:, :, k] - difference) / scale) < 1e-6, k


def test_prior_has_its_gradient_and_curvature():
    track, eta = Track.through(curve(12.0), MUON, t0=Gaussian(0.5, 0.2), rho=Gaussian(0.1, 0.05))
    eta = disturbed(track, eta)
    _, gradient, curvature = track.prior(eta)
    for k, direction in enumerate(np.eye(track.size)):
        (up, up_gradient, _), (down, down_gradient, _) = (track.prior(eta + h * direction) for h in (1e-4, -1e-4))
        assert (up - down) / 2e-4 == pytest.approx(gradient[k], abs=1e-5, rel=1e-6)
        if curvature[k] > 0.05:
            assert (up_gradient[k] - down_gradient[k]) / 2e-4 == pytest.approx(curvature[k], rel=1e-3, abs=1e-3)
    assert np.all(gradient[:6] == 0) and np.all(curvature[:6] == 0) and np.all(curvature[6:] > 0)
    assert gradient[6] == pytest.approx((eta[6] - 0.5) / 0.04)


def test_free_time_has_no_prior_but_a_metric():
    track, eta = Track.through(curve(3.0), PROTON, t0=FREE, rho=Gaussian(0.0, 0.02))
    value, gradient, curvature = track.prior(eta)
    assert np.isfinite(value) and gradient[6] == curvature[6] == 0
    assert track.metric()[:8] == pytest.approx([100, 100, 100, 1 / 0.09, 1 / 0.09, 100, 4, 2500])
    assert np.all(track.metric()[8:] == 1)


@pytest.mark.parametrize("length", [0.1, 0.5, 1.0, 7.0, 60.0])
def test_straight_track_is_the_line_and_loses_the_energy_of_its_range(length):
    points = curve(length)
    track, eta = Track.through(points, PROTON)
    segments = track.segments(eta)
    assert track.nodes(eta) == pytest.approx(at_fractions(points, track.fractions), abs=1e-9)
    assert segments.start[-1] == pytest.approx(points[-1]) and segments.end[0] == pytest.approx(points[0])
    assert np.all(segments.start[:-1] == segments.end[1:])
    assert np.linalg.norm(segments.start - segments.end, axis=1) == pytest.approx(track.lengths(eta))
    _, g = track.split(eta)
    g[:] = -track.loss.offset / track.loss.width  # dE is the mean
    whole = range_table(PROTON.mass).kinetic(length * 1.38)
    assert np.sum(track.segments(eta).dE) == pytest.approx(whole, rel=1e-5)


def test_denser_argon_stops_a_particle_of_more_energy():
    energies = []
    for density in (1.38, 1.396):
        track, eta = Track.through(curve(8.0), PROTON, density=density)
        energies.append(np.sum(track.segments(eta).dE))
        assert energies[-1] == pytest.approx(range_table(PROTON.mass).kinetic(8.0 * density), rel=2e-3)
    assert energies[1] / energies[0] == pytest.approx((1.396 / 1.38) ** 0.57, rel=1e-3)


def test_particle_that_leaves_has_residual_range():
    track, eta = Track.through(curve(50.0), MUON, rho=Gaussian(250.0, 80.0), longest=0.5)
    assert eta[7] == 250 and track.steps == 100
    _, g = track.split(eta)
    g[:] = -track.loss.offset / track.loss.width
    kinetic = range_table(MUON.mass).kinetic(np.array([250.0, 300.0]) * 1.38)
    assert np.sum(track.segments(eta).dE) == pytest.approx(kinetic[1] - kinetic[0], rel=1e-5)


@pytest.mark.parametrize("length, steps", [(0.2, 11), (0.9, 12), (10.0, 43)])
def test_steps_follow_the_residual_range(length, steps):
    step = np.diff(step_fractions(length, 0.0, 0.3)) * length
    assert len(step) == steps
    assert np.all(np.diff(step) >= -1e-12)
    if length > 0.8:
        assert 0.02 < step[0] <= 0.03 and 0.2 < step[-1] / min(length, 1.0) <= 0.3
    # Where nodes are depends on their number alone: a track of nearly the same length keeps them.
    assert np.array_equal(step_fractions(length * (1 - 1e-4), 0.0, 0.3), step_fractions(length, 0.0, 0.3))


def test_inner_variance_raises_the_concentration_of_long_steps():
    track, _ = Track.through(curve(5.0), PROTON)
    s = track.length * track.fractions
    parts = np.diff(s) / np.clip(0.1 * s[1:], 0.02, 0.3)
    expected = 1 + 0.7 * np.maximum(parts - 1, 0) * track.loss.width**2
    assert track.concentration == pytest.approx(expected)
    assert 1.001 < np.max(track.concentration) < 1.03 and np.min(track.concentration) >= 1


@pytest.mark.slow
def test_generated_protons_have_the_priors_of_the_model(generated):
    losses, kinks = [], []
    for nodes, deposits in generated(2212, 60, 150, 150):
        along = path_length(nodes)
        frame = frame_along(nodes[-1] - nodes[0])
        track = Track.along(nodes, PROTON, fractions=along / along[-1], frame=frame)
        eta = track.follow(nodes, 2e-5)
        assert track.nodes(eta) == pytest.approx(nodes, abs=5e-4)
        alpha, _ = track.split(eta)
        losses.append(track.loss.of_deposits(track.mean_losses(eta)[0], deposits)[2:])
        # The generator scatters by all of the step before a node, not by half of each beside it.
        kinetic = range_table(PROTON.mass).kinetic(along[1:] * 1.38)
        step = scattering_width((kinetic[1:] + kinetic[:-1]) / 2, PROTON.mass, np.diff(along)[1:] * 1.38)
        kinks.append((alpha * (track.kinks / step)[:, None])[1:].ravel())
    losses, kinks = np.concatenate(losses), np.concatenate(kinks)
    assert len(losses) > 7000
    assert np.mean(losses) == pytest.approx(0, abs=0.04)
    # The generator takes a step's mean at its beginning, where the energy is not yet known from the stop's side: 2 %;
    # and the log of a Vavilov loss is up to 3 % narrower than the normal of the same variance of dE.
    assert 0.93 < np.std(losses) < 1.02
    assert np.mean(kinks) == pytest.approx(0, abs=0.03)
    assert np.std(kinks) == pytest.approx(1, abs=0.025)


@pytest.mark.slow
def test_energy_at_given_length_spreads_as_the_generators(generated):
    ratios = []
    for nodes, deposits in generated(2212, 80, 110, 500):
        whole = range_table(PROTON.mass).kinetic(path_length(nodes)[-1] * 1.38)
        ratios.append(np.sum(deposits) / whole)
    track, eta = Track.through(curve(6.5), PROTON)
    rng, drawn = np.random.default_rng(3), []
    for _ in range(2000):
        track.split(eta)[1][:] = rng.standard_normal(track.steps)
        drawn.append(np.sum(track.segments(eta).dE))
    drawn = np.array(drawn) / range_table(PROTON.mass).kinetic(6.5 * 1.38)
    assert np.mean(ratios) == pytest.approx(1, abs=1e-3) and np.mean(drawn) == pytest.approx(1, abs=1e-3)
    # Losses that do not know of each other would spread 1.35 times as much.
    assert np.std(drawn) / np.std(ratios) == pytest.approx(1, abs=0.1)


def test_track_through_a_generated_proton_is_near_it_everywhere(generated):
    for nodes, deposits in generated(2212, 30, 150, 15):
        track, eta = Track.through(nodes, PROTON)
        along = path_length(nodes) / path_length(nodes)[-1]
        assert np.max(np.linalg.norm(at_fractions(track.nodes(eta), along) - nodes, axis=1)) < 0.05
        assert np.sum(track.segments(eta).dE) == pytest.approx(np.sum(deposits), rel=0.04)
        assert np.all(np.abs(track.split(eta)[0]) < 5)


@pytest.mark.parametrize("length", [0.5, 60.0])
def test_track_through_a_bent_curve(length):
    points = curve(length, 0.8 / length)
    track, eta = Track.through(points, MUON)
    assert np.max(np.abs(track.nodes(eta) - at_fractions(points, track.fractions))) < 0.03
    assert eta[5] == pytest.approx(length, rel=5e-3)


@pytest.mark.parametrize("points", [np.zeros((1, 3)), np.zeros((5, 3))])
def test_curve_without_two_ends_is_refused(points):
    with pytest.raises(ValueError, match="not a curve with two ends"):
        Track.through(points, PROTON)


def test_a_place_along_the_drift_and_the_time_move_together():
    """Where a step is too long, both go by the same part of it, as they make up for each other."""
    track, eta = Track.through(np.array([[0.0, 0.0, 5.0], [0.0, 3.0, 5.0]]), PROTON, t0=FREE)
    step = np.zeros(track.size)
    step[Z], step[TIME] = 0.8, -5.0
    there = moved(track, eta, step) - eta
    assert there[[Z, TIME]] == pytest.approx(0.25 * step[[Z, TIME]])
    step *= 0.1
    np.testing.assert_allclose(moved(track, eta, step) - eta, step, atol=1e-12)
