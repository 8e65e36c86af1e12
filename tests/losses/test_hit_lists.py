"""The lists of the hits of a simulation and of a target."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import make_segments
from hit_lists import DETECTOR, PEDESTAL, PITCH

from lartpc.gradients.trace import Trace
from lartpc.losses.hitlist import present_events, simulated_hits
from lartpc.losses.target import TargetHits
from lartpc.simulation.simulation import Simulation


@pytest.fixture(scope="module")
def simulated():
    """Four events, the third without charge in the detector, in batches of which the second starts at event 1."""
    starts = [(3.0, 5.0, 12.0), (3.0, 5.0, 12.0), (99.0, 5.0, 12.0), (-8.0, 5.0, -9.0)]
    ends = [(4.0, 4.3, 12.3), (3.6, 7.0, 14.0), (99.5, 5.0, 12.0), (-9.5, 4.0, -12.0)]
    segments = make_segments(starts, ends, dE=4.0, event_id=np.array([5, 7, 8, 11]), t0=np.array([0.0, 3.3, 0.1, 9.9]))
    simulation = Simulation(dtype=np.float64)
    first, rest = (simulation.batches(segments)[0]._replace() for _ in range(2))
    rest = rest.select(slice(1, None))
    return SimpleNamespace(simulation=simulation, hits=simulation(segments).hits, batches=(first, rest))


def lists(simulated, batch, target):
    simulation = simulated.simulation
    trace = Trace(simulation, batch)
    hits, index = simulated_hits(simulation, batch, trace.waveforms.windows, trace.reads, trace.adc)
    return trace, hits, index, target.hit_list(batch)


@pytest.mark.parametrize("batch", [0, 1])
def test_hit_lists(simulated, batch):
    """The list of the reads and that of the same hits as a target are one: same events, order and values."""
    batch = simulated.batches[batch]
    trace, hits, index, target = lists(simulated, batch, TargetHits(simulated.hits, simulated.simulation.detector))
    ids = batch.event_id[present_events(batch)]
    table = simulated.hits
    np.testing.assert_array_equal(np.diff(hits.first), [np.sum(table.event_id == k) for k in ids])
    assert np.diff(hits.first)[list(ids).index(8)] == 0 and np.diff(hits.first).max() > 5
    for column, of_target in zip(hits, target, strict=True):
        np.testing.assert_allclose(column, of_target, rtol=1e-12)
    for first, last in zip(hits.first[:-1], hits.first[1:], strict=True):
        rows = list(zip(*(column[first:last] for column in hits[2:5]), strict=True))
        assert rows == sorted(rows)
    np.testing.assert_array_equal(trace.reads.charge[index], hits.charge)
    np.testing.assert_array_equal(trace.adc[index], hits.adc)
    windows = trace.waveforms.windows
    np.testing.assert_array_equal(windows.pixel[index[0]], hits.pixel)
    number = np.searchsorted(present_events(batch), windows.event)[index[0]]
    np.testing.assert_array_equal(number, np.repeat(np.arange(len(ids)), np.diff(hits.first)))


def test_target_hits_without_a_window_count(simulated):
    """A target hit far from all charge, and a hit in the event that has none."""
    hits = simulated.hits
    extra = {name: np.append(column, column[:2]) for name, column in vars(hits).items()}
    extra["pixel_id"][-2:], extra["event_id"][-2:] = 30, (5, 8)
    target = TargetHits(type(hits)(**extra), simulated.simulation.detector)
    _, own, _, found = lists(simulated, simulated.batches[0], target)
    np.testing.assert_array_equal(np.diff(found.first) - np.diff(own.first), [1, 0, 1, 0])
    assert (found.pixel == 30).sum() == 2
    np.testing.assert_allclose(found.x[found.pixel == 30], DETECTOR.x_lo[0] + 30.5 * PITCH)
    np.testing.assert_allclose(found.adc, simulated.simulation.detector.adc(found.charge))


def test_vetoed_reads_are_no_hits(simulated):
    batch = simulated.batches[0]
    trace, hits, *_ = lists(simulated, batch, TargetHits(simulated.hits, simulated.simulation.detector))
    valid = trace.reads.valid.copy()
    valid[np.flatnonzero(trace.reads.count)[0], 0] = 0
    reads = trace.reads._replace(valid=valid)
    fewer, _ = simulated_hits(simulated.simulation, batch, trace.waveforms.windows, reads, trace.adc)
    assert len(fewer.time) == len(hits.time) - 1


@pytest.mark.parametrize("charge, adc", [(0.0, PEDESTAL), (25_300.0, 99.47), (-1e5, 0.0), (1e6, 255.0)])
def test_adc_of_a_charge(charge, adc):
    """25300 e are 101.2 mV, a tenth of full scale: 25.6 counts above the pedestal."""
    assert DETECTOR.adc(np.array([charge]))[0] == pytest.approx(adc, abs=0.01)
