"""Adjoint of pool: from the charge of all blocks of a step back to its shares."""

import numpy as np

from lartpc.kernels.pixels.pool import fraction, overlap, part
from lartpc.kernels.runtime.launch import device, kernel


@device
def add_by_time(n, q, charge, at, share, step, m, stride):
    """share[step, m + stride t] += q charge[at + t] for t < n."""
    for t in range(n):
        share[np.uint64(step), np.uint64(m + stride * t)] += q * charge[np.uint64(at + t)]


@kernel("grad_share_x", "grad_share_y", "grad_share_t")
def pool_adjoint(
    i,
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
    """Gradients of step i, summed over its blocks, pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]]."""
    rows = side * side * per_tick
    for j in range(first_pair[i], first_pair[i + 1]):
        b = pair_block[pair_place[j]]
        ticks = block_first[b + 1] - block_first[b]
        base = rows * block_first[b]
        x, y = block_x[b], block_y[b]
        low_x, high_x = overlap(site_x[i], sites_x[i], x, bins, side)
        low_y, high_y = overlap(site_y[i], sites_y[i], y, bins, side)
        for phase in range(per_tick):
            m, n, t = part(site_t[i], sites_t[i], block_tick[b], per_tick, phase)
            for jx in range(low_x, high_x):
                along = fraction(site_x[i] + jx, x, bins, side, share_x[i, jx])
                whole = fraction(site_x[i] + jx, x, bins, side, type(along)(1.0))
                row = (site_x[i] + jx - x * bins) * side + site_y[i] - y * bins
                by_x = type(along)(0.0)
                for jy in range(low_y, high_y):
                    across = fraction(site_y[i] + jy, y, bins, side, share_y[i, jy])
                    at = base + ((row + jy) * per_tick + phase) * ticks + t
                    g = type(along)(0.0)
                    for k in range(n):
                        g += grad_charge[np.uint64(at + k)] * share_t[np.uint64(i), np.uint64(m + per_tick * k)]
                    add_by_time(n, along * across, grad_charge, at, grad_share_t, i, m, per_tick)
                    by_x += across * g
                    grad_share_y[i, jy] += along * fraction(site_y[i] + jy, y, bins, side, type(g)(1.0)) * g
                grad_share_x[i, jx] += whole * by_x


@device
def dot(n, charge, at, share, step, m, stride):
    """Sum of charge[at + t] share[step, m + stride t] over t < n."""
    total = type(charge[0])(0.0)
    for t in range(n):
        total += charge[np.uint64(at + t)] * share[np.uint64(step), np.uint64(m + stride * t)]
    return total


@kernel("grad_share_x", "grad_share_y", "grad_share_t", lanes=64)
def pool_lanes_adjoint(
    i,
    lane,
    lanes,
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
    grad_charge,
    grad_share_x,
    grad_share_y,
    grad_share_t,
):
    """Gradients of step i: of `lanes` a quarter has the sites along x, one those along y, the rest those in time."""
    rows = side * side * per_tick
    few = max(lanes // 4, 1)
    one = type(share_t[i, 0])(1.0)
    for j in range(first_pair[i], first_pair[i + 1]):
        b = pair_block[pair_place[j]]
        ticks = block_first[b + 1] - block_first[b]
        base = rows * block_first[b]
        x, y = block_x[b], block_y[b]
        low_x, high_x = overlap(site_x[i], sites_x[i], x, bins, side)
        low_y, high_y = overlap(site_y[i], sites_y[i], y, bins, side)
        for phase in range(per_tick):
            m, n, t = part(site_t[i], sites_t[i], block_tick[b], per_tick, phase)
            for role in range(3):
                if lanes > 1 and role != min(lane // few, 2):
                    continue
                begin_x, begin_y, begin_t = low_x, low_y, 0
                by_x, by_y, by_t = 1, 1, 1
                if lanes > 1 and role == 0:
                    begin_x, by_x = low_x + lane, few
                elif lanes > 1 and role == 1:
                    begin_y, by_y = low_y + lane - few, few
                elif lanes > 1:
                    begin_t, by_t = lane - 2 * few, lanes - 2 * few
                for jx in range(begin_x, high_x, by_x):
                    of_x = fraction(site_x[i] + jx, x, bins, side, one)
                    row = (site_x[i] + jx - x * bins) * side + site_y[i] - y * bins
                    for jy in range(begin_y, high_y, by_y):
                        of_y = fraction(site_y[i] + jy, y, bins, side, one)
                        at = base + ((row + jy) * per_tick + phase) * ticks + t
                        if role == 2:
                            q = of_x * share_x[i, jx] * of_y * share_y[i, jy]
                            for k in range(begin_t, n, by_t):
                                grad_share_t[i, m + per_tick * k] += q * grad_charge[np.uint64(at + k)]
                        else:
                            g = of_x * of_y * dot(n, grad_charge, at, share_t, i, m, per_tick)
                            if role == 0:
                                grad_share_x[i, jx] += share_y[i, jy] * g
                            else:
                                grad_share_y[i, jy] += share_x[i, jx] * g


@pool_adjoint.on_cuda
def pool_adjoint_in_lanes(threads, xp, **arrays):
    """`pool_adjoint`: each sum has lanes of its own."""
    pool_lanes_adjoint(threads, **arrays)
