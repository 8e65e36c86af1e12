"""What follows the wires on a stand-in for the device: the CPU's results."""

from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from wire_channels import COHERENT, COLD, KIND, LENGTH, TICK, random_windows

from lartpc.arrays import to_numpy
from lartpc.autodiff.launch import plain
from lartpc.detector.waveforms import Adc
from lartpc.wires.digitize import digitize, undigitize
from lartpc.wires.electronics import behind_high_passes
from lartpc.wires.noise import noise_of

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
]
ADC = Adc(12, -50.0, 50.0, (0.0, 1.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_channels(device, dtype):
    close = 300.0 * np.finfo(dtype).eps
    windows, waveform = random_windows(np.random.default_rng(5), dtype)
    there = SimpleNamespace(**{name: device.asarray(array) for name, array in vars(windows).items()})
    cpu = behind_high_passes(waveform, windows, COLD, TICK, plain)
    found = behind_high_passes(device.asarray(waveform), there, COLD, TICK, plain)
    np.testing.assert_allclose(to_numpy(found), cpu, rtol=0.0, atol=close)

    channel, event = np.arange(7) * 2, np.arange(7) + 2**33
    rest = (9, KIND, LENGTH, 60, TICK, COLD, dtype)
    cpu = noise_of(COHERENT, channel, event, *rest)
    found = noise_of(COHERENT, device.asarray(channel), device.asarray(event), *rest)
    assert isinstance(found, device.ndarray) and found.dtype == dtype
    np.testing.assert_allclose(to_numpy(found), cpu, rtol=0.0, atol=close * np.abs(cpu).max())

    counts = digitize(found, ADC, 1)
    np.testing.assert_array_equal(to_numpy(counts), digitize(to_numpy(found), ADC, 1))
    np.testing.assert_array_equal(
        to_numpy(undigitize(counts, ADC, 1, dtype)), undigitize(to_numpy(counts), ADC, 1, dtype)
    )
