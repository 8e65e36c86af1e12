"""Formulas of the room, and tables by hand."""

import numpy as np
import pytest
from scipy.stats import chi2, norm
from spoilt_targets import hits_of, joined, one_an_event

from lartpc.fit.unknowns import unknowns_of
from lartpc.goodness.cleaning import without_copies
from lartpc.goodness.items import Examined, Seen, Spots
from lartpc.goodness.statistics import of_means, significance
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("degrees", [1, 2, 5, 30, 1000])
@pytest.mark.parametrize("deviations", [-1.0, 0.0, 1.0, 2.0, 3.0, 4.5])
def test_significance(degrees, deviations):
    """That of the normal deviate with the same tail, to a few hundredths but for few degrees."""
    chi_square = chi2.isf(norm.sf(deviations), degrees)
    assert significance(chi_square, degrees) == pytest.approx(deviations, abs=0.3 / degrees**0.5)


def test_means():
    check = of_means("a", np.full(25, 3.0), np.tile([1.0, 3.0], 50))
    assert (check.found, check.expected) == (3.0, 2.0)
    assert check.significance == pytest.approx(1.0 / np.sqrt(1 / 25 + 1 / 100))
    assert of_means("a", np.ones(3), np.ones(100)).significance == 0.0


def seen(numbers):
    """Hits numbered through, so many on each spot."""
    spot = np.repeat(np.arange(len(numbers)), numbers)
    values = np.arange(len(spot), dtype=np.float64)
    return Seen(np.array(numbers), -np.arange(len(numbers), dtype=float), spot, *[values] * 5, values > 2, unmatched=7)


def test_select():
    n = np.arange(4)
    examined = Examined(Spots(n, n + 10, *[n * 1.0] * 5, n), seen([2, 0, 1, 3]), [seen([0, 1, 1, 0])])
    found = examined.select(np.array([True, True, False, True]))
    assert found.spots.pixel_id.tolist() == [10, 11, 13] and found.spots.dEdx.tolist() == [0.0, 1.0, 3.0]
    assert found.target.hits.tolist() == [2, 0, 3] and found.target.left.tolist() == [0.0, -1.0, -3.0]
    assert found.target.spot.tolist() == [0, 0, 2, 2, 2]
    for name in ("r", "u", "slope", "time", "charge"):
        assert getattr(found.target, name).tolist() == [0.0, 1.0, 3.0, 4.0, 5.0]
    assert found.target.far.tolist() == [False, False, True, True, True]
    assert found.target.unmatched == 7
    assert found.drawn[0].spot.tolist() == [1] and found.drawn[0].hits.tolist() == [0, 1, 0]


def test_without_copies():
    hits = hits_of(one_an_event(1))
    assert without_copies(hits)[0] is hits
    found, twice = without_copies(joined(hits, hits.select(np.array([0, 0, 5]))))
    assert twice == 3
    for name in ("event_id", "pixel_id", "t", "charge"):
        np.testing.assert_array_equal(getattr(found, name), getattr(hits, name))


@pytest.mark.slow
@pytest.mark.parametrize("kind, rounded", [("likelihood", False), ("likelihood", True), ("residuals", False)])
def test_pixel_of_an_event_that_is_ignored(kind, rounded):
    """The loss of two events without it: that of one event without the pixel, and of the other whole."""
    segments = one_an_event(2)
    hits, simulation = hits_of(segments), Simulation(dtype=np.float64)
    unknowns = unknowns_of(simulation, ("lifetime", "kb", "eField"))
    pixel = hits.pixel_id[hits.event_id == 0][5]

    def loss(events, without=None, ignored=None):
        kept = hits.select(np.isin(hits.event_id, events) & (hits.pixel_id != (-1 if without is None else without)))
        model = simulation if without is None else simulation.without_pixels([without])
        target = TargetHits(kept, model.detector, rounded, ignored)
        chosen = segments.select(np.isin(segments.event_id, events))
        return Objective(kind, model, model.batches(chosen), target, unknowns)(1.001 * unknowns.start)

    masked, plain = loss([0, 1], ignored=np.array([[0, pixel]])), loss([0, 1])
    parts = loss([0], without=pixel), loss([1])
    assert masked.hits == sum(part.hits for part in parts) < plain.hits
    assert abs(masked.value - plain.value) > 0.1
    assert masked.value == pytest.approx(sum(part.value for part in parts), rel=1e-9)
    for name in ("gradient", "information"):
        expected = sum(getattr(part, name) for part in parts)
        np.testing.assert_allclose(getattr(masked, name), expected, rtol=1e-7, atol=1e-9 * np.abs(expected).max())
