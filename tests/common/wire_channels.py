"""Channels of wires: random waveforms in windows, and runs of what follows the wires."""

from types import SimpleNamespace

import numpy as np

from lartpc.detector.waveforms import Charges, Electronics, NoiseModel
from lartpc.wires.electronics import behind_high_passes
from lartpc.wires.noise import noise_of

TICK = 0.5  # [us]
COLD = Electronics("cold", gain=14.0, shaping=2.2, postgain=1.0, rc=(20.0, 35.0))
WARM = Electronics("warm", gain=15.0, shaping=1.3, postgain=1.0, rc=(20.0,))
OF_PLANES = (Charges((0.0, 500.0), (150.0, 450.0)), Charges((300.0,), (400.0,)))
COHERENT = NoiseModel(OF_PLANES, coherent=(200.0, 100.0), group=4)
KIND = np.repeat([0, 1], 8)  # of channels
LENGTH = np.linspace(0.0, 600.0, 16)  # of their wires [cm]


def random_windows(rng, dtype=np.float64):
    """Windows of six channels, of which one has none, one begins with an empty one, two touch; and their samples."""
    size = np.array([30, 1, 17, 0, 40, 8, 64, 21, 5])
    gap = np.array([0, 12, 300, 0, 5, 0, 0, 1, 2])  # ticks before a window
    of_pixel = np.array([0, 3, 3, 6, 7, 8, 9])
    tick = 100 + np.cumsum(gap + size) - size
    first = np.concatenate(([0], np.cumsum(size)))
    return SimpleNamespace(of_pixel=of_pixel, first=first, tick=tick), rng.normal(size=first[-1]).astype(dtype)


def run_channels(launch, dtype):
    """Both kernels that follow the wires: the waveforms behind high passes, after noise has been drawn."""
    rng = np.random.default_rng(0)
    for ticks in (32, 51):
        channel, event = rng.permutation(16)[:5], np.array([3, 1, 1, 7, 2**40])
        noise_of(COHERENT, channel, event, 4, KIND, LENGTH, ticks, TICK, COLD, dtype)
    windows, waveform = random_windows(rng, dtype)
    return behind_high_passes(waveform, windows, COLD, TICK, launch)
