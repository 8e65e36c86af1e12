"""What the recipes of docs/recipes add works.

Run by test_recipes.py where all are applied; prints JSON, {recipe: complaint, or ''}. All in float64 and with the
readout of the recipe, whose kernels are few.
"""

import json
import traceback
from pathlib import Path

import numpy as np
from commands import refusal, succeeds
from test_glossary import described

import lartpc
from lartpc.adjoint.pairs import ADJOINTS
from lartpc.autodiff.kernelcheck import check_adjoint
from lartpc.charge.recombination import RECOMBINATION
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.fit.calibrate import calibrate
from lartpc.fit.target import Target
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.trace import Trace
from lartpc.kernels.charge.drift import drift
from lartpc.kernels.charge.quench import quench
from lartpc.losses.hit_losses import LOSSES
from lartpc.losses.hitlist import HitList
from lartpc.parameters import TABLE, Parameters
from lartpc.simulation.simulation import Simulation

ROOT = Path(lartpc.__file__).parents[1]
rng = np.random.default_rng(0)


def segments(z=(5.0, 5.2, 9.0), event_id=(0, 0, 1)):
    """Three short ones, each within a pixel of module0 and of the test stand."""
    start = np.stack((np.full(3, 3.3), np.full(3, 2.0), z))
    names = [f"{axis}_{end}" for end in ("start", "end") for axis in "xyz"]
    positions = dict(zip(names, (*start, *(start + [[0.05], [0.0], [0.1]])), strict=True))
    energy = {"dE": np.array([0.9, 0.6, 1.2]), "dEdx": np.array([2.1, 5.0, 20.0]), "t0": np.array([0.3, 0.3, 7.0])}
    zeros = np.zeros(3, dtype=np.int64)
    return Segments(
        segment_id=np.arange(3), traj_id=zeros, pdg_id=zeros + 13, event_id=np.array(event_id), **positions, **energy
    )


def simulation(**keywords):
    return Simulation(response="box", dtype=np.float64, **keywords)


def steps(**keywords):
    s = simulation(**keywords)
    return s.waveforms(s.batch(segments()), s.vector()).steps


def check_kernel(kernel, threads, arguments):
    """The adjoint against central differences."""
    acting = ADJOINTS[kernel].kernel.outputs
    found = check_adjoint(
        kernel, ADJOINTS[kernel], threads, arguments, steps={name.removeprefix("grad_"): 1e-5 for name in acting}
    )
    assert {f"grad_{p.name}" for p in found} == set(acting)
    assert max(p.relative for p in found) < 1e-6, found


def local(n):
    """Parameters in their ranges."""
    vector = Parameters(vdrift=0.16).table(1)
    names = list(Parameters().as_dict())[: vector.shape[1]]
    vector[0] = [rng.uniform(*TABLE[name].range) for name in names]
    return {"step_field": rng.uniform(0.45, 0.55, n), "parameters": vector, "step_module": np.zeros(n, dtype=np.int64)}


def recombination():
    p, s = Parameters(), segments()
    xi = p.beta * s.dEdx / (p.eField * p.lArDensity)
    expected = s.dE * p.MeVToElectrons * np.log(1.0 + xi) / xi
    made = steps(recombination="thomas_imel")
    np.testing.assert_allclose(np.bincount(made.segment, made.electrons), expected, rtol=1e-12)
    assert len(simulation(recombination="thomas_imel")(segments()).hits) > 0
    acting = simulation(recombination="thomas_imel").acting()
    assert "beta" in acting and "alpha" not in acting and "Ab" not in acting
    row = json.loads(succeeds("info"))["recombination"]["thomas_imel"]
    assert row["parameters"] == ["beta"] and "thomas_imel" in succeeds("simulate", "--help")
    inputs = {"step_dE": rng.uniform(0.1, 1.0, 5), "step_dEdx": rng.uniform(1.0, 60.0, 5), **local(5)}
    check_kernel(quench, 5, {**inputs, "model": RECOMBINATION["thomas_imel"].number, "electrons": np.zeros(5)})


def parameter():
    whole, part = steps(), steps(parameters=Parameters(transparency=0.9))
    np.testing.assert_allclose(part.charge, 0.9 * whole.charge, rtol=1e-14)
    assert "transparency" in simulation().acting()
    value = json.loads(succeeds("info", "--set", "transparency=0.9"))["parameters"]["transparency"]
    assert value["value"] == 0.9 and value["meaning"]
    assert "transparency" in refusal("info", "--set", "transparency=2.1")
    assert sorted(described(ROOT / "docs" / "glossary.md")) == sorted(TABLE)
    names = ("charge", "arrival", "sigma_t", "sigma_T")
    inputs = {"electrons": rng.uniform(1e3, 1e4, 5), "distance": rng.uniform(1.0, 30.0, 5), "step_time": rng.random(5)}
    check_kernel(drift, 5, {**inputs, **local(5), "drift_start": 0.5, **{name: np.zeros(5) for name in names}})


def hit_list(first):
    n = first[-1]
    numbers = {name: rng.uniform(1.0, 2.0, n) for name in ("x", "y", "time", "adc")}
    return HitList(first=np.array(first), pixel=np.arange(n), charge=rng.uniform(1e4, 5e4, n), **numbers)


def loss():
    total, detector = LOSSES["total"], Detector.module0()
    simulated, target = hit_list([0, 2, 3]), hit_list([0, 1, 4])
    found = total(simulated, target, detector)
    sums = [np.add.reduceat(side.charge, side.first[:-1]) for side in (simulated, target)]
    np.testing.assert_allclose(found.value, ((sums[0] - sums[1]) / 5000.0) ** 2)
    assert (total(target, target, detector).value == 0.0).all()
    for name in ("time", "charge", "adc"):
        direction, change = rng.normal(size=3), []
        for h in (1e-2, -1e-2):
            moved = simulated._replace(**{name: getattr(simulated, name) + h * direction})
            change.append(total(moved, target, detector).value.sum())
        slope = np.sum(getattr(found, name) * direction)
        np.testing.assert_allclose((change[0] - change[1]) / 2e-2, slope, rtol=1e-7, atol=1e-12)
    truth = Parameters(Ab=0.82)
    hits = Target(simulation(parameters=truth)(segments()).hits, noise=False, truth=truth)
    fit = calibrate(simulation(), segments(), hits, ("Ab",), loss="total")
    assert abs(fit.values[0] - 0.82) < 1e-4, fit.values
    assert "total" in succeeds("calibrate", "--help")


def detector():
    made = Detector.built_in("teststand")
    assert made.n_pixels == 2 * 32 * 64 and made.threshold == 4000.0
    np.testing.assert_allclose(sorted(abs(made.z_anode - made.z_cathode)), 10.0)
    assert len(simulation(detector=made)(segments()).hits) > 0
    assert json.loads(succeeds("info", "--detector", "teststand"))["detector"]["pixels"] == made.n_pixels
    assert "teststand" in succeeds("info", "--help")


def readout():
    from lartpc.kernels.pixels.collect import collect
    from lartpc.pixels.box import LENGTH

    arguments = {"pair_step": np.array([2, 0]), "charge": rng.random(3), "coefficient": np.zeros((2, 8))}
    check_kernel(collect, 2, arguments)
    s = simulation()
    trace = Trace(s, s.batch(segments()))
    current, windows, made = trace.waveforms.current, trace.waveforms.windows, trace.waveforms.steps
    assert len(windows.pixel) == 2 and windows.pixel[0] == windows.pixel[1]
    of_pixel = np.add.reduceat(current, windows.first[windows.of_pixel[:-1]]) * s.detector.tick
    np.testing.assert_allclose(of_pixel, np.bincount(np.array([0, 0, 1])[made.segment], made.charge), rtol=1e-12)
    last = current[windows.first[windows.of_pixel[1]] :]
    flat = made.charge[made.segment == 2].sum() / LENGTH
    assert last.max() <= flat * (1.0 + 1e-12) and (last > 0.0).sum() > LENGTH / s.detector.tick
    # The gradient of the sum of squares: rows of pixels add up to that of the tape, and it is the difference.
    names = ("lifetime", "eField", "long_diff", "Ab")
    slots = [s.parameters.names.index(name) for name in names]
    seed = 2.0 * current
    rows = Jacobian(trace.tape, trace.waveforms, slots).rows(seed, np.arange(2))
    gradient = trace.backward(current=seed).parameters
    np.testing.assert_allclose(rows.sum(axis=0), [gradient[name] for name in names], rtol=1e-9)
    for name, slot in zip(names, slots, strict=True):
        sums, h = [], 1e-6 * trace.parameters[slot]
        for way in (h, -h):
            moved = trace.parameters.copy()
            moved[slot] += way
            sums.append(np.sum(s.waveforms(trace.batch, moved).current ** 2))
        np.testing.assert_allclose((sums[0] - sums[1]) / (2.0 * h), gradient[name], rtol=1e-5)


def complaint(check):
    try:
        check()
    except Exception:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    checks = (recombination, parameter, loss, detector, readout)
    print(json.dumps({check.__name__: complaint(check) for check in checks}))
