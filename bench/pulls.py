"""Pulls of the likelihood fit: the same segments, many draws of the noise.

python bench/pulls.py [REPETITIONS] [CENTIMETRES]: fits of the generated sample `mixed` with the paper's cuts, at
parameters away from nominal; prints mean and width of each pull with their errors, writes bench/results/pulls-*.json.
"""

import sys

import common
import numpy as np

from lartpc.calibrate import SIX, calibrate
from lartpc.parameters import Parameters
from lartpc.selection import Cuts, selected
from lartpc.simulation import Simulation

TRUTH = {"Ab": 0.82, "kb": 0.055, "eField": 0.49, "lifetime": 1500.0, "long_diff": 5e-6, "tran_diff": 9.5e-6}


def main():
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    length = float(sys.argv[2]) if len(sys.argv) > 2 else 300.0
    segments = common.generated("mixed", 40)
    segments = common.first_of(segments.select(selected(segments, Cuts())), length)
    truth = Parameters(**TRUTH)
    pulls, converged = [], 0
    for seed in range(repetitions):
        hits = Simulation(parameters=truth, noise=True, seed=seed)(segments).hits
        result = calibrate(Simulation(), segments, hits, truth=truth)
        pulls.append((result.values - result.truth) / result.errors)
        converged += result.converged
        print(seed, np.array2string(pulls[-1], precision=2, suppress_small=True), result.message, flush=True)
    pulls = np.array(pulls)
    mean, width = pulls.mean(axis=0), pulls.std(axis=0, ddof=1)
    for name, m, w in zip(SIX, mean, width, strict=True):
        errors = w / np.sqrt(repetitions), w / np.sqrt(2 * repetitions)
        print(f"{name:10} mean {m:+.2f} +- {errors[0]:.2f}, width {w:.2f} +- {errors[1]:.2f}")
    content = {"machine": common.machine(), "segments": len(segments), "length_cm": length, "converged": converged}
    content |= {"truth": TRUTH, "mean": dict(zip(SIX, mean.tolist(), strict=True))}
    content |= {"width": dict(zip(SIX, width.tolist(), strict=True)), "pulls": pulls.tolist()}
    print(common.write("pulls", content))


if __name__ == "__main__":
    main()
