"""Random launches of the kernels of wires."""

from functools import partial

import numpy as np
from launches import Case, recorder
from wire_channels import TICK, random_windows
from wire_samples import segments_of, small_simulation


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


def of_readout(name, rng):
    """A launch of the readout of a small detector, of segments anywhere in it."""
    simulation = small_simulation(dtype=np.float64, order=ORDER_OF.get(name, "pairs"))
    start = np.stack((rng.uniform(3.0, 27.0, 4), rng.uniform(-12.0, 12.0, 4), rng.uniform(-19.0, 19.0, 4)), axis=1)
    segments = segments_of(start, start + rng.normal(0.0, 0.3, (4, 3)), dEdx=rng.uniform(1.5, 9.0, 4))
    cases = {}
    simulation.waveforms(simulation.batch(segments), simulation.vector(), recorder(cases))
    return cases[name]


ORDER_OF = {"lay_cells": "cells", "couple_cells": "cells"}
OF_READOUT = ("share_wires", "couple_wires", "lay_cells", "couple_cells")
RANDOM = {"highpass": random_highpass, **{name: partial(of_readout, name) for name in OF_READOUT}}
LINEAR = {
    "highpass": ("waveform",),
    "share_wires": ("charge",),
    "couple_wires": ("share_r",),
    "lay_cells": ("share_r", "share_t"),
    "couple_cells": ("charge",),
}
# Arrivals of up to 120 us and places of up to a cell of 0.5 cm are moved by far less than the spreads.
STEP = {"share_wires arrival": 1e-7}
LARGEST = {"share_wires arrival": 1e-5, "share_wires x": 1e-4, "share_wires y": 1e-4}
