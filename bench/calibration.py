"""Closure fits of the paper's targets on the mixed sample, with the paper's cuts, with or without noise in the target.

python bench/calibration.py EVENTS PAPER_FITS [--noise]: the edep-sim file, and the paper's fits as JSON (targets by
seed under mu_pi_p_mom_range). Starts are nominal; prints a table, writes bench/results/calibration-*.json.
"""

import argparse
import json
import time

import common
import numpy as np

from lartpc.calibrate import SIX, calibrate
from lartpc.parameters import Parameters
from lartpc.segments import read_segments
from lartpc.selection import Cuts, lengths, selected
from lartpc.simulation import Simulation


def fit(segments, truth, noise, seed):
    """One fit: iterations, seconds, deviations and errors relative to the truth."""
    source = Simulation(parameters=truth, noise=noise, seed=seed)
    hits = source(segments).hits
    started = time.perf_counter()
    loss = "likelihood" if noise else "residuals"
    result = calibrate(Simulation(), segments, hits, loss=loss, truth=truth)
    seconds = time.perf_counter() - started
    deviation = (result.values - result.truth) / result.truth
    print(result, f"\n{seconds:.1f} s, largest deviation {np.max(np.abs(deviation)):.2e}", flush=True)
    return {
        "seed": seed,
        "truth": dict(zip(SIX, result.truth.tolist(), strict=True)),
        "deviation": dict(zip(SIX, deviation.tolist(), strict=True)),
        "relative_error": dict(zip(SIX, (result.errors / result.truth).tolist(), strict=True)),
        "pull": dict(zip(SIX, ((result.values - result.truth) / result.errors).tolist(), strict=True)),
        "iterations": result.iterations,
        "converged": result.converged,
        "hits": result.hits,
        "seconds": seconds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events")
    parser.add_argument("fits")
    parser.add_argument("--noise", action="store_true")
    arguments = parser.parse_args()
    segments = read_segments(arguments.events)
    segments = segments.select(selected(segments, Cuts()))
    total = float(lengths(segments).sum())
    with open(arguments.fits) as file:
        targets = json.load(file)["mu_pi_p_mom_range"]
    print(f"{len(segments)} segments, {total:.1f} cm", flush=True)
    Simulation()(segments.select(np.arange(3)))
    fits = [fit(segments, Parameters(**t["target"]), arguments.noise, t["seed"]) for t in targets]
    content = {"machine": common.machine(), "segments": len(segments), "length_cm": total, "noise": arguments.noise}
    print(common.write("calibration-noise" if arguments.noise else "calibration", {**content, "fits": fits}))


if __name__ == "__main__":
    main()
