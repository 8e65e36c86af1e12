import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference():
    """The folder with `data` and `reference`, which are not part of the project."""
    place = os.environ.get("LARTPC_REFERENCE_DATA")
    if place is None:
        pytest.skip("LARTPC_REFERENCE_DATA not set")
    return Path(place)
