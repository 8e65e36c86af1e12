"""larnd-sim's named configurations."""

import numpy as np
import pytest
import yaml
from detector_files import needs_reference, small_detector, small_layout

from lartpc.detector.configuration import read_configuration
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError

LIGHT = {"LIGHT_LUT": "lut.npz", "LIGHT_SIMULATED": True}
ONE = {"SIM_PROPERTIES": "sim.yaml", "PIXEL_LAYOUT": "wide.yaml", "DET_PROPERTIES": "det.yaml", "RESPONSE": "r44.npy"}
VARIED = {
    **ONE,
    "PIXEL_LAYOUT": ["wide.yaml", "fine.yaml"],
    "PIXEL_LAYOUT_ID": [0, 0, 1, 0],
    "RESPONSE": ["r44.npy", "r38.npy"],
    "RESPONSE_ID": [0, 0, 1, 0],
    "MOD2MOD_VARIATION": True,
    **LIGHT,
}


@pytest.fixture
def folder(tmp_path):
    files = {"det.yaml": small_detector(), "wide.yaml": small_layout(), "fine.yaml": small_layout(), "sim.yaml": {}}
    for name, content in files.items():
        (tmp_path / name).write_text(yaml.safe_dump(content))
    return tmp_path


def written(folder, **configurations):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(configurations))
    return path


def test_a_configuration_is_taken_whole(folder):
    path = written(folder, one=ONE, varied=VARIED, same={**VARIED, "PIXEL_LAYOUT_ID": [0] * 4, "RESPONSE_ID": [1] * 4})
    one = read_configuration(f"{path}:one")
    assert one[:4] == (str(folder / "det.yaml"), (str(folder / "wide.yaml"),), (str(folder / "r44.npy"),), None)
    assert one.notes == ()
    varied = read_configuration(f"{path}:varied")
    assert [p.rsplit("/")[-1] for p in varied.layouts] == ["wide.yaml", "wide.yaml", "fine.yaml", "wide.yaml"]
    assert [p.rsplit("/")[-1] for p in varied.responses] == ["r44.npy", "r44.npy", "r38.npy", "r44.npy"]
    assert varied.notes == (f"{path}:varied: not used: LIGHT_LUT, LIGHT_SIMULATED",)
    same = read_configuration(f"{path}:same")
    assert (same.layouts, same.responses) == ((str(folder / "wide.yaml"),), (str(folder / "r38.npy"),))
    assert Detector.load(one.detector, one.layouts).n_modules == 1


def test_names_and_files(folder):
    path = written(folder, only=ONE)
    assert read_configuration(str(path)) == read_configuration(f"{path}:only")
    path.write_text(yaml.safe_dump(ONE))  # the configuration itself
    assert read_configuration(str(path)).detector == str(folder / "det.yaml")
    assert read_configuration("2x2").detector == "2x2" and read_configuration("2x2").layouts == ()


def test_without_variation_the_first_is_taken(folder):
    path = written(folder, plain={**VARIED, "MOD2MOD_VARIATION": False})
    assert len(read_configuration(str(path)).layouts) == 1


def test_files_in_the_folders_of_larnd_sim(folder):
    for name, place in (("det.yaml", "detector_properties"), ("wide.yaml", "pixel_layouts")):
        (folder / place).mkdir()
        (folder / name).rename(folder / place / name)
    (folder / "config").mkdir()
    found = read_configuration(str(written(folder / "config", one=ONE)))
    Detector.load(found.detector, found.layouts)


def test_what_the_simulation_properties_say(folder):
    (folder / "sim.yaml").write_text("max_adc_values: 30\nevent_separator: 'vertex_id'\ntracks_dset_name: 'tracks'\n")
    found = read_configuration(str(written(folder, one=ONE)))
    assert found.max_hits == 30
    assert found.notes == (f"{folder}/sim.yaml: event_separator: found 'vertex_id', taken is event_id",)
    (folder / "sim.yaml").unlink()
    assert (
        "SIM_PROPERTIES sim.yaml is not there, and left out" in read_configuration(str(folder / "config.yaml")).notes[0]
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"DET_PROPERTIES": "no.yaml", "PIXEL_LAYOUT": "non.yaml"}, "names 'no.yaml, non.yaml', not found in"),
        ({"DET_PROPERTIES": None}, "DET_PROPERTIES: found None, allowed are names of files"),
        ({"PIXEL_LAYOUT_ID": [0, 2, 0, 0]}, "PIXEL_LAYOUT_ID: found 2, allowed is a whole number from 0 to 1"),
        ({"RESPONSE_ID": "all"}, "RESPONSE_ID: found 'all', allowed is a list of one number a module"),
        ({"DET_PROPERTIES": ["det.yaml", "wide.yaml"]}, "DET_PROPERTIES: found 2 files, allowed is one"),
    ],
)
def test_wrong_configurations(folder, change, message):
    path = written(folder, wrong={**VARIED, **change})
    with pytest.raises(InputError, match=f"config.yaml:wrong: .*{message}".replace("[", "\\[")) as failure:
        read_configuration(f"{path}:wrong")
    assert "\n" not in str(failure.value) and len(str(failure.value)) < 300


def test_wrong_names(folder):
    path = written(folder, one=ONE, two=ONE)
    for text, message in (
        (f"{path}:three", "has no configuration 'three', allowed is one of one, two"),
        (str(path), "found 2 configurations, allowed is FILE:NAME with one of one, two"),
        ("no/such.yaml:one", "no such file, allowed is FILE:NAME"),
        ("somewhere", "no such file, allowed is FILE:NAME of larnd-sim's configurations, or module0, 2x2, ndlar"),
        (str(folder / "det.yaml"), "holds no configurations"),
    ):
        with pytest.raises(InputError, match=message):
            read_configuration(text)


@pytest.mark.slow
@needs_reference
def test_published_configurations(reference):
    path = reference / "data/larndsim-config.yaml"
    for name, modules, pitches in (("module0", 1, 1), ("2x2", 4, 2), ("ndlar", 35, 1)):
        found = read_configuration(f"{path}:{name}")
        detector = Detector.load(found.detector, found.layouts)
        assert (detector.n_modules, len(np.unique(detector.pitch))) == (modules, pitches)
        assert len(found.responses) == (4 if name == "2x2" else 1)
        assert len([note for note in found.notes if "LIGHT" in note]) == 1
    with pytest.raises(InputError, match="2x2_no_modvar: names '2x2_no_modvar.yaml', not found in"):
        read_configuration(f"{path}:2x2_no_modvar")
