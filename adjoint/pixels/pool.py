"""Adjoint of pool: from the charge of all blocks of a step back to its shares."""

import numpy as np

from lartpc.kernels.pixels.pool import fraction, overlap, part
from lartpc.kernels.runtime.launch import device, kernel


@device
def add_by_time(first, lanes, n, q, charge, at, share, step, m, stride):
    """share[step, m + stride t] += q charge[at + t] for every lanes-th t < n from first on."""
    for t in range(first, n, lanes):
        share[np.uint64(step), np.uint64(m + stride * t)] += q * charge[np.uint64(at + t)]


@kernel("grad_share_x", "grad_share_y", "grad_share_t", lanes=64)
def pool_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
    block_first,
    block_tick,
    block_x,
    block_y,
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
    first_pair,
    pair_place,
    pair_block,
    # gradients of outputs
    grad_charge,
    # gradients of inputs
    grad_share_x,
    grad_share_y,
    grad_share_t,
):
    """Gradients of step i, summed over its blocks, pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    Of the lanes a quarter has the sites along x, one those along y, the rest those in time; a single one has all.
    """
    rows = side * side * per_tick
    few = lanes // 4
    alone = lanes == 1
    has_x = alone or lane < few
    has_y = alone or (few <= lane and lane < 2 * few)
    has_t = alone or 2 * few <= lane
    by_x = few if has_x and not alone else 1
    by_y = few if has_y and not alone else 1
    first_x = lane if by_x > 1 else 0
    first_y = lane - few if by_y > 1 else 0
    for j in range(first_pair[i], first_pair[i + 1]):
        b = pair_block[pair_place[j]]
        ticks = block_first[b + 1] - block_first[b]
        base = rows * block_first[b]
        x, y = block_x[b], block_y[b]
        low_x, high_x = overlap(site_x[i], sites_x[i], x, bins, side)
        low_y, high_y = overlap(site_y[i], sites_y[i], y, bins, side)
        for phase in range(per_tick):
            m, n, t = part(site_t[i], sites_t[i], block_tick[b], per_tick, phase)
            for jx in range(low_x + first_x, high_x, by_x):
                along = fraction(site_x[i] + jx, x, bins, side, share_x[i, jx])
                whole = fraction(site_x[i] + jx, x, bins, side, type(along)(1.0))
                row = (site_x[i] + jx - x * bins) * side + site_y[i] - y * bins
                grad_x = type(along)(0.0)
                for jy in range(low_y + first_y, high_y, by_y):
                    across = fraction(site_y[i] + jy, y, bins, side, share_y[i, jy])
                    at = base + ((row + jy) * per_tick + phase) * ticks + t
                    if alone:  # in steps of 1 from the beginning, or the loop would be slower
                        add_by_time(0, 1, n, along * across, grad_charge, at, grad_share_t, i, m, per_tick)
                    elif has_t:
                        own, step = lane - 2 * few, lanes - 2 * few
                        add_by_time(own, step, n, along * across, grad_charge, at, grad_share_t, i, m, per_tick)
                    if has_x or has_y:
                        g = type(along)(0.0)
                        for k in range(n):
                            g += grad_charge[np.uint64(at + k)] * share_t[np.uint64(i), np.uint64(m + per_tick * k)]
                        if has_x:
                            grad_x += across * g
                        if has_y:
                            grad_share_y[i, jy] += along * fraction(site_y[i] + jy, y, bins, side, type(g)(1.0)) * g
                if has_x:
                    grad_share_x[i, jx] += whole * grad_x
