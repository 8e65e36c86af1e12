"""The picture of a verdict."""

import numpy as np
import pytest
from spoilt_targets import hits_of, one_an_event

from lartpc.fit.compare import compare
from lartpc.fit.target import Target
from lartpc.plots.residuals import gaps, lateness, residuals_figure
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
MODEL = Simulation()


@pytest.fixture(scope="module")
def verdict():
    segments = one_an_event(4)
    return compare(MODEL, segments, hits_of(segments))


def axes_of(figure):
    return {ax.get_xlabel(): ax for ax in figure.axes if ax.get_xlabel()}


def test_trends_are_drawn(verdict):
    figure = residuals_figure(verdict, MODEL.detector)
    drawn = [ax for ax in figure.axes if ax.get_xlabel() == "distance to the anode [cm]"]
    trends = [one for one in verdict.trends if one.by == "drift"]
    assert len(drawn) == len(trends) == 2
    for ax, trend in zip(drawn, trends, strict=True):
        points = ax.containers[0].lines[0]
        np.testing.assert_array_equal(points.get_xdata(), trend.center)
        np.testing.assert_array_equal(points.get_ydata(), trend.mean)


def test_spectra_hold_every_hit_but_the_tails(verdict):
    axes, target = axes_of(residuals_figure(verdict, MODEL.detector)), verdict.examined.target
    totals = {
        "charge of a hit [ke]": len(target.charge),
        "time between hits of a pixel [us]": len(gaps(target)),
        "time of a hit less that expected [us]": len(lateness(target)),
        "hits of a pixel": len(target.hits),
    }
    for label, expected in totals.items():
        shown = sum(axes[label].containers[0].lines[0].get_ydata())
        assert 0.97 * expected <= shown <= expected, label
        model = axes[label].patches[0].get_data().values.sum()
        assert model == pytest.approx(shown, rel=0.2), label


def test_map_shows_each_pixel_with_hits(verdict):
    figure, examined = residuals_figure(verdict, MODEL.detector), verdict.examined
    dots = [ax.collections[0].get_offsets() for ax in figure.axes if ax.get_title().startswith("TPC ")]
    pixels = np.unique(examined.spots.pixel_id[examined.target.hits > 0])
    assert sum(len(one) for one in dots) == 2 * len(pixels)
    _, _, _, x, y = MODEL.detector.locate(pixels)
    shown = np.unique(np.round(np.concatenate(dots), 3), axis=0)
    np.testing.assert_allclose(shown, np.unique(np.round(np.stack((x, y), axis=1), 3), axis=0), atol=2e-3)


def test_target_without_noise():
    """No target is drawn: no model in the spectra."""
    segments = one_an_event(2)
    verdict = compare(MODEL, segments, Target(MODEL(segments).hits, noise=False))
    assert not axes_of(residuals_figure(verdict, MODEL.detector))["charge of a hit [ke]"].patches


def test_title_says_what_is_left_out(verdict):
    assert residuals_figure(verdict, MODEL.detector).get_suptitle().startswith("the model describes the target: ")
