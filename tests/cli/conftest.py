"""The folder that commands are run in, and files of wires."""

from pathlib import Path

import pytest
from commands import store, succeeds, table
from wire_samples import SMALL, small_response

from lartpc.detector.wires import WireDetector


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A detector of wires, its response, generated muons and their frames: files by what they are."""
    folder = tmp_path_factory.mktemp("wires")
    detector, response = folder / "small.yaml", folder / "response.npz"
    detector.write_text(SMALL)
    small_response(WireDetector.load(detector)).write(response)
    segments, frames = folder / "segments.h5", folder / "frames.h5"
    succeeds("generate", "cosmics", "-o", segments, "--detector", detector, "--events", "2")
    succeeds("simulate", segments, "-o", frames, "--detector", detector, "--response", response, "--seed", "3")
    return {"detector": detector, "response": response, "segments": segments, "frames": frames}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with `in.h5`, `hits.h5` that exists, and `empty.h5`."""
    monkeypatch.chdir(tmp_path)
    store("in.h5", table())
    store("empty.h5", table([]))
    Path("hits.h5").write_bytes(b"there before")
    return tmp_path


@pytest.fixture(autouse=True)
def no_note_of_compilation(compiled):
    """Kernels are compiled before, so that no test finds a note of that."""
