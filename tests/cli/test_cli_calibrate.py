"""The command `lartpc calibrate`."""

import json
import sys

import h5py
import numpy as np
import pytest
from commands import killed_when, lartpc_command, refusal, succeeds
from samples import protons

import lartpc
from lartpc.formats.edepsim import read_segments, write_segments
from lartpc.formats.hitfile import read_attrs, read_hits, write_hits

pytestmark = pytest.mark.usefixtures("one_thread")  # batches are small
SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")


def result_of(folder):
    """What is in fit.json, but for the command."""
    found = json.loads((folder / "fit.json").read_text())
    del found["command"]
    return found


@pytest.fixture(scope="module")
def segments(tmp_path_factory):
    """A file of 102 segments of two stopping protons."""
    path = tmp_path_factory.mktemp("segments") / "protons.h5"
    write_segments(path, protons(2))
    return path


@pytest.fixture(scope="module")
def target(segments, tmp_path_factory):
    """Hits of those, with noise."""
    path = tmp_path_factory.mktemp("target") / "hits.h5"
    succeeds("simulate", segments, "-o", path, "--set", "eField=0.51", "--seed", "4")
    return path


@pytest.mark.slow
def test_closure(segments, tmp_path, monkeypatch):
    """Writes all files, prints the table, and finds what it drew."""
    monkeypatch.setattr(sys, "argv", ["anywhere/lartpc", "calibrate", "a file"])
    folder = tmp_path / "fit"
    stdout = succeeds("calibrate", segments, "--closure", "--no-noise", "--seed", "3", "-o", folder)
    names = {"fit.json", "history.h5", "target.h5", "parameters.png", "convergence.png", "correlation.png"}
    names.add("residuals.png")
    assert {path.name for path in folder.iterdir()} == names
    for path in folder.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 5000
    found = json.loads((folder / "fit.json").read_text())
    assert found["converged"] is True and found["loss"] == "residuals" and found["seed"] == 3
    assert found["command"] == "lartpc calibrate 'a file'" and found["detector"] == "module0"
    assert found["versions"]["lartpc"] == lartpc.__version__ and found["versions"]["numba"]
    assert set(found["fixed"]).isdisjoint(SIX)
    truth = read_attrs(folder / "target.h5")["parameters"]
    rows = [line.split() for line in stdout.splitlines()]
    for i, name in enumerate(SIX):
        entry = found["parameters"][name]
        assert entry["truth"] == truth[name]
        # in single precision, where the errors of 51 hits are up to half of the value
        assert abs(entry["value"] - entry["truth"]) < 1e-3 * entry["error"] + 5e-6 * entry["truth"]
        assert entry["bounds"][0] <= entry["value"] <= entry["bounds"][1]
        row = next(row for row in rows if row[:2] == [str(i), name])
        assert float(row[2]) == pytest.approx(entry["value"], rel=1e-6)
        assert float(row[3]) == pytest.approx(entry["error"], rel=1e-2)
    assert np.shape(found["correlation"]) == (6, 6)
    assert len(read_hits(folder / "target.h5")) == found["hits"]
    with h5py.File(folder / "history.h5") as file:
        assert len(file["values"]) == found["iterations"] and json.loads(file.attrs["names"]) == list(SIX)
        np.testing.assert_array_equal(file["values"][0], [found["parameters"][name]["start"] for name in SIX])
        assert stdout.count(": loss ") == len(file["values"])


@pytest.mark.slow
def test_fit_to_a_file(segments, target, tmp_path):
    """Some parameters of a noisy target: the likelihood, near what the target's file says it was made with."""
    options = ("--fit", "eField, kb", "--start", "eField=0.48", "--fix", "Ab=0.8")
    succeeds("calibrate", segments, target, "-o", tmp_path / "fit", *options)
    found = result_of(tmp_path / "fit")
    assert list(found["parameters"]) == ["eField", "kb"] and found["loss"] == "likelihood"
    for entry, truth in zip(found["parameters"].values(), (0.51, 0.0486), strict=True):
        assert entry["truth"] == truth
        assert abs(entry["value"] - truth) < 4.0 * entry["error"]
    assert found["parameters"]["eField"]["start"] == 0.48 and found["fixed"]["Ab"] == 0.8
    assert not (tmp_path / "fit" / "target.h5").exists()


@pytest.mark.slow
def test_truth_of_a_closure(segments, tmp_path):
    succeeds(
        "calibrate",
        segments,
        "--closure",
        "--truth",
        "eField=0.46",
        "--no-noise",
        "-o",
        tmp_path / "fit",
        "--fit",
        "eField",
    )
    assert result_of(tmp_path / "fit")["parameters"]["eField"]["value"] == pytest.approx(0.46, rel=5e-5)


@pytest.mark.slow
def test_not_converged_is_exit_code_1(segments, target, tmp_path):
    """What there is, is written, and says so; continued with more iterations, it is as if it had never stopped."""
    arguments = (segments, target, "-o", tmp_path / "fit")
    done = lartpc_command("calibrate", *arguments, "--iterations", "1")
    assert done.exit_code == 1 and "not converged in 1 iterations" in done.stdout
    assert result_of(tmp_path / "fit")["converged"] is False
    succeeds("calibrate", *arguments, "--resume")
    succeeds("calibrate", segments, target, "-o", tmp_path / "other")
    assert result_of(tmp_path / "fit") == result_of(tmp_path / "other")


def evaluations(path):
    """How many a history holds; 0 where it does not exist or is just being replaced."""
    if not path.exists():
        return 0
    with h5py.File(path) as file:
        return len(file["values"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, least, code",
    [
        ((), 1, 0),
        (("--optimizer", "adam", "--epochs", "500", "--fit", "eField,kb", "--batch-length", "1"), 8, 1),
    ],
)
def test_killed_and_resumed(arguments, least, code, segments, target, tmp_path):
    """Kill -9 after some iterations, then --resume: the same numbers as without."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command, history = ("calibrate", segments, target, *arguments, "-o"), killed / "history.h5"
    killed_when(lambda: evaluations(history) >= least, *command, killed)
    assert not (killed / "fit.json").exists()
    done = evaluations(history)
    resumed, never_stopped = lartpc_command(*command, killed, "--resume"), lartpc_command(*command, whole)
    assert resumed.exit_code == never_stopped.exit_code == code
    assert resumed.stderr == never_stopped.stderr == ""
    assert result_of(killed) == result_of(whole)
    histories = [h5py.File(folder / "history.h5") for folder in (whole, killed)]
    assert least <= done < len(histories[0]["values"])
    for name in ("phase", "batch", "values", "value", "gradient"):
        np.testing.assert_array_equal(*(file[name][()] for file in histories))
    for file in histories:
        file.close()


@pytest.mark.slow
def test_adam(segments, tmp_path):
    """Batches of single tracks, every epoch the same; too few epochs are said not to have converged."""
    folder, epochs = tmp_path / "fit", 4
    options = ("--closure", "--optimizer", "adam", "--epochs", epochs, "--batch-length", "1")
    done = lartpc_command("calibrate", segments, *options, "-o", folder)
    found = result_of(folder)
    assert found["optimizer"] == "adam" and f"{epochs} epochs done" in found["message"]
    assert (done.exit_code, done.stderr, found["converged"]) == (1, "", False)
    assert "Newton step" in done.stdout
    with h5py.File(folder / "history.h5") as file:
        batch, phase = file["batch"][()], file["phase"].asstr()[()]
        hits = file["hits"][()]
    of_fit = batch[phase == "fit"]
    n = of_fit.max() + 1
    assert n == len(np.unique(read_segments(segments).traj_id)) > 1
    np.testing.assert_array_equal(of_fit, [*np.tile(np.arange(n), epochs), -1])
    assert hits[phase == "fit"][:n].sum() == hits[-1] > 0


@pytest.mark.slow
def test_adam_converges_where_it_has_the_time(segments, tmp_path):
    """One parameter that the hits fix to a percent, at the paper's settings."""
    arguments = ("--closure", "--optimizer", "adam", "--fit", "tran_diff", "--truth", "tran_diff=9.1e-6", "--seed", "2")
    succeeds("calibrate", segments, *arguments, "-o", tmp_path / "fit")
    (entry,) = result_of(tmp_path / "fit")["parameters"].values()
    assert abs(entry["value"] - 9.1e-6) < 4.0 * entry["error"]


@pytest.mark.slow
def test_profile(segments, target, tmp_path):
    """Both ends of the interval, in the table and in the file, around the value."""
    stdout = succeeds(
        "calibrate", segments, target, "-o", tmp_path / "fit", "--fit", "eField,kb", "--errors", "profile"
    )
    found = result_of(tmp_path / "fit")
    assert "profile likelihood" in found["errors_from"] and "errors: profile likelihood" in stdout
    assert stdout.count("   profile -") == 2
    for entry in found["parameters"].values():
        low, high = entry["interval"]
        assert low < entry["value"] < high
        assert 0.7 < (high - low) / 2.0 / entry["error"] < 1.4


# --- refused


@pytest.mark.slow
def test_an_existing_fit_is_kept(segments, target, tmp_path):
    folder = tmp_path / "fit"
    arguments = (segments, target, "-o", folder, "--fit", "eField")
    succeeds("calibrate", *arguments)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "fit.json: exists already; --resume continues it, --overwrite replaces it" in refusal(
        "calibrate", *arguments
    )
    # other settings, other data
    for more in (("--fix", "Ab=0.81"), ("--start", "eField=0.49"), ("--loss", "residuals"), ("--recombination", "box")):
        assert "--resume continues the same fit only" in refusal("calibrate", *arguments, *more, "--resume")
    assert "fit was ['eField'], now ['kb']" in refusal(
        "calibrate", segments, target, "-o", folder, "--fit", "kb", "--resume"
    )
    np.savez(tmp_path / "gains.npz", keys=[0], values=[5e-3], default=4e-3)
    assert "history.h5: detector was" in refusal("calibrate", *arguments, "--gains", tmp_path / "gains.npz", "--resume")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    succeeds("calibrate", *arguments, "--overwrite", "--start", "eField=0.49")
    assert result_of(folder)["parameters"]["eField"]["start"] == 0.49


@pytest.mark.parametrize(
    "arguments, found",
    [
        (["SEGMENTS"], "TARGET: allowed is either a file of hits or --closure"),
        (["SEGMENTS", "TARGET", "--closure"], "TARGET: allowed is either a file of hits or --closure"),
        (["SEGMENTS", "TARGET", "--truth", "Ab=0.8"], "--truth: allowed with --closure only"),
        (["SEGMENTS", "TARGET", "--cuts"], "--cuts: allowed with --closure only"),
        (["SEGMENTS", "TARGET", "--no-noise"], "--noise: allowed with --closure only"),
        (["SEGMENTS", "TARGET", "--epochs", "3"], "--epochs: allowed with --optimizer adam only"),
        (["SEGMENTS", "TARGET", "--batch-length", "9"], "--batch-length: allowed with --optimizer adam only"),
        (["SEGMENTS", "TARGET", "--optimizer", "adam", "--iterations", "3"], "--iterations: with --optimizer adam"),
        (["SEGMENTS", "TARGET", "--optimizer", "adam", "--batch-length", "0"], "--batch-length"),
        (["SEGMENTS", "TARGET", "--optimizer", "newton"], "'--optimizer': 'newton' is not one of 'gauss-newton'"),
        (
            ["SEGMENTS", "TARGET", "--loss", "mse", "--optimizer", "gauss-newton"],
            "gauss-newton needs the loss likelihood",
        ),
        (["SEGMENTS", "TARGET", "--loss", "residuals", "--errors", "profile"], "errors: profile needs the loss likeli"),
        (["SEGMENTS", "TARGET", "--loss", "chi2"], "'--loss': 'chi2' is not one of 'likelihood', 'residuals'"),
        (["SEGMENTS", "TARGET", "--fit", "lifetim"], "fit: parameter lifetim is not known, nearest is lifetime"),
        (["SEGMENTS", "TARGET", "--fit", "Ab,Ab"], "fit: a parameter is named twice"),
        (["SEGMENTS", "TARGET", "--fit", "Ab,"], "fit:"),
        (["SEGMENTS", "TARGET", "--fit", ""], "fit:"),
        (["SEGMENTS", "TARGET", "--fit", "alpha"], "fit: nothing depends on alpha with recombination birks"),
        (["SEGMENTS", "--closure", "--fit", "alpha"], "fit: nothing depends on alpha with recombination birks"),
        (["SEGMENTS", "TARGET", "--start", "lifetime=0.1"], "start of lifetime: found 0.1, allowed is 1 to 1e+06"),
        (["SEGMENTS", "TARGET", "--start", "lifetime"], "--start lifetime: allowed is NAME=VALUE"),
        (["SEGMENTS", "TARGET", "--start", "lifetime=x"], "--start lifetime: found 'x', allowed is a number"),
        (["SEGMENTS", "TARGET", "--start", "lifetim=1000"], "start: lifetim is not fitted"),
        (["SEGMENTS", "TARGET", "--fix", "Ab=0.8"], "--fix: names a parameter that --fit names too"),
        (["SEGMENTS", "TARGET", "--fix", "beta"], "--fix beta: allowed is NAME=VALUE"),
        (["SEGMENTS", "TARGET", "--fix", "betta=1"], "parameter betta: not known, nearest is beta"),
        (["SEGMENTS", "TARGET", "--fit", "Ab", "--fix", "lifetime=-1"], "parameter lifetime: found '-1'"),
        (["SEGMENTS", "--closure", "--truth", "Ab=x"], "parameter Ab: found 'x'"),
        (["SEGMENTS", "TARGET", "--iterations", "0"], "--iterations"),
        (["SEGMENTS", "nothing.h5"], "nothing.h5: no such file"),
        (["nothing.h5", "TARGET"], "nothing.h5: no such file"),
        (["SEGMENTS", "TEXT"], "text.h5: not an HDF5 file"),
        (["SEGMENTS", "SEGMENTS"], "protons.h5: no dataset 'hits', found segments"),
        (["SEGMENTS", "EMPTY"], "target: has no hits, so there is nothing to fit"),
        (["SEGMENTS", "FOREIGN"], "hits of detector 2x2, allowed are those of module0"),
        (["SEGMENTS", "BEYOND"], "is not on detector module0"),
        (["SEGMENTS", "UNNAMED"], "parameter zzz: not known"),
        (["SEGMENTS", "DAMAGED"], "bad.h5: attribute 'parameters' is damaged"),
        (["SEGMENTS", "LATER"], "target: has hits of event 7, which the segments do not have"),
    ],
)
def test_wrong_input_is_one_line(arguments, found, segments, target, tmp_path):
    hits, attrs = read_hits(target), read_attrs(target)
    files = {"SEGMENTS": segments, "TARGET": target}
    if arguments[-1] in ("EMPTY", "FOREIGN", "BEYOND", "LATER", "UNNAMED", "DAMAGED"):
        files[arguments[-1]] = tmp_path / "bad.h5"
        if arguments[-1] == "EMPTY":
            hits = hits.select(slice(0))
        if arguments[-1] == "FOREIGN":
            attrs["detector"] = "2x2"
        if arguments[-1] == "BEYOND":
            hits.pixel_id[-1] = 10**6
        if arguments[-1] == "UNNAMED":
            attrs["parameters"] = {"zzz": 1.0}
        if arguments[-1] == "DAMAGED":
            attrs["parameters"] = '{"Ab": '
        if arguments[-1] == "LATER":
            hits.event_id[:] = 7
        write_hits(tmp_path / "bad.h5", hits, read_segments(segments), attrs)
    if arguments[-1] == "TEXT":
        files["TEXT"] = tmp_path / "text.h5"
        files["TEXT"].write_text("no hits\n")
    assert found in refusal("calibrate", *(files.get(a, a) for a in arguments), "-o", tmp_path / "fit")
    assert not (tmp_path / "fit" / "fit.json").exists()


def test_wrong_folders(segments, target, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert "file: is a file, allowed is the name of a folder" in refusal("calibrate", segments, target, "-o", file)
    assert "does not exist" in refusal("calibrate", segments, target, "-o", tmp_path / "no" / "fit")
    history = tmp_path / "fit" / "history.h5"
    history.parent.mkdir()
    history.write_text("no history\n")
    assert "history.h5: not an HDF5 file" in refusal("calibrate", segments, target, "-o", tmp_path / "fit", "--resume")
    with h5py.File(history, "w") as other:
        other["x"] = 1
    assert "history.h5: is not the history of a fit" in refusal(
        "calibrate", segments, target, "-o", tmp_path / "fit", "--resume"
    )
