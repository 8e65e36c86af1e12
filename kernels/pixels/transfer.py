"""Transfer: how charge over the area of one pixel drives the late waveforms of a tabulated response on others."""

import numpy as np

from lartpc.kernels.pixels.cells import add_eight, add_four, add_row, add_rows, clear, first_of
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import INDUCTION_SCALE


@device
def even(offset):
    """Number of the even function of place of an offset along an axis; that of the odd one follows."""
    d = abs(offset)
    return 2 * d - 1 if d > 0 else 0


@kernel("late", lanes=64)
def transfer(
    i,
    lane,
    lanes,
    window_pair,
    pair_block,
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
    late,
):
    """Of window i: sum over its blocks of what they drive: late_rank[i] x per_tick rows of ticks from span_tick[i] on.

    Blocks up to `near` pixels along each axis: projected, by even and odd functions of place (x, y, rank);
    others: sum over m of far[table, dx, dy, r, m] moment m, r < far_rank, dx and dy up to `reach`; moments are the last
    rows of projected; far is flat. All by the induction_scale of the block, but for the charge, row far_rank, and the
    pixel's own area.
    late_first (n_windows + 1,): where the rows of a window begin.
    """
    T = type(late[0])
    along = 2 * near + 1
    n_near = along * along * rank
    n_rows = n_near + moments
    span = (late_first[i + 1] - late_first[i]) // (late_rank[i] * per_tick)
    for row in range(late_rank[i] * per_tick):
        clear(lane, lanes, span, late, late_first[i] + row * span)
    for p in range(window_pair[i], window_pair[i + 1]):
        b = pair_block[p]
        dx = pair_x[p] - block_x[b]
        dy = pair_y[p] - block_y[b]
        ticks = block_first[b + 1] - block_first[b]
        size = per_tick * ticks
        base = n_rows * per_tick * block_first[b]
        scale = parameters[block_module[b], INDUCTION_SCALE]
        begin = late_first[i] + block_tick[b] - span_tick[i]
        first = first_of(lane, lanes, block_tick[b] - span_tick[i])
        if abs(dx) <= near and abs(dy) <= near:
            sx = T(1.0) if dx > 0 else T(-1.0)
            sy = T(1.0) if dy > 0 else T(-1.0)
            ee = base + (even(dx) * along + even(dy)) * rank * size
            oe = ee + along * rank * size
            eo = ee + rank * size
            oo = oe + rank * size
            for r in range(rank):
                s = T(1.0) if (dx == 0 and dy == 0) or r == far_rank else scale
                for phase in range(per_tick):
                    k = r * size + phase * ticks
                    o = begin + (r * per_tick + phase) * span
                    if dx == 0 and dy == 0:
                        add_row(first, lanes, ticks, s, projected, ee + k, late, o)
                    elif dy == 0:
                        add_rows(first, lanes, ticks, s, s * sx, projected, ee + k, oe + k, late, o)
                    elif dx == 0:
                        add_rows(first, lanes, ticks, s, s * sy, projected, ee + k, eo + k, late, o)
                    else:
                        add_four(
                            first,
                            lanes,
                            ticks,
                            s,
                            s * sx,
                            s * sy,
                            s * sx * sy,
                            projected,
                            ee + k,
                            oe + k,
                            eo + k,
                            oo + k,
                            late,
                            o,
                        )
        else:
            across = 2 * reach + 1
            offset = (block_table[b] * across + reach + dx) * across + reach + dy
            for r in range(far_rank):
                for phase in range(per_tick):
                    o = begin + (r * per_tick + phase) * span
                    at = base + n_near * size + phase * ticks
                    for m in range(0, moments, 8):
                        w = (offset * far_rank + r) * moments + m
                        a, c = far[np.uint64(w)], far[np.uint64(w + 1)]
                        d, e = far[np.uint64(w + 2)], far[np.uint64(w + 3)]
                        f, g = far[np.uint64(w + 4)], far[np.uint64(w + 5)]
                        h, k = far[np.uint64(w + 6)], far[np.uint64(w + 7)]
                        a, c, d, e = scale * a, scale * c, scale * d, scale * e
                        f, g, h, k = scale * f, scale * g, scale * h, scale * k
                        add_eight(first, lanes, ticks, a, c, d, e, f, g, h, k, projected, at + m * size, size, late, o)
