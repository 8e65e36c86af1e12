"""Adjoint of spread: from the nodes of all its pairs back to a step."""

import math

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.pair import half_pixel_edge, node_count, nominal_half_width
from lartpc.kernels.special import normal_cdf, normal_density
from lartpc.kernels.split import PITCH
from lartpc.kernels.spread import half_mass


@device
def spread_axis_adjoint(
    p,
    column,
    position,
    sigma,
    distance,
    pitch,
    width,
    nodes,
    gauss_point,
    gauss_weight,
    charge,
    grad_at,
    grad_weight,
):
    """Gradients with respect to position, sigma and charge of one axis of pair p.

    w_k = charge mass g_k/G, g_k = omega_k exp(-xi_k^2/(2 sigma^2)), G = sum g:
    dw_k = w_k (d(charge)/charge + d(mass)/mass + l_k - sum g_j l_j/G), l_k = d ln g_k = -xi_k dxi_k/sigma^2 + xi_k^2 dsigma/sigma^3
    xi_k = (low + high)/2 + (high - low)/2 g_k: dxi/d(low) = (1 - g)/2, dxi/d(high) = (1 + g)/2
    mass = (Phi(high/sigma) - Phi(low/sigma))/whole: d(mass)/d(high) = phi(high/sigma)/(sigma whole), likewise low,
    d(mass)/dsigma = -(high phi(high/sigma) - low phi(low/sigma))/(sigma^2 whole)
    low and high are the pixel's edges less the position (slope -1) or -/+ width sigma; at_k = xi_k - middle, slope +1.
    """  # noqa: E501  (one line a formula)
    T = type(position)
    grad_position = T(0.0)
    grad_sigma = T(0.0)
    grad_charge = T(0.0)
    whole = T(1.0) - T(2.0) * normal_cdf(-width)
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
        mean = T(0.0)
        for k in range(m):
            xi = T(0.5) * (low + high) + T(0.5) * (high - low) * gauss_point[m, k]
            g = gauss_weight[m, k] * math.exp(T(-0.5) * (xi / sigma) * (xi / sigma))
            total += g
            mean += g * grad_weight[p, n + k]
        mean /= total
        grad_charge += mean * mass
        grad_mass = mean * charge
        grad_low = T(0.0)
        grad_high = T(0.0)
        for k in range(m):
            xi = T(0.5) * (low + high) + T(0.5) * (high - low) * gauss_point[m, k]
            g = gauss_weight[m, k] * math.exp(T(-0.5) * (xi / sigma) * (xi / sigma))
            grad_log = charge * mass * g / total * (grad_weight[p, n + k] - mean)
            grad_xi = grad_at[p, n + k] - grad_log * xi / (sigma * sigma)
            grad_sigma += grad_log * xi * xi / (sigma * sigma * sigma)
            grad_position += grad_at[p, n + k]
            grad_low += grad_xi * T(0.5) * (T(1.0) - gauss_point[m, k])
            grad_high += grad_xi * T(0.5) * (T(1.0) + gauss_point[m, k])
        n += m
        density_low = normal_density(low / sigma) / (sigma * whole)
        density_high = normal_density(high / sigma) / (sigma * whole)
        grad_low -= grad_mass * density_low
        grad_high += grad_mass * density_high
        grad_sigma -= grad_mass * (high * density_high - low * density_low) / sigma
        if edge0 > -width * sigma:
            grad_position -= grad_low
        else:
            grad_sigma -= width * grad_low
        if edge1 < width * sigma:
            grad_position -= grad_high
        else:
            grad_sigma += width * grad_high
    return grad_position, grad_sigma, grad_charge


@kernel("grad_x", "grad_y", "grad_charge", "grad_arrival", "grad_sigma_t", "grad_sigma_T")
def spread_adjoint(
    i,
    # forward inputs
    x,
    y,
    distance,
    charge,
    sigma_T,
    step_volume,
    volumes,
    pair_x,
    pair_y,
    width,
    nodes,
    gauss_point,
    gauss_weight,
    first_pair,
    pair_place,
    # gradients of outputs
    grad_node_x,
    grad_node_y,
    grad_weight_x,
    grad_weight_y,
    grad_pair_arrival,
    grad_pair_sigma,
    # gradients of inputs
    grad_x,
    grad_y,
    grad_charge,
    grad_arrival,
    grad_sigma_t,
    grad_sigma_T,
):
    """Gradients of step i, summed over its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    pair_arrival = arrival, pair_sigma = sigma_t; the charge is a factor of weight_x alone. The rest:
    `spread_axis_adjoint`. The distance chooses the number of nodes alone, so has no gradient here.
    """
    pitch = volumes[step_volume[i], PITCH]
    one = type(x[i])(1.0)
    for j in range(first_pair[i], first_pair[i + 1]):
        p = pair_place[j]
        position, sigma, amount = spread_axis_adjoint(
            p,
            pair_x[p],
            x[i],
            sigma_T[i],
            distance[i],
            pitch,
            width,
            nodes,
            gauss_point,
            gauss_weight,
            charge[i],
            grad_node_x,
            grad_weight_x,
        )
        grad_x[i] += position
        grad_sigma_T[i] += sigma
        grad_charge[i] += amount
        position, sigma, amount = spread_axis_adjoint(
            p,
            pair_y[p],
            y[i],
            sigma_T[i],
            distance[i],
            pitch,
            width,
            nodes,
            gauss_point,
            gauss_weight,
            one,
            grad_node_y,
            grad_weight_y,
        )
        grad_y[i] += position
        grad_sigma_T[i] += sigma
        grad_arrival[i] += grad_pair_arrival[p]
        grad_sigma_t[i] += grad_pair_sigma[p]
