"""Targets that are not what they seem: does a fit say so, or is it right nevertheless?

python bench/spoilt.py [CENTIMETRES] [--only NAME ...] [--rounded]: fits the paper's six parameters to targets that are
spoilt one way each, prints verdict, largest pull and reasons, and writes bench/results/spoilt-*.json. A spoilt target
passes where the verdict is not good or all pulls are within 3; with `left out` what the fit left out. Shifts of all
times are fitted, too, and the packets' zero of time is found by the clock, and with thresholds that differ these are
fitted: there all pulls must be within 3.

python bench/spoilt.py --clean N [CENTIMETRES]: N targets that are not spoilt, and how many verdicts are good.
"""

import argparse
import time

import common
import numpy as np
from spoil import OF_PACKETS, OF_THRESHOLDS, SHIFTED, SPOILT, TRUTH, hits_of

from lartpc.fit.calibrate import SIX, calibrate, calibrate_runs
from lartpc.fit.jointly import calibrate_with_thresholds
from lartpc.fit.runs import Run
from lartpc.fit.target import Target
from lartpc.fit.zero import with_offset
from lartpc.formats.attrs import parameters_of
from lartpc.simulation.simulation import Simulation

RIGHT = 3.0  # largest pull of a result that is right


def run(name, segments, rounded):
    given, hits, *told = SPOILT[name](segments, np.random.default_rng(3))
    settings = told[0] if told else {}
    truth = parameters_of("target", settings) if told else TRUTH.replace(t0_offset=SHIFTED.get(name, 0.0))
    target = Target(hits, rounded=rounded or name in OF_PACKETS, truth=truth, settings=settings)
    started = time.perf_counter()
    try:
        runs = [Run(Simulation(), given, target)]
        result = calibrate_runs(runs, with_offset(runs, SIX) if name in SHIFTED else SIX)
    except (ValueError, FloatingPointError) as refused:
        return {"name": name, "good": False, "refused": str(refused), "passes": True}
    pulls = (result.values - result.truth) / result.errors
    right = bool(np.max(np.abs(pulls)) < RIGHT)
    more = {"with_estimated_thresholds": with_thresholds(given, target)} if name in OF_THRESHOLDS else {}
    right = all(one["right"] for one in more.values()) if more else right
    return {
        "name": name,
        "good": result.good,
        "converged": result.converged,
        "describes": result.verdicts[0].describes,
        "reasons": list(result.reasons),
        "common": list(result.verdicts[0].common),
        "left_out": str(result.verdicts[0].cleaning),
        "pulls": dict(zip(result.names, pulls.tolist(), strict=True)),
        "right": right,
        **more,
        "passes": right if name in ("control", *SHIFTED, *OF_PACKETS, *OF_THRESHOLDS) else right or not result.good,
        "mean_square": result.mean_square,
        "seconds": time.perf_counter() - started,
    }


def with_thresholds(segments, target):
    """The same target fitted together with the thresholds of pixels."""
    result, found = calibrate_with_thresholds(Simulation(), segments, target)
    pulls = (result.values - result.truth) / result.errors
    return {
        "good": result.good,
        "right": bool(result.good and np.max(np.abs(pulls)) < RIGHT),
        "pulls": dict(zip(result.names, pulls.tolist(), strict=True)),
        "thresholds": found.as_dict(),
    }


def clean(repetitions, segments, rounded):
    """Of targets that are not spoilt: verdicts, and the numbers that they are made of."""
    found = []
    for seed in range(repetitions):
        target = Target(hits_of(segments, seed=seed), rounded=rounded, truth=TRUTH)
        result = calibrate(Simulation(), segments, target)
        pulls = (result.values - result.truth) / result.errors
        verdict = result.verdicts[0]
        left_out = str(verdict.cleaning)
        found.append({"good": result.good, "reasons": list(result.reasons), "left_out": left_out})
        found[-1]["pulls"] = pulls.tolist()
        found[-1]["checks"] = {check.name: check.significance for check in verdict.checks}
        found[-1]["trends"] = {f"{t.what} by {t.by}": t.significance for t in verdict.trends}
        print(seed, "good" if result.good else result.reasons, left_out, flush=True)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("centimetres", nargs="?", type=float, default=300.0)
    parser.add_argument("--only", nargs="+", choices=list(SPOILT), default=list(SPOILT))
    parser.add_argument("--rounded", action="store_true")
    parser.add_argument("--clean", type=int)
    arguments = parser.parse_args()
    segments = common.mixed(arguments.centimetres)
    content = {"machine": common.machine(), "length_cm": arguments.centimetres, "rounded": arguments.rounded}
    if arguments.clean:
        found = clean(arguments.clean, segments, arguments.rounded)
        good = sum(one["good"] for one in found)
        print(f"{good} of {len(found)} good")
        print(common.write("clean", content | {"good": good, "fits": found}))
        return
    results = []
    for name in arguments.only:
        one = run(name, segments, arguments.rounded)
        results.append(one)
        pulls = " ".join(f"{pull:+.1f}" for pull in one.get("pulls", {}).values())
        print(
            f"{name:26} {'ok  ' if one['passes'] else 'FAIL'} {'good' if one['good'] else 'not '} {pulls}", flush=True
        )
        print(f"{'':8}left out: {one.get('left_out')}; in {one.get('common')}; {one.get('seconds', 0.0):.1f} s")
        if told := one.get("with_estimated_thresholds"):
            pulls = " ".join(f"{pull:+.1f}" for pull in told["pulls"].values())
            print(f"{'':8}with estimated thresholds {'good' if told['good'] else 'not '} {pulls}")
        for reason in one.get("reasons", [one.get("refused")]):
            print(f"{'':8}{reason}")
    print(common.write("spoilt", content | {"targets": results}))


if __name__ == "__main__":
    main()
