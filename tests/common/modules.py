"""Values of single modules, and tracks and muons in a detector of several."""

import numpy as np
from helpers import make_segments

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.parameters import Parameters

OWN = {"eField.0": 0.5, "eField.1": 0.48, "eField.2": 0.515, "eField.3": 0.49}
OWN |= {"lifetime.0": 1500.0, "lifetime.1": 2600.0, "lifetime.2": 1100.0, "lifetime.3": 1900.0}
TRUTH = Parameters(Ab=0.82, kb=0.055, long_diff=5e-6, tran_diff=9.5e-6, modules=OWN)
TWO_BY_TWO = Detector.built_in("2x2")


def tracks(detector, length=6):
    """A straight track of segments of 0.4 cm in each TPC."""
    rng, n = np.random.default_rng(3), len(detector.z_anode)
    z = detector.z_anode + rng.uniform(0.2, 0.8, n) * (detector.z_cathode - detector.z_anode)
    x = rng.uniform(detector.x_lo + 5.0, detector.x_hi - 5.0)
    at = np.stack((x, rng.uniform(-50.0, 50.0, n), z), axis=1)
    step = rng.normal(size=(n, 3))
    step *= 0.4 / np.linalg.norm(step, axis=1, keepdims=True)
    k = np.arange(length)[:, None]
    start = (at[:, None] + k * step[:, None]).reshape(-1, 3)
    end = (at[:, None] + (k + 1) * step[:, None]).reshape(-1, 3)
    return make_segments(start, end, dE=1.0, dEdx=2.5)


def muons(detector, events, seed=0):
    return from_table(generate("muons", detector, events, seed), "generated")


def of_module(hits, detector, m):
    """The hits in one module."""
    return hits.select(detector.module[hits.tpc] == m)
