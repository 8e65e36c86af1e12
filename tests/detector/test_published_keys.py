"""Keys of newer chips, and detector files that contradict their layouts."""

import numpy as np
import pytest
from detector_files import needs_reference, refused, small_detector, small_layout

from lartpc.detector.detector import Detector
from lartpc.detector.digitization import charge_of

# FSDCube of 2026: one tile of LArPix v3
FSD_CUBE = {
    "e_field": 0.25,
    "discrimination_threshold": 5.0e3,
    "v_cm": 0.0,
    "v_ref": 1734.375,
    "v_pedestal": 980,
    "larpix_gain": 3.4e-3,
    "periodic_reset_cycles": 512,
    "adc_counts": 1024,
    "adc_scale_factor": 2,
    "adc_hold_delay": 20,
    "packet_type": 1,
    "larpix_version": 3,
    "tile_map": [[[1], [2]], [[3], [4]]],
}


def test_fsd_cube(load):
    detector = load(small_detector(**FSD_CUBE), small_layout())
    assert (detector.periodic_reset_cycles, detector.hold_ticks, detector.notes) == (512, 23, ())
    charge = np.array([0.0, 5e3, 1e5, 2e5])
    expected = (charge * 3.4e-3 + 980.0) * 1024 / (1734.375 * 2)  # larnd-sim's
    np.testing.assert_allclose(detector.adc(charge), expected)
    middle, low, high = charge_of(np.round(expected), detector)
    assert ((low <= charge) & (charge <= high)).all()
    assert detector.adc(5e6) == 1023.0


@pytest.mark.parametrize("value, taken", [(-1, 0), (0, 0), (64, 64)])
def test_periodic_resets_may_be_off(load, value, taken):
    assert load(small_detector(periodic_reset_cycles=value)).periodic_reset_cycles == taken


@pytest.mark.parametrize(
    "key, value, what",
    [
        ("packet_type", 2, "packet_type: found 2, allowed is 0 or 1"),
        ("packet_type", True, "packet_type: found True, allowed is 0 or 1"),
        ("larpix_version", "v3", "larpix_version: found 'v3', allowed is 2 or 3"),
        ("periodic_reset_cycles", 0.5, "periodic_reset_cycles: found 0.5, allowed is a whole number from -1"),
        ("adc_scale_factor", "two", "adc_scale_factor: found 'two', allowed is a whole number from 1"),
        ("tile_map", [[[2], [1]], [[3], [4]]], "tile_map: found [[2], [1]] for anode 0, "),
        ("tile_map", [[[1], [2]], [[4], [3]]], "has [[3], [4]]: allowed is the same"),
    ],
)
def test_wrong_values(load, key, value, what):
    assert what in refused(load, small_detector(**{key: value}), small_layout())


def test_a_tile_map_of_other_anodes_is_said(load):
    for tile_map in ([[[1]]], [[7, 5], [8, 6]], "none", [[[1, 2]], [[3, 4]]]):
        (note,) = load(small_detector(tile_map=tile_map), small_layout()).notes
        assert "tile_map: is not that of" in note and len(note) < 300


@pytest.mark.parametrize("axis, name", [(1, "y"), (2, "z")])
@pytest.mark.parametrize("by", [1.2, 6.38, -2.0])
def test_tiles_that_do_not_touch_are_refused(load, axis, name, by):
    layout = small_layout()
    if axis == 1:  # two rows of one tile each
        for tile, y in ((1, 6.0), (2, 14.0 + by), (3, 6.0), (4, 14.0 + by)):
            layout["tile_positions"][tile] = [layout["tile_positions"][tile][0], y, 0.0]
    else:
        for tile in (2, 4):
            layout["tile_positions"][tile][2] += by
    wide = 8 if axis == 1 else 12
    message = refused(load, small_detector(), layout)
    assert (
        f"tiles of anode 1 are {wide + by:g} mm apart along {name} and {wide} mm wide, allowed are tiles that"
        in message
    )


def test_positions_may_be_rounded(load):
    layout = small_layout()
    layout["tile_positions"][2][2] += 0.4
    assert load(small_detector(), layout).n_x.tolist() == [6, 6]


def test_one_layout_for_modules_of_several_pitches_is_said(load, tmp_path):
    offsets = [[0, 0, 0], [0, 0, 5.0], [0, 0, 10.0]]
    sizes = {"response_bin_size": [0.04, 0.04, 0.02], "tpc_offsets": offsets}
    (note,) = load(small_detector(**sizes), small_layout()).notes
    assert "found 0.02 cm for module 2, of another pitch than the others; the one layout is taken for all" in note
    assert load(small_detector(**{**sizes, "response_bin_size": [0.04] * 3}), small_layout()).notes == ()
    assert load(small_detector(**{**sizes, "response_bin_size": 0.04}), small_layout()).notes == ()


@pytest.mark.slow
@needs_reference
def test_layouts_in_another_order_are_refused(reference):
    data = reference / "data"
    wide, fine = data / "multi_tile_layout-2.4.16.yaml", data / "multi_tile_layout-2.5.16.yaml"
    assert Detector.load(data / "2x2.yaml", [wide, wide, fine, wide]).notes == ()
    with pytest.raises(Exception, match="response_bin_size: found .* for module .*layouts in another order"):
        Detector.load(data / "2x2.yaml", [wide, fine, wide, wide])
    for name in ("2.2.16", "2.3.16", "2.4.16"):
        assert Detector.load(data / "module0.yaml", data / f"multi_tile_layout-{name}.yaml").notes == ()


@pytest.mark.parametrize(
    ("said", "version"),
    [({}, None), ({"packet_type": 0}, 2), ({"packet_type": 1}, 3), ({"larpix_version": 2}, 2), (FSD_CUBE, 3)],
)
def test_the_version_of_packets(load, said, version):
    detector = load(small_detector(**{key: said[key] for key in said if key in ("packet_type", "larpix_version")}))
    assert detector.packet_version == version


@pytest.mark.parametrize(("larpix", "kind", "allowed"), [(2, 1, 0), (3, 0, 1)])
def test_keys_that_contradict(load, larpix, kind, allowed):
    message = refused(load, small_detector(larpix_version=larpix, packet_type=kind))
    assert message.endswith(f"packet_type: found {kind}, allowed is {allowed}, that of larpix_version {larpix}")
