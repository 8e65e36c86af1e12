"""Random launches of the kernels from energy to charge at the anode."""

import numpy as np
from helpers import make_segments
from launches import Case, recorder

from lartpc.charge.steps import make_deposits, make_pieces
from lartpc.kernels.runtime import slots
from lartpc.parameters import TABLE
from lartpc.simulation.simulation import Simulation


def random_table(rng, n):
    """Parameters of three modules in their ranges, a module for each of n steps, and fields at these.

    In the first the drift velocity follows from the field, in the others it is set.
    """
    ranges = np.array([TABLE[name].range for name in slots.PARAMETERS])
    parameters = rng.uniform(*ranges.T, (3, len(ranges)))
    parameters[0, slots.VDRIFT] = 0.0
    return {"parameters": parameters, "step_module": rng.integers(0, 3, n), "step_field": rng.uniform(0.45, 0.55, n)}


def random_dEdx(rng, n):
    """[MeV/cm], the first five below 1, where the Box models do not follow it."""
    return rng.uniform(1.0, 60.0, n) * np.where(np.arange(n) < 5, 0.016, 1.0)


def random_field(rng):
    return Case(30, {**random_table(rng, 30), "step_field": np.zeros(30)})


def random_split(rng):
    """Segments all over module0, of which some end in the other TPC or outside."""
    start = rng.uniform((-31.0, -83.0, -30.4), (31.0, 40.0, 30.4), (20, 3))
    start[::3, 2] /= 30.0
    energy, time = rng.uniform(0.1, 3.0, 20), rng.uniform(0.0, 9.0, 20)
    segments = make_segments(start, start + 0.8 * rng.normal(size=(20, 3)), dE=energy, dEdx=2.0, t0=time)
    cases, simulation = {}, Simulation(dtype=np.float64)
    tables, settings, batch = simulation.tables, simulation.settings, simulation.batch(segments)
    make_deposits(batch, make_pieces(batch, tables, settings), tables, settings, recorder(cases))
    return cases["split"]


def random_quench(rng, model=1):
    n = 30
    inputs = {"step_dE": rng.uniform(0.01, 1.0, n), "step_dEdx": random_dEdx(rng, n)}
    return Case(n, {**inputs, **random_table(rng, n), "model": model, "electrons": np.zeros(n)})


def random_drift(rng):
    n = 30
    inputs = {
        "electrons": rng.uniform(10.0, 1e4, n),
        "distance": rng.uniform(0.02, 30.0, n),
        "step_time": rng.uniform(0.0, 0.1, n),
        **random_table(rng, n),
        "drift_start": 0.5,
    }
    return Case(n, {**inputs, **{k: np.zeros(n) for k in ("charge", "arrival", "sigma_t", "sigma_T")}})


def random_angle(rng):
    """Segments of any direction, of one to three pieces with one to four steps each."""
    start = rng.uniform(-30.0, 30.0, (8, 3))
    first_piece = np.concatenate(([0], np.cumsum(rng.integers(1, 4, 8))))
    first_step = np.concatenate(([0], np.cumsum(rng.integers(1, 5, first_piece[-1]))))
    segment = np.repeat(np.arange(8), np.diff(first_step[first_piece]))
    arguments = {"start": start, "end": start + rng.normal(size=(8, 3)), "step_segment": segment}
    cut = {"first_piece": first_piece, "first_step": first_step}
    return Case(len(segment), {**arguments, "step_cos": np.zeros(len(segment))}, 8, cut)


def random_ellipsoid(rng):
    n = 30
    table = random_table(rng, n)
    inputs = {"step_dEdx": random_dEdx(rng, n), "step_cos": rng.uniform(-1.0, 1.0, n)}
    of_module = {name: table[name] for name in ("parameters", "step_module")}
    return Case(n, {**inputs, **of_module, "step_dEdx_90": np.zeros(n)})


RANDOM = {
    "angle": random_angle,
    "ellipsoid": random_ellipsoid,
    "split": random_split,
    "field": random_field,
    "quench": random_quench,
    "drift": random_drift,
}
LINEAR = {
    "split": ("dE", "dEdx", "time"),
    "field": ("parameters",),
    "angle": (),
    "ellipsoid": ("step_dEdx",),
    "quench": ("step_dE",),
    "drift": ("electrons", "step_time"),
}
# Positions, of up to 120 cm, are moved by this fraction of themselves, which must be far less than the 0.03 cm between
# counts of steps, and must take no step to another pixel. Larger ones, against rounding: in drift, where times of up to
# 0.1 us within a tick are added to a drift of 180 us; by the end, as slopes by it nearly cancel in one sample.
STEP = {"split": 1e-8, "split end": 1e-7, "angle": 1e-7, "drift": 1e-4}
LARGEST = {"split": 1e-4, "angle": 1e-4}
