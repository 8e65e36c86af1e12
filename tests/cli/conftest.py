"""The folder that commands are run in."""

from pathlib import Path

import pytest
from commands import store, table


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
