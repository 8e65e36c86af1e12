"""Time of the chain from segments to hits on the CPU, by total length of the segments, and its peak memory.

Usage: python bench/forward.py [SEGMENTS]     (without a file: the generated sample `mixed`)
"""

import argparse

import memory
from common import first_of, generated, lengths, machine, median_seconds, selected, write

from lartpc.formats.edepsim import read_segments
from lartpc.simulation.simulation import Simulation

LENGTHS = (100, 1000, 10000)  # [cm]
REPEATS = {100: 21, 1000: 7, 10000: 3}
EVENTS = 60  # generated; some 20,000 cm


def measure(segments, length):
    """One row of the table."""
    simulation = Simulation(noise=True)
    seconds = median_seconds(lambda: simulation(segments), REPEATS[length])
    total = float(lengths(segments).sum())
    return {
        "length_cm": total,
        "segments": len(segments),
        "hits": len(simulation(segments).hits),
        "time_ms": 1e3 * seconds,
        "ms_per_100_cm": 1e5 * seconds / total,
        "peak_memory_MB": memory.peak(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segments", nargs="?", help="file of energy deposits")
    path = parser.parse_args().segments
    sample = selected(read_segments(path) if path else generated("mixed", EVENTS))
    titles = ("length [cm]", "segments", "hits", "time [ms]", "ms per 100 cm", "peak memory [MB]")
    print("".join(f"{title:>18}" for title in titles))
    rows = []
    for length in LENGTHS:  # from short to long, as the peak memory only grows
        segments = first_of(sample, length)
        if segments is None:
            print(f"{length:>18} is more than the {lengths(sample).sum():.0f} cm of the sample")
            continue
        row = measure(segments, length)
        rows.append(row)
        values = (f"{value:.1f}" if isinstance(value, float) else value for value in row.values())
        print("".join(f"{value:>18}" for value in values), flush=True)
    source = path.rpartition("/")[2] if path else "generated mixed"
    print(write("forward", {"sample": source, "dtype": "float32", "machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
