"""Memory and time of `lartpc simulate` against the size of the file.

Usage: python bench/streaming.py [--segments N] [--times M] [--detector FILE --layout FILE]

Writes a file of the generated sample `mixed`, its events repeated with new ids until there are N segments, and one that
is M times as large; simulates each with noise and waveforms, and packets where the files of a detector are given, in a
process of its own. Prints a table and writes bench/results/streaming-*.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

from lartpc.detector.detector import Detector
from lartpc.files.hdf5 import append, new_hdf5
from lartpc.generator.generate import generate

EVENTS = 40  # that differ
SCRIPT = """
import json, memory
from lartpc.cli.main import main
try:
    main(prog_name="lartpc")
finally:
    print(json.dumps({"peak_MB": memory.peak()}))
"""


def write_file(path, sample, number):
    """Whole copies of the sample with at least `number` segments in all; returns how many."""
    sample = sample.copy()
    events = sample["event_id"].max() + 1
    with new_hdf5(path) as file:
        table = file.growing("segments", sample.dtype)
        while len(table) < number:
            append(table, sample)
            sample["event_id"] += events
        return len(table)


def simulate(folder, path, options):
    """Seconds, largest memory [MB] and size of the output [MB] of the command."""
    outputs = {"-o": folder / "hits.h5"} | ({"--packets": folder / "packets.h5"} if options else {})
    words = [str(word) for pair in outputs.items() for word in pair]
    paths = [str(common.ROOT), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "simulate", str(path), *words, "--waveforms", "--overwrite", *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    written = sum(name.stat().st_size for name in outputs.values()) / 1e6
    return {"seconds": seconds, "output_MB": written, **json.loads(done.stdout.splitlines()[-1])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=500_000)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--detector", help="larnd-sim's detector YAML")
    parser.add_argument("--layout", help="larnd-sim's pixel-layout YAML")
    arguments = parser.parse_args()
    given = {"--detector": arguments.detector, "--layout": arguments.layout}
    options = [word for name, value in given.items() if value for word in (name, value)]
    sample = generate("mixed", Detector.module0(), EVENTS, 0)
    rows = []
    print(f"{'segments':>10}{'input [MB]':>12}{'output [MB]':>13}{'time [s]':>10}{'peak memory [MB]':>18}")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for number in (1, arguments.segments, arguments.times * arguments.segments):
            n = write_file(folder / "segments.h5", sample, number)
            size = (folder / "segments.h5").stat().st_size / 1e6
            row = {"segments": n, "input_MB": size, **simulate(folder, folder / "segments.h5", options)}
            rows.append(row)
            print(
                f"{n:>10}{size:>12.1f}{row['output_MB']:>13.1f}{row['seconds']:>10.1f}{row['peak_MB']:>18.1f}",
                flush=True,
            )
            (folder / "segments.h5").unlink()
    content = {"sample": "generated mixed", "packets": bool(options), "machine": common.machine(), "rows": rows}
    print(common.write("streaming", content))


if __name__ == "__main__":
    main()
