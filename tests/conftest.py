import os
from pathlib import Path

import numba
import pytest


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
