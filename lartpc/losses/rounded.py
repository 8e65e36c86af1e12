"""-log of the probability of hits whose times and charges were rounded, with derivatives.

Only the tick of a crossing is known, not the moment y_k in it (-1/2 to 1/2), on which the charge that is read depends
and the charge that the next hit starts from. The charge of a tick arrives evenly. So with c_k the charge of the tick of
the crossing, c_k + s_k that of the tick of the read, b_k that of the tick in which the reset ends, and r_k, u_k, x as
in the likelihood of exact hits but for y = 0 and the middle of the ADC count,

z_k = r_k + [b_{k-1} y_{k-1} - c_k y_k]/s_r,  v_k = u_k - s_k y_k/s_u,  X = x + b_n y_n
L = int dy_1 ... dy_n prod_k (c_k/s_r) phi(z_k) [Phi(v_k + above_k) - Phi(v_k - below_k)] P0(X)
with Phi(-X/s_r) for P0 where one more hit is known to have begun: see `target.until_deferred`,

by Gauss-Legendre quadrature in every y_k. The hits of a pixel are a Markov chain in y_k, summed from the last to the
first (L. R. Rabiner, Proc. IEEE 77 (1989) 257, eq. 25); derivatives are expectations over y, given the hits: the
gradient that of the derivatives of -log of the integrand, the Hessian that of their second derivatives less the
covariance of the first (T. A. Louis, J. R. Stat. Soc. B 44 (1982) 226, eq. 3.2').
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lartpc.losses.probability import log_hit, log_interval, log_no_hit

POINTS = 16  # in a tick; 12 change a gradient by less than 1 % of an error where a tick brings 10,000 e


class RoundedHits(NamedTuple):
    """Hits of N pixels with n hits each: (N, n), `left` and `deferred` (N,)."""

    r: np.ndarray  # by the reset noise
    u: np.ndarray  # by the readout noise
    charge: np.ndarray  # c_k [e], above 0
    swing: np.ndarray  # s_k [e]
    resume: np.ndarray  # b_k [e]
    below: np.ndarray  # from the lower edge of the count to where u_k is taken, by the readout noise
    above: np.ndarray  # from there to the upper edge
    left: np.ndarray  # x [e]: threshold less the charge after the last reset; infinite where hits are capped
    deferred: np.ndarray  # where one more hit began


class Derived(NamedTuple):
    """-log L of each pixel (N,), its derivatives by the fields of `RoundedHits`, and by r_1, u_1, r_2, ... twice."""

    value: np.ndarray
    r: np.ndarray  # (N, n)
    u: np.ndarray
    charge: np.ndarray
    swing: np.ndarray
    resume: np.ndarray
    below: np.ndarray
    above: np.ndarray
    left: np.ndarray  # (N,)
    hessian: np.ndarray  # (N, 2 n, 2 n)


def log_hits(hits: RoundedHits, reset_noise: float, uncorrelated_noise: float) -> Derived:
    """-log L and its derivatives; noises [e]."""
    n = hits.r.shape[1]
    y, weight = (0.5 * a for a in np.polynomial.legendre.leggauss(POINTS))
    c, b = hits.charge / reset_noise, hits.resume / reset_noise
    v = hits.u[..., None] - hits.swing[..., None] / uncorrelated_noise * y
    count = log_interval(v, hits.below[..., None], hits.above[..., None])
    log_end, slope = log_ending(
        hits.left[:, None] + hits.resume[:, -1:] * y, hits.deferred[:, None], reset_noise, uncorrelated_noise
    )

    # z and the probability of going from y_{k-1} to y_k, given all hits; the first comes from the start of the window.
    z: list[np.ndarray] = []
    go: list[np.ndarray] = []
    later = log_end
    for k in reversed(range(n)):
        before = b[:, k - 1, None] * y if k else np.zeros((len(c), 1))
        z.insert(0, (hits.r[:, k, None] + before)[:, :, None] - (c[:, k, None] * y)[:, None, :])
        each = np.log(weight) - 0.5 * z[0] ** 2 + (later - count.value[:, k])[:, None, :]
        top = each.max(axis=2)
        later = top + np.log(np.exp(each - top[:, :, None]).sum(axis=2))
        go.insert(0, np.exp(each - later[:, :, None]))
    value = 0.5 * n * np.log(2.0 * np.pi) - later[:, 0] - np.log(c).sum(axis=1)

    gradient = {name: np.zeros_like(c) for name in ("r", "u", "charge", "swing", "resume", "below", "above")}
    hessian = np.zeros((len(c), 2 * n, 2 * n))
    at, earlier = np.ones((len(c), 1)), np.zeros((len(c), 0, 1))  # earlier: covariance of derivatives with where y is
    for k in range(n):
        both = at[:, :, None] * go[k]
        at = both.sum(axis=1)
        by_z, by_v = both * z[k], at * count.slope[:, k]
        gradient["r"][:, k], gradient["u"][:, k] = by_z.sum(axis=(1, 2)), by_v.sum(axis=1)
        gradient["charge"][:, k] -= 1.0 / hits.charge[:, k] + by_z.sum(axis=1) @ y / reset_noise
        gradient["swing"][:, k] -= by_v @ y / uncorrelated_noise
        gradient["below"][:, k] = -(at * count.at_below[:, k]).sum(axis=1)
        gradient["above"][:, k] = -(at * count.at_above[:, k]).sum(axis=1)
        if k:
            gradient["resume"][:, k - 1] += by_z.sum(axis=2) @ y / reset_noise
        dz = z[k] - gradient["r"][:, k, None, None]
        dv = count.slope[:, k] - gradient["u"][:, k, None]
        i = 2 * k
        hessian[:, :i, i] = -(earlier @ (go[k] * dz)).sum(axis=2)
        here = (both * dz).sum(axis=1)
        earlier = np.concatenate((earlier @ go[k], here[:, None]), axis=1)
        hessian[:, : i + 1, i + 1] = -(earlier * dv[:, None]).sum(axis=2)
        hessian[:, i, i] = 1.0 - (both * dz**2).sum(axis=(1, 2))
        hessian[:, i + 1, i + 1] = (at * (count.curvature[:, k] - dv**2)).sum(axis=1)
        earlier = np.concatenate((earlier, (at * dv)[:, None]), axis=1)
    gradient["resume"][:, -1] -= (at * slope) @ y
    hessian += np.triu(hessian, 1).transpose(0, 2, 1)
    return Derived(value, **gradient, left=-(at * slope).sum(axis=1), hessian=hessian)


def log_ending(
    x: np.ndarray, deferred: np.ndarray | bool, reset_noise: float, uncorrelated_noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """log of the probability of what came after the last hit, nothing or a deferred hit, and its derivative by x."""
    none, hit = log_no_hit(x, reset_noise, uncorrelated_noise), log_hit(np.where(deferred, x, 0.0), reset_noise)
    value, slope = (np.where(deferred, b, a) for a, b in zip(none, hit, strict=True))
    return value, slope
