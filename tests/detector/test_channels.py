"""The electronics channels of pixels, by the layouts of larnd-sim."""

import layouts
import numpy as np
import pytest
from layouts import NOW, OLD, SIDE

from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError


def slow_channels(content, detector, module, groups):
    """(io_group, io_channel, chip, channel) to pixel of a module, one by one, from where the tiles and pixels are."""
    found = {}
    n = np.array(list(content["chip_channel_to_position"].values())).max(axis=0) + 1
    planes = sorted({tuple(index[:-1]) for index in content["tile_indeces"].values()})
    for tile, (_, y, x) in content["tile_positions"].items():
        v = planes.index(tuple(content["tile_indeces"][tile][:-1])) + len(planes) * module
        _, up_y, up_x = content["tile_orientations"][tile]
        middle_x = 0.5 * (detector.x_lo[v] + detector.x_hi[v])
        middle_y = 0.5 * (detector.y_lo[v] + detector.y_hi[v])
        for key, (i, j) in content["chip_channel_to_position"].items():
            chip, channel = key // 1000, key % 1000
            if chip not in content["tile_chip_to_io"][tile]:
                continue
            at_x = 0.1 * (x + up_x * (i - 0.5 * (n[0] - 1)) * content["pixel_pitch"]) + middle_x
            at_y = 0.1 * (y + up_y * (j - 0.5 * (n[1] - 1)) * content["pixel_pitch"]) + middle_y
            ix = int(np.floor((at_x - detector.x_lo[v]) / detector.pitch[v]))
            iy = int(np.floor((at_y - detector.y_lo[v]) / detector.pitch[v]))
            io = content["tile_chip_to_io"][tile][chip]
            key = (groups[io // 1000 - 1], io % 1000, chip, channel)
            assert key not in found
            found[key] = int(detector.first_pixel[v] + ix + detector.n_x[v] * iy)
    return found


def same_channels(channels, detector, expected):
    n = int((detector.n_x * detector.n_y).sum())
    assert len(set(expected.values())) == len(expected)
    np.testing.assert_array_equal(channels.pixels_of(detector, np.array(list(expected))), list(expected.values()))
    of_pixels = channels.of_pixels(detector, np.arange(n))
    back = {pixel: key for key, pixel in expected.items()}
    assert all(tuple(row) == back.get(pixel, (-1,) * 4) for pixel, row in enumerate(of_pixels.tolist()))
    np.testing.assert_array_equal(channels.unread(detector), sorted(set(range(n)) - set(back)))


@pytest.mark.slow
def test_channels_of_small_layouts(tmp_path):
    detector, channels = layouts.load(tmp_path, NOW)
    content = layouts.layout(NOW)
    expected = slow_channels(content, detector, 0, [5, 6]) | slow_channels(content, detector, 1, [8, 7])
    assert len(expected) == 4 * (2 * SIDE) ** 2
    same_channels(channels, detector, expected)
    assert channels.groups().tolist() == [5, 6, 7, 8]
    detector, channels = layouts.load(tmp_path, OLD)
    expected = slow_channels(layouts.layout(OLD), detector, 0, [1, 2])
    assert len(expected) == 2 * (2 * SIDE) ** 2 - 25
    same_channels(channels, detector, expected)
    assert channels.pixels_of(detector, np.array([[1, 1, 200, 0], [9, 1, 11, 0]])).tolist() == [-1, -1]


@pytest.mark.slow
@pytest.mark.parametrize(("version", "name", "chips"), [("2.2.16", "module0-2022", 16), ("2.4.16", "module0", 0)])
def test_channels_of_module0(reference, version, name, chips):
    import yaml

    files = reference / f"data/{name}.yaml", reference / f"data/multi_tile_layout-{version}.yaml"
    detector = Detector.load(*files)
    content = yaml.load(files[1].read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    expected = slow_channels(content, detector, 0, [1, 2])
    assert len(expected) == 2 * 140 * 280 - 49 * chips
    same_channels(Channels.load(detector, *files), detector, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, c: c.pop("tile_chip_to_io"), "key 'tile_chip_to_io' is missing"),
        (lambda d, c: c["tile_chip_to_io"].update({3: 5}), "tile_chip_to_io[3]: found 5"),
        (lambda d, c: c["tile_chip_to_io"][3].update({12: "a"}), "tile_chip_to_io[3][12]: found 'a'"),
        (lambda d, c: c["tile_chip_to_io"][3].update({12: 1900}), "tile_chip_to_io[3][12]: found 1900"),
        (lambda d, c: c["tile_chip_to_io"].update({3: c["tile_chip_to_io"][1]}), "reads 2 pixels, allowed is one"),
        (lambda d, c: c["chip_channel_to_position"].update({300_001: [0, 0]}), "found 300001, allowed are chips up to"),
        (lambda d, c: c["chip_channel_to_position"].update({13_063: [0, 0]}), "are both at [0, 0], allowed is one"),
        (lambda d, c: c.update({"tile_chip_to_io": {}}), "tile_chip_to_io: names no chip of any tile"),
        (lambda d, c: d.pop("module_to_io_groups"), "'module_to_io_groups' is missing"),
        (lambda d, c: d["module_to_io_groups"].update({2: [8]}), "module_to_io_groups: found [8] for module 2"),
        (lambda d, c: d["module_to_io_groups"].update({2: [8, 5]}), "found an io_group twice"),
    ],
)
def test_layouts_that_name_no_channels_are_refused(tmp_path, change, message):
    import yaml

    names = layouts.write(tmp_path, NOW)
    detector, content = layouts.properties(NOW), layouts.layout(NOW)
    change(detector, content)
    for name, made in zip(names, (detector, content), strict=True):
        name.write_text(yaml.safe_dump(made))
    with pytest.raises(InputError) as failure:
        Channels.load(Detector.load(*names), *names)
    assert message in str(failure.value) and "\n" not in str(failure.value)
