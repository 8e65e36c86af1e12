"""Pair: which pixels a step reaches, when, and the windows of ticks in which a pixel sees current."""

import math

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.response import fast_bound, shift_bounds, shift_slope
from lartpc.kernels.special import edge_width, exp_limit
from lartpc.kernels.split import NOMINAL_TRANSVERSE, PITCH

# Columns of the integer table `planes`, one row a TPC.
N_X = 0
N_Y = 1
FIRST_PIXEL = 2

LANES = 8

# Of the rule for the number of nodes (`node_count`).
NOMINAL_RATIO = 0.237  # sigma_T/sigma_t [cm/us] of the nominal diffusion, at every distance
ACROSS = 0.105  # a typical distance from a pixel's centre along the other axis [cm]
# Found by trial, on 100 cm of mixed particles and the tests' finest settings: least nodes for an even error.
EASY = 2.5
HARD = 1.65  # the ratio at a pixel's edge
BEYOND = 0.2


@device
def reach(position, half_width, pitch, n):
    """First and last pixel, of n along an axis, that (position - half_width, position + half_width) touches."""
    first = int(math.floor((position - half_width) / pitch))
    last = int(math.floor((position + half_width) / pitch))
    return max(first, 0), min(last, n - 1)


@kernel("pair_count", light=True)
def count_pairs(i, x, y, sigma_T, step_volume, volumes, planes, width, pair_count):
    """Number of pixels within `width` standard deviations of step i: pair_count (n_steps,)."""
    volume = step_volume[i]
    half_width = width * sigma_T[i]
    pitch = volumes[volume, PITCH]
    first_x, last_x = reach(x[i], half_width, pitch, planes[volume, N_X])
    first_y, last_y = reach(y[i], half_width, pitch, planes[volume, N_Y])
    pair_count[i] = max(last_x - first_x + 1, 0) * max(last_y - first_y + 1, 0)


@device
def half_pixel_edge(column, half, pitch, position):
    """Edge number `half` (0 lower, 1 middle, 2 upper) of a pixel, relative to `position` [cm].

    The same number for the upper edge of a pixel and the lower edge of the next, so that charges add up exactly.
    """
    T = type(position)
    return T(2 * column + half) * T(0.5) * pitch - position


@device
def whole_lanes(n):
    """n rounded up to a multiple of LANES, so that loops over a row's ticks fill the processor's vectors."""
    return (n + LANES - 1) // LANES * LANES


@device
def covered(column, position, half_width, pitch):
    """Nearest and farthest distance [cm] to the pixel's centre of the charge within half_width of position."""
    T = type(position)
    low = max(half_pixel_edge(column, 0, pitch, position), -half_width) - half_pixel_edge(column, 1, pitch, position)
    high = min(half_pixel_edge(column, 2, pitch, position), half_width) - half_pixel_edge(column, 1, pitch, position)
    return max(max(low, -high), T(0.0)), max(abs(low), abs(high))


@kernel("pair_step", "pair_x", "pair_y", "pair_pixel", "first_tick", "tail_tick", "last_tick", light=True)
def pair(
    i,
    x,
    y,
    arrival,
    sigma_t,
    sigma_T,
    step_volume,
    step_tick,
    volumes,
    planes,
    width,
    tick,
    first_pair,
    pair_step,
    pair_x,
    pair_y,
    pair_pixel,
    first_tick,
    tail_tick,
    last_tick,
):
    """The pixels that step i reaches and the ticks at which it induces current there.

    Outputs (n_pairs,), from first_pair[i] on: pair_step; column pair_x and row pair_y on the plane, pair_pixel the
    pixel's number; int64 ticks, counted like step_tick (the tick from which the arrival of the step is counted):
    first_tick where the fast exponential begins to count, tail_tick where the earliest Gaussian edge begins,
    last_tick (not included) where the last one has ended.
    """
    volume = step_volume[i]
    half_width = width * sigma_T[i]
    pitch = volumes[volume, PITCH]
    first_x, last_x = reach(x[i], half_width, pitch, planes[volume, N_X])
    first_y, last_y = reach(y[i], half_width, pitch, planes[volume, N_Y])
    spread = edge_width(x[i]) * sigma_t[i]
    p = first_pair[i]
    for iy in range(first_y, last_y + 1):
        y0, y1 = covered(iy, y[i], half_width, pitch)
        for ix in range(first_x, last_x + 1):
            x0, x1 = covered(ix, x[i], half_width, pitch)
            low, high = shift_bounds(x0, x1, y0, y1)
            pair_step[p] = i
            pair_x[p] = ix
            pair_y[p] = iy
            pair_pixel[p] = planes[volume, FIRST_PIXEL] + ix + planes[volume, N_X] * iy
            tail = step_tick[i] + int(math.floor((arrival[i] + low - spread) / tick)) - 1
            tail_tick[p] = tail
            before = int(math.ceil(-exp_limit(x[i]) * fast_bound(x0, x1, y0, y1) / tick))
            after = step_tick[i] + int(math.ceil((arrival[i] + high + spread) / tick)) + 1 - tail
            first_tick[p] = tail - whole_lanes(before)
            last_tick[p] = tail + whole_lanes(after)
            p += 1


@kernel("window_count", light=True)
def count_windows(i, pixel_pair, first_block, last_block, window_count):
    """Number of windows of pixel i: runs of overlapping or adjacent blocks of ticks; pairs sorted by first_block."""
    n = 0
    end = 0
    for p in range(pixel_pair[i], pixel_pair[i + 1]):
        if n == 0 or first_block[p] > end:
            n += 1
            end = last_block[p]
        else:
            end = max(end, last_block[p])
    window_count[i] = n


@kernel("window_pair", "window_block", "window_size", light=True)
def window(i, pixel_pair, first_block, last_block, pixel_window, window_pair, window_block, window_size):
    """The windows of pixel i, from pixel_window[i] on: first pair, first block and number of blocks of each."""
    w = pixel_window[i] - 1
    end = 0
    for p in range(pixel_pair[i], pixel_pair[i + 1]):
        if p == pixel_pair[i] or first_block[p] > end:
            w += 1
            window_pair[w] = p
            window_block[w] = first_block[p]
            end = last_block[p]
        else:
            end = max(end, last_block[p])
        window_size[w] = end - window_block[w]


@device
def node_count(low, high, middle, half_width, nodes):
    """Quadrature nodes for the part of (low, high) within half_width of 0; `nodes` for the whole width at most.

    The more the response's time shifts over the charge's width, in units of its width in time, the more nodes it takes:
    n = share nodes sqrt((EASY + r^2)/(EASY + HARD^2)), r that ratio a little beyond the place of most charge, away from
    the pixel's centre, which is at middle. From geometry alone: half_width is that of the nominal diffusion.
    """
    T = type(low)
    low = max(low, -half_width)
    high = min(high, half_width)
    if low >= high:
        return 2
    most = abs(min(max(T(0.0), low), high) - middle)
    place = min(most + T(BEYOND) * half_width, max(abs(low - middle), abs(high - middle)))
    ratio = T(NOMINAL_RATIO) * shift_slope(place, T(ACROSS))
    hardness = min((T(EASY) + ratio * ratio) * T(1.0 / (EASY + HARD * HARD)), T(1.0))
    share = (high - low) / (half_width + half_width)
    return max(2, int(math.ceil(share * T(nodes) * math.sqrt(hardness) + T(0.5))))


@device
def nominal_half_width(distance, width):
    """Half width [cm] of a step's charge for the nominal diffusion: geometry alone."""
    T = type(distance)
    return width * T(NOMINAL_TRANSVERSE) * math.sqrt(max(distance, T(0.01)))
