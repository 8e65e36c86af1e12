"""Commands with values of modules."""

import json

import pytest
from click.testing import CliRunner
from modules import TWO_BY_TWO

from lartpc.cli.main import main
from lartpc.files.hdf5 import new_hdf5
from lartpc.generator.generate import generate


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "segments.h5"
    with new_hdf5(path) as h5:
        h5.create_dataset("segments", data=generate("muons", TWO_BY_TWO, 1, 0)[::40])
    return str(path)


def run(*arguments):
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.mark.slow
def test_commands_take_values_of_modules(file, tmp_path):
    code, out = run("info", "--detector", "2x2", "--set", "eField.2=0.515", "--set", "lifetime=1800")
    content = json.loads(out)
    assert code == 0 and content["detector"]["tpcs"] == 8
    assert content["parameters"]["eField.2"] == {"value": 0.515, "unit": "kV/cm", "meaning": "drift field"}
    hits = str(tmp_path / "hits.h5")
    code, out = run("simulate", file, "-o", hits, "--detector", "2x2", "--set", "eField.2=0.515", "--no-noise")
    assert code == 0, out
    code, out = run("plot", hits, "-o", str(tmp_path / "event.png"))
    assert code == 0, out
    code, out = run("forecast", file, "--detector", "2x2", "--fit", "eField,lifetime,Ab", "--per-module", "eField")
    assert code == 0, out
    assert [line.split()[1] for line in out.splitlines()[1:7]] == [
        *(f"eField.{m}" for m in range(4)),
        "lifetime",
        "Ab",
    ][:6]
    folder = str(tmp_path / "fit")
    fit = ("calibrate", file, hits, "-o", folder, "--detector", "2x2", "--fit", "eField.2", "--start", "eField.2=0.51")
    code, out = run(*fit)
    assert code == 0, out
    fitted = json.loads((tmp_path / "fit/fit.json").read_text())["parameters"]["eField.2"]
    assert fitted["value"] == pytest.approx(0.515, rel=1e-4) and fitted["truth"] == 0.515
    over = ("--over", "eField.2=0.514:0.517", "--over", "eField.1=0.499:0.502", "--points", "4")
    code, out = run("scan", file, hits, "-o", str(tmp_path / "scan"), "--detector", "2x2", *over)
    assert code == 0, out
    assert [line.split()[1:3] for line in out.splitlines()[2:4]] == [["eField.2", "0.515"], ["eField.1", "0.5"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("info", "--detector", "2x2", "--set", "eField.4=0.5"), "parameter eField.4: the detector has no module 4"),
        (("info", "--detector", "3x3"), "--detector 3x3: no such file, allowed is module0, 2x2, ndlar or a detector"),
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
    code, out = run(*(file if a == "FILE" else a for a in arguments))
    assert code == 2 and what in out and len(out.strip().splitlines()) == 1
