"""What a parameter that is fixed at a wrong value does to the others (the paper's Fig. 10).

python bench/interdependence.py [CENTIMETRES] [LOSS]: for each parameter a target with it at the end of its range and
all others nominal; a fit of the others with it fixed at nominal, and a fit of all. Biases in units of the mean distance
from nominal to the ends of the range. Generated sample `mixed` with the paper's cuts, no noise; writes
bench/results/interdependence-*.json.
"""

import sys

import common
import numpy as np

from lartpc.fit.calibrate import SIX, calibrate
from lartpc.parameters import TABLE, Parameters
from lartpc.simulation.simulation import Simulation


def main():
    length = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    loss = sys.argv[2] if len(sys.argv) > 2 else "residuals"
    segments = common.mixed(length)
    unit = {name: 0.5 * (TABLE[name].range[1] - TABLE[name].range[0]) for name in SIX}
    rows = []
    for shifted in SIX:
        for side, end in zip(("down", "up"), TABLE[shifted].range, strict=True):
            truth = Parameters().replace(**{shifted: end})
            hits = Simulation(parameters=truth)(segments).hits
            row = {"shifted": shifted, "to": side}
            for kind, names in (("others", tuple(n for n in SIX if n != shifted)), ("all", SIX)):
                result = calibrate(Simulation(), segments, hits, unknowns=names, loss=loss)
                true = truth.as_dict()
                bias = {n: (v - true[n]) / unit[n] for n, v in zip(names, result.values.tolist(), strict=True)}
                row[kind] = {"bias": bias, "converged": result.converged, "message": result.message}
                row[kind]["mean_square"] = result.mean_square
                shown = "  ".join(f"{n} {b:+.4f}" for n, b in bias.items())
                print(f"{shifted:9} {side:4}  fit of {kind:6} {shown}  {result.message}", flush=True)
            rows.append(row)
    worst = max(abs(b) for row in rows for b in row["all"]["bias"].values())
    print(f"largest bias of the fit of all: {worst:.1e}")
    wrong = np.median([max(abs(b) for b in row["others"]["bias"].values()) for row in rows])
    print(f"median of the largest bias with one fixed wrongly: {wrong:.2f}")
    content = {"machine": common.machine(), "length_cm": length, "loss": loss, "largest_bias_of_all": worst}
    print(common.write("interdependence", {**content, "median_largest_bias_of_others": wrong, "rows": rows}))


if __name__ == "__main__":
    main()
