"""Adjoint of transfer: from what drives late waveforms on all pixels around a block back to its sums and moments."""

import numpy as np

from lartpc.kernels.pixels.transfer import even
from lartpc.kernels.runtime.launch import kernel, part
from lartpc.kernels.runtime.slots import INDUCTION_SCALE


@part
def add_row_by(first, lanes, n, times, a, row, at, of, out, o):
    """out[o + t] += times a row[at + t], every lanes-th t < n; gives the derivative of sum(out of) by times."""
    by_times = type(out[0])(0.0)
    for t in range(first, n, lanes):
        x = a * row[np.uint64(at + t)]
        out[np.uint64(o + t)] += times * x
        by_times += x * of[np.uint64(o + t)]
    return by_times


@part
def add_four_by(first, lanes, n, times, a, b, c, d, row, at, step, of, out, o):
    """The same with the sum of a to d times row[at + k step + t], k = 0 to 3."""
    by_times = type(out[0])(0.0)
    bt, ct, dt = at + step, at + 2 * step, at + 3 * step
    for t in range(first, n, lanes):
        early = a * row[np.uint64(at + t)] + b * row[np.uint64(bt + t)]
        late = c * row[np.uint64(ct + t)] + d * row[np.uint64(dt + t)]
        x = early + late
        out[np.uint64(o + t)] += times * x
        by_times += x * of[np.uint64(o + t)]
    return by_times


@kernel("grad_projected", "grad_parameters", lanes=128, sums=("grad_parameters",))
def transfer_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
    pair_x,
    pair_y,
    block_first,
    block_tick,
    block_x,
    block_y,
    block_table,
    block_module,
    parameters,
    near,
    per_tick,
    reach,
    moments,
    far,
    span_tick,
    late_first,
    late_rank,
    rank,
    far_rank,
    projected,
    first_pair,
    pair_place,
    pair_window,
    # gradients of outputs
    grad_late,
    # gradients of inputs
    grad_projected,
    grad_parameters,
):
    """Gradients of block i, of its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    grad_parameters (n_blocks, lanes, n_parameters) by those of the block's module.
    """
    T = type(projected[0])
    along = 2 * near + 1
    n_near = along * along * rank
    n_rows = n_near + moments
    ticks = block_first[i + 1] - block_first[i]
    size = per_tick * ticks
    base = n_rows * per_tick * block_first[i]
    by_scale = T(0.0)
    scale = parameters[block_module[i], INDUCTION_SCALE]
    for j in range(first_pair[i], first_pair[i + 1]):
        p = pair_place[j]
        w = pair_window[p]
        dx = pair_x[p] - block_x[i]
        dy = pair_y[p] - block_y[i]
        span = (late_first[w + 1] - late_first[w]) // (late_rank[w] * per_tick)
        begin = late_first[w] + block_tick[i] - span_tick[w]
        if abs(dx) <= near and abs(dy) <= near:
            sx = T(1.0) if dx > 0 else T(-1.0)
            sy = T(1.0) if dy > 0 else T(-1.0)
            ee = base + (even(dx) * along + even(dy)) * rank * size
            oe = ee + along * rank * size
            eo = ee + rank * size
            oo = oe + rank * size
            for r in range(rank):
                fixed = (dx == 0 and dy == 0) or r == far_rank
                times = T(1.0) if fixed else scale
                by_times = T(0.0)
                for phase in range(per_tick):
                    k = r * size + phase * ticks
                    o = begin + (r * per_tick + phase) * span
                    by_times += add_row_by(
                        lane, lanes, ticks, times, T(1.0), grad_late, o, projected, grad_projected, ee + k
                    )
                    if dx != 0:
                        by_times += add_row_by(
                            lane, lanes, ticks, times, sx, grad_late, o, projected, grad_projected, oe + k
                        )
                    if dy != 0:
                        by_times += add_row_by(
                            lane, lanes, ticks, times, sy, grad_late, o, projected, grad_projected, eo + k
                        )
                    if dx != 0 and dy != 0:
                        by_times += add_row_by(
                            lane, lanes, ticks, times, sx * sy, grad_late, o, projected, grad_projected, oo + k
                        )
                by_scale += T(0.0) if fixed else by_times
        else:
            across = 2 * reach + 1
            offset = (block_table[i] * across + reach + dx) * across + reach + dy
            for m in range(moments):
                for phase in range(per_tick):
                    at = base + (n_near + m) * size + phase * ticks
                    o = begin + phase * span
                    s = per_tick * span
                    for r in range(0, far_rank, 4):
                        w = (offset * far_rank + r) * moments + m
                        a, b = far[np.uint64(w)], far[np.uint64(w + moments)]
                        c, d = far[np.uint64(w + 2 * moments)], far[np.uint64(w + 3 * moments)]
                        k = o + r * s
                        by_scale += add_four_by(
                            lane, lanes, ticks, scale, a, b, c, d, grad_late, k, s, projected, grad_projected, at
                        )
    grad_parameters[i, lane, INDUCTION_SCALE] += by_scale
