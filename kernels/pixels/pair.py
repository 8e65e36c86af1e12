"""Pair: which pixels a step reaches, and the windows of ticks in which a pixel sees current."""

import math

from lartpc.kernels.charge.split import NOMINAL_TRANSVERSE, PITCH
from lartpc.kernels.response.windows import blocks_seen
from lartpc.kernels.runtime.launch import device, kernel

# Columns of the integer table `tpc_pixels`, one row a TPC.
N_X = 0
N_Y = 1
FIRST_PIXEL = 2


@device
def reach(pixel, position, half_width, pitch, n):
    """First and last pixel, of n along an axis, that half_width around `position` above the edge of `pixel` touches."""
    first = pixel + int(math.floor((position - half_width) / pitch))
    last = pixel + int(math.floor((position + half_width) / pitch))
    return max(first, 0), min(last, n - 1)


@kernel("pair_count", light=True)
def count_pairs(i, column, row, x, y, sigma_T, step_tpc, tpcs, tpc_pixels, width, pair_count):
    """Number of pixels within `width` standard deviations of step i: pair_count (n_steps,)."""
    tpc = step_tpc[i]
    half_width = width * sigma_T[i]
    pitch = tpcs[tpc, PITCH]
    first_x, last_x = reach(column[i], x[i], half_width, pitch, tpc_pixels[tpc, N_X])
    first_y, last_y = reach(row[i], y[i], half_width, pitch, tpc_pixels[tpc, N_Y])
    pair_count[i] = max(last_x - first_x + 1, 0) * max(last_y - first_y + 1, 0)


@device
def half_pixel_edge(column, half, pitch, position):
    """Edge number `half` (0 lower, 1 middle, 2 upper) of a pixel, from `position` [cm]; both from a pixel nearby.

    The same number for the upper edge of a pixel and the lower edge of the next, so that charges add up exactly.
    """
    T = type(position)
    return T(2 * column + half) * T(0.5) * pitch - position


@device
def half_pixel_place(half, edge0, edge1, pitch):
    """origin, slope and offset of a place in half a pixel: slope (xi - origin) + offset, -1 in the middle, 1 outside.

    The origin is the end of the half that is nearer to the step (at 0): there a rounded xi - origin has a small error,
    and T_n of the place, as steep as n^2, needs it.
    """
    T = type(pitch)
    outer, middle = (edge0, edge1) if half == 0 else (edge1, edge0)
    slope = T(-4.0) / pitch if half == 0 else T(4.0) / pitch
    if abs(outer) < abs(middle):
        return outer, slope, T(1.0)
    return middle, slope, T(-1.0)


@device
def fill_pairs(i, tpc, tpc_pixels, first_x, last_x, first_y, last_y, p, pair_step, pair_x, pair_y, pair_pixel):
    """The pairs of step i from p on: columns first_x to last_x, rows first_y to last_y of a TPC."""
    for iy in range(first_y, last_y + 1):
        for ix in range(first_x, last_x + 1):
            pair_step[p] = i
            pair_x[p] = ix
            pair_y[p] = iy
            pair_pixel[p] = tpc_pixels[tpc, FIRST_PIXEL] + ix + tpc_pixels[tpc, N_X] * iy
            p += 1


@kernel("pair_step", "pair_x", "pair_y", "pair_channel", "pair_first", "pair_last", light=True)
def pair(
    i,
    column,
    row,
    x,
    y,
    sigma_T,
    step_tpc,
    tpcs,
    tpc_pixels,
    width,
    step_event,
    n_pixels,
    step_table,
    site_t,
    sites_t,
    per_tick,
    first_lag,
    last_lag,
    lookback,
    settle,
    block,
    first_pair,
    pair_step,
    pair_x,
    pair_y,
    pair_channel,
    pair_first,
    pair_last,
):
    """The pixels that step i reaches, and when they see it, int64 (n_pairs,), from first_pair[i] on.

    pair_step; column pair_x and row pair_y on the plane; pair_channel: event n_pixels and the pixel's number;
    pair_first, pair_last: blocks of ticks, the last not included, see `blocks_seen`.
    """
    tpc = step_tpc[i]
    half_width = width * sigma_T[i]
    pitch = tpcs[tpc, PITCH]
    first_x, last_x = reach(column[i], x[i], half_width, pitch, tpc_pixels[tpc, N_X])
    first_y, last_y = reach(row[i], y[i], half_width, pitch, tpc_pixels[tpc, N_Y])
    p = first_pair[i]
    fill_pairs(i, tpc, tpc_pixels, first_x, last_x, first_y, last_y, p, pair_step, pair_x, pair_y, pair_channel)
    t = step_table[i]
    first, last = blocks_seen(site_t[i], sites_t[i], per_tick[t], first_lag[t], last_lag[t], lookback, settle, block)
    for k in range(p, first_pair[i + 1]):
        pair_channel[k] += step_event[i] * n_pixels
        pair_first[k] = first
        pair_last[k] = last


@device
def node_count(low, high, half_width, nodes):
    """Quadrature nodes for the part of (low, high) within half_width of 0; `nodes` for the whole width."""
    T = type(low)
    fraction = (min(high, half_width) - max(low, -half_width)) / (half_width + half_width)
    return max(2, int(math.ceil(max(fraction, T(0.0)) * T(nodes) + T(1.5))))


@device
def nominal_half_width(distance, width):
    """Half width [cm] of a step's charge for the nominal diffusion: geometry alone."""
    T = type(distance)
    return width * T(NOMINAL_TRANSVERSE) * math.sqrt(max(distance, T(0.01)))
