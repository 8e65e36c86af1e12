"""The scalar whose value and gradient are compared and timed: a fixed smooth weighting of waveforms, and their squares.

L = sum over samples of w I + (I/SCALE)^2/2,  w = (1 + cos(0.05 tick + 0.9 column + 1.7 row)/2)/SCALE
"""

import numpy as np

from lartpc.autodiff.launch import plain
from lartpc.charge.recombination import RECOMBINATION
from lartpc.charge.steps import make_steps, of_modules

SCALE = 1e4  # [e/us]


def windowed_pairs(simulation, batch):
    """Steps, pairs and windows of the project's kernels."""
    tables, detector = simulation.tables, simulation.detector
    of_detector = (tables, detector, simulation.settings)
    steps = make_steps(
        batch, of_modules(simulation.vector(), tables), RECOMBINATION[simulation.recombination], *of_detector
    )
    readout = simulation.readout
    pairs, windows = readout.pairs(steps, readout.shares(steps, batch, plain), batch, 0)
    return steps, pairs, windows


def loss_weights(windows, detector, dtype):
    """Weights w, one a sample of `windows` (NumPy arrays)."""
    window = np.repeat(np.arange(len(windows.tick)), np.diff(windows.first))
    pixel = np.repeat(np.arange(len(windows.pixel)), np.diff(windows.of_pixel))[window]
    _, column, row, _, _ = detector.locate(windows.pixel)
    tick = windows.tick[window] + np.arange(len(window)) - windows.first[window]
    phase = 0.05 * tick + (0.9 * column + 1.7 * row)[pixel]
    return ((1.0 + 0.5 * np.cos(phase)) / SCALE).astype(dtype)
