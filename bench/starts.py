"""Fits from random starts over the whole range of every parameter, to one noisy target.

python bench/starts.py [STARTS] [CENTIMETRES]: do all reach the same minimum, or say that they have not converged?
Generated sample `mixed` with the paper's cuts; writes bench/results/starts-*.json.
"""

import sys

import common
import numpy as np

from lartpc.fit.calibrate import SIX, calibrate
from lartpc.fit.unknowns import unknowns_of
from lartpc.parameters import TABLE
from lartpc.simulation.simulation import Simulation


def main():
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    length = float(sys.argv[2]) if len(sys.argv) > 2 else 300.0
    segments = common.mixed(length)
    content = {
        "machine": common.machine(),
        "length_cm": length,
        "truth": common.TRUTH.as_dict(),
    }
    for noise in (False, True):
        hits = Simulation(parameters=common.TRUTH, noise=noise, seed=1)(segments).hits
        loss = "likelihood" if noise else "residuals"
        fits, best = [], None
        for seed in range(starts):
            rng = np.random.default_rng(seed)
            start = {name: rng.uniform(*TABLE[name].range) for name in SIX}
            result = calibrate(Simulation(), segments, hits, unknowns_of(Simulation(), SIX, start), loss=loss)
            if best is None or result.value < best.value:
                best = result
            fits.append(result)
            print(noise, seed, f"{result.value:.4f}", result.iterations, result.message, flush=True)
        off = [float(np.max(np.abs(f.values - best.values) / best.errors)) for f in fits]
        same = [d < 0.1 for d in off]
        silent = sum(f.converged and not s for f, s in zip(fits, same, strict=True))
        print(f"noise {noise}: {sum(same)} of {starts} at the same minimum, {silent} elsewhere without saying so")
        content["noise" if noise else "no_noise"] = {
            "same_minimum": sum(same),
            "elsewhere_and_called_converged": silent,
            "starts": [dict(zip(SIX, f.start.tolist(), strict=True)) for f in fits],
            "largest_distance_in_errors": off,
            "iterations": [f.iterations for f in fits],
            "messages": [f.message for f in fits],
        }
    print(common.write("starts", content))


if __name__ == "__main__":
    main()
