"""Commands with values of modules."""

import json

import pytest
from commands import refusal, succeeds
from modules import TWO_BY_TWO

from lartpc.files.hdf5 import new_hdf5
from lartpc.generator.generate import generate


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "segments.h5"
    with new_hdf5(path) as h5:
        h5.create_dataset("segments", data=generate("muons", TWO_BY_TWO, 1, 0)[::40])
    return path


@pytest.mark.slow
def test_commands_take_values_of_modules(file, tmp_path):
    content = json.loads(succeeds("info", "--detector", "2x2", "--set", "eField.2=0.515", "--set", "lifetime=1800"))
    assert content["detector"]["tpcs"] == 8
    told = {"value": 0.515, "unit": "kV/cm", "meaning": "drift field", "range": [0.45, 0.55]}
    assert content["parameters"]["eField.2"] == told
    hits, fit = tmp_path / "hits.h5", ("--fit", "eField.2", "--start", "eField.2=0.51")
    succeeds("simulate", file, "-o", hits, "--detector", "2x2", "--set", "eField.2=0.515", "--no-noise")
    succeeds("plot", hits, "-o", tmp_path / "event.png")
    out = succeeds("forecast", file, "--detector", "2x2", "--fit", "eField,lifetime,Ab", "--per-module", "eField")
    names = [*(f"eField.{m}" for m in range(4)), "lifetime", "Ab"]
    assert [line.split()[1] for line in out.splitlines()[1:7]] == names
    succeeds("calibrate", file, hits, "-o", tmp_path / "fit", "--detector", "2x2", *fit)
    fitted = json.loads((tmp_path / "fit/fit.json").read_text())["parameters"]["eField.2"]
    assert fitted["value"] == pytest.approx(0.515, rel=1e-4) and fitted["truth"] == 0.515
    over = ("--over", "eField.2=0.514:0.517", "--over", "eField.1=0.499:0.502", "--points", "4")
    out = succeeds("scan", file, hits, "-o", tmp_path / "scan", "--detector", "2x2", *over)
    assert [line.split()[1:3] for line in out.splitlines()[2:4]] == [["eField.2", "0.515"], ["eField.1", "0.5"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("info", "--detector", "2x2", "--set", "eField.4=0.5"), "parameter eField.4: the detector has no module 4"),
        (
            ("info", "--detector", "3x3"),
            "--detector 3x3: no such file, allowed is module0, 2x2, ndlar, of wires sbnd, ",
        ),
        (("info", "--detector", "2x2", "--layout", "a.yaml"), "--layout a.yaml: allowed only with the YAML"),
        (("forecast", "FILE", "--per-module", "kb"), "per-module kb: allowed are eField, lifetime"),
        (("forecast", "FILE", "--fit", "Ab", "--per-module", "eField"), "per-module eField: is not fitted"),
        (
            ("forecast", "FILE", "--fit", "eField.1"),
            "parameter eField.1: the detector has no module 1, allowed are module 0",
        ),
    ],
)
def test_commands_refuse_in_one_line(file, arguments, what):
    assert what in refusal(*(file if a == "FILE" else a for a in arguments))
