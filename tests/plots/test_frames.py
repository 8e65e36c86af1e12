"""The event display of wires, and the waveform of a channel."""

import numpy as np
import pytest

from lartpc.data.frames import Frame
from lartpc.plots.figure import write_figure
from lartpc.plots.frames import PlaneImage, frames_figure, of_frames, pooled, waveform_figure, window

rng = np.random.default_rng(3)


def plane(kind="induction", n=900, ticks=2000, noise=2.0, at=700):
    """A track that goes one tick a wire, on a baseline of each channel."""
    k = np.arange(ticks) - (at + np.arange(n)[:, None])
    pulse = 60.0 * (np.exp(-0.5 * (k / 4.0) ** 2) if kind == "collection" else -k / 4 * np.exp(-0.5 * (k / 4.0) ** 2))
    baseline = rng.normal(1800.0, 20.0, (n, 1))
    samples = np.round(pulse + baseline + rng.normal(0.0, noise, (n, ticks)))
    return PlaneImage(kind, np.arange(n) + 100, samples.astype(np.int16), 0.5, kind, time=-205.0), pulse


def panels(figure):
    return [ax for ax in figure.axes if ax.images]


def test_planes_are_drawn_by_their_kind_with_their_places_and_times():
    planes = [plane("induction")[0], plane("collection")[0]]
    figure = frames_figure("event 7", planes)
    induction, collection = (ax.images[0] for ax in panels(figure))
    for image in (induction, collection):
        assert image.get_extent() == [99.5, 999.5, -205.0, 795.0] and image.origin == "lower"
    low, high = induction.get_clim()
    assert low == -high and 20 < high < 60
    assert collection.get_clim()[0] == 0.0
    assert induction.get_cmap().name != collection.get_cmap().name
    # the track, in the picture, is where it is: at wire w and time (700 + w) ticks
    picture = np.abs(np.asarray(collection.get_array()))
    ticks, wires = picture.shape
    assert wires == 400 and ticks == 400
    brightest = picture.argmax(axis=0)
    np.testing.assert_allclose((brightest + 0.5) * 2000 / ticks, 700 + (np.arange(wires) + 0.5) * 900 / wires, atol=6)


def test_blocks_keep_thin_signals_and_average_noise():
    thin = np.full((1000, 8000), 500, dtype=np.int16)
    thin += np.round(rng.normal(0.0, 3.0, thin.shape)).astype(np.int16)
    thin[500, 4000] += 100
    thin[20, 30] -= 90
    image, noise, low, high = pooled(PlaneImage("U", np.arange(1000), thin, 0.5))
    assert image.shape == (400, 400) and noise == pytest.approx(3.0, rel=0.1) and (low, high) == (0.0, 999.0)
    assert image.max() == pytest.approx(100, abs=12) and image.min() == pytest.approx(-90, abs=12)
    assert np.unravel_index(image.argmax(), image.shape) == (200, 200)
    assert (np.abs(image) < 2.0).mean() > 0.99


def test_channels_that_are_not_there_are_empty_whatever_their_numbers():
    found, _ = plane(n=60, ticks=40)
    keep = np.r_[50:60, 0:20]  # in no order
    image = pooled(found._replace(wires=found.wires[keep], samples=found.samples[keep]))[0]
    assert np.flatnonzero(np.isnan(image).all(axis=1)).tolist() == list(range(20, 50))
    few = PlaneImage("U", np.array([-(2**31), 5, 2**31]), np.arange(12).reshape(3, 4), 1.0)
    assert np.isfinite(pooled(few)[0]).any(axis=1).sum() == 3


@pytest.mark.parametrize("samples", [np.zeros((3, 1), np.int16), np.full((1, 1), 7, np.float32), np.zeros((2, 5))])
def test_planes_without_signal_are_drawn(samples, tmp_path):
    planes = [PlaneImage("U", np.arange(len(samples)), samples, 0.5)]
    planes.append(PlaneImage("V", np.zeros(0, int), np.zeros((0, 5), np.int16), 0.5))
    figure = frames_figure("nothing", planes)
    write_figure(tmp_path / "a.png", figure)
    assert len(panels(figure)) == 1
    write_figure(tmp_path / "b.png", frames_figure("nothing", []))


def test_frames_of_a_file_are_a_panel_an_anode():
    frames = [Frame(3, anode, np.arange(4), np.zeros((4, 6), np.int16), -1.0, 0.5, 0) for anode in range(5)]
    planes = of_frames(frames)
    assert [each.name for each in planes] == [f"anode {k}" for k in range(5)] and planes[0].time == -1.0
    figure = frames_figure("event 3", planes)
    assert len(panels(figure)) == 5


def test_a_waveform_with_its_truth_and_what_is_left():
    found, truth = plane()
    row = int(np.argmax(np.abs(truth).max(axis=1)))
    one = window(truth[row])
    assert one.start < 700 + row < one.stop and one.stop - one.start < 140
    figure = waveform_figure("wire", found.samples[row], 0.5, truth[row], time=-205.0)
    top, bottom = figure.axes
    read, clean = (
        next(line for line in top.lines if line.get_label() == name) for name in ("as read", "without noise")
    )
    np.testing.assert_allclose(clean.get_ydata(), truth[row][one])
    np.testing.assert_allclose(clean.get_xdata(), -205.0 + 0.5 * np.arange(2000)[one])
    left = bottom.lines[0].get_ydata()
    np.testing.assert_allclose(left, read.get_ydata() - clean.get_ydata())
    assert left.std() < 4.0 < read.get_ydata().std()


@pytest.mark.parametrize("samples", [np.full(30, 8, np.int16), np.zeros(1, np.float32)])
def test_a_waveform_of_nothing_is_shown_whole(samples, tmp_path):
    figure = waveform_figure("wire", samples, 0.5)
    (ax,) = figure.axes
    assert len(ax.lines[0].get_xdata()) == len(samples)
    write_figure(tmp_path / "a.png", figure)
    write_figure(tmp_path / "b.png", waveform_figure("wire", samples, 0.5, np.zeros(len(samples))))
