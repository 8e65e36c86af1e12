"""Objectives that are functions of few variables, for tests of what minimises them and of the errors."""

import dataclasses

import numpy as np

from lartpc.fit.problem import Problem, Record
from lartpc.fit.unknowns import unknowns_of
from lartpc.losses.linear import Linear
from lartpc.losses.per_event import MeanLoss
from lartpc.simulation.simulation import Simulation

NAMES = ("Ab", "lifetime")  # of very different size, 0.8 and 2200


class Analytic:
    """`function(x, batches)` of x = values/nominal values within bounds, which is a `Linear` or `MeanLoss` in x."""

    def __init__(self, unknowns, function, batches):
        self.unknowns, self.function, self.batches = unknowns, function, range(batches)

    def __call__(self, values, chosen=None):
        scale = self.unknowns.scale
        found = self.function(values / scale, self.batches if chosen is None else chosen)
        if isinstance(found, MeanLoss):
            return found._replace(gradients=found.gradients / scale)
        return found._replace(jacobian=found.jacobian / scale, gradient_rest=found.gradient_rest / scale)


def problem(function, low, high, names=NAMES, batches=1, report=lambda evaluation: None, done=()):
    """The problem of a function of x within `low` and `high`."""
    unknowns = unknowns_of(Simulation(), names)
    bounds = np.stack((np.broadcast_to(low, len(names)), np.broadcast_to(high, len(names))), axis=1)
    unknowns = dataclasses.replace(unknowns, bounds=bounds * unknowns.scale[:, None])
    return Problem(Analytic(unknowns, function, batches), Record(done, report))


def squares(residual, jacobian, rest=0.0, gradient_rest=0.0):
    """Half the sum of squares of residuals (m,) with their Jacobian (m, n), and a rest."""
    jacobian = np.asarray(jacobian, dtype=np.float64)
    gradient_rest = np.zeros(jacobian.shape[1]) + gradient_rest
    pixel = np.zeros(len(jacobian), dtype=np.int64)
    return Linear(np.asarray(residual, np.float64), jacobian, rest, gradient_rest, 1, 0, pixel)


def quadratic(centre, information):
    """(x - centre) H (x - centre)/2."""
    root = np.linalg.cholesky(np.asarray(information, dtype=np.float64)).T
    return lambda x, batches: squares(root @ (x - centre), root)


def rosenbrock(x, batches):
    """50 (y - x^2)^2 + (1.2 - x)^2/2: a curved valley with its minimum at (1.2, 1.44)."""
    return squares([10.0 * (x[1] - x[0] ** 2), 1.2 - x[0]], [[-20.0 * x[0], 10.0], [-1.0, 0.0]])
