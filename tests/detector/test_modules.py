"""Detectors of several modules, each with a layout of its own."""

import numpy as np
import pytest
import yaml
from layouts import layout, properties

from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError


def fine_layout():
    """The layout of layouts.py with pixels of 2.217 mm on the same tiles."""
    content = layout("now")
    content["pixel_pitch"] /= 2.0
    wide = content["chip_channel_to_position"].items()
    content["chip_channel_to_position"] = {
        key + 1000 * (16 * (dx + 2 * dy)): [2 * i + dx, 2 * j + dy]
        for key, (i, j) in wide
        for dx in range(2)
        for dy in range(2)
    }
    chips = range(11, 11 + 64)
    content["tile_chip_to_io"] = {
        t: {c: io[11 + (c - 11) % 16] for c in chips} for t, io in content["tile_chip_to_io"].items()
    }
    return content


@pytest.fixture
def two_layouts(tmp_path):
    """Names of a detector's file of two modules and of their layouts."""
    contents = {"detector": properties("now"), "wide": layout("now"), "fine": fine_layout()}
    for name, content in contents.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return [str(tmp_path / f"{name}.yaml") for name in contents]


def test_each_module_has_its_own_layout(two_layouts):
    file, *layouts = two_layouts
    d = Detector.load(file, layouts)
    np.testing.assert_allclose(d.pitch, [0.4434, 0.4434, 0.2217, 0.2217])
    np.testing.assert_array_equal(d.n_x, [40, 40, 80, 80])
    np.testing.assert_array_equal(d.first_pixel, [0, 1600, 3200, 9600])
    np.testing.assert_allclose(d.x_hi - d.x_lo, d.n_x * d.pitch)
    with pytest.raises(InputError, match="tpc_offsets: found 2 modules for 3 layouts, allowed is one layout, or one a"):
        Detector.load(file, [*layouts, layouts[0]])


def test_channels_of_modules_with_layouts_of_their_own(two_layouts):
    """Every pixel has a channel, which is its alone, in an io_group of its own module."""
    file, *layouts = two_layouts
    d = Detector.load(file, layouts)
    channels = Channels.load(d, file, layouts)
    pixel = np.arange(int((d.n_x * d.n_y).sum()))
    found = channels.of_pixels(d, pixel)
    assert len(np.unique(found, axis=0)) == len(pixel) and found.min() >= 0
    np.testing.assert_array_equal(channels.pixels_of(d, found), pixel)
    tpc = d.locate(pixel)[0]
    assert [set(found[tpc == v, 0]) for v in range(4)] == [{5}, {6}, {8}, {7}]
    assert len(channels.unread(d)) == 0
    assert channels.groups().tolist() == [5, 6, 7, 8]
