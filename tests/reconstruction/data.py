"""Hits of a generated event, and the parameters that they were simulated with."""

import functools

from lartpc import Detector, Simulation, generate
from lartpc.formats.edepsim import from_table

TRUTH = {
    "Ab": 0.83,
    "kb": 0.052,
    "eField": 0.495,
    "lifetime": 1500.0,
    "long_diff": 5.5e-6,
    "tran_diff": 7.5e-6,
}


@functools.cache
def truth():
    """Parameters far from the nominal ones."""
    return Detector.module0().parameters.replace(**TRUTH)


@functools.cache
def event(sample, events=1, seed=1):
    """Segments and noisy hits of generated events at `truth`."""
    detector = Detector.module0()
    segments = from_table(generate(sample, detector, events, seed), sample)
    return segments, Simulation(detector, truth(), noise=True, seed=seed)(segments).hits
