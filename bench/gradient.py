"""Time and memory of a loss and its gradient by all parameters and segments, over those of the forward chain alone.

Usage: python bench/gradient.py [SEGMENTS]     (without a file: the generated sample `mixed`)
"""

import argparse
import tracemalloc

import numpy as np
from common import first_of, generated, lengths, machine, median_seconds, selected, write

from lartpc.formats.edepsim import read_segments
from lartpc.gradients.trace import Trace
from lartpc.simulation.simulation import Simulation

LENGTHS = (100, 1000)  # [cm]
REPEATS = {100: 21, 1000: 7}
EVENTS = 10  # generated; some 3000 cm


def peak_bytes(run):
    """Largest memory that arrays made by `run()` take at a time [byte]."""
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def measure(segments, length):
    """One row of the table. The loss: sums of the squared current and of all hit times and charges."""
    simulation = Simulation()
    batch, parameters = simulation.batch(segments), simulation.vector()

    def forward():
        waveforms = simulation.waveforms(batch, parameters)
        pixels = simulation.pixels(waveforms)
        return simulation.adc(simulation.reads(waveforms, batch, pixels), pixels, False)

    def gradient():
        trace = Trace(simulation, batch, parameters)
        used = np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]
        ones = used.astype(simulation.dtype)
        return trace.backward(current=2.0 * trace.waveforms.current, time=ones, charge=ones, adc=ones)

    seconds = [median_seconds(run, REPEATS[length], warm_up=2) for run in (forward, gradient)]
    peaks = [peak_bytes(run) for run in (forward, gradient)]
    return {
        "length_cm": float(lengths(segments).sum()),
        "segments": len(segments),
        "forward_ms": 1e3 * seconds[0],
        "gradient_ms": 1e3 * seconds[1],
        "time_ratio": seconds[1] / seconds[0],
        "forward_peak_MB": peaks[0] / 1e6,
        "gradient_peak_MB": peaks[1] / 1e6,
        "memory_ratio": peaks[1] / peaks[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segments", nargs="?", help="file of energy deposits")
    path = parser.parse_args().segments
    sample = selected(read_segments(path) if path else generated("mixed", EVENTS))
    rows = [measure(first_of(sample, length), length) for length in LENGTHS]
    print("".join(f"{title:>18}" for title in rows[0]))
    for row in rows:
        values = (f"{value:.2f}" if isinstance(value, float) else value for value in row.values())
        print("".join(f"{value:>18}" for value in values))
    source = path.rpartition("/")[2] if path else "generated mixed"
    print(write("gradient", {"sample": source, "dtype": "float32", "machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
