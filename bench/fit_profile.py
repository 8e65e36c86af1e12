"""Where the time of whole calibrations goes: from files to files through the command line, for some minutes.

Usage: python bench/fit_profile.py [--minutes N] [--length CM] [--loss LOSS] [--sample NAME]

Draws hits of a generated sample with noise, then runs `lartpc calibrate` on the files, again until the minutes are
over, under Python's profiler. What NumPy, h5py and other packages take counts for the function of this project that
called them. Prints the share of each source file, those of a stage together, and writes bench/results/profile-*.json.
The profiler makes every call of a Python function longer: so a last calibration runs without it, of which the time
outside kernels is given; what reading, batching and writing do not take of that is Python.
"""

import argparse
import cProfile
import os
import pstats
import tempfile
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import common
from kernel_times import KernelTimes

from lartpc.cli.main import main as lartpc
from lartpc.formats.edepsim import read_segments

READING = ("data/segments.py", "data/hits.py", "formats/", "files/hdf5.py", "files/yamlfile.py", "detector/layout.py")
BATCHING = ("data/selection.py", "losses/target.py", "response/windows.py")
WRITING = ("fit/store.py", "files/atomic.py", "plots/")
STAGES = {  # files, and folders with all that is in them, below the root of the repository
    "kernels": ("kernels/", "adjoint/"),
    "reading": tuple(f"lartpc/{name}" for name in READING),
    "batching": tuple(f"lartpc/{name}" for name in BATCHING),
    "writing": tuple(f"lartpc/{name}" for name in WRITING),
}
CALLED_BACK = ("cli/main.py", "bench/fit_profile.py")  # what other packages take there is the command itself


def command(*arguments):
    """Run `lartpc`; a fit that has not converged is no reason to stop."""
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            lartpc([str(argument) for argument in arguments], standalone_mode=False)
    except SystemExit as ended:
        if ended.code not in (0, 1, None):
            raise


def source(function):
    """The file of a function below the root of the repository; None for other packages."""
    path = Path(function[0])
    if not path.is_absolute() or not path.resolve().is_relative_to(common.ROOT):
        return None
    return str(path.resolve().relative_to(common.ROOT))


def by_file(profile):
    """Seconds of each source file: its own, and those of other packages where it calls them."""
    seconds = Counter()
    for function, (_, _, own, _, callers) in pstats.Stats(profile).stats.items():
        if source(function) is not None:
            seconds[source(function)] += own
            continue
        for caller, (_, _, _, spent) in callers.items():
            if source(caller) not in (None, *CALLED_BACK):
                seconds[source(caller)] += spent
    return seconds


def check_stages():
    """Stop where a stage names what does not exist: its share would be 0 without a word."""
    for stage, files in STAGES.items():
        for name in files:
            if not (common.ROOT / name).exists():
                raise SystemExit(f"stage {stage}: there is no {name}")


def by_stage(seconds):
    """The files of a stage together; other files are Python, one by one."""
    stages = Counter()
    for file, spent in seconds.items():
        stage = next((stage for stage, files in STAGES.items() if file.startswith(files)), f"Python: {file}")
        stages[stage] += spent
    return stages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--length", type=float, default=15000.0, help="of the generated tracks [cm] (default 15000)")
    parser.add_argument("--loss", default="likelihood")
    parser.add_argument("--sample", default="mixed")
    arguments = parser.parse_args()
    check_stages()
    with tempfile.TemporaryDirectory() as folder:
        segments, hits = Path(folder) / "segments.h5", Path(folder) / "hits.h5"
        common.write_generated(segments, arguments.sample, max(1, round(arguments.length / 330.0)))
        command("simulate", segments, "-o", hits, "--seed", 1, "--set", "lifetime=1800", "--set", "Ab=0.82")
        fit = ("calibrate", segments, hits, "--loss", arguments.loss, "-o")
        command(*fit, Path(folder) / "compiled", "--iterations", 1)
        profile, started, runs = cProfile.Profile(), time.perf_counter(), 0
        while time.perf_counter() - started < 60.0 * arguments.minutes:
            profile.runcall(command, *fit, Path(folder) / f"fit{runs}")
            runs += 1
        whole = time.perf_counter() - started
        with KernelTimes() as plain:
            command(*fit, Path(folder) / "plain")
        length = float(common.lengths(read_segments(segments)).sum())
    seconds = by_file(profile)
    stages = by_stage(seconds)
    total = sum(stages.values())
    print(f"{runs} calibrations of {length:.0f} cm in {whole:.0f} s, {total:.0f} s of these accounted for")
    for stage, spent in stages.most_common():
        print(f"{100.0 * spent / total:6.1f} %  {spent:8.2f} s  {stage}")
    stage_seconds = sum(stages[stage] for stage in STAGES if stage != "kernels") / runs
    python = plain.outside - stage_seconds
    print(f"without the profiler {plain.whole:.1f} s, of which Python {100.0 * python / plain.whole:.1f} %")
    content = {"machine": common.machine(), "loss": arguments.loss, "length_cm": length, "runs": runs}
    content |= {"plain": {"seconds": plain.whole, "outside_kernels_s": plain.outside, "python_s": python}}
    content |= {"seconds": whole, "share": {stage: spent / total for stage, spent in stages.most_common()}}
    print(common.write("profile", content))


if __name__ == "__main__":
    main()
