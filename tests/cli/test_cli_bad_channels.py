"""Commands with channels that are off."""

import json

import h5py
import numpy as np
import pytest
from commands import lartpc_command

from lartpc.detector.detector import Detector
from lartpc.generator.generate import generate

pytestmark = pytest.mark.usefixtures("one_thread")
FIT = ("--fit", "eField,lifetime")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder with `in.h5`, its hits `all.h5` and a third of the pixels of those in `bad.txt`."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("in.h5", "w") as file:
        file["segments"] = generate("muons", Detector.module0(), events=2, seed=1)
    assert lartpc_command("simulate", "in.h5", "-o", "all.h5", "--seed", "1").exit_code == 0
    pixels = np.unique(hits_of("all.h5")["pixel_id"])
    np.savetxt("bad.txt", pixels[::3], fmt="%d")
    return tmp_path


def hits_of(path):
    with h5py.File(path) as file:
        return file["hits"][:]


def bad_pixels():
    return np.loadtxt("bad.txt", dtype=np.int64)


@pytest.mark.slow
def test_they_have_no_hits_and_the_others_are_the_same(folder):
    result = lartpc_command("simulate", "in.h5", "-o", "off.h5", "--seed", "1", "--bad-channels", "bad.txt")
    assert result.exit_code == 0
    assert f"; {len(bad_pixels())} pixels are off; " in result.stdout
    every, rest = hits_of("all.h5"), hits_of("off.h5")
    assert len(rest) < len(every)
    np.testing.assert_array_equal(rest, every[~np.isin(every["pixel_id"], bad_pixels())])


def values(folder):
    content = json.loads((folder / "fit.json").read_text())
    return [content["parameters"][name]["value"] for name in ("eField", "lifetime")], content["left_out"]


@pytest.mark.slow
def test_a_fit_uses_nothing_of_them(folder):
    """Three ways to say which are off: the fit's option, the file of hits, and both; all give the same fit."""
    assert (
        lartpc_command("simulate", "in.h5", "-o", "off.h5", "--seed", "1", "--bad-channels", "bad.txt").exit_code == 0
    )
    runs = {"option": ("all.h5", "--bad-channels", "bad.txt"), "file": ("off.h5",)}
    found = {}
    for name, (target, *more) in runs.items():
        result = lartpc_command("calibrate", "in.h5", target, "-o", name, *FIT, *more)
        assert result.exit_code == 0, result.stdout
        found[name], left_out = values(folder / name)
        lost = np.isin(hits_of(target)["pixel_id"], bad_pixels()).sum()
        assert left_out["bad"] == lost == (0 if name == "file" else len(hits_of("all.h5")) - len(hits_of("off.h5")))
        assert (f"{lost} hits on channels that are off" in result.stdout) == (lost > 0)
        assert not left_out["dead"]
    assert found["option"] == found["file"]


@pytest.mark.slow
def test_scan_and_forecast_take_them(folder):
    lines = [
        lartpc_command("forecast", "in.h5", "--fit", "lifetime", *more).stdout.splitlines()[1].split()
        for more in ((), ("--bad-channels", "bad.txt"))
    ]
    assert 1.05 < float(lines[1][3]) / float(lines[0][3]) < 1.6  # sqrt(3/2), if all pixels told as much
    scan = ("scan", "in.h5", "all.h5", "--over", "eField=0.499:0.501", "--points", "3")
    for name, more in (("with", ()), ("without", ("--bad-channels", "bad.txt"))):
        assert lartpc_command(*scan, "-o", name, *more).exit_code == 0
    with h5py.File("with/scan.h5") as every, h5py.File("without/scan.h5") as fewer:
        share = fewer["loss"][:] / every["loss"][:]
        assert ((0.5 < share) & (share < 0.9)).all()  # 2/3, if all pixels told as much


@pytest.mark.slow
def test_a_list_of_chips_needs_the_layout(folder):
    (folder / "bad.json").write_text('{"1-1-11": [0, 1]}')
    refused = lartpc_command("simulate", "in.h5", "-o", "off.h5", "--bad-channels", "bad.json")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("lartpc: bad.json: a list of chips: needs --detector FILE and --layout FILE")
    assert refused.stderr.count("\n") == 1 and not (folder / "off.h5").exists()
