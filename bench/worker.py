"""One measurement in a process of its own: prints its result as JSON on the last line. Called by `python -m bench`.

python bench/worker.py PROGRAM LENGTH SEGMENTS [--device DEVICE] [--limit SECONDS]

ours: forward, value and gradient; fit: a fit's step; stages: seconds by kernel; analytic, paper: the dense baselines;
threads: all threads over one; arithmetic: operations that the result needs, and those that the processor does a second.
"""

import argparse
import importlib
import json
import os
import time

import memory
import numba
import numpy as np
from common import first_of, lengths, selected

from lartpc.formats.edepsim import read_segments
from lartpc.simulation.simulation import Simulation

REPEATS = 15
ROUNDS = 40  # of measurements by turns
XLA = "--xla_cpu_enable_fast_math=true --xla_cpu_prefer_vector_width=512"  # what made the baselines fastest


def timed(run, limit):
    """Seconds of the first call, median and least of further ones, and their number: as many as take half the limit.

    Where the first took all of it there are no others, and it stands for them.
    """
    first, seconds = clock(run), []
    while first < limit and (not seconds or (len(seconds) < REPEATS and sum(seconds) < 0.5 * limit)):
        seconds.append(clock(run))
    times = seconds or [first]
    return {"first_s": first, "median_s": float(np.median(times)), "least_s": min(times), "runs": len(seconds)}


def clock(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def ours(simulation, segments, limit):
    from ours import Ours

    few = segments.select(np.arange(3))
    Ours(simulation, [simulation.batch(few)]).value_and_gradient()  # loads the kernels
    before = memory.begin()
    program = Ours(simulation, simulation.batches(segments))
    forward = timed(program.forward, limit)
    gradient = timed(program.value_and_gradient, limit)
    result = {"forward": forward, "gradient": gradient, "memory_MB": memory.peak() - before}
    return result | {"hits": timed(lambda: simulation(segments), limit)}


def fit(simulation, segments, limit):
    from ours import fit_steps

    steps = fit_steps(simulation, segments, simulation.batches(segments))
    return {name: timed(step, limit) for name, step in steps.items()}


def stages(simulation, segments, limit):
    from kernel_times import KernelTimes
    from ours import Ours

    program = Ours(simulation, simulation.batches(segments))
    result = {}
    for name, run in (("forward", program.forward), ("gradient", program.value_and_gradient)):
        run()
        runs = []
        while len(runs) < REPEATS and sum(times.whole for times in runs) < 0.5 * limit:
            with KernelTimes(program.wait) as times:
                run()
            runs.append(times)
        kernels = {kernel: float(np.median([t.seconds[kernel] for t in runs])) for kernel in runs[0].seconds}
        result[name] = {"kernels_s": kernels, "outside_s": float(np.median([t.outside for t in runs]))}
    return result


def threads(simulation, segments, limit):
    """How many times as fast all threads are as one, at value and gradient and at bare arithmetic.

    By turns, so that all four see the same machine: on a shared one two threads may have but one core for a while.
    Medians of the turns, and the best times of both numbers of threads over each other.
    """
    from ours import Ours
    from peak import measure

    program, available = Ours(simulation, simulation.batches(segments)), numba.get_num_threads()
    turns, started = [], time.perf_counter()
    program.value_and_gradient()
    while not turns or (len(turns) < ROUNDS and time.perf_counter() - started < limit):
        seconds, speed = [], []
        for count in (1, available):
            numba.set_num_threads(count)
            seconds.append(clock(program.value_and_gradient))
            speed.append(measure(repeats=1))
        turns.append((*seconds, 1.0 / speed[0], 1.0 / speed[1]))
    one, every, one_bare, every_bare = np.array(turns).T
    return {
        "gradient_ratio": float(np.median(one / every)),
        "best_gradient_ratio": float(one.min() / every.min()),
        "arithmetic_ratio": float(np.median(one_bare / every_bare)),
        "best_arithmetic_ratio": float(one_bare.min() / every_bare.min()),
        "runs": len(turns),
    }


def dense(name, simulation, segments, limit):
    import jax

    baseline = importlib.import_module(f"dense_{name}")
    from dense_physics import NOMINAL, vector

    jax.block_until_ready(jax.jit(lambda x: x + 1)(np.zeros(8)))
    batches = simulation.batches(segments)
    before = memory.begin()
    program = baseline.program(simulation, batches)
    parameters = vector(NOMINAL, simulation.dtype)
    result = {}
    for kind, run in (("forward", program.value), ("gradient", program.value_and_gradient)):
        compile_s, result["memory_MB"] = program.compile(kind, parameters)
        memory.begin()
        result[kind] = timed(lambda run=run: run(parameters), limit) | {"compile_s": compile_s}
    # Of the process, more is held than by arrays alone: by the compiler.
    return result | {"resident_MB": memory.peak() - before, "tensor_MB": program.tensor_MB}


def arithmetic(simulation, segments, limit):
    from operations import operations
    from peak import measure

    counts = [operations(simulation, batch) for batch in simulation.batches(segments)]
    return {"operations": {k: sum(c[k] for c in counts) for k in counts[0]}, "peak_per_s": measure()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=("ours", "fit", "stages", "threads", "analytic", "paper", "arithmetic"))
    parser.add_argument("length", type=float)
    parser.add_argument("segments")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=float, default=120.0)
    arguments = parser.parse_args()
    devices = os.cpu_count() if arguments.program == "analytic" else 1
    os.environ.setdefault("XLA_FLAGS", f"{XLA} --xla_force_host_platform_device_count={devices}")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    segments = first_of(selected(read_segments(arguments.segments)), arguments.length)
    if segments is None:
        parser.exit(3, f"the sample has less than {arguments.length:g} cm\n")
    simulation = Simulation(device=arguments.device)
    work = {"ours": ours, "fit": fit, "stages": stages, "threads": threads, "arithmetic": arithmetic}
    if arguments.program in work:
        result = work[arguments.program](simulation, segments, arguments.limit)
    else:
        result = dense(arguments.program, simulation, segments, arguments.limit)
    total = float(lengths(segments).sum())
    print(json.dumps({"length_cm": total, "segments": len(segments), **result}))


if __name__ == "__main__":
    main()
