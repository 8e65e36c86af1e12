"""Spread: share the diffused charge of a step over quadrature nodes on each pixel that it reaches.

The integral of the transverse Gaussian over a pixel separates in x and y. Along each axis the pixel is halved at its
centre, where the response has a kink, and each half, cut at `width` standard deviations from the step, holds the
nodes xi_k of a Gauss-Legendre rule with weights w_k = mass g_k / sum g, g_k = omega_k exp(-xi_k^2/(2 sigma_T^2)), where
mass is the exact integral of the Gaussian over that half. So charge is conserved whatever the number of nodes.
"""

import math

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.pair import half_pixel_edge, node_count, nominal_half_width
from lartpc.kernels.special import normal_cdf
from lartpc.kernels.split import PITCH


@device
def half_mass(low, high, sigma, width):
    """Integral over (low, high) of a Gaussian cut at `width` standard deviations and normalised."""
    T = type(low)
    whole = T(1.0) - T(2.0) * normal_cdf(-width)
    return (normal_cdf(high / sigma) - normal_cdf(low / sigma)) / whole


@device
def spread_axis(
    p, column, position, sigma, distance, pitch, width, nodes, gauss_point, gauss_weight, charge, at, weight
):
    """Nodes of one axis of pair p; returns their number."""
    T = type(position)
    n = 0
    for half in range(2):
        edge0 = half_pixel_edge(column, half, pitch, position)
        edge1 = half_pixel_edge(column, half + 1, pitch, position)
        low = max(edge0, -width * sigma)
        high = min(edge1, width * sigma)
        if low >= high:
            continue
        middle = half_pixel_edge(column, 1, pitch, position)
        m = node_count(edge0, edge1, middle, nominal_half_width(distance, width), nodes)
        mass = half_mass(low, high, sigma, width)
        total = T(0.0)
        for k in range(m):
            xi = T(0.5) * (low + high) + T(0.5) * (high - low) * gauss_point[m, k]
            g = gauss_weight[m, k] * math.exp(T(-0.5) * (xi / sigma) * (xi / sigma))
            at[p, n + k] = xi - middle
            weight[p, n + k] = g
            total += g
        for k in range(m):
            weight[p, n + k] *= charge * mass / total
        n += m
    return n


@kernel("node_x", "node_y", "weight_x", "weight_y", "nodes_x", "nodes_y", "pair_arrival", "pair_sigma")
def spread(
    i,
    x,
    y,
    distance,
    charge,
    arrival,
    sigma_t,
    sigma_T,
    step_volume,
    volumes,
    pair_step,
    pair_x,
    pair_y,
    width,
    nodes,
    gauss_point,
    gauss_weight,
    node_x,
    node_y,
    weight_x,
    weight_y,
    nodes_x,
    nodes_y,
    pair_arrival,
    pair_sigma,
):
    """Charge of pair i at the nodes (node_x[i, j], node_y[i, k]): weight_x[i, j] weight_y[i, k].

    Inputs by step (n_steps,): x, y [cm], distance [cm], charge [e], arrival [us], sigma_t [us], sigma_T [cm].
    Outputs: node_x, node_y (n_pairs, nodes + 3) from the pixel centre [cm], weight_x [e], weight_y [1], of which the
    first nodes_x, nodes_y (n_pairs,) are used; pair_arrival, pair_sigma (n_pairs,) [us], the step's.
    """
    step = pair_step[i]
    pitch = volumes[step_volume[step], PITCH]
    one = type(x[step])(1.0)
    nodes_x[i] = spread_axis(
        i,
        pair_x[i],
        x[step],
        sigma_T[step],
        distance[step],
        pitch,
        width,
        nodes,
        gauss_point,
        gauss_weight,
        charge[step],
        node_x,
        weight_x,
    )
    nodes_y[i] = spread_axis(
        i,
        pair_y[i],
        y[step],
        sigma_T[step],
        distance[step],
        pitch,
        width,
        nodes,
        gauss_point,
        gauss_weight,
        one,
        node_y,
        weight_y,
    )
    pair_arrival[i] = arrival[step]
    pair_sigma[i] = sigma_t[step]
