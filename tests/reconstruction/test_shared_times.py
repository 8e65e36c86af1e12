"""Tracks of an event share its time: where that is not known it is fitted with the field."""

import numpy as np
import pytest

from lartpc import Detector, Simulation, calibrate_hits, generate
from lartpc.exceptions import InputError
from lartpc.formats.edepsim import from_table
from lartpc.reconstruction.layout import TIME
from lartpc.reconstruction.track import Gaussian

FIELD = 0.497


@pytest.fixture(scope="module")
def late():
    """Hits of events whose times are off by about 1 us, and by how much each is."""
    detector = Detector.module0()
    segments = from_table(generate("crossing-muons", detector, 2, seed=5, t0_spread=1.0), "crossing-muons")
    simulation = Simulation(detector, detector.parameters.replace(eField=FIELD), noise=True, seed=5)
    return simulation(segments).hits, [float(segments.t0[segments.event_id == e][0]) for e in range(2)]


@pytest.mark.slow
def test_the_field_of_tracks_whose_events_are_late(late):
    hits, times = late
    simulation = Simulation(Detector.module0())
    found = calibrate_hits(simulation, hits, ("eField", "Ab"), t0=Gaussian(0.0, 1.0))
    off, error = found.values[0] - FIELD, float(np.sqrt(found.covariance[0, 0]))
    assert abs(off) < 3.0 * error
    assert 0.003 < error / FIELD < 0.01  # of 1 us/sqrt(2) and drifts of 100 to 190 us, by which the velocity is off
    events = np.array([one.candidate.event for one in found.tracks])
    assert all(np.sum(events == e) > 1 for e in range(2))
    for one in found.tracks:
        late_by = one.eta[TIME] - times[one.candidate.event]
        assert late_by == pytest.approx(120.0 * off / FIELD, abs=0.3)  # what the field is off goes with the times
    for e in range(2):
        assert len({float(one.eta[TIME]) for one in found.tracks if one.candidate.event == e}) == 1


def test_times_are_of_events_or_tracks(late):
    with pytest.raises(InputError, match="t0_of: found 'spill', allowed is event or track"):
        calibrate_hits(Simulation(Detector.module0()), late[0], ("eField",), t0_of="spill")
