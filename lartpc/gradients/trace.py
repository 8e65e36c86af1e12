"""Gradients of a simulation: of any scalar of waveforms, hit charges, hit times and ADC values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
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
        self.adc = simulation.adc(self.reads, self.pixels, False, self.tape.launch)

    def backward(self, *, current: Any = None, time: Any = None, charge: Any = None, adc: Any = None) -> Gradient:
        """The gradient of a loss from its derivatives by waveforms.current, reads.time, reads.charge and adc.

        Each has the shape of its array, or is None where the loss does not depend on it; derivatives by reads that
        are not used must be 0. May be called again, with another loss.
        """
        outputs = (self.waveforms.current, self.reads.time, self.reads.charge, self.adc)
        grads = (current, time, charge, adc)
        self.tape.backward([(o, g) for o, g in zip(outputs, grads, strict=True) if g is not None])
        grad = self.tape.gradient
        values = to_numpy(grad(self.parameters)).tolist()
        return Gradient(
            parameters=dict(zip(self.names, values, strict=True)),
            start=to_numpy(grad(self.batch.start)),
            end=to_numpy(grad(self.batch.end)),
            dE=to_numpy(grad(self.batch.dE)),
            dEdx=to_numpy(grad(self.batch.dEdx)),
            t0=to_numpy(grad(self.batch.time)),
            pixels=Pixels(*(to_numpy(grad(array)) for array in self.pixels)),
        )
