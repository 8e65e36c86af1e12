"""Lists of channels that are off."""

import json

import layouts
import numpy as np
import pytest

from lartpc.detector.badchannels import read_bad_channels
from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError


def written(folder, content):
    path = folder / "bad"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("content", [[7, 3, 7], "7\n3\n", "3 7"])
def test_pixel_ids_in_any_form(tmp_path, content):
    np.testing.assert_array_equal(read_bad_channels(written(tmp_path, content), Detector.module0()), [3, 7])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([78400], "found pixel 78400, allowed are 0 to 78399, those of detector module0"),
        ("[" * 10**5, "found lists in lists too deep, allowed is a JSON of chips, or pixel ids"),
        ([-1], "a pixel id: found '-1', allowed is a whole number from 0"),
        ([True], "a pixel id: found 'True', allowed is a whole number from 0"),
        ("dead pixels", "a pixel id: found 'dead', allowed is a whole number from 0"),
        ('{"1-1-11": [0]}', "a list of chips: needs --detector FILE and --layout FILE"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line(tmp_path, content, what):
    path = written(tmp_path, content)
    with pytest.raises(InputError) as failure:
        read_bad_channels(path, Detector.module0())
    assert str(failure.value).startswith(f"{path}: {what}")
    with pytest.raises(InputError, match="nowhere: cannot be read: No such file"):
        read_bad_channels(tmp_path / "nowhere", Detector.module0())


@pytest.mark.slow
def test_chips_and_all_chips(tmp_path):
    """On the second module io_groups 8 and 7; a chip that the layout does not have is passed over."""
    detector, channels = layouts.load(tmp_path, layouts.NOW)
    files = layouts.write(tmp_path, layouts.NOW)
    of_pixel = channels.of_pixels(detector, np.arange(detector.n_pixels))
    group, io_channel, chip, number = of_pixel[-1].tolist()
    path = written(tmp_path, {f"{group}-{io_channel}-{chip}": [number, 64], "99-1-11": [0]})
    np.testing.assert_array_equal(read_bad_channels(path, detector, *files), [detector.n_pixels - 1])
    path = written(tmp_path, {"All": [number]})
    expected = np.flatnonzero(of_pixel[:, 3] == number)
    np.testing.assert_array_equal(read_bad_channels(path, detector, *files), expected)
    assert len(expected) > 50


@pytest.mark.slow
def test_chips_of_module0(reference):
    files = (reference / "data/module0.yaml", reference / "data/multi_tile_layout-2.4.16.yaml")
    detector = Detector.load(*files)
    path = reference / "data/module0_bad_channels.json"
    of_chips = {chip: numbers for chip, numbers in json.loads(path.read_text()).items() if chip != "All"}
    listed = {(*map(int, chip.split("-")), number) for chip, numbers in of_chips.items() for number in numbers}
    pixel = read_bad_channels(path, detector, *files)
    of_pixel = Channels.load(detector, *files).of_pixels(detector, np.arange(detector.n_pixels))
    off = [tuple(channel) in listed for channel in of_pixel.tolist()]
    np.testing.assert_array_equal(pixel, np.flatnonzero(off))
    assert len(pixel) == 5225


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"1-1": [0]}, '1-1: found [0], allowed is "io_group-io_channel-chip" or "All" with a list of channels'),
        ({"1-1-11": 0}, '1-1-11: found 0, allowed is "io_group-io_channel-chip" or "All" with a list of channels'),
        ({"1-1-11": ["x"]}, "1-1-11: a channel: found 'x', allowed is a whole number from 0"),
        ({"9-9-9": [0]}, "found no channel that reads a pixel, allowed are those of the layout"),
    ],
)
def test_chips_that_are_none_are_refused_in_one_line(tmp_path, content, what):
    files = layouts.write(tmp_path, layouts.NOW)
    path = written(tmp_path, content)
    with pytest.raises(InputError) as failure:
        read_bad_channels(path, Detector.load(*files), *files)
    assert str(failure.value) == f"{path}: {what}"
