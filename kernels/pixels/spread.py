"""Spread: the moments of a step's diffused charge on each pixel that it reaches.

The transverse Gaussian, cut at `width` standard deviations and normalised, separates in x and y. Along each axis its
moments with the Chebyshev polynomials T_n in the distance from the pixel's centre,

moment_n = charge integral over the pixel of N(x; sigma_T) T_n(4|x|/pitch - 1) dx,

are sums over the points of a quadrature rule in each half of the pixel; moment_0, the charge, is exact.
"""

import math

from lartpc.kernels.charge.split import PITCH
from lartpc.kernels.pixels.pair import half_pixel_edge, half_pixel_place, node_count, nominal_half_width
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.special import normal_cdf


@device
def spread_axis(
    p, column, position, sigma, distance, pitch, width, whole, nodes, points, weights, charge, degree, moment
):
    """Moments of pair p along one axis; whole: mass of a Gaussian within `width` standard deviations."""
    T = type(position)
    below = T(0.0)
    for half in range(2):
        edge0 = half_pixel_edge(column, half, pitch, position)
        edge1 = half_pixel_edge(column, half + 1, pitch, position)
        low = max(edge0, -width * sigma)
        high = min(edge1, width * sigma)
        if low >= high:
            continue
        if below == T(0.0):
            below = normal_cdf(low / sigma)
        above = normal_cdf(high / sigma)
        moment[p, 0] += charge * (above - below) / whole
        below = above
        origin, slope, offset = half_pixel_place(half, edge0, edge1, pitch)
        m = node_count(edge0, edge1, nominal_half_width(distance, width), nodes)
        scale = charge * T(0.5) * (high - low) * T(0.3989422804014327) / (sigma * whole)
        for k in range(m):
            xi = T(0.5) * (low + high) + T(0.5) * (high - low) * points[m, k]
            w = scale * weights[m, k] * math.exp(T(-0.5) * (xi / sigma) * (xi / sigma))
            at = slope * (xi - origin) + offset
            before = T(1.0)
            here = at
            for n in range(1, degree):
                moment[p, n] += w * here
                after = (at + at) * here - before
                before = here
                here = after


@kernel("moment_x", "moment_y", lanes=2)
def spread(
    i,
    lane,
    lanes,
    column,
    row,
    x,
    y,
    distance,
    charge,
    sigma_T,
    step_tpc,
    tpcs,
    step_table,
    degree,
    pair_step,
    pair_x,
    pair_y,
    width,
    whole,
    nodes,
    gauss_point,
    gauss_weight,
    moment_x,
    moment_y,
):
    """Moments of pair i: moment_x (n_pairs, most) [e], moment_y [1], of which the first degree[step_table] are used.

    Inputs by step (n_steps,): column, row and x, y in that pixel [cm], as of `split`,
    distance [cm], charge [e], sigma_T [cm]; whole: mass of a Gaussian within `width`.
    """
    step = pair_step[i]
    pitch = tpcs[step_tpc[step], PITCH]
    most = degree[step_table[step]]
    T = type(x[step])
    sigma = sigma_T[step]
    depth = distance[step]
    points, weights = gauss_point, gauss_weight
    for axis in range(lane, 2, lanes):  # lanes differ in what they read, not in what they do
        moment = moment_x if axis == 0 else moment_y
        for n in range(moment.shape[1]):
            moment[i, n] = T(0.0)
        at = x[step] if axis == 0 else y[step]
        off = pair_x[i] - column[step] if axis == 0 else pair_y[i] - row[step]
        q = charge[step] if axis == 0 else T(1.0)
        spread_axis(i, off, at, sigma, depth, pitch, width, whole, nodes, points, weights, q, most, moment)
