"""How finely the integrals of the model are evaluated; the defaults keep every waveform within 1e-3 of its peak."""

from typing import NamedTuple

import numpy as np


class Settings(NamedTuple):
    """Numerical settings, none of them physics."""

    step_length: float = 3.0  # three points of a segment stand for this many nominal diffusion widths
    width: float = 4.0  # transverse standard deviations after which a step's charge is cut (and normalised)
    nodes: int = 10  # quadrature nodes over the whole width of a step's charge, along each axis
    precision: float = 1e-4  # of the parametric response's tables, relative to its peak
    memory: float = 24.0  # how far back of its edge a response is followed [us]
    block: int = 16  # ticks: windows are whole numbers of blocks
    steps_per_batch: int = 8192  # whole events are simulated together up to about this many steps; on CUDA, to 8 times


def gauss_rules(highest, dtype):
    """Points and weights of quadrature rules on [-1, 1]: two arrays (highest + 1, highest), row n of n points.

    Up to 3 points those of Gauss and Legendre. More points are spaced more evenly, as what they integrate is nearly 0
    at the ends: g becomes asin(a g)/asin(a), a = 1/cosh(ln(100)/n), at most 0.6. Source: Kosloff & Tal-Ezer,
    J. Comput. Phys. 104 (1993) 457.
    """
    points = np.zeros((highest + 1, highest))
    weights = np.zeros((highest + 1, highest))
    for n in range(1, highest + 1):
        g, w = np.polynomial.legendre.leggauss(n)
        if n > 3:
            a = min(1.0 / np.cosh(np.log(100.0) / n), 0.6)
            w = w * a / np.sqrt(1.0 - (a * g) ** 2) / np.arcsin(a)
            g = np.arcsin(a * g) / np.arcsin(a)
        points[n, :n], weights[n, :n] = g, w
    return points.astype(dtype), weights.astype(dtype)
