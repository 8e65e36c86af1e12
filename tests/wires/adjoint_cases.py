"""Random launches of the kernels of wires."""

import numpy as np
from launches import Case
from wire_channels import TICK, random_windows


def random_highpass(rng):
    windows, waveform = random_windows(rng)
    arguments = {
        "channel_window": windows.of_pixel,
        "window_first": windows.first,
        "window_tick": windows.tick,
        "waveform": waveform,
        "tau": 20.0,
        "later_tau": 35.0,
        "tick": TICK,
        "passed": np.zeros(len(waveform)),
    }
    return Case(len(windows.of_pixel) - 1, arguments)


RANDOM = {"highpass": random_highpass}
LINEAR = {"highpass": ("waveform",)}
