"""ND-LAr: time and memory of one event with many segments, forward and gradient, with and without neighbours.

Usage: python bench/ndlar.py [SEGMENTS]     (default 100000; muons through 35 modules, 70 TPCs, 14.3 million pixels)

With the parametric response, and with the table of the electrostatic one.

The gradient: of half the sum of the squared current, and of the sums of all hit times and charges, by all parameters
and segments. The event is simulated in parts, as `Simulation` does it.
Memory is the largest of the whole process, loaded kernels and all.
"""

import argparse
import functools
import time

import common
import memory
import numpy as np

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.gradients.trace import Trace
from lartpc.simulation.simulation import Simulation

LIMIT = 2000.0  # MB
SEGMENTS = 100_000


def spill(detector, n):
    """n segments of muons as one event."""
    per_event = len(generate("muons", detector, 1, 0))
    segments = from_table(generate("muons", detector, 2 + 2 * n // per_event, 0), "generated")
    segments = segments.select(np.arange(len(segments)) < n)
    segments.event_id = np.zeros_like(segments.event_id)
    return segments


def gradient(simulation, segments):
    """Of each part; returns what is summed over them, the derivatives by the parameters."""
    parameters = np.zeros(len(simulation.parameters.names))
    for batch in simulation.batches(segments, whole=False):
        trace = Trace(simulation, batch)
        used = np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]
        ones = used.astype(simulation.dtype)
        found = trace.backward(current=trace.waveforms.current, time=ones, charge=ones)
        parameters += list(found.parameters.values())
        del trace, found  # before the next part needs as much
    return parameters


def measure(response, run, segments, simulate):
    """Seconds and largest memory of simulate(segments), which has been compiled before, as a row of the table."""
    memory.begin()
    started = time.perf_counter()
    simulate(segments)
    seconds = time.perf_counter() - started
    milliseconds = 1e6 * seconds / len(segments)
    row = {"response": response, "run": run, "segments": len(segments), "seconds": seconds}
    row |= {"ms_per_1000_segments": milliseconds, "peak_MB": memory.peak()}
    print(
        f"{response}, {run}: {seconds:.1f} s, {milliseconds:.0f} ms per 1000 segments, {row['peak_MB']:.0f} MB",
        flush=True,
    )
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segments", nargs="?", type=int, default=SEGMENTS)
    detector = Detector.built_in("ndlar")
    segments = spill(detector, parser.parse_args().segments)
    rows = []
    for response in ("parametric", "electrostatic"):
        simulation = Simulation(detector, noise=True, response=response)
        runs = {"forward": simulation, "gradient": functools.partial(gradient, simulation)}
        for run in runs.values():
            run(segments.select(np.arange(100)))
        rows += [measure(response, name, segments, run) for name, run in runs.items()]
    print(f"less than {LIMIT:.0f} MB: {all(row['peak_MB'] < LIMIT for row in rows)}")
    content = {"detector": "ndlar", "dtype": "float32", "machine": common.machine(), "rows": rows}
    print(common.write("ndlar", content))


if __name__ == "__main__":
    main()
