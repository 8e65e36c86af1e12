"""Traces of smooth simulations in float64, losses of them, and their gradients and central differences."""

import numpy as np

from lartpc.gradients.gradcheck import SMOOTH
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime import slots
from lartpc.simulation.simulation import Simulation

LOSSES = ("squares", "charges", "times", "adc")


def smooth(detector=None, parameters=None, **keywords):
    return Simulation(detector, parameters, dtype=np.float64, settings=SMOOTH, **keywords)


def used(trace):
    """Which of the reads are used, (n_pixels, max_hits)."""
    return np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]


def losses(simulation, trace):
    """Sums over all samples of the squared current and over all reads of charge, time and squared ADC value."""
    reads, tick = trace.reads, simulation.detector.tick
    time = trace.waveforms.windows.tick[reads.window] * tick + reads.time
    squares = np.sum(trace.waveforms.current**2)
    values = (squares, *(np.sum(x[used(trace)]) for x in (reads.charge, time, trace.adc**2)))
    return dict(zip(LOSSES, values, strict=True))


def gradient(trace, loss):
    """The gradient of one of `losses`."""
    ones = used(trace).astype(trace.reads.time.dtype)
    seeds = {
        "squares": {"current": 2.0 * trace.waveforms.current},
        "charges": {"charge": ones},
        "times": {"time": ones},
        "adc": {"adc": 2.0 * trace.adc * ones},
    }
    return trace.backward(**seeds[loss])


def difference(simulation, at, step):
    """Central difference of each loss between the traces at(step) and at(-step), which have the same reads."""
    ends = [at(step), at(-step)]
    np.testing.assert_array_equal(ends[0].reads.count, ends[1].reads.count)
    high, low = (losses(simulation, trace) for trace in ends)
    return {loss: (high[loss] - low[loss]) / (2.0 * step) for loss in LOSSES}


def moved(simulation, batch, name):
    """h -> trace with the parameter `name` times 1 + h."""

    def at(h):
        vector = simulation.vector()
        vector[slots.PARAMETERS.index(name)] *= 1.0 + h
        return Trace(simulation, batch, vector)

    return at
