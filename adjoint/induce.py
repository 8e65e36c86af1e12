"""Adjoint of induce: from a pair's row of currents and tail back to its nodes, arrival time and spread in time.

With f(w; b) as in the kernel, and g = N(w; sigma) the Gaussian, which vanishes where f is a pure exponential:

df/dw     = (f - g)/b
df/dsigma = sigma (f - g)/b^2 + w g/(sigma b)
df/db     = -f/b - w f/b^2 - sigma^2 (f - g)/b^3

So six sums over a node's ticks hold all: of grad times f and w f, for both exponentials, and of grad times g and w g.
The tail's moments are values of f at one tick, w_tail, times u^m, u = (1/c - RATE_MIDDLE)/RATE_HALF: they add
H f and H w_tail f to the slow sums, H = sum grad_tail_m u^m, and through u they add (dH/du) f (du/dc) to the gradient
of c, du/dc = -1/(c^2 RATE_HALF).
"""

import numpy as np

from lartpc.adjoint.response import fast_slope, slow_slope, weight_slope
from lartpc.kernels.induce import RATE_HALF, RATE_MIDDLE, at, edge, lane_before
from lartpc.kernels.launch import device, kernel
from lartpc.kernels.pair import LANES
from lartpc.kernels.response import fast, shift, shift_slope, slow, weight
from lartpc.kernels.special import edge_width, exp_limit, exp_negative


@device
def slopes(f, wf, g, wg, rate, sigma):
    """Sums of grad times df/dw, df/dsigma, df/db from those of grad times f, w f, g, w g."""
    by_w = (f - g) * rate
    by_sigma = sigma * by_w * rate + wg * rate / sigma
    by_b = -rate * (f + rate * (wf + sigma * sigma * by_w))
    return by_w, by_sigma, by_b


@device
def sign(x):
    T = type(x)
    if x > T(0.0):
        return T(1.0)
    return T(-1.0) if x < T(0.0) else T(0.0)


@kernel("grad_pair_arrival", "grad_pair_sigma", "grad_node_x", "grad_node_y", "grad_weight_x", "grad_weight_y")
def induce_adjoint(
    i,
    # forward inputs
    pair_arrival,
    pair_sigma,
    pair_tick,
    first_tick,
    tail_tick,
    first_row,
    node_x,
    node_y,
    weight_x,
    weight_y,
    nodes_x,
    nodes_y,
    tick,
    # gradients of outputs
    grad_row,
    grad_tail,
    # gradients of inputs
    grad_pair_arrival,
    grad_pair_sigma,
    grad_node_x,
    grad_node_y,
    grad_weight_x,
    grad_weight_y,
):
    """Gradients of pair i. A node of charge Q = weight_x weight_y adds Q (a f(w; b) + (1 - a) f(w; c)):

    d/dQ = a f_b + (1 - a) f_c, d/da = Q (f_b - f_c) (0 where a is capped), dw/d(arrival) = dw/ds = -1
    a, b, c, s depend on |node_x| and |node_y|: slopes in `response`.
    """
    T = type(tick)
    sigma = pair_sigma[i]
    per_sigma = T(1.0) / sigma
    norm = T(0.3989422804014327) * per_sigma
    width = edge_width(sigma) * sigma
    begin = T(first_tick[i] - pair_tick[i]) * tick - pair_arrival[i]
    base = first_row[i]
    n = first_row[i + 1] - base
    knee = tail_tick[i] - first_tick[i]
    for jy in range(nodes_y[i]):
        Y = abs(node_y[i, jy])
        for jx in range(nodes_x[i]):
            X = abs(node_x[i, jx])
            Q = weight_x[i, jx] * weight_y[i, jy]
            raw = weight(X, Y)
            a = min(raw, T(1.0))
            w = begin - shift(X, Y)
            k0 = lane_before(-width - w, tick, knee, n)
            k1 = lane_before(width - w + T(LANES) * tick, tick, k0, n)
            rate = T(1.0) / fast(X, Y)
            half = T(0.5) * sigma * sigma * rate
            f = T(0.0)
            wf = T(0.0)
            for k in range(lane_before(exp_limit(w) / rate - half - w, tick, 0, k0), k0):
                wk = at(k, w, tick)
                term = grad_row[np.uint64(base + k)] * exp_negative((wk + half) * rate)
                f += term
                wf += term * wk
            g = T(0.0)
            wg = T(0.0)
            slow_f = T(0.0)
            slow_wf = T(0.0)
            if a == T(1.0):
                for k in range(k0, k1):
                    wk = at(k, w, tick)
                    z = wk * per_sigma
                    gauss = exp_negative(T(-0.5) * z * z)
                    grad = grad_row[np.uint64(base + k)]
                    term = grad * edge(wk, rate, sigma, z, gauss)
                    f += term
                    wf += term * wk
                    g += grad * gauss
                    wg += grad * gauss * wk
            else:
                slow_rate = T(1.0) / slow(X, Y)
                half = T(0.5) * sigma * sigma * slow_rate
                for k in range(knee, k0):
                    wk = at(k, w, tick)
                    term = grad_row[np.uint64(base + k)] * exp_negative((wk + half) * slow_rate)
                    slow_f += term
                    slow_wf += term * wk
                for k in range(k0, k1):
                    wk = at(k, w, tick)
                    z = wk * per_sigma
                    gauss = exp_negative(T(-0.5) * z * z)
                    grad = grad_row[np.uint64(base + k)]
                    term = grad * edge(wk, rate, sigma, z, gauss)
                    f += term
                    wf += term * wk
                    term = grad * edge(wk, slow_rate, sigma, z, gauss)
                    slow_f += term
                    slow_wf += term * wk
                    g += grad * gauss
                    wg += grad * gauss * wk
            f *= rate
            wf *= rate
            g *= norm
            wg *= norm
            by_w, by_sigma, by_b = slopes(f, wf, g, wg, rate, sigma)
            grad_Q = a * f
            grad_w = Q * a * by_w
            grad_s_t = Q * a * by_sigma
            grad_b = Q * a * by_b
            grad_c = T(0.0)
            grad_a = T(0.0)
            if a < T(1.0):
                w_tail = at(knee, w, tick)
                u = (slow_rate - T(RATE_MIDDLE)) * T(1.0 / RATE_HALF)
                value = exp_negative((w_tail + half) * slow_rate)
                H = T(0.0)
                slope_H = T(0.0)
                for m in range(grad_tail.shape[1] - 1, -1, -1):
                    slope_H = slope_H * u + H
                    H = H * u + grad_tail[i, m]
                slow_f = (slow_f + H * value) * slow_rate
                slow_wf = (slow_wf + H * value * w_tail) * slow_rate
                by_w, by_sigma, by_c = slopes(slow_f, slow_wf, g, wg, slow_rate, sigma)
                by_c -= slope_H * value * slow_rate * slow_rate * slow_rate * T(1.0 / RATE_HALF)
                grad_Q += (T(1.0) - a) * slow_f
                grad_w += Q * (T(1.0) - a) * by_w
                grad_s_t += Q * (T(1.0) - a) * by_sigma
                grad_c = Q * (T(1.0) - a) * by_c
                grad_a = Q * (f - slow_f)
            grad_pair_arrival[i] -= grad_w
            grad_pair_sigma[i] += grad_s_t
            grad_weight_x[i, jx] += grad_Q * weight_y[i, jy]
            grad_weight_y[i, jy] += grad_Q * weight_x[i, jx]
            along_x = grad_a * weight_slope(X, Y) + grad_b * fast_slope(X, Y)
            along_x += grad_c * slow_slope(X, Y) - grad_w * shift_slope(X, Y)
            along_y = grad_a * weight_slope(Y, X) + grad_b * fast_slope(Y, X)
            along_y += grad_c * slow_slope(Y, X) - grad_w * shift_slope(Y, X)
            grad_node_x[i, jx] += sign(node_x[i, jx]) * along_x
            grad_node_y[i, jy] += sign(node_y[i, jy]) * along_y
