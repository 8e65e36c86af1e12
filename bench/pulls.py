"""Pulls of the likelihood fit: the same segments, many draws of the noise.

python bench/pulls.py [REPETITIONS] [CENTIMETRES] [--rounded] [--fit NAME,...]: fits of the generated sample `mixed`
with the paper's cuts, at parameters away from nominal; prints mean and width of each pull, and the spread of the values
over the Cramer-Rao bound, with their errors; writes bench/results/pulls-*.json.
"""

import argparse
import time

import common
import numpy as np

from lartpc.fit.calibrate import SIX, calibrate
from lartpc.fit.forecast import forecast
from lartpc.fit.target import Target
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

# Of the front end, where it is fitted: a slow buffer, thresholds that are off.
ELECTRONICS = {"buffer_risetime": 0.25, "threshold_offset": 300.0, "gain_factor": 1.02, "pedestal_offset": 3.0}


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("repetitions", nargs="?", type=int, default=50)
    parser.add_argument("centimetres", nargs="?", type=float, default=300.0)
    parser.add_argument("--rounded", action="store_true", help="use only the clock ticks and ADC counts of the hits")
    parser.add_argument("--fit", type=lambda text: tuple(text.split(",")), default=SIX, help="what is fitted")
    return parser.parse_args()


def main():
    arguments = parse()
    repetitions, length, rounded = arguments.repetitions, arguments.centimetres, arguments.rounded
    segments, names = common.mixed(length), arguments.fit
    truth = common.TRUTH.replace(**{name: value for name, value in ELECTRONICS.items() if name in names})
    start = Simulation(parameters=Parameters(buffer_risetime=0.1 if "buffer_risetime" in names else None))
    bound = forecast(Simulation(parameters=truth), segments, names, rounded=rounded).errors
    pulls, off, squares, seconds, converged = [], [], [], [], 0
    for seed in range(repetitions):
        hits = Simulation(parameters=truth, noise=True, seed=seed)(segments).hits
        started = time.perf_counter()
        result = calibrate(start, segments, Target(hits, rounded=rounded, truth=truth), names)
        seconds.append(time.perf_counter() - started)
        off.append(result.values - result.truth)
        pulls.append(off[-1] / result.errors)
        squares.append(result.mean_square)
        converged += result.converged
        print(seed, np.array2string(pulls[-1], precision=2, suppress_small=True), result.message, flush=True)
    pulls = np.array(pulls)
    mean, width = pulls.mean(axis=0), pulls.std(axis=0, ddof=1)
    ratio = np.std(off, axis=0, ddof=1) / bound
    for name, m, w, r in zip(names, mean, width, ratio, strict=True):
        error = 1.0 / np.sqrt(2 * repetitions)
        print(
            f"{name:16} mean {m:+.2f} +- {w / np.sqrt(repetitions):.2f}, width {w:.2f} +- {w * error:.2f}, "
            f"spread/bound {r:.2f} +- {r * error:.2f}"
        )
    print(f"mean square of the residuals {np.mean(squares):.3f}, converged {converged} of {repetitions}")
    print(f"{np.median(seconds):.1f} s a fit (median)")
    content = {"machine": common.machine(), "segments": len(segments), "length_cm": length, "rounded": rounded}
    content |= {
        "converged": converged,
        "mean_square": float(np.mean(squares)),
        "truth": truth.as_dict(),
    }
    columns = {"mean": mean, "width": width, "spread_over_bound": ratio, "bound": bound}
    content |= {key: dict(zip(names, column.tolist(), strict=True)) for key, column in columns.items()}
    content |= {"seconds": seconds, "pulls": pulls.tolist()}
    print(common.write("pulls", content))


if __name__ == "__main__":
    main()
