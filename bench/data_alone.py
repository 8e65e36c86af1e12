"""Calibration from hits alone, on generated samples with noise, at hidden parameters far from where fits start.

python bench/data_alone.py pulls [REPETITIONS] [PROTON EVENTS] [MUON EVENTS]
python bench/data_alone.py large [PROTON EVENTS] [MUON EVENTS]     three far targets, six parameters, nothing given
python bench/data_alone.py spoilt [PROTON EVENTS] [MUON EVENTS]    shifts, pions, dead pixels, noise hits, unknown times
python bench/data_alone.py starts [PROTON EVENTS] [MUON EVENTS]    three starts, and the two-step way on the same hits
python bench/data_alone.py geant4 [SEEDS] --file EDEPSIM           tracks that Geant4 made, in interactions

An event has ten stopping protons (50 to 150 MeV), or ten muons that cross the cathode. Without muons the field is
constrained to 2e-4 of what it is. Writes bench/results/data_alone-KIND-*.json.
"""

import argparse
import dataclasses
import resource
import time

import common
import numpy as np

from lartpc import Detector, Simulation, Target, calibrate, calibrate_hits, generate, read_segments
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.fit.calibrate import SIX
from lartpc.fit.constraint import Constraint
from lartpc.fit.unknowns import unknowns_of
from lartpc.formats.edepsim import from_table
from lartpc.generator.transport import DENSITY
from lartpc.reconstruction.result import result_of
from lartpc.reconstruction.track import Gaussian

TARGETS = (
    {"Ab": 0.83, "kb": 0.052, "eField": 0.495, "lifetime": 1500.0, "long_diff": 5.5e-6, "tran_diff": 7.5e-6},
    {"Ab": 0.78, "kb": 0.045, "eField": 0.505, "lifetime": 3000.0, "long_diff": 3.0e-6, "tran_diff": 10.5e-6},
    {"Ab": 0.82, "kb": 0.045, "eField": 0.495, "lifetime": 3000.0, "long_diff": 5.0e-6, "tran_diff": 10.0e-6},
)
OF_GEANT4 = 1.396  # [g/cm3], the density of liquid argon there
GIVEN = 2e-4  # relative error of the field where no muon fixes it
KNOWN = 1e-3  # [us]


def made(protons, muons, truth, seed, noise_hits=0.0, **changes):
    """Segments and hits of events of stopping protons and then of crossing muons at the parameters `truth`."""
    detector = Detector.module0()
    parts = []
    for sample, events in (("stopping-protons", protons), ("crossing-muons", muons)):
        table = generate(sample, detector, events, seed, **changes)
        table["event_id"] += protons if sample == "crossing-muons" else 0
        parts.append(table)
    segments = dataclasses.replace(from_table(np.concatenate(parts), "generated"), source=None)
    parameters = detector.parameters.replace(**truth)
    simulation = Simulation(detector, parameters, noise=True, seed=seed, noise_hits=noise_hits)
    return segments, Target(simulation(segments).hits, truth=parameters)


def fitted(target, truth, muons, start=None, t0_width=KNOWN, detector=None, density=DENSITY):
    """The result, and how long it took [s]."""
    simulation = Simulation(Detector.module0() if detector is None else detector)
    given = [] if muons else [Constraint.of("eField", truth["eField"], GIVEN * truth["eField"])]
    unknowns = unknowns_of(simulation, SIX, start, constraints=given)
    started = time.perf_counter()
    found = calibrate_hits(simulation, target, unknowns, t0=Gaussian(0.0, t0_width), density=density)
    return result_of(found), time.perf_counter() - started


def told(result, truth, seconds):
    """Plain numbers of a result; differences and errors relative to the truth."""
    values = np.array([truth[name] for name in SIX])
    rows = {}
    for k, name in enumerate(SIX):
        rows[name] = {
            "off": float(result.fit.values[k] / values[k] - 1.0),
            "error": float(result.fit.errors[k] / values[k]),
            "pull": float((result.fit.values[k] - values[k]) / result.fit.errors[k]),
            "most_likely_pull": float(
                (result.of_hits.most_likely[k] - values[k]) / result.of_hits.most_likely_errors[k]
            ),
        }
    return {
        "parameters": rows,
        "tracks": len(result.of_hits.tracks),
        "length_cm": result.length,
        "good": result.good,
        "reasons": list(result.reasons),
        "mean_squares": result.mean_squares,
        "halves_apart": result.halves_apart.tolist(),
        "cut_flow": [list(cut) for cut in result.of_hits.flow.cuts],
        "seconds": seconds,
        "memory_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    }


def show(label, row):
    """A line for each result."""
    shown = [
        f"{name} {100.0 * one['off']:+.2f} +- {100.0 * one['error']:.2f} ({one['pull']:+.1f})"
        for name, one in row["parameters"].items()
    ]
    state = "good" if row["good"] else "not good"
    print(f"{label}: {row['tracks']} tracks, {row['length_cm']:.0f} cm, {row['seconds']:.0f} s, {state}")
    print(f"    {', '.join(shown)}")
    for reason in row["reasons"]:
        print(f"    {reason}")


def pulls(protons, muons, repetitions):
    truth, rows = TARGETS[0], []
    for seed in range(repetitions):
        _, target = made(protons, muons, truth, seed)
        rows.append(told(*(lambda found: (found[0], truth, found[1]))(fitted(target, truth, muons))))
        show(seed, rows[-1])
    summary = {}
    for kind in ("pull", "most_likely_pull"):
        all_pulls = np.array([[row["parameters"][name][kind] for name in SIX] for row in rows])
        summary[kind] = {"mean": all_pulls.mean(axis=0).tolist(), "width": all_pulls.std(axis=0, ddof=1).tolist()}
        print(kind, *(f"{n} {m:+.2f}, {w:.2f};" for n, m, w in zip(SIX, *summary[kind].values(), strict=True)))
    return {"summary": summary, "rows": rows}


def large(protons, muons, _):
    rows = []
    for seed, truth in enumerate(TARGETS):
        _, target = made(protons, muons, truth, seed)
        result, seconds = fitted(target, truth, muons)
        rows.append(told(result, truth, seconds))
        show(seed, rows[-1])
    return {"rows": rows}


def spoilt(protons, muons, _):
    """The same sample, spoilt in one way each."""
    truth, rows, rng = TARGETS[0], {}, np.random.default_rng(1)
    _, clean = made(protons, muons, truth, 0)
    dead = np.flatnonzero(rng.random(Detector.module0().n_pixels) < 0.02)
    off = Detector.module0().without_pixels(dead)
    cases = {
        "clean": (clean, KNOWN, None),
        "times off by up to 0.3 cm of drift": (shifted(clean, rng), 2.0, None),
        "10 % pions": (made(protons, muons, truth, 0, purity=0.9)[1], KNOWN, None),
        "2 % dead pixels": (clean, KNOWN, off),
        "noise hits": (made(protons, muons, truth, 0, noise_hits=1.0)[1], KNOWN, None),
        "times of events of 1 us": (made(protons, muons, truth, 0, t0_spread=1.0)[1], 1.0, None),
        "times of tracks unknown": (made(protons, muons, truth, 0, t0_spread=1.0)[1], 1e3, None),
    }
    for name, (target, width, detector) in cases.items():
        result, seconds = fitted(target, truth, muons, t0_width=width, detector=detector)
        rows[name] = told(result, truth, seconds)
        show(name, rows[name])
    return {"rows": rows}


def shifted(target, rng):
    """Hits of each event later by up to 0.3 cm of drift, as where its time is wrong."""
    events, index = np.unique(target.hits.event_id, return_inverse=True)
    late = rng.uniform(0.0, 0.3 / 0.16, len(events))[index]
    columns = {**vars(target.hits), "t": target.hits.t + late}
    return dataclasses.replace(target, hits=Hits(**columns))


def starts(protons, muons, _):
    """From three starts; and the two-step way: tracks at the nominal parameters, then the parameters with these."""
    truth, rows = TARGETS[0], {}
    _, target = made(protons, muons, truth, 0)
    nominal = {name: Detector.module0().parameters.value(name) for name in SIX}
    beyond = {name: 2.0 * truth[name] - nominal[name] for name in SIX}
    for name, start in (("nominal", None), ("truth", truth), ("beyond", beyond)):
        result, seconds = fitted(target, truth, muons, start)
        rows[name] = told(result, truth, seconds)
        show(name, rows[name])
    simulation = Simulation(Detector.module0())
    found = calibrate_hits(simulation, target, unknowns_of(simulation, ("lifetime",)))
    segments, hits = two_step(found, target)
    result = calibrate(simulation, segments, Target(hits), unknowns_of(simulation, SIX))
    values = np.array([truth[name] for name in SIX])
    pull = (result.values - values) / result.errors
    rows["two-step"] = {"pull": dict(zip(SIX, pull.tolist(), strict=True)), "mean_square": result.mean_square}
    print("two-step, pulls:", rows["two-step"]["pull"])
    return {"rows": rows}


def geant4(path, seeds):
    """The events of a file with the noise of some seeds each: what crosses the cathode there fixes the field."""
    truth, rows = TARGETS[0], []
    parameters = Detector.module0().parameters.replace(**truth)
    segments = read_segments(path)
    for seed in range(1, seeds + 1):
        hits = Simulation(Detector.module0(), parameters, noise=True, seed=seed)(segments).hits
        result, seconds = fitted(Target(hits, truth=parameters), truth, 1, density=OF_GEANT4)
        rows.append(told(result, truth, seconds))
        show(seed, rows[-1])
    return {"rows": rows, "density": OF_GEANT4}


def two_step(found, target):
    """Segments of fitted tracks, and their hits alone."""
    columns, kept = [], []
    for k, one in enumerate(found.tracks):
        part = one.track.segments(one.eta)
        columns.append((np.full(len(part.dE), one.candidate.event), np.full(len(part.dE), k), *part))
        kept.append(one.candidate.rows)
    event, track, start, end, dE, dEdx, t0 = (np.concatenate(column) for column in zip(*columns, strict=True))
    n = len(event)
    places = {f"{axis}_start": start[:, k] for k, axis in enumerate("xyz")}
    places |= {f"{axis}_end": end[:, k] for k, axis in enumerate("xyz")}
    segments = Segments(event, np.arange(n), track, np.full(n, 2212), **places, dE=dE, dEdx=dEdx, t0=t0)
    return segments, target.hits.select(np.sort(np.concatenate(kept)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("pulls", "large", "spoilt", "starts", "geant4"))
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--file")
    arguments = parser.parse_args()
    numbers = arguments.numbers
    if arguments.kind == "geant4":
        content = geant4(arguments.file, *(numbers or [5])) | {"machine": common.machine(), "targets": [TARGETS[0]]}
        print(common.write("data_alone-geant4", content))
        return
    repetitions = numbers.pop(0) if arguments.kind == "pulls" and numbers else 20
    protons, muons = (*numbers, *(2, 0)[len(numbers) :])
    run = {"pulls": pulls, "large": large, "spoilt": spoilt, "starts": starts}[arguments.kind]
    content = run(protons, muons, repetitions)
    content |= {"machine": common.machine(), "proton_events": protons, "muon_events": muons, "targets": list(TARGETS)}
    print(common.write(f"data_alone-{arguments.kind}", content))


if __name__ == "__main__":
    main()
