"""Adjoint of spread: from the moments of all its pairs back to a step."""

import math

from lartpc.kernels.charge.split import PITCH
from lartpc.kernels.pixels.pair import half_pixel_edge, half_pixel_place, node_count, nominal_half_width
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.special import normal_cdf, normal_density


@device
def spread_axis_adjoint(
    p, column, position, sigma, distance, pitch, width, whole, nodes, points, weights, charge, degree, grad_moment
):
    """Gradients with respect to position, sigma and charge of one axis of pair p.

    Of a point xi = (low + high)/2 + (high - low)/2 g the weight is, but for a constant,
    w = charge (high - low) omega exp(-xi^2/(2 sigma^2))/sigma:
    dw/w = d(charge)/charge + d(high - low)/(high - low) - xi dxi/sigma^2 + (xi^2/sigma^2 - 1) dsigma/sigma
    dxi/d(low) = (1 - g)/2, dxi/d(high) = (1 + g)/2; T_n at 4|xi - middle|/pitch - 1 = side (xi - origin) + offset,
    d(origin)/d(position) = -1
    mass = (Phi(high/sigma) - Phi(low/sigma))/whole: d(mass)/d(high) = phi(high/sigma)/(sigma whole), likewise low,
    d(mass)/dsigma = -(high phi(high/sigma) - low phi(low/sigma))/(sigma^2 whole)
    low and high are the pixel's edges less the position (slope -1) or -/+ width sigma.
    """
    T = type(position)
    grad_position = T(0.0)
    grad_sigma = T(0.0)
    grad_charge = T(0.0)
    below = T(0.0)
    for half in range(2):
        edge0 = half_pixel_edge(column, half, pitch, position)
        edge1 = half_pixel_edge(column, half + 1, pitch, position)
        low = max(edge0, -width * sigma)
        high = min(edge1, width * sigma)
        if low >= high:
            continue
        origin, side, offset = half_pixel_place(half, edge0, edge1, pitch)
        m = node_count(edge0, edge1, nominal_half_width(distance, width), nodes)
        scale = T(0.5) * (high - low) * T(0.3989422804014327) / (sigma * whole)
        grad_low = T(0.0)
        grad_high = T(0.0)
        total = T(0.0)
        for k in range(m):
            xi = T(0.5) * (low + high) + T(0.5) * (high - low) * points[m, k]
            w = scale * weights[m, k] * math.exp(T(-0.5) * (xi / sigma) * (xi / sigma))
            at = side * (xi - origin) + offset
            before = T(1.0)
            here = at
            slope_before = T(0.0)
            slope = T(1.0)
            by_weight = T(0.0)
            by_at = T(0.0)
            for n in range(1, degree):
                by_weight += grad_moment[p, n] * here
                by_at += grad_moment[p, n] * slope
                after = (at + at) * here - before
                slope_after = T(2.0) * here + (at + at) * slope - slope_before
                before = here
                here = after
                slope_before = slope
                slope = slope_after
            by_log = w * by_weight
            by_position = charge * w * side * by_at
            total += by_log
            grad_xi = by_position - charge * by_log * xi / (sigma * sigma)
            grad_sigma += charge * by_log * (xi * xi / (sigma * sigma) - T(1.0)) / sigma
            grad_position += by_position
            grad_low += grad_xi * T(0.5) * (T(1.0) - points[m, k])
            grad_high += grad_xi * T(0.5) * (T(1.0) + points[m, k])
        if below == T(0.0):
            below = normal_cdf(low / sigma)
        above = normal_cdf(high / sigma)
        grad_charge += total + grad_moment[p, 0] * (above - below) / whole
        below = above
        density_low = normal_density(low / sigma) / (sigma * whole)
        density_high = normal_density(high / sigma) / (sigma * whole)
        grad_mass = grad_moment[p, 0] * charge
        grad_low -= charge * total / (high - low) + grad_mass * density_low
        grad_high += charge * total / (high - low) + grad_mass * density_high
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


@kernel("grad_x", "grad_y", "grad_charge", "grad_sigma_T", lanes=2, sums=("grad_sigma_T",))
def spread_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
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
    pair_x,
    pair_y,
    width,
    whole,
    nodes,
    gauss_point,
    gauss_weight,
    first_pair,
    pair_place,
    # gradients of outputs
    grad_moment_x,
    grad_moment_y,
    # gradients of inputs
    grad_x,
    grad_y,
    grad_charge,
    grad_sigma_T,
):
    """Gradients of step i, summed over its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    The charge is a factor of moment_x alone. The rest: `spread_axis_adjoint`. The distance chooses the number of nodes
    alone, so has no gradient here.
    """
    pitch = tpcs[step_tpc[i], PITCH]
    most = degree[step_table[i]]
    T = type(x[i])
    sigma, depth = sigma_T[i], distance[i]
    points, weights = gauss_point, gauss_weight
    for axis in range(lane, 2, lanes):  # lanes differ in what they read, not in what they do
        at = x[i] if axis == 0 else y[i]
        of_step = column[i] if axis == 0 else row[i]
        of_pair = pair_x if axis == 0 else pair_y
        q = charge[i] if axis == 0 else T(1.0)
        grad_moment = grad_moment_x if axis == 0 else grad_moment_y
        grad_position = T(0.0)
        grad_sigma = T(0.0)
        grad_q = T(0.0)
        for j in range(first_pair[i], first_pair[i + 1]):
            p = pair_place[j]
            off = of_pair[p] - of_step
            by_position, by_sigma, by_charge = spread_axis_adjoint(
                p, off, at, sigma, depth, pitch, width, whole, nodes, points, weights, q, most, grad_moment
            )
            grad_position += by_position
            grad_sigma += by_sigma
            grad_q += by_charge
        grad_sigma_T[i, lane] += grad_sigma
        if axis == 0:
            grad_x[i] += grad_position
            grad_charge[i] += grad_q
        else:
            grad_y[i] += grad_position


@device
def spread_axis_tangent(
    p, column, position, sigma, distance, pitch, width, whole, nodes, points, weights, charge, degree, moves, grows, by
):
    """Derivatives `by` (n_pairs, most) of the moments of one axis of pair p; see `spread_axis_adjoint`.

    By sigma: moves 0, grows 1; by position: moves 1, grows 0.
    """
    T = type(position)
    cut = grows * width
    for half in range(2):
        edge0 = half_pixel_edge(column, half, pitch, position)
        edge1 = half_pixel_edge(column, half + 1, pitch, position)
        low = max(edge0, -width * sigma)
        high = min(edge1, width * sigma)
        if low >= high:
            continue
        by_low = -moves if edge0 > -width * sigma else -cut
        by_high = -moves if edge1 < width * sigma else cut
        density_low = normal_density(low / sigma) / (sigma * whole)
        density_high = normal_density(high / sigma) / (sigma * whole)
        at_low = by_low - grows * (low / sigma)
        at_high = by_high - grows * (high / sigma)
        by[p, 0] += charge * (density_high * at_high - density_low * at_low)
        origin, side, offset = half_pixel_place(half, edge0, edge1, pitch)
        m = node_count(edge0, edge1, nominal_half_width(distance, width), nodes)
        scale = charge * T(0.5) * (high - low) * T(0.3989422804014327) / (sigma * whole)
        by_length = (by_high - by_low) / (high - low)
        for k in range(m):
            xi = T(0.5) * (low + high) + T(0.5) * (high - low) * points[m, k]
            by_xi = T(0.5) * (by_low + by_high) + T(0.5) * (by_high - by_low) * points[m, k]
            w = scale * weights[m, k] * math.exp(T(-0.5) * (xi / sigma) * (xi / sigma))
            wider = grows * ((xi * xi / (sigma * sigma) - T(1.0)) / sigma)
            by_weight = w * (by_length - xi * by_xi / (sigma * sigma) + wider)
            by_at = w * side * (by_xi + moves)
            at = side * (xi - origin) + offset
            before = T(1.0)
            here = at
            slope_before = T(0.0)
            slope = T(1.0)
            for n in range(1, degree):
                by[p, n] += by_weight * here + by_at * slope
                after = (at + at) * here - before
                slope_after = T(2.0) * here + (at + at) * slope - slope_before
                before = here
                here = after
                slope_before = slope
                slope = slope_after


@kernel("moment_x_by_sigma_T", "moment_y_by_sigma_T", "moment_x_by_x", "moment_y_by_y")
def spread_tangent(
    i,
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
    moment_x_by_sigma_T,
    moment_y_by_sigma_T,
    moment_x_by_x,
    moment_y_by_y,
):
    """Derivatives of the moments of pair i by sigma_T of its step: x [e/cm], y [1/cm], (n_pairs, most) like these.

    And by x and y, which no parameter moves: who needs none of them gives arrays without rows.
    """
    step = pair_step[i]
    pitch = tpcs[step_tpc[step], PITCH]
    most = degree[step_table[step]]
    one = type(x[step])(1.0)
    no = type(x[step])(0.0)
    sigma = sigma_T[step]
    depth = distance[step]
    q = charge[step]
    points, weights = gauss_point, gauss_weight
    by_x, by_y = moment_x_by_sigma_T, moment_y_by_sigma_T
    for n in range(by_x.shape[1]):
        by_x[i, n] = type(q)(0.0)
        by_y[i, n] = type(q)(0.0)
    right, up = pair_x[i] - column[step], pair_y[i] - row[step]
    here, there = x[step], y[step]
    spread_axis_tangent(
        i, right, here, sigma, depth, pitch, width, whole, nodes, points, weights, q, most, no, one, by_x
    )
    spread_axis_tangent(
        i, up, there, sigma, depth, pitch, width, whole, nodes, points, weights, one, most, no, one, by_y
    )
    if moment_x_by_x.shape[0] > 0:
        by_x, by_y = moment_x_by_x, moment_y_by_y
        for n in range(by_x.shape[1]):
            by_x[i, n] = type(q)(0.0)
            by_y[i, n] = type(q)(0.0)
        spread_axis_tangent(
            i, right, here, sigma, depth, pitch, width, whole, nodes, points, weights, q, most, one, no, by_x
        )
        spread_axis_tangent(
            i, up, there, sigma, depth, pitch, width, whole, nodes, points, weights, one, most, one, no, by_y
        )
