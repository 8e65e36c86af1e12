"""The built-in detectors."""

import numpy as np
import pytest
from modules import TWO_BY_TWO, muons

from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError


def test_2x2_has_four_modules_of_which_the_third_has_smaller_pixels():
    d = TWO_BY_TWO
    assert (d.name, d.n_modules, len(d.z_anode)) == ("2x2", 4, 8)
    np.testing.assert_array_equal(d.module, [0, 0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_allclose(d.pitch, [0.4434] * 4 + [0.388] * 2 + [0.4434] * 2)
    np.testing.assert_array_equal(d.n_x, [140] * 4 + [160] * 2 + [140] * 2)
    np.testing.assert_array_equal(d.n_y, [280] * 4 + [320] * 2 + [280] * 2)
    np.testing.assert_array_equal(d.first_pixel[4:7], 39200 * 4 + 51200 * np.arange(3))
    assert (d.threshold, d.gain, d.v_cm, d.v_ref) == (5000.0, 4.522e-3, 478.1, 1568.0)
    np.testing.assert_allclose(np.abs(d.z_anode - d.z_cathode), 30.27225)


def test_ndlar_has_14_million_pixels():
    d = Detector.built_in("ndlar")
    assert (d.n_modules, len(d.z_anode), int((d.n_x * d.n_y).sum())) == (35, 70, 14_336_000)
    assert set(zip(d.n_x.tolist(), d.n_y.tolist(), d.pitch.round(9).tolist(), strict=True)) == {(256, 800, 0.38)}
    np.testing.assert_allclose(np.abs(d.z_anode - d.z_cathode), 50.4)
    # seven modules along the drift, five along the beam
    assert (len(np.unique(d.z_cathode.round(6))), len(np.unique(d.x_lo.round(6)))) == (7, 5)
    assert d.threshold == 5000.0


@pytest.mark.parametrize("name", ["module0", "2x2", "ndlar"])
def test_tpcs_do_not_overlap_and_are_as_wide_as_their_pixels(name):
    d = Detector.built_in(name)
    low = np.stack((d.x_lo, d.y_lo, np.minimum(d.z_anode, d.z_cathode)), axis=1)
    high = np.stack((d.x_hi, d.y_hi, np.maximum(d.z_anode, d.z_cathode)), axis=1)
    common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    np.testing.assert_array_equal((common > 1e-6).all(axis=2), np.eye(len(low), dtype=bool))
    assert np.all(np.abs(d.n_x * d.pitch - (d.x_hi - d.x_lo)) < 0.1)
    assert np.all(np.abs(d.n_y * d.pitch - (d.y_hi - d.y_lo)) < 0.1)


def test_2x2_is_what_the_files_of_larnd_sim_describe(reference):
    d = Detector.load(reference / "data/2x2.yaml", reference / "data/multi_tile_layout-2.4.16.yaml")
    for name in ("x_lo", "x_hi", "y_lo", "y_hi", "z_anode", "z_cathode", "pitch", "n_x", "n_y", "module"):
        found, expected = (getattr(detector, name)[[0, 1, 2, 3, 6, 7]] for detector in (d, TWO_BY_TWO))
        np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=name)
    electronics = ("threshold", "gain", "v_cm", "v_ref", "v_pedestal", "adc_counts", "hold_ticks", "tick")
    assert [getattr(d, name) for name in electronics] == [getattr(TWO_BY_TWO, name) for name in electronics]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2x2", "ndlar"])
def test_muons_reach_every_tpc(name):
    d = Detector.built_in(name)
    segments = muons(d, 8)
    middle = [0.5 * (getattr(segments, f"{axis}_start") + getattr(segments, f"{axis}_end")) for axis in "xyz"]
    x, y, z = (at[:, None] for at in middle)
    inside = (d.x_lo < x) & (x < d.x_hi) & (d.y_lo < y) & (y < d.y_hi)
    inside &= (np.minimum(d.z_anode, d.z_cathode) < z) & (z < np.maximum(d.z_anode, d.z_cathode))
    assert (inside.sum(axis=0) > 0).all() and inside.sum(axis=1).max() == 1


def test_an_unknown_detector_is_refused():
    with pytest.raises(InputError, match="detector: found 'nd', allowed is module0, 2x2, ndlar"):
        Detector.built_in("nd")
