"""Speed and memory: this project against dense automatic differentiation of the same physics, in one run.

python -m bench [SEGMENTS] [--lengths CM ...] [--limit SECONDS]     (without a file: the generated sample `mixed`)

First compares waveforms and gradients, then measures each program and length in a process of its own, up to the length
where one is out of memory or time; prints a table and writes bench/results/speed-*.json. Needs the extra `bench`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import common  # noqa: E402
import table  # noqa: E402

from lartpc.kernels.runtime.launch import cuda_available  # noqa: E402

LENGTHS = (10.0, 100.0, 1000.0, 10000.0)
KILLED = 6.0  # a process is stopped after so many limits


def run(script, *arguments, limit, threads):
    """A script in a process of its own: what it printed on the last line, as JSON, and before that."""
    paths = [str(common.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    if done.returncode:
        killed = "out of memory" if done.returncode == -9 else None
        raise RuntimeError(killed or (done.stderr.strip().splitlines() or ["failed"])[-1])
    *text, last = done.stdout.splitlines()
    return json.loads(last), "\n".join(text)


def measure(program, length, path, limit, threads, device="cpu"):
    """What worker.py found, or why there is nothing."""
    row = {"program": program, "length": length, "threads": threads, "device": device}
    options = ("--limit", limit, "--device", device)
    try:
        found, _ = run("worker.py", program, length, path, *options, limit=KILLED * limit, threads=threads)
    except subprocess.TimeoutExpired:
        return row | {"failed": f"took more than {KILLED * limit:g} s"}
    except RuntimeError as failure:
        return row | {"failed": str(failure)}
    return row | found


def plan(lengths, cores, cuda):
    """(program, length, threads, device), one a process."""
    for length in lengths:
        yield "ours", length, cores, "cpu"
        yield "ours", length, 1, "cpu"
        if cuda:
            yield "ours", length, cores, "cuda"
        yield "stages", length, cores, "cpu"
        if cores > 1:
            yield "threads", length, cores, "cpu"
        yield "fit", length, cores, "cpu"
        yield "analytic", length, cores, "cpu"
        yield "paper", length, cores, "cpu"
        yield "arithmetic", length, cores, "cpu"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segments", nargs="?", help="file of energy deposits")
    parser.add_argument("--lengths", nargs="+", type=float, default=LENGTHS, metavar="CM")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one measurement (default 120)")
    arguments = parser.parse_args()
    machine = common.machine()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.segments
        if path is None:
            path = Path(folder) / "mixed.h5"
            common.write_generated(path, "mixed", max(2, round(max(arguments.lengths) / 150.0)))
        agreement, text = run("dense_check.py", path, limit=None, threads=machine["threads"])
        print(text, flush=True)
        rows, stopped = [], set()
        for program, length, threads, device in plan(sorted(arguments.lengths), machine["threads"], cuda_available()):
            if (program, threads, device) in stopped:  # it failed at a shorter length
                continue
            rows.append(measure(program, length, path, arguments.limit, threads, device))
            if "failed" in rows[-1]:
                stopped.add((program, threads, device))
            print(table.line(rows[-1]), flush=True)
    source = Path(arguments.segments).name if arguments.segments else "generated mixed"
    content = {"sample": source, "dtype": "float32", "machine": machine, "agreement": agreement, "rows": rows}
    print("\n" + table.markdown(content))
    print(common.write("speed", content))


if __name__ == "__main__":
    main()
