"""Compile what most tests run, into the cache of kernels: `python warm_up.py float32`, or float64.

Without it, workers that start with an empty cache would all compile the same at the same time.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from helpers import small_table
from samples import protons

import lartpc
from lartpc.fit.calibrate import calibrate
from lartpc.fit.optimizers import LBFGSB, GaussNewton
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime.cache import cache_directory, kept
from lartpc.losses.hit_losses import LOSSES
from lartpc.simulation.simulation import Simulation

BRIEF = dict.fromkeys(("likelihood", "residuals"), GaussNewton(1))
PRECISIONS = ("float32", "float64")


def warm_up(precision):
    """The chain forwards and backwards with both responses, and every loss once."""
    segments = protons(1).select(slice(0, 20))
    for response in ("parametric", "electrostatic", small_table()):
        simulation = Simulation(response=response, noise=True, dtype=np.dtype(precision))
        trace = Trace(simulation, simulation.batch(segments))
        reads = trace.reads
        seeds = {"current": trace.waveforms.current, "time": reads.time, "charge": reads.charge, "adc": trace.adc}
        trace.backward(**{name: np.zeros_like(array) for name, array in seeds.items()})
        hits = simulation(segments, attribution=True).hits
        for loss in ("likelihood", "residuals", *(LOSSES if response == "parametric" else ())):
            calibrate(simulation, segments, hits, ("eField",), loss=loss, optimizer=BRIEF.get(loss, LBFGSB(1)))


def warm_up_if_cold():
    """One process a precision, where the cache is empty."""
    if cache_directory() and not kept("cpu"):
        path = os.pathsep.join((str(Path(lartpc.__file__).parent.parent), str(Path(__file__).parent)))
        environment = {**os.environ, "PYTHONPATH": path}
        programs = [subprocess.Popen([sys.executable, __file__, name], env=environment) for name in PRECISIONS]
        assert [program.wait() for program in programs] == [0] * len(PRECISIONS)


if __name__ == "__main__":
    warm_up(sys.argv[1])
