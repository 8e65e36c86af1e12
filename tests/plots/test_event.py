"""The event display."""

import dataclasses

import numpy as np

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import read_segments
from lartpc.formats.hitfile import read_hits, read_waveforms
from lartpc.plots.event import busiest_event, event_display


def display(path, event=None, **changes):
    """The figure of a hits file."""
    hits, segments = read_hits(path), read_segments(path)
    arguments = {"waveforms": read_waveforms(path), "threshold": 7000.0, **changes}
    event = busiest_event(hits, segments) if event is None else event
    return event_display(event, hits, segments, Detector.module0(), **arguments)


def test_display_shows_segments_by_dedx_and_pixels_by_adc(compiled):
    hits, segments = read_hits(compiled), read_segments(compiled)
    figure = display(compiled, 7)
    space, *planes = [ax for ax in figure.axes if ax.name == "3d" or ax.images]
    boxes, lines = space.collections
    np.testing.assert_allclose(lines.get_array(), segments.dEdx[segments.event_id == 7])
    assert len(planes) == 2
    shown = {}
    for tpc, ax in enumerate(planes):
        image = ax.images[0].get_array()
        assert image.shape == (280, 140)
        shown |= {(tpc, ix, iy): image[iy, ix] for iy, ix in zip(*np.nonzero(~image.mask), strict=True)}
    expected = {}
    for k in np.flatnonzero(hits.event_id == 7):
        pixel = (hits.tpc[k], hits.ix[k], hits.iy[k])
        expected[pixel] = max(expected.get(pixel, 0), hits.adc[k])
    assert shown == expected
    # pixels are drawn where they are: the track runs along the drift axis at x = -3, y = 5
    extent = planes[0].images[0].get_extent()
    np.testing.assert_allclose(extent, [-31.038, 31.038, -83.8626, 40.2154], atol=2e-3)
    for _, ix, iy in shown:
        assert abs(extent[0] + (ix + 0.5) * 0.4434 + 3.0) < 1.5
        assert abs(extent[2] + (iy + 0.5) * 0.4434 - 5.0) < 1.5


def test_display_shows_the_waveform_with_threshold_and_hits(compiled):
    hits = read_hits(compiled)
    hits = hits.select(hits.event_id == 7)
    best = np.argmax(hits.charge)
    ax = next(ax for ax in display(compiled, 7).axes if ax.get_ylabel() == "charge [ke]")
    lines = {line.get_label(): line for line in ax.lines}
    of_pixel = hits.pixel_id == hits.pixel_id[best]
    np.testing.assert_allclose(lines["threshold 7 ke"].get_ydata(), 7.0)
    np.testing.assert_allclose(lines["hit: threshold crossed"].get_xdata(), hits.t[of_pixel][0])
    time, charge = lines["hit: charge as read"].get_data()
    np.testing.assert_allclose(time, hits.t[of_pixel] + 1.8)
    np.testing.assert_allclose(charge, hits.charge[of_pixel] / 1e3)
    assert f"ADC {hits.adc[best]:g}" in [text.get_text() for text in ax.texts]
    # the curve, which has no noise, meets the reads within a few times their noise of 0.5 and 0.9 ke
    curve_time, curve = lines["charge since last reset, no noise"].get_data()
    before_reset = [curve[np.flatnonzero(np.isclose(curve_time, t))[0]] for t in time]
    np.testing.assert_allclose(before_reset, charge, atol=4.0)
    assert display(compiled, 7, threshold=None).axes
    labels = [line.get_label() for ax in display(compiled, 7, threshold=None).axes for line in ax.lines]
    assert not any("ke" in label for label in labels)


def test_hits_without_their_waveform(compiled):
    """Waveforms of other pixels, or all 0, are no waveform of the hit."""
    found = read_waveforms(compiled)
    for name, value in (("pixel_id", -1), ("current", 0.0)):
        other = dataclasses.replace(found, **{name: np.full_like(getattr(found, name), value)})
        texts = [text.get_text() for ax in display(compiled, 7, waveforms=other).axes for text in ax.texts]
        assert any(text.startswith("no waveform of pixel ") for text in texts)
