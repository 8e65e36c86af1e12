"""Gradients of a simulation: of any scalar of waveforms, hit charges, hit times and ADC values."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import all_to_numpy
from lartpc.autodiff.tape import Tape
from lartpc.frontend.frontend import Pixels
from lartpc.simulation.batches import Batch
from lartpc.simulation.simulation import Simulation


class Gradient(NamedTuple):
    """d(loss) by the inputs of a batch; segments in the order of `batches.Batch`: by event, then as in the file."""

    parameters: dict[str, float]
    start: np.ndarray  # (n, 3) by x, y, z [1/cm], simulation frame
    end: np.ndarray  # (n, 3) [1/cm]
    dE: np.ndarray  # (n,) [1/MeV]
    dEdx: np.ndarray  # (n,) [cm/MeV]
    t0: np.ndarray  # (n,) [1/us]
    pixels: Pixels  # by threshold [1/e], gain [e/mV], offset [1/mV] of the pixels in `waveforms.windows`


class Trace:
    """One batch simulated with a tape: results to make a loss of, and `backward` for its gradient.

    waveforms: `chain.Waveforms`; reads: `frontend.Reads` (n_pixels, max_hits), the first reads.count of a pixel are
    used and those with reads.valid are hits, reads.time [us] counts from the first tick of the read's window; adc
    (n_pixels, max_hits), not rounded.

    Where a hit appears or vanishes, the order of a pixel's hits changes or a read is vetoed, results jump, and the
    gradient is that of the branch taken. Rounding is left out of the chain, a clipped ADC value has gradient 0, and
    noise is a constant.
    """

    def __init__(self, simulation: Simulation, batch: Batch, parameters: Any = None) -> None:
        self.batch = batch
        self.names = simulation.parameters.names
        self.tape = Tape()
        self.parameters = simulation.vector() if parameters is None else parameters
        self.waveforms = simulation.waveforms(batch, self.parameters, self.tape.launch)
        self.pixels = simulation.pixels(self.waveforms, self.tape.launch)
        self.reads = simulation.reads(self.waveforms, batch, self.pixels, self.tape.launch)
        self.simulation = simulation

    @functools.cached_property
    def adc(self) -> Any:
        """ADC values of the reads, digitized when somebody asks for them."""
        return self.simulation.adc(self.reads, self.pixels, False, self.tape.launch)

    def backward(self, *, current: Any = None, time: Any = None, charge: Any = None, adc: Any = None) -> Gradient:
        """The gradient of a loss from its derivatives by waveforms.current, reads.time, reads.charge and adc.

        Each has the shape of its array, or is None where the loss does not depend on it; derivatives by reads that
        are not used must be 0. May be called again, with another loss.
        """
        seeds = [(self.waveforms.current, current), (self.reads.time, time), (self.reads.charge, charge)]
        seeds += [(self.adc, adc)] if adc is not None else []
        self.tape.backward([(output, grad) for output, grad in seeds if grad is not None])
        batch = self.batch
        inputs = (self.parameters, batch.start, batch.end, batch.dE, batch.dEdx, batch.time, *self.pixels)
        values, start, end, dE, dEdx, t0, *pixels = all_to_numpy([self.tape.gradient(array) for array in inputs])
        parameters = dict(zip(self.names, values.tolist(), strict=True))
        return Gradient(parameters, start, end, dE, dEdx, t0, Pixels(*pixels))
