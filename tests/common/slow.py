"""The model's current by brute force, straight from its formulas: slow, and independent of the program."""

import numpy as np
from helpers import PITCH, VELOCITY
from scipy.special import erfc, erfcx

from lartpc.parameters import Parameters


def coefficients(x, y):
    """a, b, c, s of the parametric response at x, y [cm] from the pixel's centre."""
    table = [
        (1.060, -0.909, -0.909, 5.856, 0.207, 0.207),
        (0.679, -1.083, -1.083, 8.772, -5.521, -5.521),
        (2.644, -9.174, -9.174, 13.483, 45.887, 45.887),
        (2.948, -2.705, -2.705, 4.825, 20.814, 20.814),
    ]
    x, y = np.abs(x), np.abs(y)
    a, b, c, s = (p[0] + p[1] * x + p[2] * y + p[3] * x * y + p[4] * x * x + p[5] * y * y for p in table)
    return np.minimum(a, 1.0), b, c, s


def smeared(w, b, sigma):
    """Convolution of exp(w/b)/b, w < 0, with a Gaussian."""
    y = (w / sigma + sigma / b) / np.sqrt(2)
    before = np.exp(np.minimum(w / b + 0.5 * (sigma / b) ** 2, 50.0)) * erfc(np.minimum(y, 5.0))
    return np.where(y < 5.0, before, np.exp(-0.5 * (w / sigma) ** 2) * erfcx(np.maximum(y, 0.0))) / (2 * b)


def slow_current(start, end, dE, dEdx, column, row, times):
    """Current [e/us] by dense quadrature of the model along the segment and over the four quarters of the pixel."""
    p, start, end = Parameters(), np.array(start), np.array(end)
    point, gauss_weight = np.polynomial.legendre.leggauss(24)
    along, weights = np.polynomial.legendre.leggauss(24 if np.any(start != end) else 1)
    centre = (np.array([column, row]) - 4.5) * PITCH
    current = np.zeros(len(times))
    for u, weight in zip((1 + along) / 2, weights / 2, strict=True):
        x, y, d = start + u * (end - start)
        time = (d - 0.5) / VELOCITY
        q = dE * weight * p.Ab / (1 + p.kb * dEdx / (p.eField * p.lArDensity)) * p.MeVToElectrons
        q *= np.exp(-time / p.lifetime)
        sigma = np.sqrt(2 * p.tran_diff * d / VELOCITY)
        sigma_t = np.sqrt(2 * p.long_diff * d / VELOCITY) / VELOCITY
        axes = []
        for position, middle in zip((x, y), centre, strict=True):
            nodes, weights = [], []
            for low, high in ((-0.5, 0.0), (0.0, 0.5)):
                low = max(low * PITCH + middle, position - 7.5 * sigma)
                high = min(high * PITCH + middle, position + 7.5 * sigma)
                if low < high:
                    at = (low + high) / 2 + (high - low) / 2 * point
                    gauss = np.exp(-0.5 * ((at - position) / sigma) ** 2) / np.sqrt(2 * np.pi) / sigma
                    nodes.append(at - middle)
                    weights.append(gauss * gauss_weight * (high - low) / 2)
            axes.append((np.concatenate(nodes or [[]]), np.concatenate(weights or [[]])))
        (X, wx), (Y, wy) = axes
        if len(X) and len(Y):
            weight = (wx[:, None] * wy).ravel()
            X, Y = (g.ravel() for g in np.meshgrid(X, Y, indexing="ij"))
            a, b, c, s = (k[:, None] for k in coefficients(X, Y))
            w = times - time - s
            current += q * weight @ (a * smeared(w, b, sigma_t) + (1 - a) * smeared(w, c, sigma_t))
    return current
