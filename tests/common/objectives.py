"""What a fit minimises, in float64, and the hits that it is of."""

import numpy as np
from traces import smooth

from lartpc.data.hits import Hits
from lartpc.fit.unknowns import unknowns_of
from lartpc.kernels.runtime import slots
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters

SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
TRUTH = Parameters(Ab=0.83, kb=0.053, eField=0.501, lifetime=1500.0, long_diff=5e-6, tran_diff=9e-6)
STEP = 1e-6  # relative, of central differences


def objective(kind, segments, hits, simulation=None, names=SIX, rounded=False):
    simulation = smooth() if simulation is None else simulation
    target = TargetHits(hits, simulation.detector, rounded)
    return Objective(kind, simulation, simulation.batches(segments), target, unknowns_of(simulation, names)).at


def joined(*tables):
    return Hits(**{name: np.concatenate([getattr(t, name) for t in tables]) for name in vars(tables[0])})


def moved(name, h):
    vector = Parameters().vector(np.float64)
    vector[slots.PARAMETERS.index(name)] *= 1.0 + h
    return vector


def assert_column(column, difference):
    """To 1e-5; where an entry all but vanishes, to 1e-8 of the largest, which is the rounding of a difference."""
    np.testing.assert_allclose(column, difference, rtol=1e-5, atol=1e-7 * np.abs(difference).max())
    assert np.abs(difference).max() > 0.0
