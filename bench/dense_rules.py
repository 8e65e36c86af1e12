"""Numerical rules of the analytic dense baseline: its quadrature nodes, and its polynomial for the slow exponential.

It computes the direct formulation, exponentially modified Gaussians at quadrature nodes of every pair of step and
pixel. But for the quadrature rule itself (`gauss_rules` of `lartpc.charge.quadrature`), these rules are its own, so
that what it computes and costs stays the same when the project's kernels change.
"""

import numpy as np

WIDTH = 3.6  # transverse standard deviations after which a step's charge is cut (and normalised)
WHOLE = 8  # quadrature nodes over the whole width of a step's charge, along each axis, where most are needed
LOOKBACK = 24.0  # how far back of its edge a response is followed [us]
MOMENTS = 7  # with which the slow exponential is followed back
LEAST_RATE, LARGEST_RATE = 1.0 / 3.76, 1.0 / 1.84  # of the slow exponential over a pixel of up to 0.4434 cm [1/us]
RATE_MIDDLE = 0.5 * (LEAST_RATE + LARGEST_RATE)
RATE_HALF = 0.5 * (LARGEST_RATE - LEAST_RATE)
NOMINAL_RATIO = 0.237  # sigma_T/sigma_t [cm/us] of the nominal diffusion, at every distance
ACROSS = 0.105  # a typical distance from a pixel's centre along the other axis [cm]
# Found by trial on 100 cm of mixed particles: least nodes for an even deviation.
EASY = 2.5
HARD = 1.65  # the ratio at a pixel's edge
BEYOND = 0.2


def node_count(low, high, middle, half_width):
    """Nodes for the charge within low to high of the step [cm], cut at half_width; `WHOLE` for the whole width at most.

    The more the response's time shifts over the charge's width, in units of its width in time, the more nodes it takes:
    n = fraction WHOLE sqrt((EASY + r^2)/(EASY + HARD^2)), r that ratio a little beyond where most charge is, away from
    the pixel's centre, which is at middle. half_width is that of the nominal diffusion.
    """
    fraction = np.maximum(high - low, 0.0) / (2.0 * half_width)
    most = np.abs(np.clip(0.0, low, high) - middle)
    off = np.minimum(most + BEYOND * half_width, np.maximum(np.abs(low - middle), np.abs(high - middle)))
    ratio = NOMINAL_RATIO * (41.628 * off + 4.825 * ACROSS - 2.705)
    hardness = np.minimum((EASY + ratio**2) / (EASY + HARD**2), 1.0)
    return np.maximum(2, np.ceil(fraction * np.sqrt(hardness) * WHOLE + 0.5).astype(int))


def decay_table(ticks, tick, dtype):
    """Coefficients (MOMENTS, ticks) of exp(-tau rate) as a polynomial in u, rate = RATE_MIDDLE + u RATE_HALF [1/us].

    tau = 0, 1, ... times tick [us]. The polynomial interpolates at Chebyshev points; its deviation is at most 2.2e-6 of
    the slow exponential at its edge, which is 1e-7 of the current's peak.
    """
    u = np.cos(np.pi * (np.arange(MOMENTS) + 0.5) / MOMENTS)
    tau = tick * np.arange(ticks)
    values = np.exp(-(RATE_MIDDLE + RATE_HALF * u)[:, None] * tau)
    return np.linalg.solve(np.vander(u, increasing=True), values).astype(dtype)
