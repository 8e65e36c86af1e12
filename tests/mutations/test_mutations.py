"""Mutated files of every kind: whatever they hold, a command ends in order, soon, and with little memory.

LARTPC_MUTATIONS=1000 tries so many of each kind.
"""

import os
from pathlib import Path

import pytest
import small_files
from commands import lartpc_command
from guards import orderly
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kinds import KINDS, clean
from mutations import Draw

from lartpc import InputError

READ = "all that there is to read was read"
EXAMPLES = int(os.environ.get("LARTPC_MUTATIONS", "0"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, compiled):
    """The folder of the valid files."""
    path = tmp_path_factory.mktemp("valid")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        small_files.write_all(path)
    return path


@pytest.fixture(autouse=True)
def reading_only(folder, monkeypatch):
    """Pictures and fits of what was read take seconds, and are left out."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("lartpc.plots.figure.write_figure", lambda path, *_: Path(path).touch())

    def fit(*_, **__):
        raise InputError(READ)

    monkeypatch.setattr("lartpc.fit.calibrate.calibrate_runs", fit)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_valid_files_are_read(folder, kind):
    for command in KINDS[kind].commands:
        KINDS[kind].copy(folder)
        done = lartpc_command(*command)
        clean(folder)
        assert done.exit_code == 0 or done.stderr == f"lartpc: {READ}\n"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_end_in_order(folder, kind):
    @settings(
        max_examples=EXAMPLES or KINDS[kind].examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def each(data):
        KINDS[kind].mutate(Draw(data), folder)
        for command in KINDS[kind].commands:
            found = orderly(folder, *command)
            assert found is None, command
        clean(folder)

    each()
