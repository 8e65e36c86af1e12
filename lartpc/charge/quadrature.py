"""Quadrature rules along a segment."""

import numpy as np


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
