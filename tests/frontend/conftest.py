"""Currents that the trigger is run on."""

import numpy as np
import pytest
from trigger_runs import BLOCK


@pytest.fixture(scope="module")
def dense():
    """Random currents (n, ticks) [e/us]: pulses of all sizes, with gaps shorter and longer than a hold."""
    random = np.random.default_rng(1)
    current = random.exponential(1.0, (300, 40 * BLOCK)) * np.repeat(random.exponential(8e3, (300, 40)), BLOCK, axis=1)
    empty = np.repeat(random.random((300, 40)) < 0.5, BLOCK, axis=1)
    empty[:, :BLOCK] = False
    return np.where(empty, 0.0, current)
