"""Each loss on noisy targets: bias, spread and seconds, on the same segments with the same draws of the noise.

python bench/losses.py [REPETITIONS] [CENTIMETRES]: fits of the generated sample `mixed` with the paper's cuts, from
nominal start; prints a table in per cent of the truth, writes bench/results/losses-*.json.
"""

import argparse
import time

import common
import numpy as np

from lartpc.fit.calibrate import LOSSES, SIX, calibrate
from lartpc.fit.target import Target
from lartpc.simulation.simulation import Simulation


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repetitions", type=int, nargs="?", default=6)
    parser.add_argument("length", type=float, nargs="?", default=300.0)
    arguments = parser.parse_args()
    segments = common.mixed(arguments.length)
    truth = common.TRUTH
    values = np.array([getattr(common.TRUTH, name) for name in SIX])
    targets = [Simulation(parameters=truth, noise=True, seed=s)(segments).hits for s in range(arguments.repetitions)]
    table = {}
    for loss in LOSSES:
        off, errors, seconds, iterations, converged = [], [], [], [], 0
        for hits in targets:
            started = time.perf_counter()
            result = calibrate(Simulation(), segments, Target(hits, truth=truth), loss=loss)
            seconds.append(time.perf_counter() - started)
            off.append((result.values / values - 1.0).tolist())
            errors.append((result.errors / values).tolist())
            iterations.append(result.iterations)
            converged += result.converged
        bias, spread = 100.0 * np.mean(off, axis=0), 100.0 * np.std(off, axis=0, ddof=1)
        shown = "  ".join(f"{n} {b:+.3f} ({s:.3f})" for n, b, s in zip(SIX, bias, spread, strict=True))
        print(f"{loss:11} {np.median(seconds):6.1f} s  {converged}/{len(targets)} converged  {shown}", flush=True)
        table[loss] = {
            "bias_percent": dict(zip(SIX, bias.tolist(), strict=True)),
            "spread_percent": dict(zip(SIX, spread.tolist(), strict=True)),
            "median_error_percent": dict(zip(SIX, (100.0 * np.median(errors, axis=0)).tolist(), strict=True)),
            "seconds": float(np.median(seconds)),
            "iterations": iterations,
            "optimizer": result.optimizer,
            "converged": converged,
            "deviations": off,
        }
    content = {"machine": common.machine(), "repetitions": arguments.repetitions, "length_cm": arguments.length}
    print(common.write("losses", {**content, "truth": common.TRUTH.as_dict(), "losses": table}))


if __name__ == "__main__":
    main()
