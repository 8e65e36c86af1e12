"""The command `lartpc thresholds`, and calibrate --estimate-thresholds."""

import json

import numpy as np
import pytest
from commands import proton_files, refusal, succeeds

from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import read_pixel_values
from lartpc.files.npz import load_arrays

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Segments of protons, and hits of them with thresholds that differ, which the file of hits does not hold."""
    folder = tmp_path_factory.mktemp("files")
    ids = np.arange(Detector.module0().n_pixels)
    values = 7000.0 * np.random.default_rng(1).normal(1.0, 0.1, len(ids))
    np.savez(folder / "true.npz", keys=ids, values=values, default=7000.0)
    return (*proton_files(folder, 4, "--thresholds", folder / "true.npz", "--seed", "4"), folder / "true.npz")


@pytest.mark.slow
def test_what_is_written_is_read(files, tmp_path):
    segments, hits, true = files
    output = tmp_path / "thresholds.npz"
    stdout = succeeds("thresholds", segments, hits, "-o", output)
    assert "thresholds of " in stdout and "spread" in stdout and "have too little" in stdout
    found, known = read_pixel_values(output), read_pixel_values(true)
    assert np.corrcoef(found.values, known.values[found.keys])[0, 1] > 0.5
    more = load_arrays(output, "an npz", "one")
    assert more["errors"].shape == more["hits"].shape == found.values.shape and more["spread"] > 400.0
    succeeds("simulate", segments, "-o", tmp_path / "again.h5", "--thresholds", output)
    line = refusal("thresholds", segments, hits, "-o", output)
    assert "exists already" in line


@pytest.mark.slow
def test_a_fit_with_thresholds(files, tmp_path):
    segments, hits, _ = files
    line = refusal("calibrate", segments, hits, "-o", tmp_path / "fit", "--fit", "Ab,eField")
    assert "see --thresholds" in line
    options = ("--fit", "Ab,eField", "--estimate-thresholds")
    stdout = succeeds("calibrate", segments, hits, "-o", tmp_path / "fit", *options)
    assert "verdict: good" in stdout and "thresholds of " in stdout
    told = json.loads((tmp_path / "fit/fit.json").read_text())
    assert told["good"] and told["thresholds"]["spread"] > 400.0
    for name, nominal in (("Ab", 0.8), ("eField", 0.5)):
        row = told["parameters"][name]
        assert abs(row["value"] - nominal) < 4.0 * row["error"]
    assert len(read_pixel_values(tmp_path / "fit/thresholds.npz").keys) == told["thresholds"]["pixels"]
    succeeds("calibrate", segments, hits, "-o", tmp_path / "fit", *options, "--resume")
    again = json.loads((tmp_path / "fit/fit.json").read_text())
    assert again["parameters"] == told["parameters"] and again["thresholds"] == told["thresholds"]


def test_refusals(files, tmp_path):
    segments, hits, _ = files
    output = tmp_path / "out.npz"
    line = refusal("thresholds", segments, hits, "-o", output, "--detector", "2x2")
    assert line.startswith("lartpc: ") and "2x2" in line
    line = refusal("thresholds", segments, hits, "-o", output, "--fit", tmp_path / "no.json")
    assert "no.json" in line
    line = refusal("calibrate", segments, hits, "-o", tmp_path / "fit", "--estimate-thresholds", "--loss", "mse")
    assert line == "lartpc: --estimate-thresholds: needs --loss likelihood and --errors gauss-newton\n"
    options = ("--estimate-thresholds", "--fit", "threshold_offset")
    line = refusal("calibrate", segments, hits, "-o", tmp_path / "fit", *options)
    assert "threshold_offset: is what estimated thresholds have in common" in line
    assert not output.exists()
