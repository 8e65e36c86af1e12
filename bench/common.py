"""What the benchmarks share: the segments they run on, the description of the machine, the file of results."""

import json
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import numba
import numpy as np

from lartpc.data.selection import Cuts, lengths, tracks
from lartpc.data.selection import selected as passing
from lartpc.detector.detector import Detector
from lartpc.files.hdf5 import new_hdf5
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.parameters import Parameters

ROOT = Path(__file__).resolve().parent.parent
PARTICLES = (13, 211, 2212)  # muons, charged pions, protons, and their antiparticles
SHORTEST_TRACK = 2.0  # [cm]
SHORTEST_SEGMENT = 0.01  # [cm]
# Of the targets of pulls, losses and starts: away from nominal.
TRUTH = Parameters(Ab=0.82, kb=0.055, eField=0.49, lifetime=1500.0, long_diff=5e-6, tran_diff=9.5e-6)


def generated(sample, events):
    """Segments of a sample of `lartpc generate`."""
    return from_table(generate(sample, Detector.module0(), events, 0), "generated")


def write_generated(path, sample, events):
    """The same as a file."""
    with new_hdf5(path) as file:
        file.create_dataset("segments", data=generate(sample, Detector.module0(), events, 0))


def selected(segments):
    """Segments above 0.01 cm of tracks of muons, pions and protons above 2 cm."""
    length = lengths(segments)
    track = tracks(segments)
    long_track = np.bincount(track, length)[track] > SHORTEST_TRACK
    return segments.select(np.isin(np.abs(segments.pdg_id), PARTICLES) & long_track & (length > SHORTEST_SEGMENT))


def mixed(length):
    """`length` [cm] of the generated sample `mixed` with the paper's cuts."""
    segments = generated("mixed", 40)
    return first_of(segments.select(passing(segments, Cuts())), length)


def first_of(segments, length):
    """The first segments with `length` [cm] in all; None where there is less."""
    ends = np.cumsum(lengths(segments))
    n = int(np.searchsorted(ends, length)) + 1
    return segments.select(np.arange(n)) if n <= len(ends) else None


def median_seconds(run, repeats, warm_up=1):
    """Median wall time [s] of `run()`, which returns when its work is done."""
    for _ in range(warm_up):
        run()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def processor():
    """The processor's name, where the system tells it."""
    try:
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def machine():
    """Processor, threads and versions."""
    return {
        "processor": processor(),
        "threads": numba.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numba", "numpy")},
    }


def commit(folder=ROOT):
    """The commit of the sources in a folder, with `-dirty` where they were changed since; None outside a repository."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None


def write(name, content):
    """Write the results as bench/results/NAME-TIME.json, with commit and date; returns the path."""
    now = time.gmtime()
    path = ROOT / "bench" / "results" / f"{name}-{time.strftime('%Y%m%d-%H%M%S', now)}.json"
    path.parent.mkdir(exist_ok=True)
    content = {"commit": commit(), "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", now), **content}
    path.write_text(as_lines(content) + "\n")
    return path


def as_lines(value, indent="", width=500):
    """`value` as JSON: what fits into a line of `width` stands in one."""
    line = json.dumps(value)
    if len(indent) + len(line) <= width or not isinstance(value, dict | list):
        return line
    inner, pairs = indent + "  ", isinstance(value, dict)
    entries = [
        (json.dumps(k) + ": " if pairs else "") + as_lines(v, inner, width)
        for k, v in (value.items() if pairs else enumerate(value))
    ]
    opening, closing = "{}" if pairs else "[]"
    return opening + ",".join(f"\n{inner}{entry}" for entry in entries) + f"\n{indent}{closing}"
