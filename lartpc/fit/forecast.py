"""Errors to be expected of a fit before any is made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lartpc.data.segments import Segments
from lartpc.fit.uncertainty import invert
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.simulation.simulation import Simulation


def expected_errors(
    simulation: Simulation, segments: Segments, names: Sequence[str], rounded: bool = False
) -> np.ndarray:
    """The Cramer-Rao bound on the errors (n,) of `names`, fitted together, at the parameters of `simulation`.

    sqrt(diag(I^-1)), I the Gauss-Newton information of -log likelihood (exact hits: J^T J of the residuals; `rounded`
    ones: see `objectives`) for the hits without noise, which stand for those expected. What the current at the
    crossings tells besides is left out. Infinite where the data leave a direction open. C. R. Rao, Bull. Calcutta Math.
    Soc. 37 (1945) 81; Review of Particle Physics, Statistics. Raises InputError where there are no hits.
    """
    return np.sqrt(np.diag(expected_covariance(simulation, segments, names, rounded)[0]))


def expected_covariance(
    simulation: Simulation, segments: Segments, names: Sequence[str], rounded: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """The covariance (n, n) of which `expected_errors` gives the errors, and the open direction, as `invert` does."""
    quiet = simulation.apart(names).without_noise()
    target = TargetHits(quiet(segments).hits, quiet.detector, rounded)
    batches = quiet.batches(segments, whole=False)
    linear = Objective("likelihood", quiet, batches, target, names)(quiet.parameters.vector(np.float64))
    values = np.array([quiet.parameters.value(name) for name in names])
    return invert(linear.information, values)
