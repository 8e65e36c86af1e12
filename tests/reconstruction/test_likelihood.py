"""F of tracks: its derivatives, and what happens where a track loses its hits."""

import dataclasses

import numpy as np
import pytest

from lartpc import Detector, Simulation
from lartpc.fit.unknowns import unknowns_of
from lartpc.generator.stopping import PARTICLES
from lartpc.reconstruction.branches import find_branches
from lartpc.reconstruction.candidates import Measured
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.likelihood import TrackLikelihood
from lartpc.reconstruction.reconstruct import KNOWN
from lartpc.reconstruction.singles import fit_singles
from lartpc.reconstruction.track import LENGTH, RHO, SLOPES, TIME, Gaussian, Track
from tests.reconstruction.data import TRUTH, event, truth

PROTON = PARTICLES[2212]


def tracks(dtype=np.float64, t0=KNOWN, rounded=False):
    """The likelihood of an event's tracks, the tracks near where they are, the unknowns and the chain's vector."""
    _, hits = event("stopping-protons")
    simulation = Simulation(Detector.module0(), truth(), dtype=dtype)
    points = positions(hits, simulation.detector, simulation.parameters)
    candidates, _ = find_branches(hits, points, simulation.detector, [PROTON])
    unknowns = unknowns_of(simulation, tuple(TRUTH))
    quiet = simulation.apart(unknowns.names)
    likelihood = TrackLikelihood(quiet, [one.measured for one in candidates], unknowns.slots, rounded)
    begun = [Track.through(one.seeds[0].points, PROTON, t0=t0) for one in candidates]
    return likelihood, [one for one, _ in begun], [eta for _, eta in begun], unknowns


def held_track(track):
    """The same with a time that others decide on."""
    return dataclasses.replace(track, t0=Gaussian(0.0, 0.0))


def by_differences(function, at, step):
    """d(function)/d(at) by central differences of fourth order."""
    result = np.zeros(len(at))
    for k in range(len(at)):
        values = []
        for factor in (-2.0, -1.0, 1.0, 2.0):
            moved = at.copy()
            moved[k] += factor * step[k]
            values.append(function(moved))
        result[k] = (values[0] - 8.0 * values[1] + 8.0 * values[2] - values[3]) / (12.0 * step[k])
    return result


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_the_gradients_are_those_of_the_value(rounded):
    likelihood, of_tracks, etas, unknowns = tracks(t0=Gaussian(0.0, 1.0), rounded=rounded)
    rng = np.random.default_rng(0)
    k = int(np.argmin([track.size for track in of_tracks]))
    track, vector = of_tracks[k], unknowns.apply(unknowns.start)
    eta = etas[k] + 0.02 * rng.normal(size=track.size) / np.sqrt(track.metric())

    def value(eta, vector=vector):
        return likelihood.at(vector, [track], [eta], [k])[0].value

    here = likelihood.at(vector, [track], [eta], [k])[0]
    step = 1e-4 / np.sqrt(np.maximum(np.diag(here.information), track.metric()))
    expected = by_differences(value, eta, step)
    scale = np.sqrt(np.diag(here.information))
    assert np.max(np.abs(here.gradient - expected) / scale) < 2e-4 * np.max(np.abs(expected) / scale)
    for place in (slice(0, 3), SLOPES, LENGTH, TIME, RHO, slice(8, -track.steps), slice(-track.steps, None)):
        np.testing.assert_allclose(here.gradient[place], expected[place], rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    expected = by_differences(lambda theta: value(eta, unknowns.apply(theta)), unknowns.start, 1e-5 * unknowns.start)
    np.testing.assert_allclose(here.gradient_theta, expected, rtol=1e-4)


def test_a_fixed_time_is_told_apart():
    likelihood, of_tracks, etas, unknowns = tracks(t0=Gaussian(0.0, np.inf))
    vector, track, eta = unknowns.apply(unknowns.start), of_tracks[0], etas[0].copy()
    eta[TIME] = 0.05
    free = likelihood.at(vector, [track], [eta], [0])[0]
    held = likelihood.at(vector, [held_track(track)], [eta], [0])[0]
    others = np.delete(np.arange(track.size), TIME)
    assert held.value == free.value and held.gradient[TIME] == 0.0 and not held.cross[TIME].any()
    np.testing.assert_array_equal(held.gradient[others], free.gradient[others])
    np.testing.assert_allclose(held.information[np.ix_(others, others)], free.information[np.ix_(others, others)])
    assert not held.information[TIME, others].any()
    assert held.of_time.gradient == pytest.approx(free.gradient[TIME])
    assert held.of_time.information == pytest.approx(free.information[TIME, TIME], rel=1e-6)
    np.testing.assert_allclose(held.of_time.by_eta[others], free.information[TIME, others], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(held.of_time.by_theta, free.cross[TIME], rtol=1e-9)
    fitted = fit_singles(likelihood, vector, [held_track(track)], [eta], rows=[0], iterations=3)[0]
    assert fitted.eta[TIME] == 0.05 and fitted.near.value < held.value


def test_tracks_know_nothing_of_each_other():
    likelihood, of_tracks, etas, unknowns = tracks(dtype=np.float32)
    vector = unknowns.apply(unknowns.start)
    together = likelihood.at(vector, of_tracks, etas, range(len(of_tracks)))
    for k in (0, len(of_tracks) - 1):
        alone = likelihood.at(vector, [of_tracks[k]], [etas[k]], [k])[0]
        for name, value in alone._asdict().items():
            np.testing.assert_array_equal(value, getattr(together[k], name), err_msg=name)


def test_a_hit_that_the_track_no_longer_reaches_costs_what_it_did_without_charge():
    likelihood, of_tracks, etas, unknowns = tracks(dtype=np.float32)
    vector, track, eta = unknowns.apply(unknowns.start), of_tracks[0], etas[0].copy()
    values, missed = [], []
    for _ in range(60):
        here = likelihood.at(vector, [track], [eta], [0])[0]
        values.append(here.value)
        missed.append(here.missed)
        eta[0] += 0.02
    assert missed[0] == 0 and missed[-1] > 3
    gone = np.flatnonzero(np.diff(missed))
    steps = np.abs(np.diff(values))
    typical = np.median(steps)
    assert np.all(steps[gone] < 20.0 * typical)


def test_masked_pixels_tell_nothing():
    likelihood, of_tracks, etas, unknowns = tracks(dtype=np.float32)
    vector, whole = unknowns.apply(unknowns.start), likelihood.measured[0]
    pixel = whole.hits.pixel_id[0]
    changed = whole.hits.select(np.ones(len(whole.hits), dtype=bool))
    changed.charge = np.where(changed.pixel_id == pixel, 1e5, changed.charge).astype(np.float32)
    masked = np.append(whole.masked, pixel)
    values = []
    for hits in (whole.hits, changed, whole.hits.select(whole.hits.pixel_id != pixel)):
        likelihood.measured = [Measured(hits, masked)]
        values.append(likelihood.at(vector, of_tracks[:1], etas[:1], [0])[0].value)
    assert values[0] == values[1] == values[2]
