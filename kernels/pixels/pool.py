"""Pool: the charge of all steps on the sites of a block, once for all the pixels that see it."""

import numpy as np

from lartpc.kernels.pixels.cells import first_of
from lartpc.kernels.runtime.launch import device, kernel

LANES_OF_ROW = 16


@device
def overlap(first, n, pixel, bins, side):
    """Of n sites from `first` on, the first and the end of those of a pixel's area."""
    return max(pixel * bins - first, 0), min(pixel * bins + side - first, n)


@device
def fraction(site, pixel, bins, side, one):
    """1/2 for sites on the edges of areas (side > bins), else 1."""
    s = site - pixel * bins
    return one * type(one)(0.5) if side > bins and (s == 0 or s == bins) else one


@device
def add_shares(first, lanes, n, q, share, step, m, stride, charge, at):
    """charge[at + t] += q share[step, m + stride t] for every lanes-th t < n from first on."""
    for t in range(first, n, lanes):
        charge[np.uint64(at + t)] += q * share[np.uint64(step), np.uint64(m + stride * t)]


@device
def part(site, n, tick, per_tick, phase):
    """Of n sites in time from `site` on: the first at `phase` of a tick, how many, and the tick of it after `tick`."""
    m = (phase - site) % per_tick
    return m, (n - m + per_tick - 1) // per_tick, (site + m) // per_tick - tick


@kernel("charge", lanes=128)
def pool(
    i,
    lane,
    lanes,
    block_pair,
    block_first,
    block_tick,
    block_x,
    block_y,
    pair_step,
    site_x,
    site_y,
    site_t,
    sites_x,
    sites_y,
    sites_t,
    share_x,
    share_y,
    share_t,
    bins,
    side,
    per_tick,
    charge,
):
    """Sum over the steps of block i, pairs block_pair[i] to block_pair[i + 1], of share_x share_y share_t [e].

    A block is the area of a pixel (block_x, block_y) for some ticks from block_tick on, at block_first (n_blocks + 1,)
    among those of all. charge: zeros; of a block side x side rows a phase of the tick, each of its ticks. Sites and
    shares as in `assign`.
    """
    ticks = block_first[i + 1] - block_first[i]
    base = side * side * per_tick * block_first[i]
    of_row = min(lanes, LANES_OF_ROW)
    of_tick = lanes // of_row
    x, y = block_x[i], block_y[i]
    for p in range(block_pair[i], block_pair[i + 1]):
        step = pair_step[p]
        low_x, high_x = overlap(site_x[step], sites_x[step], x, bins, side)
        low_y, high_y = overlap(site_y[step], sites_y[step], y, bins, side)
        for phase in range(per_tick):
            m, n, t = part(site_t[step], sites_t[step], block_tick[i], per_tick, phase)
            own = first_of(lane // of_row, of_tick, t)
            for jx in range(low_x, high_x):
                along = fraction(site_x[step] + jx, x, bins, side, share_x[step, jx])
                row = (site_x[step] + jx - x * bins) * side + site_y[step] - y * bins
                first = first_of(lane & (of_row - 1), of_row, site_y[step] + low_y)
                for jy in range(low_y + first, high_y, of_row):
                    q = along * fraction(site_y[step] + jy, y, bins, side, share_y[step, jy])
                    at = base + ((row + jy) * per_tick + phase) * ticks + t
                    add_shares(own, of_tick, n, q, share_t, step, m, per_tick, charge, at)
