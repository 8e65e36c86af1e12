"""The commands `lartpc scan` and `lartpc forecast`."""

import json
import sys

import h5py
import numpy as np
import pytest
from commands import killed_when, lartpc_command, refusal, succeeds
from samples import protons

import lartpc
from lartpc.formats.edepsim import write_segments

pytestmark = pytest.mark.usefixtures("one_thread")  # batches are small
SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
NOMINAL = (0.8, 0.0486, 0.5, 2200.0, 4e-6, 8.8e-6)


def arrays(folder):
    """The datasets of scan.h5."""
    with h5py.File(folder / "scan.h5") as file:
        return {name: file[name][()] for name in file}


@pytest.fixture(scope="module")
def segments(tmp_path_factory):
    """A file of the segments of one stopping proton."""
    path = tmp_path_factory.mktemp("segments") / "proton.h5"
    write_segments(path, protons(1))
    return path


@pytest.fixture(scope="module")
def target(segments, tmp_path_factory):
    """Hits of those, with noise."""
    path = tmp_path_factory.mktemp("target") / "hits.h5"
    succeeds("simulate", segments, "-o", path, "--set", "lifetime=1500", "--seed", "4")
    return path


@pytest.mark.slow
def test_lines_of_a_closure(segments, tmp_path, monkeypatch):
    """Writes all files; lowest at what --truth says."""
    monkeypatch.setattr(sys, "argv", ["anywhere/lartpc", "scan", "a file"])
    folder = tmp_path / "scan"
    over = ("--over", "kb", "--over", "lifetime=1000:3000", "--truth", "lifetime=1700", "--points", 3)
    stdout = succeeds("scan", segments, "--closure", "--no-noise", "-o", folder, *over)
    assert {path.name for path in folder.iterdir()} == {"scan.h5", "scan.png", "history.h5"}
    assert (folder / "scan.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert stdout.startswith("residuals\n")
    rows = [line.split() for line in stdout.splitlines()[1:]]
    assert next(row for row in rows if row[1] == "kb")[2] == "0.0486"
    assert next(row for row in rows if row[1] == "lifetime")[2] == "1700"
    found = arrays(folder)
    assert found["values"].shape == found["gradient"].shape == (8, 2) and found["loss"].shape == (8,)
    np.testing.assert_array_equal(found["values"][found["along"] == 1, 1], (1000.0, 1700.0, 2000.0, 3000.0))
    np.testing.assert_array_equal(found["fixed"], (0.0486, 1700.0))
    np.testing.assert_array_equal(found["truth"], found["fixed"])
    with h5py.File(folder / "scan.h5") as file:
        assert json.loads(file.attrs["names"]) == ["kb", "lifetime"]
        assert file.attrs["kind"] == "residuals" and file.attrs["lartpc_version"] == lartpc.__version__
        assert file.attrs["command"] == "lartpc scan 'a file'"
        setup = json.loads(file.attrs["setup"])
    assert setup["points"] == 3 and setup["parameters"]["lifetime"] == 1700.0


@pytest.mark.slow
def test_plane_of_a_file(segments, target, tmp_path):
    """The likelihood of a noisy target, the others at --fix; the truth is in the target's file."""
    over = ("--plane", "--over", "Ab=0.79:0.81", "--over", "kb=0.047:0.05", "--points", 4, "--fix", "lifetime=1500")
    stdout = succeeds("scan", segments, target, "-o", tmp_path / "scan", *over)
    assert stdout.startswith("likelihood: ") and "16 points, Ab 0." in stdout
    found = arrays(tmp_path / "scan")
    assert found["values"].shape == found["gradient"].shape == (16, 2) and (found["along"] == -1).all()
    np.testing.assert_array_equal(found["truth"], (0.8, 0.0486))
    assert np.isfinite(found["loss"]).all()


@pytest.mark.slow
def test_what_the_target_says_of_its_simulation(segments, target, tmp_path):
    """What is neither scanned nor the same is refused, unless trusted; what is scanned may be another."""
    command = ("scan", segments, target, "-o", tmp_path / "scan", "--points", "2")
    line = refusal(*command, "--over", "kb")
    assert "was simulated with lifetime 1500.0, the fit takes 2200.0: allowed is the same, or --trust-me life" in line
    assert "was simulated with recombination birks" in refusal(*command, "--over", "lifetime", "--recombination", "box")
    succeeds(*command, "--over", "kb", "--trust-me", "lifetime")
    succeeds(*command, "--over", "kb", "--over", "lifetime", "--overwrite")


@pytest.mark.slow
def test_killed_and_resumed(segments, target, tmp_path):
    """Kill -9 after some points leaves no result; then --resume: the same bits as without."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    arguments = (segments, target, "--over", "kb", "--over", "tran_diff", "--points", "15", "--fix", "lifetime=1500")
    succeeds("scan", *arguments, "-o", whole)
    killed_when((killed / "history.h5").exists, "scan", *arguments, "-o", killed)
    assert not (killed / "scan.h5").exists() and not (killed / "scan.png").exists()
    with h5py.File(killed / "history.h5") as file:
        assert 1 <= len(file["values"]) < 32
    assert "history.h5: exists already; --resume continues it" in refusal("scan", *arguments, "-o", killed)
    other = [a if a != "15" else "16" for a in arguments]
    assert "points was 15, now 16: --resume continues" in refusal("scan", *other, "-o", killed, "--resume")
    succeeds("scan", *arguments, "-o", killed, "--resume")
    for name, array in arrays(whole).items():
        np.testing.assert_array_equal(arrays(killed)[name], array)
    assert (killed / "scan.png").read_bytes() == (whole / "scan.png").read_bytes()
    assert "scan.h5: exists already" in refusal("scan", *arguments, "-o", killed)


@pytest.mark.parametrize(
    "arguments, found",
    [
        (["SEGMENTS"], "TARGET: allowed is either a file of hits or --closure"),
        (["SEGMENTS", "TARGET", "--truth", "kb=0.05"], "--truth: allowed with --closure only"),
        (["SEGMENTS", "TARGET", "--cuts"], "--cuts: allowed with --closure only"),
        (["SEGMENTS", "TARGET", "--over", "lifetim"], "--over lifetim: is not known, nearest is lifetime"),
        (["SEGMENTS", "TARGET", "--over", "kb", "--over", "kb=0.04:0.05"], "--over kb: is named twice"),
        (["SEGMENTS", "TARGET", "--over", "kb=0.04"], "--over kb=0.04: allowed is NAME or NAME=LOW:HIGH"),
        (["SEGMENTS", "TARGET", "--over", "kb="], "--over kb=: allowed is NAME or NAME=LOW:HIGH"),
        (["SEGMENTS", "TARGET", "--over", "kb=0.04:x"], "--over kb: found 'x', allowed is a number"),
        (["SEGMENTS", "TARGET", "--over", "kb=0.05:0.04"], "range of kb: found 0.05 to 0.04"),
        (["SEGMENTS", "TARGET", "--over", "kb=0:1"], "range of kb: found 0.0, allowed is a number above 0"),
        (["SEGMENTS", "TARGET", "--over", "alpha"], "nothing depends on alpha with recombination birks"),
        (["SEGMENTS", "TARGET", "--over", "kb", "--plane"], "plane: needs two parameters, found 1: kb"),
        (["SEGMENTS", "TARGET", "--plane"], "plane: needs two parameters, found 6"),
        (["SEGMENTS", "TARGET", "--points", "1"], "--points"),
        (["SEGMENTS", "TARGET", "--fix", "betta=1"], "parameter betta: not known, nearest is beta"),
        (["SEGMENTS", "--closure", "--over", "kb", "--fix", "kb=0.05"], "--fix: names a parameter that --over names"),
        (["SEGMENTS", "--closure", "--over", "kb", "--truth", "Ab=0.81"], "--truth Ab: is not scanned; --fix sets it"),
        (["SEGMENTS", "TARGET", "--loss", "chi2"], "'--loss': 'chi2' is not one of"),
        (["SEGMENTS", "SEGMENTS"], "proton.h5: no dataset 'hits'"),
        (["nothing.h5", "TARGET"], "nothing.h5: no such file"),
    ],
)
def test_wrong_input_is_one_line(arguments, found, segments, target, tmp_path):
    files = {"SEGMENTS": segments, "TARGET": target}
    assert found in refusal("scan", *(files.get(a, a) for a in arguments), "-o", tmp_path / "scan")
    assert not (tmp_path / "scan").exists()


# --- errors


def table(stdout):
    """Errors and correlations that the command prints."""
    top, _, rest = stdout.partition("correlation\n")
    errors = {row.split()[1]: float(row.split()[3]) for row in top.splitlines()[1:]}
    matrix = [row.split()[2:] for row in rest.splitlines()[: len(errors)]]
    return errors, matrix


@pytest.mark.slow
def test_errors_are_those_of_a_noiseless_fit(segments, tmp_path):
    stdout = succeeds("forecast", segments)
    errors, correlation = table(stdout)
    truth = [part for name, value in zip(SIX, NOMINAL, strict=True) for part in ("--truth", f"{name}={value}")]
    fit = lartpc_command("calibrate", segments, "--closure", "--no-noise", *truth, "-o", tmp_path / "fit")
    assert fit.exit_code == 0
    fit = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert list(errors) == list(SIX)
    for name in SIX:
        assert errors[name] == pytest.approx(fit["parameters"][name]["error"], rel=0.01)
    np.testing.assert_allclose(np.array(correlation, dtype=float), fit["correlation"], atol=2e-3)


def test_errors_at_another_truth_and_rounded(segments):
    """Less lifetime, less precise; rounded hits tell less."""
    printed = [
        succeeds("forecast", segments, "--fit", "eField,lifetime", *more)
        for more in ((), ("--truth", "lifetime=4000"), ("--rounded",))
    ]
    nominal, long, rounded = (table(stdout)[0] for stdout in printed)
    assert long["lifetime"] > 2.0 * nominal["lifetime"]
    assert rounded["eField"] > 1.2 * nominal["eField"]


def test_an_open_direction_is_named(segments):
    stdout = succeeds("forecast", segments, "--fit", "Ab,MeVToElectrons,eField")
    errors, correlation = table(stdout)
    assert errors["Ab"] == errors["MeVToElectrons"] == np.inf and np.isfinite(errors["eField"])
    assert correlation[0] == ["-"] * 3 and correlation[2] == ["-", "-", "1.000"]
    told = stdout.partition("the data leave a direction open: relative changes ")[2].partition(" change nothing")[0]
    assert told in ("Ab +1, MeVToElectrons -1", "Ab -1, MeVToElectrons +1")


@pytest.mark.parametrize(
    "arguments, found",
    [
        (["--fit", "alpha"], "nothing depends on alpha"),
        (["--fit", "lifetim"], "parameter lifetim is not known"),
        (["--fit", "Ab", "--fix", "Ab=0.81"], "--fix: names a parameter that --fit names too"),
        (["--fit", "Ab", "--truth", "kb=0.05"], "--truth kb: is not fitted"),
        (["--cut", "min_dy=1"], "cut min_dy: is not known, allowed are max_cos"),
        (["--cut", "min_track=1000"], "target: has no hits"),
    ],
)
def test_wrong_input(arguments, found, segments):
    assert found in refusal("forecast", segments, *arguments)
