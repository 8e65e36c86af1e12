"""Devices, pipes, sockets and folders where a file is needed: one line, at once."""

import os
import socket
import subprocess
import sys

import h5py
import pytest
import small_files
import yaml
from commands import RUN, environment_with, refuses
from guards import guarded

from lartpc.exceptions import InputError
from lartpc.files import regular
from lartpc.files.hdf5 import open_hdf5, read_table
from lartpc.files.regular import read_text

KINDS = ("zero", "null", "pipe", "socket", "folder")
DETECTOR = ("--detector", "detector.yaml", "--layout", "layout.yaml")
FIT = ("calibrate", "now.h5", "hits.h5", "-o", "new", *DETECTOR, "--fit", "lifetime")
SIMULATE = ("simulate", "now.h5", "-o", "new.h5", *DETECTOR)
COMMANDS = {
    "segments": ("simulate", "FILE", "-o", "new.h5"),
    "more segments": ("simulate", "now.h5", "FILE", "-o", "new.h5"),
    "detector": ("info", "--detector", "FILE"),
    "layout": ("info", "--detector", "detector.yaml", "--layout", "FILE"),
    "configuration": ("info", "--config", "FILE"),
    "response": (*SIMULATE, "--response", "FILE"),
    "thresholds": (*SIMULATE, "--thresholds", "FILE"),
    "bad channels": (*SIMULATE, "--bad-channels", "FILE"),
    "contents": ("info", "FILE"),
    "picture": ("plot", "FILE", "-o", "new.png"),
    "target": ("calibrate", "now.h5", "FILE", "-o", "new", *DETECTOR),
    "runs": ("calibrate", "FILE.yaml", "-o", "new"),
    "pairs": ("calibrate", "now.h5:FILE", "now.h5:hits.h5", "-o", "new", *DETECTOR),
    "constraint": (*FIT, "--constrain", "FILE"),
    "scan": ("scan", "now.h5", "FILE", "-o", "new", *DETECTOR),
    "compare": ("compare", "now.h5", "FILE", "-o", "new", *DETECTOR),
    "fit": ("compare", "now.h5", "hits.h5", "-o", "new", *DETECTOR, "--fit", "FILE"),
    "estimate": ("thresholds", "now.h5", "FILE", "-o", "new.npz", *DETECTOR),
    "forecast": ("forecast", "FILE"),
    "gradients": ("gradcheck", "FILE"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, compiled):
    """Valid files, and one of each kind that is none, with a link to it for every name."""
    path = tmp_path_factory.mktemp("special")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        small_files.write_all(path)
        os.mkfifo("pipe")
        os.mkdir("folder")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket")
        os.symlink("/dev/zero", "zero")
        os.symlink("/dev/null", "null")
        for kind in KINDS:
            os.symlink(kind, f"{kind}.yaml")
    return path


@pytest.fixture(autouse=True)
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_input_of_a_command(folder, command, kind):
    with guarded():
        refuses(folder, *(part.replace("FILE", kind) for part in COMMANDS[command]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "key", ["segments", "target", "detector", "layout", "response", "thresholds", "gains", "pedestals", "bad_channels"]
)
def test_nothing_in_a_list_of_runs(folder, key, kind):
    run = {"segments": "now.h5", "target": "hits.h5", "detector": "detector.yaml", "layout": "layout.yaml", key: kind}
    (folder / "list.yaml").write_text(yaml.safe_dump([run]))
    with guarded():
        assert kind in refuses(folder, "calibrate", "list.yaml", "-o", "new", "--fit", "lifetime")


@pytest.mark.parametrize("output", ["/dev/full", "/dev/null", "pipe", "folder", "socket"])
def test_no_output(folder, output):
    commands = [("simulate", "now.h5", "-o", output), ("generate", "muons", "-o", output)]
    commands += [("simulate", "now.h5", "-o", "new.h5", "--packets", output), ("response", "-o", output)]
    commands += [("plot", "hits.h5", "-o", output), ("thresholds", "now.h5", "hits.h5", "-o", output, *DETECTOR)]
    for command in commands:
        assert f"{output}: is a folder or device, a file name is needed" in refuses(folder, *command, "--overwrite")
    if output != "folder":
        assert f"{output}: is a file, allowed is" in refuses(folder, *FIT[:3], "-o", output, *FIT[5:])


def test_no_result_in_a_folder(folder):
    os.makedirs("results", exist_ok=True)
    os.symlink("/dev/full", "results/fit.json")
    line = refuses(folder, *FIT[:3], "-o", "results", *FIT[5:], "--overwrite")
    assert line == "lartpc: results/fit.json: is a folder or device, a file is needed there\n"


@pytest.mark.parametrize("kind", ["pipe", "zero"])
def test_what_an_hdf5_file_has_elsewhere(folder, kind):
    with h5py.File("link.h5", "w") as file:
        file["segments"] = h5py.ExternalLink(kind, "segments")
    with h5py.File("rows.h5", "w") as file:
        table = small_files.segments(small_files.GENERATIONS["now"])
        file.create_dataset("segments", table.shape, table.dtype, external=[(str(folder / kind), 0, table.nbytes)])
    for path in ("link.h5", "rows.h5"):
        with guarded(), pytest.raises(InputError, match=f"{kind}: is a device, pipe or socket, allowed is a file"):
            with open_hdf5(path) as file:
                read_table(file, "segments")


def test_a_text_is_no_longer_than_texts_are(folder, monkeypatch):
    monkeypatch.setattr(regular, "MOST", 2**20)
    with open("long.yaml", "wb") as file:
        file.truncate(2**40)
    with guarded(), pytest.raises(InputError, match=r"long.yaml: has more than 1 MB, allowed is less"):
        read_text("long.yaml")
    assert len(read_text("detector.yaml")) < 2**20


def test_a_terminal_that_takes_nothing():
    command, environment = [sys.executable, "-c", RUN, "info"], environment_with()
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (2, "lartpc: [Errno 28] No space left on device\n")
