"""Random currents of pixels in windows."""

import numpy as np


def random_waveforms(rng, n, lowest=0.0):
    """Pixels with two windows each and currents of `lowest` to 5000 e/us: {name: value}, and the last tick of each."""
    length = rng.integers(40, 120, 2 * n)
    tick = np.stack((np.zeros(n, dtype=np.int64), length[::2] + rng.integers(1, 60, n)), axis=1)
    first = np.concatenate(([0], np.cumsum(length)))
    windows = {"pixel_window": 2 * np.arange(n + 1), "window_first": first, "window_tick": tick.ravel() + 1000}
    return {"waveform": rng.uniform(lowest, 5e3, first[-1]), **windows}, 1000 + tick[:, 1] + length[1::2]
