"""What a command never overwrites, and messages whatever an input holds."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import environment_with, refusal, refuses, succeeds

# Written out, it is a list of 9^10 texts.
LEVELS = ", ".join(f"&{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefghi", "bcdefghij", strict=True))
BOMB = f"lifetime: [&a [x, x, x, x, x, x, x, x, x], {LEVELS}, *j]"


@pytest.fixture
def hits(folder):
    succeeds("simulate", "in.h5", "-o", "made.h5")
    return folder


def test_no_input_is_replaced(hits):
    """A detector, a list of channels, a file of hits, the fit that constrains another; a link to one, too."""
    Path("det.yaml").write_text("drift_length: 30.27225\n")
    Path("off.json").write_text("[7]")
    Path("link.h5").symlink_to("in.h5")
    Path("fit").mkdir()
    Path("fit/fit.json").write_text(json.dumps({"parameters": {"eField": {"value": 0.5, "error": 0.1}}}))
    simulate = ("simulate", "in.h5", "--overwrite")
    for arguments, what in (
        ((*simulate, "--detector", "det.yaml", "-o", "det.yaml"), "det.yaml: is the input detector"),
        ((*simulate, "--bad-channels", "off.json", "-o", "off.json"), "off.json: is the input bad_channels"),
        ((*simulate, "-o", "link.h5"), "link.h5: is the input segments"),
        (("plot", "made.h5", "-o", "made.h5", "--overwrite"), "made.h5: is the input hits"),
        (
            ("calibrate", "in.h5", "made.h5", "-o", "fit", "--overwrite", "--constrain", "fit/fit.json"),
            "fit/fit.json: is the input constrain",
        ),
    ):
        assert what in refuses(hits, *arguments)


@pytest.mark.slow
def test_of_two_at_once_without_overwrite_one_fails(hits):
    """Both begin before there is an output."""
    command = [sys.executable, "-m", "lartpc", "simulate", "in.h5", "-o", "out.h5", "--set"]
    own = {"env": environment_with(), "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    both = [subprocess.Popen([*command, f"lifetime={k}000"], **own) for k in (1, 2)]
    ends = sorted((process.returncode, text) for process in both for _, text in [process.communicate()])
    assert [code for code, _ in ends] == [0, 2] and b"out.h5: exists already" in ends[1][1]
    assert not list(hits.glob(".*"))


@pytest.mark.parametrize(
    "text, what",
    [
        (f"lifetime: 0x{'F' * 6000}", "lifetime: found a number of 24000 bits, allowed is a number"),
        ("lifetime: !!bool x", "not a YAML file"),
        ("lifetime: &x [*x]", "stands for more than 1e+06 values by its aliases"),
        (BOMB, "stands for more than 1e+06 values by its aliases"),
        (f"lifetime: {[list(range(10))] * 100}", "lifetime: found a list of 100 values"),
        (f"lifetime: {'[' * 5000}", "not a YAML file"),
    ],
)
def test_yaml_of_whatever_kind_is_one_line(text, what, folder):
    Path("det.yaml").write_text(text)
    line = refusal("info", "--detector", "det.yaml")
    assert line.startswith("lartpc: det.yaml: ") and what in line and len(line) <= 301


@pytest.mark.parametrize(
    "name, value, what",
    [
        ("events", 5, "attribute 'events' is 5, allowed is two event ids"),
        ("events", "[1, 2, 3]", "attribute 'events' is [1, 2, 3], allowed are two event ids"),
        ("parameters", "{bad", "attribute 'parameters' is damaged"),
        ("parameters", "[" * 100000, "attribute 'parameters' is damaged"),
        ("detector", np.arange(3.0), "attribute 'detector' is array([0., 1., 2.]), allowed is a name"),
        ("noise", np.array([True, False]), "attribute 'noise' is array([ True, False]), allowed is true or false"),
        ("readout", "[]", "attribute 'readout' is [], allowed is JSON of an object"),
    ],
)
def test_damaged_attributes_are_one_line(name, value, what, hits):
    with h5py.File("made.h5", "a") as file:
        file.attrs[name] = value
    assert what in refuses(hits, "calibrate", "in.h5", "made.h5", "-o", "fit", "--fit", "eField")
    assert what in refuses(hits, "plot", "made.h5", "-o", "event.png")


def test_columns_of_arrays_are_refused(hits):
    shutil.copy("made.h5", "vectors.h5")
    with h5py.File("vectors.h5", "a") as file:
        rows = file["hits"][()]
        kinds = [(name, ("f4", (3,)) if name == "charge" else rows.dtype[name]) for name in rows.dtype.names]
        del file["hits"]
        file["hits"] = np.zeros(len(rows), kinds)
    what = "hits field 'charge' has type ('<f4', (3,)), allowed are numbers"
    assert what in refuses(hits, "calibrate", "in.h5", "vectors.h5", "-o", "fit", "--fit", "eField")


def test_odd_options_are_one_line(folder):
    line = refusal("simulate", "in.h5", "-o", "out.h5", "--events", "9" * 5000)
    assert "--events 999" in line and "allowed are event ids" in line and len(line) <= 301
    assert "parameter self: not known" in refusal("info", "--set", "self=1")
    line = refusal("response", "-o", "table.npz", "--set", "eField=0.001")
    assert "response: the drift over" in line and "allowed are up to 5000" in line
