"""What a calibration from data alone says of what hits cannot fix."""

from types import SimpleNamespace

import numpy as np
import pytest

from lartpc import Detector, Simulation
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.unknowns import unknowns_of
from lartpc.generator.transport import DENSITY
from lartpc.reconstruction import calibrate
from lartpc.reconstruction.calibrate import Half, HitsFit
from lartpc.reconstruction.candidates import STOPPING, CutFlow
from lartpc.reconstruction.joint import Reduced, State
from lartpc.reconstruction.marginal import Marginal
from lartpc.reconstruction.result import result_of
from lartpc.reconstruction.track import Gaussian
from lartpc.reconstruction.used import EVENT, Known

CLOSED = np.array([[4e4, 0.0], [0.0, 4e4]])
OPEN = np.array([[4e4, -4e4], [-4e4, 4e4]])  # the same change of both changes nothing


@pytest.fixture
def unknowns():
    return RunUnknowns.of(unknowns_of(Simulation(Detector.module0()), ("Ab", "eField")))


def ended(unknowns, information, tracks=()):
    """Where a fit of no hits ended."""
    state = State(unknowns.start, (), (None,) * len(tracks))
    slopes, none = np.zeros((len(tracks), 2)), np.zeros(len(tracks), dtype=bool)
    return Marginal(state, Reduced(np.zeros(2), information, ()), slopes, 0.0, none)


def result(unknowns, information):
    """Of halves that are far apart in errors that are as small as rounding, where the information is singular."""
    halves = tuple(Half(unknowns.start + off, np.full(2, 1e-17), 1) for off in (0.0, 0.1))
    known = Known(Gaussian(0.0, 1e3), EVENT, DENSITY)
    where = ended(unknowns, information)
    return result_of(HitsFit(unknowns, known, (), unknowns.start, np.ones(2), 0.0, where, halves, CutFlow(), None))


def test_a_singular_covariance_is_said_in_one_line_and_halves_are_not_compared(unknowns):
    found = result(unknowns, OPEN)
    assert not found.good
    (line,) = [reason for reason in found.reasons if "singular" in reason]
    assert line.startswith("the covariance is singular: the data leave a direction open: relative changes ")
    assert "Ab" in line and "eField" in line
    assert not any("apart" in reason for reason in found.reasons)
    assert not found.halves_apart.any()
    assert any("apart" in reason for reason in result(unknowns, CLOSED).reasons)


def test_a_half_that_leaves_a_direction_open_has_no_errors(unknowns, monkeypatch):
    candidates = [SimpleNamespace(kind=STOPPING, event=k) for k in range(2)]
    tracks = [SimpleNamespace(candidate=one, run=0, eta=np.zeros(0)) for one in candidates]
    told = iter((OPEN, CLOSED))

    def joint_fit(*of):
        return SimpleNamespace(reduced=lambda state: Reduced(np.zeros(2), next(told), ()))

    monkeypatch.setattr(calibrate, "joint_fit", joint_fit)
    halves = calibrate.halves_of([], unknowns, tracks, None, ended(unknowns, CLOSED, tracks))
    np.testing.assert_allclose([half.errors for half in halves], [[np.inf, np.inf], [0.005, 0.005]])
