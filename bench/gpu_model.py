"""Time that a GPU would take for a value and gradient, from what the threads of every launch do, without a GPU.

Usage: python bench/gpu_model.py [CENTIMETRES] [--response electrostatic] [--ndlar SEGMENTS]    needs lartpc[cuda,test]

Runs `Simulation(device="cuda")` on the emulated device of tests/emulated, counts the instructions and bytes of each
thread of each launch, and turns them into times with the assumptions below: a model, nothing is measured.

A launch takes the longest of
  issue    instructions of all warps, each as long as its longest thread, over the schedulers of all multiprocessors
  memory   bytes of its arguments, or those that its threads read and write where these are fewer, over the bandwidth
  longest  the warp with most to do, alone on its scheduler: it waits for its own instructions and loads

`longest` has two ends: what a warp waits for is a guess. Where ptxas is found, registers and spills are its.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections import defaultdict
from pathlib import Path

import common
import ndlar
import numba
import numpy as np

from lartpc.detector.detector import Detector
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime.launch import Kernel
from lartpc.simulation.simulation import Simulation

sys.path[:0] = [str(common.ROOT), str(common.ROOT / "tests" / "common")]
from ptx_source import as_on_device, ptx  # noqa: E402

from tests.emulated import cupy  # noqa: E402
from tests.emulated.counting import by_name, count  # noqa: E402
from tests.emulated.device import Launcher  # noqa: E402
from tests.emulated.program import CC, is_array  # noqa: E402

DEVICES = {"H100": 3.35e12, "H200": 4.8e12}  # [bytes/s] from memory; all else is the same
CLOCK = 1.755e9  # [1/s]
SCHEDULERS = 132 * 4
WARP = 32
MACHINE = 1.8  # instructions of the machine for one of PTX
WAITED = ((4.0, 33.0), (6.0, 200.0))  # cycles of a lone warp for an instruction, and for a load on top: both ends
BETWEEN = 2e-6  # [s] of the device from launch to launch
# Of the host, [s]: a launch by numba-cuda, an operation of CuPy, a wait for the device.
HOST = {"launches": 100e-6, "operations": 10e-6, "waits": 15e-6}


class Counting:
    """Stands for the compiled launcher of a kernel: runs it, and keeps in `rows` what its threads did."""

    def __init__(self, kernel, rows, sources):
        self.kernel, self.rows, self.sources = kernel, rows, sources

    def __getitem__(self, grid):
        return lambda threads, *arguments: self.run(grid, int(threads), arguments)

    def run(self, grid, threads, arguments):
        blocks, block = grid
        host = [one.memory if isinstance(one, cupy.ndarray) else one for one in arguments]
        types = (numba.types.int64, *map(as_on_device, host))
        named = dict(zip(self.kernel.arguments, host, strict=True))
        done = count(self.kernel, types, threads, named)
        self.sources[self.kernel.name] = self.kernel, types
        warp = by_name(done.reshape(-1, WARP, done.shape[1]).max(axis=1).astype(float))
        size = float(sum(one.nbytes for one in host if is_array(one)))
        of = {name: int(total) for name, total in by_name(done.sum(axis=0)).items()}
        self.rows.append(
            {
                "kernel": self.kernel.name,
                "threads": threads,
                "blocks": blocks,
                **of,
                "bytes": min(size, of["loads_bytes"] + of["stores_bytes"]),
                "warp_instructions": float(warp["instructions"].sum()),
                "longest": [longest(warp, *cycles) for cycles in WAITED],
            }
        )


def longest(warp, cycles, load):
    """Seconds of the slowest warp, alone."""
    return float((warp["instructions"] * MACHINE * cycles + warp["loads"] * load).max()) / CLOCK


def emulated(run):
    """Launches on the emulated device, what the host does, its most bytes, and kernels with types by name.

    `run` gives a function: what is counted.
    """
    rows, sources = [], {}
    launcher, modules = Kernel.cuda_launcher, sys.modules.get("cupy")
    sys.modules["cupy"] = cupy
    Kernel.cuda_launcher = property(lambda one: Counting(one, rows, sources))
    try:
        counted_run = run()
        rows.clear()
        cupy.forget()
        counted_run()
        host = {"launches": len(rows), "operations": cupy.OPERATIONS.total(), "waits": cupy.WAITS.total()}
        Kernel.cuda_launcher = property(Launcher)
        tracemalloc.start()
        counted_run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    finally:
        Kernel.cuda_launcher = launcher
        sys.modules.pop("cupy")
        if modules:
            sys.modules["cupy"] = modules
    return rows, host, peak, sources


def value_and_gradient(segments, **keywords):
    """Of the segments, once the simulation is set up."""
    simulation = Simulation(**keywords, device="cuda")

    batch = simulation.cut(simulation.batch(segments))

    def run():
        trace = Trace(simulation, batch)
        used = simulation.xp.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]
        seeds = {name: used.astype(simulation.dtype) for name in ("time", "charge")}
        trace.backward(current=trace.waveforms.current, **seeds)

    return run


def registers(kernel, types):
    """Registers and bytes of spills by ptxas; {} without it."""
    tool = shutil.which("ptxas")
    if tool is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx(kernel, types, CC))
        command = [tool, "-v", f"-arch=sm_{CC[0]}{CC[1]}", str(source), "-o", str(source.with_suffix(".cubin"))]
        told = subprocess.run(command, capture_output=True, text=True).stderr
    found = re.search(r"Used (\d+) registers", told), re.search(r"(\d+) bytes spill stores", told)
    return {name: int(one[1]) for name, one in zip(("registers", "spills"), found, strict=True) if one}


def table(rows, sources):
    """Times by kernel [s], the longest first."""
    kernels = defaultdict(list)
    for row in rows:
        row["issue"] = row["warp_instructions"] * MACHINE / (SCHEDULERS * CLOCK)
        row["memory"] = {name: row["bytes"] / bandwidth for name, bandwidth in DEVICES.items()}
        limit = {name: max(row["issue"], seconds) for name, seconds in row["memory"].items()}
        row["limit"] = limit
        row["seconds"] = {name: [max(limit[name], end) for end in row["longest"]] for name in DEVICES}
        kernels[row["kernel"]].append(row)
    result = []
    for name, some in kernels.items():
        result.append(
            {
                "kernel": name,
                "launches": len(some),
                "threads": max(row["threads"] for row in some),
                "floats": sum(row["floats"] for row in some),
                "instructions": sum(row["instructions"] for row in some),
                "bytes": sum(row["bytes"] for row in some),
                "limit": {gpu: sum(row["limit"][gpu] for row in some) for gpu in DEVICES},
                "seconds": {gpu: np.sum([row["seconds"][gpu] for row in some], axis=0).tolist() for gpu in DEVICES},
                **registers(*sources[name]),
            }
        )
    return sorted(result, key=lambda row: -row["seconds"]["H100"][1])


def show(kernels, host, total):
    columns = {"launches": 9, "threads": 9, "instr.": 9, "bytes": 9, "limit us": 10, "us": 16}
    print(f"{'kernel':24}" + "".join(f"{name:>{width}}" for name, width in columns.items()), " registers, spills")
    for row in kernels:
        low, high = (1e6 * end for end in row["seconds"]["H100"])
        print(
            f"{row['kernel']:24}{row['launches']:9}{row['threads']:9}{row['instructions']:9.1e}{row['bytes']:9.1e}"
            f"{1e6 * row['limit']['H100']:10.1f}{low:8.0f}{high:8.0f}"
            f"  {row.get('registers', '')} {row.get('spills') or ''}"
        )
    for gpu, one in total.items():
        low, high = (1e3 * end for end in one["seconds"])
        print(
            f"{gpu}: {low:.2f} to {high:.2f} ms on the device; its throughput would allow {1e3 * one['limit']:.2f} ms"
        )
    print(f"host: {1e3 * total['H100']['host']:.1f} ms apart from that, {host}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("centimetres", nargs="?", type=float, default=100.0)
    parser.add_argument("--response", default="parametric")
    parser.add_argument("--ndlar", type=int, help="segments of muons in ndlar, the largest part of the event")
    arguments = parser.parse_args()
    detector = Detector.built_in("ndlar" if arguments.ndlar else "module0")
    if arguments.ndlar:
        segments = ndlar.spill(detector, arguments.ndlar)
        parts = Simulation(detector, response=arguments.response).batches(segments, whole=False)
        segments = segments.select(max((part.place for part in parts), key=len))
    else:
        segments = common.first_of(common.generated("muons", 40), arguments.centimetres)
    rows, host, peak, sources = emulated(
        lambda: value_and_gradient(segments, detector=detector, response=arguments.response)
    )
    kernels = table(rows, sources)
    total = {
        gpu: {
            "seconds": (np.sum([row["seconds"][gpu] for row in kernels], axis=0) + BETWEEN * len(rows)).tolist(),
            "limit": sum(row["limit"][gpu] for row in kernels),
            "host": sum(HOST[name] * amount for name, amount in host.items()),
        }
        for gpu in DEVICES
    }
    show(kernels, host, total)
    steps = max(row["threads"] for row in rows if row["kernel"] == "drift")
    print(f"memory: {peak / 1e6:.0f} MB at most, {peak / steps:.0f} bytes a step")
    content = {
        "machine": common.machine(),
        "detector": detector.name,
        "response": arguments.response,
        "segments": len(segments),
        "length_cm": float(common.lengths(segments).sum()),
        "assumptions": {"clock": CLOCK, "schedulers": SCHEDULERS, "machine": MACHINE, "waited": WAITED, "host": HOST},
        "host": host,
        "steps": steps,
        "peak_bytes": peak,
        "total": total,
        "kernels": kernels,
    }
    print(common.write(f"gpu_model-{arguments.response}-{len(segments)}", content))


if __name__ == "__main__":
    main()
