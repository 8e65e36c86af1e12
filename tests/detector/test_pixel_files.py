"""Files of thresholds, gains and pedestals: their units, channels as keys, and larnd-sim's ids where modules differ."""

import dataclasses
import functools

import layouts
import numpy as np
import pytest

from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import read_pixel_values
from lartpc.exceptions import InputError


def stored(path, keys, values, default):
    np.savez(path, keys=keys, values=values, default=default)
    return path


def test_thresholds_in_coulomb(tmp_path):
    electron = 1.602176634e-19
    path = stored(tmp_path / "t.npz", [3], [6000 * electron], 7000 * electron)
    _, values, default = read_pixel_values(path)
    np.testing.assert_allclose([*values, default], [6000.0, 7000.0], rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("thresholds", 7.0, "allowed are 100 and more [e], or all in C"),  # ke
        ("thresholds", 1e-5, "allowed are 100 and more [e], or all in C"),
        ("thresholds", 1e-21, "allowed are 100 and more [e], or all in C"),
        ("gains", 4.0, "allowed are 0.0001 to 1 [mV/e]"),  # uV/e
        ("gains", 4e-6, "allowed are 0.0001 to 1 [mV/e]"),  # V/e
        ("pedestals", 0.58, "allowed are 10 to 100000 [mV]"),  # V
    ],
)
def test_what_cannot_be_in_the_unit_is_refused(tmp_path, name, value, allowed):
    path = stored(tmp_path / "t.npz", [3], [value], value)
    with pytest.raises(InputError) as failure:
        Detector.module0().with_pixel_values(**{name: path})
    assert str(failure.value) == f"{path}: values: found {value:g}, {allowed}"


def test_electrons_beside_coulomb_are_refused(tmp_path):
    path = stored(tmp_path / "t.npz", [3], [1e-15], 7000.0)
    with pytest.raises(InputError, match=r"values: found 1e-15, allowed are 100 and more \[e\], or all in C"):
        read_pixel_values(path)


def test_keys_may_be_channels(tmp_path):
    detector, channels = layouts.load(tmp_path, layouts.NOW)
    pixel = np.array([detector.n_pixels - 1, 5])
    rows = np.concatenate((channels.of_pixels(detector, pixel), [[99, 1, 1, 1]]))
    path = stored(tmp_path / "t.npz", rows, [5000.0, 6000.0, 8000.0], 7000.0)
    changed = detector.with_pixel_values(thresholds=path, pixels_of=functools.partial(channels.pixels_of, detector))
    np.testing.assert_array_equal(changed.thresholds.keys, [5, detector.n_pixels - 1])
    np.testing.assert_array_equal(changed.thresholds.values, [6000.0, 5000.0])
    with pytest.raises(InputError, match=r"t\.npz: keys of channels: needs --detector FILE and --layout FILE"):
        detector.with_pixel_values(thresholds=path)


@pytest.fixture
def mixed():
    """Two modules of two planes, of 4 x 5 and of 6 x 8 pixels."""
    n_x, n_y = np.array([4, 4, 6, 6]), np.array([5, 5, 8, 8])
    module0 = Detector.module0()
    first = np.cumsum(n_x * n_y) - n_x * n_y
    twice = {name: np.tile(getattr(module0, name), 2) for name in ("x_lo", "x_hi", "y_lo", "y_hi", "z_anode", "pitch")}
    module = np.array([0, 0, 1, 1])
    return dataclasses.replace(module0, name="mixed", n_x=n_x, n_y=n_y, first_pixel=first, module=module, **twice)


def test_ids_of_a_file_for_all_are_refused_where_modules_differ(tmp_path, mixed):
    path = stored(tmp_path / "t.npz", [3], [6000.0], 7000.0)
    with pytest.raises(InputError, match=r"t\.npz: keys: found pixel ids, which larnd-sim counts by the size of each"):
        mixed.with_pixel_values(thresholds=path)


def test_ids_of_a_file_a_module_are_those_of_larndsim(tmp_path, mixed):
    """The second module begins at 2 x 6 x 8 = 96 for larnd-sim, at 2 x 4 x 5 = 40 here."""
    paths = [
        stored(tmp_path / "0.npz", [0, 39], [5000.0, 5100.0], 7000.0),
        stored(tmp_path / "1.npz", [96, 191], [5200.0, 5300.0], 8000.0),
    ]
    changed = mixed.with_pixel_values(thresholds=paths)
    found = changed.of_pixels("threshold", np.arange(mixed.n_pixels))
    expected = np.repeat([7000.0, 8000.0], [40, 96])
    expected[[0, 39, 40, 135]] = [5000.0, 5100.0, 5200.0, 5300.0]
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match=r"1\.npz: keys: found pixel 191, allowed are 0 to 39, those of module 0"):
        mixed.with_pixel_values(thresholds=paths[::-1])
    with pytest.raises(InputError, match=r"found 3 files for 2 modules, allowed is one file, or one a module"):
        mixed.with_pixel_values(thresholds=[paths[0]] * 3)


def test_a_threshold_beyond_single_precision_is_never_reached(tmp_path):
    path = tmp_path / "thresholds.npz"
    np.savez(path, keys=np.array([1]), values=np.array([1e300]), default=np.array(5000.0))
    detector = Detector.module0().with_pixel_values(thresholds=path)
    assert 1e9 < np.float32(detector.thresholds.values[0]) < np.inf and detector.thresholds.default == 5000.0
