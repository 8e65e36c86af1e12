"""Thresholds, gains and pedestals of single pixels."""

import numpy as np
import pytest
from front_ends import LARNDSIM, TICK, module0
from samples import generated, protons
from traces import smooth, used

from lartpc.autodiff.kernelcheck import relative
from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PixelValues, values_of, with_values
from lartpc.gradients.trace import Trace
from lartpc.losses.target import TargetHits
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_table_of_pixels():
    table = PixelValues(np.array([3, 7]), np.array([1.0, 2.0]), 5.0)
    np.testing.assert_array_equal(values_of(table, np.array([7, 0, 3, 9])), [2.0, 5.0, 1.0, 5.0])
    changed = with_values(table, np.array([1, 7]), 8.0)
    np.testing.assert_array_equal(changed.keys, [1, 3, 7])
    np.testing.assert_array_equal(values_of(changed, np.arange(8)), [5, 8, 5, 1, 5, 5, 5, 8])


@pytest.mark.parametrize("name, factor", [("gains", 1.2), ("pedestals", 1.05)])
def test_a_value_changes_the_counts_of_its_pixel_alone(name, factor):
    segments = protons(1)
    plain = Simulation()(segments).hits
    pixel = plain.pixel_id[len(plain) // 2]
    nominal = {"gains": 4e-3, "pedestals": 580.0}[name]
    table = PixelValues(np.array([pixel]), np.array([nominal * factor]), nominal)
    changed = Simulation(**{name: table})(segments).hits
    at = plain.pixel_id == pixel
    np.testing.assert_array_equal(plain.adc[~at], changed.adc[~at])
    np.testing.assert_array_equal(plain.charge, changed.charge)
    expected = {"gains": 0.2 * 4e-3 * plain.charge[at], "pedestals": np.full(at.sum(), 29.0)}[name] * 256 / 1012.0
    np.testing.assert_allclose((changed.adc - plain.adc)[at], expected, atol=1.0)
    assert (expected > 2.0).all()


def random_tables(pixel, seed=0):
    """Thresholds, gains and pedestals that differ from pixel to pixel."""
    rng, pixel = np.random.default_rng(seed), np.unique(pixel)
    columns = {"thresholds": 7000.0, "gains": 4e-3, "pedestals": 580.0}
    return {
        name: PixelValues(pixel, value * rng.uniform(0.9, 1.1, len(pixel)), value) for name, value in columns.items()
    }


def test_counts_are_read_back_by_the_pixel():
    """A rounded target: each charge is in the middle of the count of its own pixel."""
    segments = protons(1)
    tables = random_tables(Simulation()(segments).hits.pixel_id)
    simulation = Simulation(**tables)
    hits = simulation(segments).hits
    assert len(np.unique(hits.pixel_id)) > 10
    target = TargetHits(hits, simulation.detector, rounded=True)
    order = np.lexsort((hits.t, hits.pixel_id, hits.event_id))
    inside = hits.adc[order] < 255.0
    charge = hits.charge[order][inside]
    assert ((target.low[inside] - 1e-2 <= charge) & (charge <= target.high[inside] + 1e-2)).all()
    np.testing.assert_allclose(target.high - target.low, 1012.0 / 256 / values_of(tables["gains"], target.pixel))
    wrong = TargetHits(hits, Detector.module0(), rounded=True)
    assert not ((wrong.low[inside] <= charge) & (charge <= wrong.high[inside])).all()
    # the ADC values of charges, for losses that compare these
    counts = simulation.detector.adc(hits.charge, hits.pixel_id)
    np.testing.assert_allclose(counts, hits.adc, atol=0.51)


@pytest.mark.slow
@pytest.mark.parametrize("name, field", [("thresholds", "threshold"), ("gains", "gain"), ("pedestals", "offset")])
def test_gradient_by_values_of_pixels(name, field):
    """Central differences to 1e-5, and a Taylor remainder that falls as h^2, on all that the front end does."""
    batch = smooth(module0()).batch(generated(4))
    keywords = {"noise": True, "seed": 2}
    plain = smooth(module0(**LARNDSIM))
    tables = random_tables(Trace(plain, batch).waveforms.windows.pixel)
    table = tables[name]
    direction = table.values * np.random.default_rng(1).normal(size=len(table.keys))

    def at(h):
        moved = {**tables, name: table._replace(values=table.values + h * direction)}
        return Trace(smooth(module0(**LARNDSIM), **moved, **keywords), batch)

    trace, steps = at(0.0), 1e-3 * 10.0 ** -np.arange(0.0, 2.5, 0.5)
    ends = [at(h) for h in (1e-6, -1e-6, *steps)]
    moment = trace.waveforms.windows.tick[trace.reads.window] + trace.reads.tick
    kept = used(trace)
    for t in ends:
        moved = t.waveforms.windows.tick[t.reads.window] + t.reads.tick
        same = ((moved == moment) & (used(t) == used(trace))).all(axis=1) & (t.reads.valid == trace.reads.valid).all(
            axis=1
        )
        kept &= same[:, None]
    assert kept.sum() > 0.6 * used(trace).sum() > 10

    def loss(t):
        time = t.waveforms.windows.tick[t.reads.window] * TICK + t.reads.time
        values = (((t.reads.charge - 2e4) / 1e3) ** 2 + (time - 100.0) ** 2 + t.adc**2)[kept]
        return float(np.sum(values))

    time = trace.waveforms.windows.tick[trace.reads.window] * TICK + trace.reads.time
    seeds = {
        "charge": 2e-6 * (trace.reads.charge - 2e4) * kept,
        "time": 2.0 * (time - 100.0) * kept,
        "adc": 2.0 * trace.adc * kept,
    }
    found = getattr(trace.backward(**seeds).pixels, field)
    slope = np.sum(found * direction[np.searchsorted(table.keys, trace.waveforms.windows.pixel)])
    values = [loss(t) for t in ends]
    assert relative(slope, (values[0] - values[1]) / 2e-6) < 1e-5
    remainder = np.abs(np.array(values[2:]) - loss(trace) - steps * slope)
    slopes = np.diff(np.log(remainder)) / np.diff(np.log(steps))
    assert np.median(slopes) == pytest.approx(2.0, abs=0.1), remainder
