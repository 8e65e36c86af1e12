import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from detector_files import needs_reference, refused, small_detector, small_layout

from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import read_pixel_values
from lartpc.exceptions import InputError
from lartpc.parameters import Parameters

ARRAYS = "x_lo x_hi y_lo y_hi z_anode z_cathode pitch n_x n_y first_pixel module".split()


def test_module0_is_the_detector_of_the_paper():
    d = Detector.module0()
    np.testing.assert_allclose(d.x_lo, [-31.039, -31.039], atol=1e-9)
    np.testing.assert_allclose(d.x_hi, [31.039, 31.039], atol=1e-9)
    np.testing.assert_allclose(d.y_lo, [-83.8626, -83.8626], atol=1e-9)
    np.testing.assert_allclose(d.y_hi, [40.2154, 40.2154], atol=1e-9)
    np.testing.assert_allclose(d.z_anode, [-30.431, 30.431], atol=1e-9)
    np.testing.assert_allclose(d.z_cathode, [-0.15875, 0.15875], atol=1e-9)
    np.testing.assert_allclose(d.pitch, [0.4434, 0.4434], atol=1e-12)
    np.testing.assert_array_equal(d.n_x, [140, 140])
    np.testing.assert_array_equal(d.n_y, [280, 280])
    np.testing.assert_array_equal(d.first_pixel, [0, 140 * 280])
    np.testing.assert_array_equal(d.module, [0, 0])
    assert all(getattr(d, name).dtype == np.int64 for name in ("n_x", "n_y", "first_pixel", "module"))
    # the pixels cover the TPC to a tenth of a pixel
    assert np.all(np.abs(d.n_x * d.pitch - (d.x_hi - d.x_lo)) < 0.1)
    assert np.all(np.abs(d.n_y * d.pitch - (d.y_hi - d.y_lo)) < 0.1)


def test_default_electronics_have_their_pedestal_at_74_counts():
    d = Detector.module0()
    assert round((d.v_pedestal - d.v_cm) * d.adc_counts / (d.v_ref - d.v_cm)) == 74
    assert (d.threshold, d.hold_ticks, d.tick, d.drift_start, d.max_hits) == (7000.0, 18, 0.1, 0.5, None)


@pytest.mark.parametrize("three_indices", [False, True])
def test_layout_gives_planes_around_their_tiles(load, three_indices):
    d = load(small_detector(tpc_offsets=[[1.0, 2.0, 3.0]]), small_layout(three_indices))
    # the file's x is the drift axis: an offset of 1 cm in x moves z, of 3 cm in z moves x
    np.testing.assert_allclose(d.x_lo, 3.0 - 1.2)
    np.testing.assert_allclose(d.x_hi, 3.0 + 1.2)
    np.testing.assert_allclose(d.y_lo, 2.0 + 1.0 - 0.4)
    np.testing.assert_allclose(d.y_hi, 2.0 + 1.0 + 0.4)
    np.testing.assert_allclose(d.z_anode, [1.0 - 10.0, 1.0 + 10.0])
    np.testing.assert_allclose(d.z_cathode, [1.0 - 0.5, 1.0 + 0.5])
    np.testing.assert_array_equal(d.n_x, [6, 6])
    np.testing.assert_array_equal(d.n_y, [2, 2])
    np.testing.assert_array_equal(d.first_pixel, [0, 12])


def test_modules_follow_each_other_and_pixel_ids_do_not_overlap(load):
    d = load(small_detector(tpc_offsets=[[0, 0, 10.0], [0, 0, -10.0]]), small_layout())
    np.testing.assert_array_equal(d.module, [0, 0, 1, 1])
    np.testing.assert_allclose(0.5 * (d.x_lo + d.x_hi), [10.0, 10.0, -10.0, -10.0])
    np.testing.assert_allclose(d.z_anode, [-10.0, 10.0, -10.0, 10.0])
    np.testing.assert_array_equal(d.first_pixel, [0, 12, 24, 36])


def test_older_generation_places_each_anode_and_names_parameters_otherwise(load):
    older = {"tpc_centers": [[0, 2.0, 0], [0, 2.0, 0]], "drift_length": 9.5, "eField": 0.45, "vdrift": 0.1587}
    older |= {"Ab": 0.81, "kb": 0.05, "MeVToElectrons": 4.2e4, "vdrift_static": 0.1587, "time_interval": [0, 200.0]}
    d = load(older, small_layout(three_indices=True))
    np.testing.assert_allclose(d.y_lo, 2.0 + 1.0 - 0.4)
    assert (d.parameters.Ab, d.parameters.kb, d.parameters.eField) == (0.81, 0.05, 0.45)
    assert d.parameters.MeVToElectrons == 4.2e4
    assert d.parameters.vdrift is None
    assert load(older, small_layout(), link_vdrift=False).parameters.vdrift == 0.1587
    assert load(small_detector(), small_layout(), link_vdrift=False).parameters.vdrift is None


def test_detector_numbers_reach_the_electronics(load):
    d = load(
        "e_field: [0.47]\nlifetime: 1.1e3\ndiscrimination_threshold: 5.0e3\nlarpix_gain: 4.522e-3\nv_cm: 478.1\n"
        "v_ref: 1568\nv_pedestal: 590\nadc_counts: 512\nadc_hold_delay: 20\nreset_noise_charge: 50\n"
        "uncorrelated_noise_charge: 0\nclock_cycle: 0.2\n"
    )
    assert (d.parameters.eField, d.parameters.lifetime, d.threshold, d.gain) == (0.47, 1100.0, 5000.0, 4.522e-3)
    assert (d.v_cm, d.v_ref, d.v_pedestal, d.adc_counts, d.hold_ticks) == (478.1, 1568.0, 590.0, 512, 23)
    assert (d.reset_noise, d.uncorrelated_noise, d.tick) == (50.0, 0.0, 0.2)
    assert isinstance(d.hold_ticks, int)
    for name in ARRAYS:  # a file without geometry keeps that of module0
        np.testing.assert_array_equal(getattr(d, name), getattr(Detector.module0(), name))


def test_keys_of_light_and_packets_are_ignored(load):
    values = {
        "light_gain": [-5.0, "x"],
        "tau_t": 1.53,
        "tile_map": [[[1]]],
        "n_op_channel": 96,
        "impulse_model": "a.npy",
    }
    d = load(small_detector(**values, module_to_tpcs={1: [0, 1]}, response_bin_size=[0.04, 0.038]), small_layout())
    assert d.parameters == Detector.module0().parameters


def test_drift_length_may_come_from_the_layout_or_the_distance_of_the_anodes(load):
    offsets = {"tpc_offsets": [[0, 0, 0]]}
    np.testing.assert_allclose(load(offsets, {**small_layout(), "drift_length": 97.0}).z_cathode, [-0.3, 0.3])
    np.testing.assert_allclose(load(offsets, small_layout()).z_cathode, [0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("lifetme", 2200.0, "'lifetme' is not known, nearest is 'lifetime'"),
        ("light_gian", 1.0, "'light_gian' is not known, nearest is 'light_gain'"),
        ("lifetime", "long", "lifetime: found 'long', allowed is a number above 0"),
        ("lifetime", -5.0, "lifetime: found -5.0, allowed is a number above 0"),
        ("lifetime", None, "lifetime: found None, allowed is a number above 0"),
        ("temperature", 8.0, "temperature: found 8.0, allowed is a number above 83 and up to 151 [K]"),
        ("e_field", {"a": 1}, "e_field: found {'a': 1}, allowed is a number above 0"),
        ("e_field", [0.5, 0.5], "e_field: found a list of 2 values, allowed is one value"),
        ("larpix_gain", 0.0, "larpix_gain: found 0.0, allowed is a number from 1e-09 to 1 [mV/e]"),
        ("adc_counts", 255.5, "adc_counts: found 255.5, allowed is a whole number from 2 to 65536"),
        ("adc_hold_delay", float("nan"), "adc_hold_delay: found nan, allowed is a whole number"),
        ("v_ref", 100.0, "v_ref: found 100, allowed is a voltage above v_cm = 288 [mV]"),
        ("reset_noise_charge", True, "reset_noise_charge: found True, allowed is a number"),
        ("drift_length", 11.0, "drift_length: found 11, allowed is up to 10 [cm]"),
        ("drift_length", "far", "drift_length: found 'far', allowed is a number"),
        ("tpc_offsets", [], "tpc_offsets: found [], allowed is a list of offsets"),
        ("tpc_offsets", [[0, 0]], "tpc_offsets[0]: found [0, 0], allowed is a list of 3 numbers [cm]"),
        ("tpc_offsets", [[0, 0, 0], [0, 0, 2.0]], "TPCs 0 and 2 overlap by 0.4 cm, allowed are TPCs apart"),
        ("tpc_offsets", [[0, 0, 0], [0, 0, 0]], "TPCs 0 and 2 overlap by"),
        ("tpc_centers", [[0, 0, 0]], "found both tpc_offsets and tpc_centers"),
        ("adc_scale_factor", 0, "adc_scale_factor: found 0, allowed is a whole number from 1 to 256"),
    ],
)
def test_a_wrong_detector_file_is_refused_in_one_line(load, key, value, what):
    assert what in refused(load, small_detector(**{key: value}), small_layout())


def test_both_names_of_the_field_are_one_too_many(load):
    assert "found both e_field and eField" in refused(load, {"e_field": 0.5, "eField": 0.5})


def test_modules_differ_in_field_and_lifetime_only(load):
    two = {"tpc_offsets": [[0, 0, 10.0], [0, 0, -10.0]]}
    assert load(small_detector(**two, e_field=[0.48, 0.48]), small_layout()).parameters == Parameters(eField=0.48)
    found = load(small_detector(**two, eField=[0.5, 0.48], lifetime=[1e3, "2e3"]), small_layout()).parameters
    assert found.modules == {"eField.0": 0.5, "eField.1": 0.48, "lifetime.0": 1e3, "lifetime.1": 2e3}
    message = refused(load, small_detector(**two, temperature=[87.0, 88.0]), small_layout())
    assert "modules may differ in field and lifetime only" in message
    message = refused(load, small_detector(**two, lifetime=[1e3, -1.0]), small_layout())
    assert "lifetime[1]: found -1.0, allowed is a number above 0" in message
    message = refused(load, small_detector(**two, e_field=[0.5, 0.49, 0.48]), small_layout())
    assert "e_field: found a list of 3 values, allowed is one value, or 2, one a module" in message


@pytest.mark.parametrize(
    ("content", "what"),
    [("a: [1,\n", "not a YAML file"), ("", "expected a YAML mapping"), ("- 1\n", "found a list"), ("\0", "not a YAML")],
)
def test_what_is_no_yaml_mapping_is_refused(load, content, what):
    assert what in refused(load, content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere.yaml: cannot be read: No such file"):
        Detector.load(tmp_path / "nowhere.yaml")


def test_a_layout_needs_the_position_of_its_modules(load):
    assert "'tpc_offsets' is missing" in refused(load, {"drift_length": 9.5}, small_layout())


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"pixel_pich": 4.0}, "key 'pixel_pich' is not known, nearest is 'pixel_pitch'"),
        ({"pixel_pitch": -4.0}, "pixel_pitch: found -4.0, allowed is a number from 0.1 to 100 [mm]"),
        ({"pixel_pitch": None}, "pixel_pitch: found None"),
        ({"tile_positions": {}}, "tile_positions: found {}, allowed is a mapping"),
        ({"tile_positions": {1: [0, 0, 0]}}, "tile_positions: tile 2 is missing"),
        ({"tile_orientations": {i: [0, 1, 1] for i in range(1, 5)}}, "anode 1 has drift directions 0, allowed is one"),
        ({"tile_orientations": {1: [1, 1, 1], 2: [-1, 1, 1]}}, "anode 1 has drift directions -1, 1, allowed is one"),
        ({"tile_indeces": {1: 7}}, "tile_indeces[1]: found 7, allowed is [anode, tile]"),
        ({"chip_channel_to_position": {1: [0, "a"]}}, "chip_channel_to_position: allowed are pairs"),
    ],
)
def test_a_wrong_layout_file_is_refused_in_one_line(load, change, what):
    assert what in refused(load, small_detector(), small_layout() | change)


def test_tiles_that_leave_a_hole_are_refused(load):
    layout = small_layout()
    layout["tile_positions"][2][1] = 30.0
    assert "form no full rectangle" in refused(load, small_detector(), layout)


@pytest.mark.parametrize("key", ["pixel_pitch", "tile_indeces"])
def test_a_layout_without_a_needed_key_is_refused(load, key):
    layout = small_layout()
    del layout[key]
    assert f"key {key!r} is missing" in refused(load, small_detector(), layout)


@pytest.mark.slow
@needs_reference
def test_real_files_of_both_generations():
    data = Path(os.environ["LARTPC_REFERENCE_DATA"]) / "data"
    older = Detector.load(data / "module0-2022.yaml", data / "multi_tile_layout-2.2.16.yaml")
    built_in = Detector.module0()
    for field in dataclasses.fields(Detector):
        if field.name != "name":
            np.testing.assert_array_equal(getattr(older, field.name), getattr(built_in, field.name), field.name)
    module0 = Detector.load(data / "module0.yaml", data / "multi_tile_layout-2.4.16.yaml")
    assert module0.parameters.lifetime == 2600.0
    # in this layout the tiles touch: the plane is as wide as its pixels
    np.testing.assert_allclose(module0.x_hi - module0.x_lo, module0.n_x * module0.pitch)
    np.testing.assert_allclose(module0.y_hi - module0.y_lo, module0.n_y * module0.pitch)
    two_by_two = Detector.load(data / "2x2.yaml", data / "multi_tile_layout-2.4.16.yaml")
    assert (two_by_two.threshold, two_by_two.gain, two_by_two.v_cm) == (5000.0, 4.522e-3, 478.1)
    np.testing.assert_array_equal(two_by_two.module, [0, 0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_allclose(np.abs(two_by_two.z_anode - two_by_two.z_cathode), 30.27225)
    # no two TPCs overlap
    for a in range(8):
        for b in range(a):
            apart_x = two_by_two.x_lo[a] >= two_by_two.x_hi[b] or two_by_two.x_lo[b] >= two_by_two.x_hi[a]
            z_a, z_b = (sorted((two_by_two.z_anode[i], two_by_two.z_cathode[i])) for i in (a, b))
            assert apart_x or z_a[0] >= z_b[1] or z_b[0] >= z_a[1]


def test_pixel_values_come_sorted_by_pixel(tmp_path):
    np.savez(tmp_path / "t.npz", keys=[7, 3], values=[6000, 8000.0], default=7000)
    keys, values, default = read_pixel_values(tmp_path / "t.npz")
    np.testing.assert_array_equal(keys, [3, 7])
    np.testing.assert_array_equal(values, [8000.0, 6000.0])
    assert (keys.dtype, values.dtype, default) == (np.int64, np.float64, 7000.0)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"keys": [1], "values": [1.0]}, "field 'default' is missing, found are keys, values"),
        ({"keys": [1, 2], "values": [1.0], "default": 1.0}, "found 2 keys and 1 values"),
        ({"keys": [1], "values": [1.0], "default": [1.0, 2.0]}, "default: found 2 values"),
        ({"keys": [-1], "values": [1.0], "default": 1.0}, "keys: found a pixel id that is negative"),
        ({"keys": [0.5], "values": [1.0], "default": 1.0}, "keys: found a pixel id that is negative or not whole"),
        ({"keys": [4, 4], "values": [1.0, 2.0], "default": 1.0}, "keys: found pixel 4 twice"),
        ({"keys": [4], "values": [np.nan], "default": 1.0}, "values: found nan"),
        ({"keys": [4], "values": [1.0], "default": 0.0}, "default: found 0"),
        ({"keys": [4], "values": ["x"], "default": 0.0}, "values: found type <U1"),
    ],
)
def test_wrong_pixel_values_are_refused_in_one_line(tmp_path, content, what):
    np.savez(tmp_path / "t.npz", **content)
    with pytest.raises(InputError, match=r"t\.npz: ") as failure:
        read_pixel_values(tmp_path / "t.npz")
    assert what in str(failure.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 but no zip", b"text", np.zeros(3)])
def test_what_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "t.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with path.open("wb") as file:
            np.save(file, content)
    with pytest.raises(InputError, match=r"t\.npz: not an npz file"):
        read_pixel_values(path)
    with pytest.raises(InputError, match=r"nowhere\.npz: cannot be read: No such file"):
        read_pixel_values(tmp_path / "nowhere.npz")
