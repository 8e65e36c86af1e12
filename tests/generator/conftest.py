"""The detector that particles are generated for."""

from types import SimpleNamespace

import numpy as np
import pytest

from lartpc.generator.samples import Box


@pytest.fixture
def detector():
    """Two TPCs that share a cathode, not centred, so that exchanged or mirrored axes show."""
    return SimpleNamespace(
        x_lo=np.array([-31.0, -31.0]),
        x_hi=np.array([31.0, 31.0]),
        y_lo=np.array([-83.9, -83.9]),
        y_hi=np.array([40.2, 40.2]),
        z_anode=np.array([-30.4, 32.4]),
        z_cathode=np.array([0.8, 1.2]),
    )


@pytest.fixture
def box(detector):
    return Box.around(detector)
