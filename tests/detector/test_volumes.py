"""TPCs that overlap by a little along the drift: a deposit there belongs to the nearer anode."""

import numpy as np
import pytest
from detector_files import needs_reference, refused, small_detector, small_layout
from helpers import back_to_back, make_segments

from lartpc.detector.detector import Detector
from lartpc.detector.volumes import check_apart, volumes_of
from lartpc.simulation.simulation import Simulation


def hits_at(detector, z):
    """TPC of the hits of short tracks at heights z [cm], one event each."""
    at = np.asarray(z, dtype=float)
    start = np.stack((np.full_like(at, 0.1), np.full_like(at, 0.2), at), axis=1)
    segments = make_segments(start, start + [0.1, 0.0, 0.001], dE=1.0, event_id=np.arange(len(at)))
    result = Simulation(detector, dtype=np.float64)(segments)
    assert result.summary.outside == 0
    return result


def test_a_deposit_belongs_to_the_nearer_anode_and_counts_once():
    detector = back_to_back(0.8)
    z = np.array([-3.0, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 3.0])
    result = hits_at(detector, z)
    # anodes at +0.4 (TPC 0, below it) and -0.4 (TPC 1, above it)
    expected = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(result.hits.event_id, np.arange(8))
    np.testing.assert_array_equal(result.hits.tpc, expected)
    assert result.summary.energy == pytest.approx(8.0)


def test_a_track_through_the_overlap_keeps_its_energy():
    detector = back_to_back(0.8)
    segments = make_segments((0.1, 0.2, -5.0), (0.2, 0.3, 5.0), dE=20.0)
    simulation = Simulation(detector, dtype=np.float64)
    batch = simulation.batch(segments)
    steps = simulation.waveforms(batch, simulation.vector()).steps
    alone = Simulation(back_to_back(0.0), dtype=np.float64)
    expected = alone.waveforms(alone.batch(segments), alone.vector()).steps
    assert steps.electrons.sum() == pytest.approx(expected.electrons.sum(), rel=1e-9)
    assert set(steps.tpc.tolist()) == {0, 1} and steps.distance.min() >= 0.0


def test_ranges():
    found = volumes_of(vars(back_to_back(0.8)))
    rows = [(int(v), round(a, 6), round(b, 6)) for v, a, b in zip(*found, strict=True)]
    assert rows == [(0, -9.6, -0.4), (0, 0.0, 0.4), (1, -0.4, 0.0), (1, 0.4, 9.6)]
    apart = volumes_of(vars(back_to_back(0.0)))
    np.testing.assert_array_equal(apart.tpc, [0, 1])
    np.testing.assert_array_equal(apart.low, [-10.0, 0.0])


def test_gradients_go_through_the_ranges():
    from lartpc.gradients.gradcheck import gradcheck

    segments = make_segments((0.1, 0.2, -5.0), (0.6, 0.9, 5.0), dE=20.0)
    report = gradcheck(Simulation(back_to_back(0.8), dtype=np.float64), segments, ("Ab", "lifetime"))
    assert all(row.passed for row in report.rows)


def test_what_is_said_and_what_is_refused(load):
    # modules of 20 cm, whose anodes are 0.2 cm beyond one another
    along = load(small_detector(tpc_offsets=[[0, 0, 0], [19.8, 0, 0]]), small_layout())
    assert len(along.notes) == 1
    assert "TPCs 1 and 2 overlap by 0.2 cm; a deposit there belongs to the nearer anode" in along.notes[0]
    for offset, what in (
        ([15.0, 0, 0], "overlap by"),
        ([19.8, 0.5, 0], "overlap by 0.2 cm"),
        ([0, 0, 0], "overlap by"),
    ):
        assert what in refused(load, small_detector(tpc_offsets=[[0, 0, 0], offset]), small_layout())
    assert load(small_detector(tpc_offsets=[[0, 0, 0], [20.0, 0, 0]]), small_layout()).notes == ()
    assert check_apart("x", vars(Detector.built_in("ndlar"))) is None


@pytest.mark.slow
@needs_reference
def test_nd_lar_as_published(reference):
    data = reference / "data"
    detector = Detector.load(data / "ndlar-module.yaml", data / "multi_tile_layout-3.0.40.yaml")
    assert (detector.n_modules, len(detector.z_anode)) == (35, 70)
    assert len(detector.notes) == 1 and "30 other" not in detector.notes[0] and "0.8 cm" in detector.notes[0]
    assert len(volumes_of(vars(detector)).tpc) == 70 + 60
