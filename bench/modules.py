"""2x2: four modules with different field and lifetime, these eight and four common parameters fitted together.

python bench/modules.py [REPETITIONS] [EVENTS]: likelihood fits of generated muons (ten an event) with the detector's
noise, which is drawn anew each time, from nominal start; prints the first fit, then each pull, their mean and width;
writes bench/results/modules-*.json.
"""

import argparse
import time

import common
import numpy as np

from lartpc.detector.detector import Detector
from lartpc.fit.calibrate import calibrate
from lartpc.fit.target import Target
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.simulation.simulation import Simulation

FIELD = (0.50, 0.48, 0.515, 0.49)  # [kV/cm]
LIFETIME = (1500.0, 2600.0, 1100.0, 1900.0)  # [us]
MODULES = {f"eField.{m}": v for m, v in enumerate(FIELD)} | {f"lifetime.{m}": v for m, v in enumerate(LIFETIME)}
COMMON = {"Ab": 0.82, "kb": 0.055, "long_diff": 5e-6, "tran_diff": 9.5e-6}
NAMES = (*COMMON, *MODULES)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repetitions", nargs="?", type=int, default=5)
    parser.add_argument("events", nargs="?", type=int, default=2)
    arguments = parser.parse_args()
    detector = Detector.built_in("2x2")
    segments = from_table(generate("muons", detector, arguments.events, 0), "generated")
    truth = detector.parameters.replace(**COMMON, **MODULES)
    results, seconds = [], []
    for seed in range(arguments.repetitions):
        hits = Simulation(detector, truth, noise=True, seed=seed)(segments).hits
        started = time.perf_counter()
        results.append(calibrate(Simulation(detector), segments, Target(hits, truth=truth), unknowns=NAMES))
        seconds.append(time.perf_counter() - started)
        if seed == 0:
            print(results[0])
        pulls = (results[-1].values - results[-1].truth) / results[-1].errors
        print(
            f"{seed}: {seconds[-1]:.0f} s, pulls", np.array2string(pulls, precision=2), results[-1].message, flush=True
        )
    pulls = np.array([(result.values - result.truth) / result.errors for result in results])
    print(
        f"{pulls.size} pulls: mean {pulls.mean():+.2f} +- {1.0 / np.sqrt(pulls.size):.2f}, "
        f"width {pulls.std():.2f} +- {1.0 / np.sqrt(2.0 * pulls.size):.2f}, largest {np.abs(pulls).max():.2f}"
    )
    content = {
        "machine": common.machine(),
        "segments": len(segments),
        "length_cm": float(common.lengths(segments).sum()),
        "hits": results[0].hits,
        "truth": truth.as_dict(),
        "names": list(NAMES),
        "values": [result.values.tolist() for result in results],
        "errors": [result.errors.tolist() for result in results],
        "pulls": pulls.tolist(),
        "mean_square": [result.mean_square for result in results],
        "converged": [result.converged for result in results],
        "iterations": [result.iterations for result in results],
        "seconds": seconds,
    }
    print(common.write("modules", content))


if __name__ == "__main__":
    main()
