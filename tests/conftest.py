import os
from pathlib import Path

import numba
import pytest
from commands import lartpc_command, store, table
from warm_up import warm_up_if_cold


def pytest_configure(config):
    """Workers share the cores: each has its part of them for the threads of kernels."""
    if hasattr(config, "workerinput"):
        numba.set_num_threads(max(1, numba.get_num_threads() // config.workerinput["workercount"]))
    elif getattr(config.option, "numprocesses", None):
        warm_up_if_cold()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The tests of a file go to one worker, which makes what they share once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


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
