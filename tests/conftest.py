import os
from pathlib import Path

import numba
import pytest
from commands import lartpc_command, store, table


@pytest.fixture(scope="session")
def reference():
    """The folder with `data` and `reference`, which are not part of the project."""
    place = os.environ.get("LARTPC_REFERENCE_DATA")
    if place is None:
        pytest.skip("LARTPC_REFERENCE_DATA not set")
    return Path(place)


@pytest.fixture
def one_thread():
    """Batches are small: threads would wait for each other most of the time."""
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(threads)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A hits file with waveforms."""
    folder = tmp_path_factory.mktemp("compiled")
    store(folder / "in.h5", table())
    assert lartpc_command("simulate", folder / "in.h5", "-o", folder / "hits.h5", "--waveforms").exit_code == 0
    return folder / "hits.h5"
