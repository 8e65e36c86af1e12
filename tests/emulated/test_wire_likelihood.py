"""The likelihood of waveforms on a stand-in for the device: the CPU's."""

from importlib.util import find_spec

import numpy as np
import pytest
from wire_samples import few, small_simulation, small_wires

from lartpc.fit.unknowns import unknowns_of
from lartpc.losses.waveforms import WaveformObjective

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
]


@pytest.mark.slow
def test_gain_shaping_times_and_charges(device):
    """With gain and shaping time, a time of an event and charges of tracks that are free."""
    found = []
    for where in ("cpu", "cuda"):
        simulation = small_simulation(small_wires(rc=(30.0,)), dtype=np.float64, device=where)
        unknowns = unknowns_of(simulation, ("lifetime", "gain", "shaping", "t0_offset.event0"))
        read = lambda event, channel, start, ticks: np.sin(np.arange(start, start + ticks) + channel)  # noqa: E731
        objective = WaveformObjective(simulation, few(), read, unknowns, charge_scale=0.05)
        found.append(objective(unknowns.start * 1.01 + 0.01))
    cpu, there = found
    assert there.value == pytest.approx(cpu.value, rel=1e-9)
    np.testing.assert_allclose(there.gradient, cpu.gradient, rtol=1e-6)
    np.testing.assert_allclose(there.information, cpu.information, rtol=1e-6)
