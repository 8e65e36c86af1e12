"""Hits and fits are what they were: on every machine to a few digits, where the same bits are known to come, to these.

A change that means to change them says so, and stores the new ones: see bits.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lartpc

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("bits.py")


@pytest.fixture(scope="module")
def found():
    """What a process of its own finds, on one thread."""
    path = {"PYTHONPATH": str(Path(lartpc.__file__).parent.parent)}
    environment = {**os.environ, **path}
    done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stored():
    return json.loads(SCRIPT.with_suffix(".json").read_text())


def test_numbers(found, stored):
    assert found["numbers"].keys() == stored["numbers"].keys()
    for name, numbers in stored["numbers"].items():
        assert found["numbers"][name] == pytest.approx(numbers, rel=1e-5), name


def test_bits(found, stored):
    if found["here"] not in stored["bits"]:
        pytest.skip(f"no bits are stored for {found['here']}")
    assert found["bits"] == stored["bits"][found["here"]]
