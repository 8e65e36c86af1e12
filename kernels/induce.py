"""Induce: the current that one step induces on one pixel, from its charge at the nodes of that pixel.

I(t) = sum over nodes of Q [a f(t - t_s - s; b) + (1 - a) f(t - t_s - s; c)], a, b, c, s the response's coefficients at
the node and f the exponentially modified Gaussian, the convolution of E(w; b) = exp(w/b)/b, w < 0, with N(0, sigma):

f(w; b) = exp(w/b + sigma^2/(2 b^2)) erfc(y)/(2 b),  y = (w/sigma + sigma/b)/sqrt(2)

Long before the edge, f is a pure exponential. The slow one, of rate 1/c, reaches back for tens of microseconds, but its
rate varies little over a pixel: there exp(-tau/c) is a polynomial in u, 1/c = RATE_MIDDLE + u RATE_HALF, with
coefficients that depend on tau alone (`collect`). So a pair keeps that tail as a few moments, sum of A u^m.

Indices are unsigned in the loops over ticks: a signed one may count from the end, and such a loop does not vectorise.
The loops begin and end at multiples of LANES, so that none is left with odd ticks to do one by one.
"""

import math

import numpy as np

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.pair import LANES
from lartpc.kernels.response import RATE_HIGH, RATE_LOW, fast, shift, slow, weight
from lartpc.kernels.special import edge_width, erfcx, exp_limit, exp_negative

RATE_MIDDLE = 0.5 * (RATE_LOW + RATE_HIGH)
RATE_HALF = 0.5 * (RATE_HIGH - RATE_LOW)


@device
def edge(w, rate, sigma, z, gauss):
    """b f(w; b), rate = 1/b, without overflow on either side of the edge; z = w/sigma, gauss = exp(-z^2/2)."""
    T = type(w)
    y = (z + sigma * rate) * T(0.7071067811865476)
    tail = T(0.5) * gauss * erfcx(abs(y))
    whole = exp_negative(min((w + T(0.5) * sigma * sigma * rate) * rate, T(0.0)))
    return whole - tail if y < T(0.0) else tail


@device
def lane_before(w, tick, low, high):
    """The last multiple k of LANES with k tick <= w, but from low to high."""
    return min(max(int(math.floor(w / (tick * type(w)(LANES)))) * LANES, low), high)


@device
def at(k, w, tick):
    """w + k tick. By way of 32 bits: converting 64-bit integers keeps a loop from vectorising well."""
    return w + type(w)(np.int32(k)) * tick


@kernel("row", "tail")
def induce(
    i,
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
    row,
    tail,
):
    """Current of pair i at ticks first_tick[i] + k: row[first_row[i] + k] [e/us], and the moments of its tail.

    Inputs (n_pairs,): pair_arrival [us] counted from pair_tick; pair_sigma [us]; first_tick, tail_tick; first_row
    (n_pairs + 1,); nodes and weights as in `spread`. Outputs: row (first_row[-1],); tail (n_pairs, n_moments) [e/us]:
    from tail_tick[i] on the row holds both exponentials, before it only the fast one and `tail` stands for the slow.
    """
    T = type(tick)
    sigma = pair_sigma[i]
    per_sigma = T(1.0) / sigma
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
            a = min(weight(X, Y), T(1.0))
            w = begin - shift(X, Y)
            k0 = lane_before(-width - w, tick, knee, n)
            k1 = lane_before(width - w + T(LANES) * tick, tick, k0, n)
            rate = T(1.0) / fast(X, Y)
            scale = Q * a * rate
            half = T(0.5) * sigma * sigma * rate
            first = lane_before(exp_limit(w) / rate - half - w, tick, 0, k0)
            for k in range(first, k0):
                row[np.uint64(base + k)] += scale * exp_negative(at(k, w + half, tick) * rate)
            if a == T(1.0):
                for k in range(k0, k1):
                    wk = at(k, w, tick)
                    z = wk * per_sigma
                    gauss = exp_negative(T(-0.5) * z * z)
                    row[np.uint64(base + k)] += scale * edge(wk, rate, sigma, z, gauss)
                continue
            slow_rate = T(1.0) / slow(X, Y)
            slow_scale = Q * (T(1.0) - a) * slow_rate
            half = T(0.5) * sigma * sigma * slow_rate
            for k in range(knee, k0):
                row[np.uint64(base + k)] += slow_scale * exp_negative(at(k, w + half, tick) * slow_rate)
            for k in range(k0, k1):
                wk = at(k, w, tick)
                z = wk * per_sigma
                gauss = exp_negative(T(-0.5) * z * z)
                row[np.uint64(base + k)] += scale * edge(wk, rate, sigma, z, gauss) + slow_scale * edge(
                    wk, slow_rate, sigma, z, gauss
                )
            u = (slow_rate - T(RATE_MIDDLE)) * T(1.0 / RATE_HALF)
            moment = slow_scale * exp_negative(at(knee, w + half, tick) * slow_rate)
            for m in range(tail.shape[1]):
                tail[i, m] += moment
                moment *= u
