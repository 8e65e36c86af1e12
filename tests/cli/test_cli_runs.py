"""lartpc calibrate of several runs: pairs of files, a YAML list, what is written, and what is refused."""

import json

import pytest
import yaml
from commands import lartpc_command, refusal, refuses, succeeds
from samples import protons

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import read_segments, write_segments
from lartpc.formats.hitfile import write_hits
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

COMMON = ("--fit", "eField,lifetime")
FIT = (*COMMON, "--per-run", "lifetime")
LIFETIMES = (2500.0, 900.0)
PAIRS = ("run0.h5:hits0.h5", "run1.h5:hits1.h5")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Files of two runs, and a channel that is said to be bad."""
    path = tmp_path_factory.mktemp("runs")
    for k, lifetime in enumerate(LIFETIMES):
        write_segments(path / f"run{k}.h5", protons(4, seed=k))
        segments = read_segments(path / f"run{k}.h5")
        truth = Parameters(lifetime=lifetime)
        hits = Simulation(parameters=truth, noise=True, seed=k)(segments).hits
        settings = {"parameters": truth.as_dict(), "noise": True, "detector": Detector.module0().name}
        write_hits(path / f"hits{k}.h5", hits, segments, settings)
    (path / "off.json").write_text(json.dumps([int(hits.pixel_id[0])]))
    return path


@pytest.fixture(autouse=True)
def in_folder(data, monkeypatch):
    monkeypatch.chdir(data)


def listed(path, runs):
    path.write_text(yaml.safe_dump(runs))
    return path


def result_of(folder):
    return json.loads((folder / "fit.json").read_text())


@pytest.mark.slow
def test_pairs(tmp_path):
    fit = tmp_path / "fit"
    more = ("--start", "lifetime=2000", "--constrain", "lifetime.run1=900+-1")
    stdout = succeeds("calibrate", *PAIRS, "-o", fit, *FIT, *more)
    told = result_of(fit)
    assert list(told["parameters"]) == ["eField", "lifetime.run0", "lifetime.run1"] and told["good"]
    assert told["parameters"]["lifetime.run1"]["error"] < 1.0 and "lifetime.run1: constraint 900" in stdout
    for name, truth in zip(told["parameters"], (0.5, *LIFETIMES), strict=True):
        row = told["parameters"][name]
        assert row["truth"] == truth and abs(row["value"] - truth) < 4.0 * row["error"]
    assert len(told["verdict"]) == len(told["runs"]) == 2 and told["runs"][0]["detector"] == "module0"
    assert {path.name for path in fit.glob("residuals*")} == {"residuals-run0.png", "residuals-run1.png"}
    compared = ("compare", "run1.h5", "hits1.h5", "-o", tmp_path / "out", "--fit", fit / "fit.json")
    succeeds(*compared, "--run", "1")
    values = json.loads((tmp_path / "out" / "verdict.json").read_text())["parameters"]
    assert [values[name] for name in ("eField", "lifetime")] == [row["value"] for row in told["parameters"].values()][
        ::2
    ]
    for run, what in (((), "found None, allowed is 0 to 1"), (("--run", "2"), "found 2, allowed is 0 to 1")):
        assert what in refusal(*compared, "--overwrite", *run)


@pytest.mark.slow
def test_a_list_and_what_each_run_has_of_its_own(data, tmp_path):
    """The same fit as that of pairs, but for a channel that is off; files are from the folder of the list."""
    runs = [{"segments": f"run{k}.h5", "target": f"hits{k}.h5"} for k in (0, 1)]
    runs[1] |= {"bad_channels": "off.json", "fix": {"long_diff": 4e-6}, "events": "0:"}
    path = listed(data / "runs.yaml", runs)
    fit = tmp_path / "fit"
    succeeds("calibrate", path, "-o", fit, *FIT)
    left_out = result_of(fit)["left_out"]
    assert left_out[0]["bad"] == 0 and left_out[1]["bad"] > 0
    parameters = result_of(fit)["parameters"]
    succeeds("calibrate", path, "-o", fit, *FIT, "--resume")
    assert result_of(fit)["parameters"] == parameters
    del runs[1]["bad_channels"]
    changed = ("calibrate", listed(path, runs), "-o", fit, *FIT, "--resume")
    assert "run 1: detector was" in refuses(fit, *changed)
    alone = succeeds("calibrate", listed(path, runs[:1]), "-o", tmp_path / "alone", *COMMON)
    assert "run 0" not in alone and isinstance(result_of(tmp_path / "alone")["verdict"], dict)


@pytest.mark.slow
def test_a_run_that_is_not_described_is_named(tmp_path):
    done = lartpc_command("calibrate", *PAIRS, "-o", tmp_path / "fit", *COMMON)
    assert done.exit_code == 1 and "run 0: " in done.stdout and "run 1: " in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ("run0.h5", "hits0.h5", "run1.h5"),
            "found 3 files, allowed are SEGMENTS TARGET, or SEGMENTS:",
        ),
        (("run0.h5:hits0.h5", "run1.h5:none.h5"), "none.h5"),
        ((*PAIRS, "--closure"), "TARGET: allowed is either a file of hits or --closure"),
        ((*PAIRS, "--per-run", "kc"), "per-run: kc is not fitted, allowed are Ab, kb"),
        ((*PAIRS, *FIT, "--constrain", "lifetime=1+-1"), "--constrain lifetime: is not fitted, allowed are eField, l"),
        ((*PAIRS, *FIT, "--start", "lifetime.run2=9"), "start: lifetime.run2 is not fitted, allowed are eField, l"),
    ],
)
def test_refused(arguments, message, tmp_path):
    assert message in refuses(tmp_path, "calibrate", *arguments, "-o", tmp_path / "fit")


@pytest.mark.parametrize(
    "content, message",
    [
        ({"segments": "run0.h5"}, "is no list of runs, allowed is a list of mappings with segments and target"),
        ([{"segments": "run0.h5"}], "run 0: has no target"),
        ([{"segments": "run0.h5", "target": 3}], "run 0: target: found 3, allowed is the name of a file"),
        ([{"segments": "run0.h5", "target": "hits0.h5", "field": 1}], "run 0: key 'field' is not known"),
        ([{"segments": "run0.h5", "target": "hits0.h5", "fix": 1}], "run 0: fix: found 1, allowed is a mapping"),
        ([{"segments": "run0.h5", "target": "hits0.h5", "events": "a"}], "--events a: allowed are event ids"),
    ],
)
def test_refused_lists(content, message, tmp_path):
    path = listed(tmp_path / "runs.yaml", content)
    assert message in refuses(tmp_path, "calibrate", path, "-o", tmp_path / "fit")


def test_a_zero_of_time_that_a_run_fixes_is_not_fitted(data, tmp_path):
    """Wherever it is fixed: for all runs, or in a list for one."""
    runs = [{name: str(data / f"{of}{k}.h5") for name, of in (("segments", "run"), ("target", "hits"))} for k in (0, 1)]
    path = listed(tmp_path / "runs.yaml", [runs[0], {**runs[1], "fix": {"t0_offset": 0.1}}])
    line = refuses(tmp_path, "calibrate", path, "-o", tmp_path / "fit", *COMMON, "--t0", "fit")
    assert "--fix t0_offset: is what --t0 fit fits, allowed is one of them" in line
