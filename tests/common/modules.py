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


def tracks(detector, tpcs=None, seed=3, events=1, length=6):
    """In each event a straight track of segments of 0.4 cm in each TPC, or in those given."""
    rng = np.random.default_rng(seed)
    tpcs = np.arange(len(detector.z_anode)) if tpcs is None else np.asarray(tpcs)
    tpcs = np.tile(tpcs, events)
    z = detector.z_anode[tpcs] + rng.uniform(0.2, 0.8, len(tpcs)) * (detector.z_cathode - detector.z_anode)[tpcs]
    low, high = detector.x_lo[tpcs] + 5.0, detector.x_hi[tpcs] - 5.0
    at = np.stack((rng.uniform(low, high), rng.uniform(-50.0, 50.0, len(tpcs)), z), axis=1)
    step = rng.normal(size=(len(tpcs), 3))
    step *= 0.4 / np.linalg.norm(step, axis=1, keepdims=True)
    k = np.arange(length)[:, None]
    start = (at[:, None] + k * step[:, None]).reshape(-1, 3)
    end = (at[:, None] + (k + 1) * step[:, None]).reshape(-1, 3)
    event = np.repeat(np.arange(len(tpcs)) // (len(tpcs) // events), length)
    return make_segments(start, end, dE=1.0, dEdx=2.5, event_id=event)


def muons(detector, events, seed=0):
    return from_table(generate("muons", detector, events, seed), "generated")


def of_module(hits, detector, m):
    """The columns of the hits in one module."""
    here = detector.module[hits.tpc] == m
    return {name: column[here] for name, column in vars(hits).items()}
