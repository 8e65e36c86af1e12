"""The channels of built-in detectors."""

import dataclasses

import numpy as np
import pytest

from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError

LAYOUTS = {
    "module0": ("module0.yaml", ["2.4.16"]),
    "2x2": ("2x2.yaml", ["2.4.16", "2.4.16", "2.5.16", "2.4.16"]),
    "ndlar": ("ndlar-module.yaml", ["3.0.40"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_they_are_those_of_the_published_layouts(reference, name):
    """Every pixel; ND-LAr's 14 million in one module, as its modules share a layout."""
    detector = Detector.built_in(name)
    properties, versions = LAYOUTS[name]
    layouts = [reference / f"data/multi_tile_layout-{version}.yaml" for version in versions]
    found = Channels.load(detector, name)
    expected = Channels.load(detector, reference / "data" / properties, layouts)
    pixel = np.arange(min(detector.n_pixels, 400_000))
    np.testing.assert_array_equal(found.of_pixels(detector, pixel), expected.of_pixels(detector, pixel))
    last = detector.first_pixel + 100
    np.testing.assert_array_equal(found.of_pixels(detector, last), expected.of_pixels(detector, last))
    np.testing.assert_array_equal(found.groups(), expected.groups())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "groups"), [("module0", 2), ("2x2", 8), ("ndlar", 140)])
def test_every_pixel_has_a_channel_of_its_own(name, groups):
    detector = Detector.built_in(name)
    channels = Channels.load(detector)
    assert channels.groups().tolist() == list(range(1, groups + 1))
    assert len(channels.unread(detector)) == 0
    pixel = np.add.outer(detector.first_pixel[:6], np.arange(20_000)).ravel()
    channel = channels.of_pixels(detector, pixel)
    assert len(np.unique(channel, axis=0)) == len(pixel) and (channel <= (255, 255, 255, 63)).all()
    np.testing.assert_array_equal(channels.pixels_of(detector, channel), pixel)


def test_single_channels_of_the_2x2():
    """Lowest pixel of each anode of the first and third module: chip, channel and io_channel by the tiles' plan."""
    detector = Detector.built_in("2x2")
    channels = Channels.load(detector)
    first = channels.of_pixels(detector, detector.first_pixel[[0, 1, 4, 5]])
    assert first.tolist() == [[1, 25, 11, 3], [2, 32, 101, 28], [5, 25, 11, 4], [6, 32, 101, 27]]


def test_a_detector_of_other_geometry_needs_its_files():
    detector = Detector.module0()
    moved = dataclasses.replace(detector, y_lo=detector.y_lo + 0.04)
    other = dataclasses.replace(detector, name="other")
    for changed in (moved, other):
        with pytest.raises(InputError, match="found no file of it and its layout"):
            Channels.load(changed)
