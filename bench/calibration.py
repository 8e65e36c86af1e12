"""Closure fits of published targets, on a file or a generated sample with the paper's cuts, beside the published fits.

python bench/calibration.py PAPER_FITS GROUP [--file EVENTS | --sample NAME --events N] [--targets 1,2] [--noise]
[--rounded] [--loss LOSS] [--optimizer NAME] [--epochs N] [--length CM]: PAPER_FITS is JSON with the published targets
and deviations by group and seed. Starts are nominal; writes bench/results/calibration-*.json.
"""

import argparse
import dataclasses
import json
import time

import common
import numpy as np

from lartpc.data.selection import Cuts, selected, separate_tracks
from lartpc.fit.calibrate import SIX, Journal, calibrate
from lartpc.fit.optimizers import Adam, find_optimizer
from lartpc.fit.target import Target
from lartpc.formats.edepsim import read_segments
from lartpc.losses.catalogue import SQUARES
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation


def fit(segments, published, arguments):
    """One fit: iterations, seconds, deviations and errors relative to the truth."""
    seed, truth = published["seed"], Parameters(**published["target"])
    hits = Simulation(parameters=truth, noise=arguments.noise, seed=seed)(segments).hits
    target = Target(hits, rounded=arguments.rounded, noise=arguments.noise, truth=truth)
    history = []
    started = time.perf_counter()
    result = calibrate(
        Simulation(),
        segments,
        target,
        loss=arguments.loss,
        optimizer=optimizer_of(arguments, target, seed),
        journal=Journal(report=history.append),
    )
    seconds = time.perf_counter() - started
    steps = [e for e in history if e.phase != "errors"]
    off = np.array([np.max(np.abs(e.values / result.truth - 1.0)) for e in steps])
    outside = np.flatnonzero(off > 0.01)
    settled = int(outside[-1]) + 1 if len(outside) else 0
    deviation = result.values / result.truth - 1.0
    print(result, f"\n{seconds:.1f} s, largest deviation {np.max(np.abs(deviation)):.2e}", flush=True)
    with_errors = np.isfinite(result.errors).all()
    return {
        "seed": seed,
        "loss": result.loss,
        "optimizer": result.optimizer,
        "truth": by_name(result.truth),
        "deviation": by_name(deviation),
        "relative_error": by_name(result.errors / result.truth) if with_errors else None,
        "pull": by_name((result.values - result.truth) / result.errors) if with_errors else None,
        "errors_from": result.errors_from,
        "iterations": result.iterations,
        "iterations_until_within_1_percent": settled if settled < len(off) else None,
        "converged": result.converged,
        "message": result.message,
        "hits": result.hits,
        "seconds": seconds,
        "seconds_of_iterations": seconds * len(steps) / len(history),
        "published_deviation": published["dev_final"],
        "published_iterations_until_within_1_percent": published["stay1"],
    }


def optimizer_of(arguments, target, seed):
    """The optimizer asked for, or the best for the loss, with --epochs, and the seed where it shuffles batches."""
    found = find_optimizer(arguments.optimizer, (arguments.loss or target.loss) in SQUARES)
    shuffles = isinstance(found, Adam)
    changes = {"seed": seed} if shuffles else {}
    if arguments.epochs:
        changes["epochs" if shuffles else "iterations"] = arguments.epochs
    return dataclasses.replace(found, **changes)


def by_name(values):
    return dict(zip(SIX, np.asarray(values).tolist(), strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fits")
    parser.add_argument("group")
    parser.add_argument("--file")
    parser.add_argument("--sample", default="muons")
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--length", type=float)
    parser.add_argument("--targets")
    parser.add_argument("--noise", action="store_true")
    parser.add_argument("--rounded", action="store_true")
    parser.add_argument("--loss")
    parser.add_argument("--optimizer")
    parser.add_argument("--epochs", type=int, help="of adam; iterations of others")
    arguments = parser.parse_args()
    segments = read_segments(arguments.file) if arguments.file else common.generated(arguments.sample, arguments.events)
    segments = segments.select(selected(segments, Cuts()))
    if arguments.length:
        segments = common.first_of(segments, arguments.length)
        if segments is None:
            parser.error(f"--length: the sample has less than {arguments.length:g} cm, --events gives more")
    if arguments.optimizer == "adam":
        segments = separate_tracks(segments)
    total = float(common.lengths(segments).sum())
    with open(arguments.fits) as file:
        published = sorted(json.load(file)[arguments.group], key=lambda one: one["seed"])
    if arguments.targets:
        published = [one for one in published if str(one["seed"]) in arguments.targets.split(",")]
    print(f"{len(segments)} segments, {total:.1f} cm", flush=True)
    small = segments.select(np.arange(3))
    Simulation()(small)
    fits = [fit(segments, one, arguments) for one in published]
    content = {"machine": common.machine(), "sample": "file" if arguments.file else arguments.sample}
    content |= {"group": arguments.group, "segments": len(segments), "length_cm": total}
    content |= {"noise": arguments.noise, "rounded": arguments.rounded}
    name = "-".join(["calibration", content["group"].split("/")[0], *(["noise"] if arguments.noise else [])])
    name += ("-rounded" if arguments.rounded else "") + (f"-{arguments.optimizer}" if arguments.optimizer else "")
    print(common.write(name, {**content, "fits": fits}))


if __name__ == "__main__":
    main()
