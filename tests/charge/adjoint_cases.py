"""Random launches of the kernels from energy to charge at the anode."""

import numpy as np
from helpers import make_segments
from launches import Case, record

from lartpc.kernels.runtime import slots
from lartpc.parameters import TABLE


def random_table(rng, n):
    """Parameters of three modules in their ranges, the drift velocity set, and a module for each of n steps."""
    ranges = np.array([TABLE[name].range for name in slots.PARAMETERS])
    return {"parameters": rng.uniform(*ranges.T, (3, len(ranges))), "step_module": rng.integers(0, 3, n)}


def random_split(rng):
    """Segments all over module0, of which some end in the other TPC or outside."""
    start = rng.uniform((-31.0, -83.0, -30.4), (31.0, 40.0, 30.4), (20, 3))
    start[::3, 2] /= 30.0
    energy, time = rng.uniform(0.1, 3.0, 20), rng.uniform(0.0, 9.0, 20)
    segments = make_segments(start, start + rng.normal(size=(20, 3)), dE=energy, dEdx=2.0, t0=time)
    return record(segments)["split"]


def random_quench(rng, model=1):
    n = 30
    inputs = {"step_dE": rng.uniform(0.01, 1.0, n), "step_dEdx": rng.uniform(1.0, 60.0, n)}
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


RANDOM = {"split": random_split, "quench": random_quench, "drift": random_drift}
LINEAR = {"split": ("dE", "dEdx", "time"), "quench": ("step_dE",), "drift": ("electrons", "step_time")}
# Positions, of up to 120 cm, are moved by this share of themselves, which must be far less than the 0.03 cm between
# counts of steps. In drift, the times of up to 0.1 us within a tick are added to a drift of 180 us: a larger step,
# against rounding.
STEP = {"split": 1e-8, "drift": 1e-4}
LARGEST = {"split": 1e-4}
