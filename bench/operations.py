"""Arithmetic that the result needs: pairs x ticks x evaluations, counted from the lists of pairs.

At each node of each pair: the exponentials where the Gaussian edge matters (4.7 standard deviations on either side),
and before that the fast one alone until it has fallen by exp(-16). The slow one is there a few moments for each pair;
these and what is done once for a pair or a step are not counted. A multiply-add counts as two operations, a division as
one.
"""

import numpy as np
from dense_analytic import axis_nodes
from dense_lists import EDGE, FAINT, NODES, make_lists
from dense_physics import response

EXP = 22  # single precision, by polynomial
ERFCX = 34
EDGE_TERM = EXP + ERFCX + 9  # one exponential with its edge
GAUSS = EXP + 5  # shared by both
FAR_TERM = EXP + 4
SUMS = {"forward": 2, "gradient": 14}  # for each exponential, at each tick


def operations(simulation, batch):
    """Operations of the forward pass and of value and gradient, which evaluates all again to sum its derivatives."""
    lists = make_lists(simulation, batch)
    pairs, tick = lists.pairs, simulation.detector.tick
    sigma, sigma_T = lists.sigma_t[pairs["step"]], lists.sigma_T[pairs["step"]]
    width = simulation.settings.width
    x, y = (axis_nodes(*(pairs[f"{name}_{axis}"] for name in NODES), sigma_T, width)[0] for axis in "xy")
    used = (pairs["omega_x"] > 0.0)[:, None] & (pairs["omega_y"] > 0.0)
    a, b, _, _ = (np.asarray(value) for value in response(x[:, None], y))
    both = np.where(a < 1.0, 2, 1)
    near = 2.0 * EDGE * sigma / tick
    far = np.maximum(FAINT * b - EDGE * sigma, 0.0) / tick

    def total(sums):
        return float(np.sum(used * (near * (GAUSS + both * (EDGE_TERM + sums)) + far * (FAR_TERM + sums))))

    forward = total(SUMS["forward"])
    return {"forward": forward, "gradient": forward + total(SUMS["gradient"])}
