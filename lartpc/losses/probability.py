"""Probabilities of the noise, with derivatives, down to where they underflow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import erf, erfcx, log_ndtr, ndtr, owens_t

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_THIN = 4.0  # |middle| times half width up to which 24 points integrate the density to rounding
_ROOT_2PI = np.sqrt(2.0 * np.pi)


class Interval(NamedTuple):
    """f = -log[Phi(z + above) - Phi(z - below)] and its derivatives."""

    value: np.ndarray
    slope: np.ndarray  # df/dz
    curvature: np.ndarray  # d2f/dz2, above 0 and at most 1
    at_below: np.ndarray  # -df/d(below): the density at that edge over the probability
    at_above: np.ndarray  # -df/d(above)


def log_interval(z: np.ndarray, below: np.ndarray, above: np.ndarray) -> Interval:
    """-log of the probability that a standard normal deviate lies between z - below and z + above, with derivatives.

    Arrays of one shape, or that broadcast; below + above > 0, either may be infinite. With x that deviate, known to lie
    there, slope is its mean and curvature 1 less its variance (N. L. Johnson, S. Kotz, N. Balakrishnan, Continuous
    Univariate Distributions 1, 1994, section 13.10.1). A thin interval is integrated by quadrature about its middle; of
    one in a tail the factor exp(-b^2/2) of the edge b next to 0 is taken out, so that nothing cancels, underflows or
    overflows.
    """
    z, below, above = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (z, below, above)))
    half, middle = 0.5 * (above + below), z + 0.5 * (above - below)
    thin = (half <= 2.0) & (np.abs(middle) * half <= _THIN)
    near, far = np.where(middle < 0.0, -(z + above), z - below), np.where(middle < 0.0, below - z, z + above)
    tail = ~thin & (near > 0.0)
    columns = [np.empty(z.shape) for _ in range(3)]
    for chosen, function, arguments in (
        (thin, _thin, (middle, half)),
        (tail, _tail, (near, far, 2.0 * half)),
        (~thin & ~tail, _around, (near, far)),
    ):
        for column, part in zip(columns, function(*(a[chosen] for a in arguments)), strict=True):
            column[chosen] = part
    value, slope, curvature = columns
    edges = (np.exp(value - 0.5 * edge**2) / _ROOT_2PI for edge in (z - below, z + above))
    return Interval(value, np.where(~thin & (middle < 0.0), -slope, slope), curvature, *edges)


def _thin(middle: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, ...]:
    offset = half[:, None] * _POINTS
    density = _WEIGHTS * np.exp(-offset * (middle[:, None] + 0.5 * offset))
    total = density.sum(axis=1)
    mean = (density * offset).sum(axis=1) / total
    variance = (density * (offset - mean[:, None]) ** 2).sum(axis=1) / total
    value = 0.5 * middle**2 - np.log(half * total / _ROOT_2PI)
    return value, middle + mean, 1.0 - variance


def _tail(near: np.ndarray, far: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, ...]:
    """0 < near < far."""
    ratio = np.exp(-0.5 * width * (near + far))  # of the densities at the edges
    far = np.where(ratio > 0.0, far, 0.0)
    total = np.sqrt(0.5 * np.pi) * (erfcx(near / np.sqrt(2.0)) - ratio * erfcx(far / np.sqrt(2.0)))
    slope = (1.0 - ratio) / total
    value = 0.5 * near**2 - np.log(total / _ROOT_2PI)
    return value, slope, slope**2 + (far * ratio - near) / total


def _around(near: np.ndarray, far: np.ndarray) -> tuple[np.ndarray, ...]:
    """near <= 0 < far, wide enough to hold much of the probability."""
    near, far = np.maximum(near, -50.0), np.minimum(far, 50.0)  # where the density is 0
    total = ndtr(-near) - ndtr(-far)
    at_near, at_far = (np.exp(-0.5 * edge**2) / _ROOT_2PI for edge in (near, far))
    slope = (at_near - at_far) / total
    return -np.log(total), slope, slope**2 + (far * at_far - near * at_near) / total


def log_no_hit(x: np.ndarray, reset_noise: float, uncorrelated_noise: float) -> tuple[np.ndarray, np.ndarray]:
    """log P0(x) and d(log P0)/dx; x [e] is threshold less charge, (n,).

    P0 = 1 - P(A >= x, B >= x) = [Phi(h) + Phi(k)]/2 + T(k, s_u/s_r), h = x/s_r, k = x/sqrt(s_r^2 + s_u^2), T Owen's
    function; P(B < x) where that underflows.
    """
    total = np.hypot(reset_noise, uncorrelated_noise)
    h, k, a = x / reset_noise, x / total, uncorrelated_noise / reset_noise
    far = h < -30.0
    near = 0.5 * (ndtr(h) + ndtr(k)) + owens_t(k, a)
    density = 0.5 * (normal(h) / reset_noise + normal(k) / total * (1.0 - erf(a * k / np.sqrt(2.0))))
    safe = np.where(far, 1.0, near)
    return np.where(far, log_ndtr(k), np.log(safe)), np.where(far, hazard(-k) / total, density / safe)


def log_hit(x: np.ndarray, reset_noise: float) -> tuple[np.ndarray, np.ndarray]:
    """log P(A >= x), A the reset noise, and its derivative: the threshold was reached; x as in `log_no_hit`."""
    z = x / reset_noise
    return log_ndtr(-z), -hazard(z) / reset_noise


def hazard(z: np.ndarray) -> np.ndarray:
    """phi(z)/Phi(-z), of any z: it goes to z, or to 0."""
    return np.sqrt(2.0 / np.pi) / erfcx(z / np.sqrt(2.0))


def normal(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * z * z) / _ROOT_2PI
