"""Tracks go along the drift with the time that those of their event share: left behind, fits end in other minima."""

import numpy as np
import pytest

from lartpc import Detector, Simulation
from lartpc.charge.velocity import drift_velocities
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.generator.transport import DENSITY
from lartpc.reconstruction.joint import Reduced
from lartpc.reconstruction.layout import TIME, Z
from lartpc.reconstruction.marginal import of_shared_times
from lartpc.reconstruction.reconstruct import candidates_in
from lartpc.reconstruction.track import Gaussian
from lartpc.reconstruction.used import EVENT, Begun, HitRun, Known, first, joint_fit, restored, with_mean_times
from tests.reconstruction.data import event, truth

KNOWN = Known(Gaussian(0.0, 2.0), EVENT, DENSITY)
UNKNOWNS = ("Ab", "kb", "lifetime")
FEW = 8  # candidates
LESS = 3.0  # of F: what diffusion and losses of charge tell of a time


@pytest.fixture(scope="module")
def protons():
    """A joint fit of protons of an event whose time is not known, where it begins, the tracks by themselves, and what
    these say of their times.
    """
    _, hits = event("stopping-protons")
    simulation = Simulation(Detector.module0(), truth())
    unknowns = RunUnknowns.of(unknowns_of(simulation, UNKNOWNS))
    start = np.array([truth().value(name) for name in UNKNOWNS])

    def finder(*of):
        found, flow = candidates_in(*of)
        return found[:FEW], flow

    begun = [Begun.of(HitRun(simulation, Target(hits)), unknowns.of_run[0], start, KNOWN.t0, finder)]
    saved, of_time = first(begun, 0, start, ("proton",), KNOWN, lambda steps: steps)
    return joint_fit(begun, unknowns, restored(begun, saved, KNOWN), KNOWN), start, saved.eta, of_time


def values(fit, theta, etas):
    """F of each track."""
    return np.array([near.value for near in fit.state(theta, etas).near])


def drifted(fit, etas, others):
    """How far the ends of tracks are along the drift by their change of time, over the drift velocity [cm/us]."""
    velocity = float(drift_velocities(Detector.module0(), truth())[0])
    return [abs((two[Z] - one[Z]) / (two[TIME] - one[TIME])) / velocity for one, two in zip(etas, others, strict=True)]


@pytest.mark.slow
def test_tracks_go_with_the_mean_time_of_their_event(protons):
    fit, start, etas, of_time = protons
    assert len(etas) > 2
    # The first track says that all are 3 us later than it is: as far as tracks by themselves may be from each other.
    told = [etas[0] + 3.0 * of_time[0].follow, *etas[1:]]
    shared = with_mean_times(fit.times, told, [of_time[0]._replace(weight=1e9), *of_time[1:]])
    assert len({float(eta[TIME]) for eta in shared}) == 1
    assert max(abs(two[TIME] - one[TIME]) for one, two in zip(etas, shared, strict=True)) > 2.9
    assert np.max(values(fit, start, shared) - values(fit, start, etas)) < LESS
    np.testing.assert_allclose(drifted(fit, etas, shared), 1.0, atol=0.1)


@pytest.mark.slow
def test_tracks_go_with_a_step_of_their_time(protons):
    fit, start, etas, of_time = protons
    state = fit.profiled(start, with_mean_times(fit.times, etas, of_time))
    reduced = fit.reduced(state)._replace(settle=np.array([1.9]))  # 0.3 cm of drift
    moved = fit.following(state, reduced, np.zeros(len(start)), 1.0)
    assert moved[0][TIME] == pytest.approx(state.eta[0][TIME] + 1.9)
    assert np.max(values(fit, start, moved) - values(fit, start, state.eta)) < LESS
    np.testing.assert_allclose(drifted(fit, state.eta, moved), 1.0, atol=0.1)


def test_what_a_track_tells_of_a_shared_time_is_its_own():
    event = np.array([0, 0, 1, 0, 1])
    told = np.array([[0.2, 0.1, 3.0, 0.3, 1.0], [0.2, 2.5, 2.0, 0.35, 2.0]])
    nothing = Reduced(np.zeros(1), np.zeros((1, 1)), ())
    before, after = (nothing._replace(of_track=one, of_time=0.25 + np.bincount(event, one)) for one in told)
    change = of_shared_times(before, after, event)
    np.testing.assert_allclose(np.bincount(event, change), 0.5 * np.log(after.of_time / before.of_time), atol=1e-15)
    assert change[0] == 0.0  # though that of another of its event jumps
    assert change[2] == pytest.approx(-0.5 / 4.25) and change[4] == -change[2]
