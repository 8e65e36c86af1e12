"""Adjoint of transfer: from what drives late waveforms on all pixels around a block back to its sums and moments."""

import numpy as np

from lartpc.kernels.pixels.cells import add_four, add_row, clear
from lartpc.kernels.pixels.transfer import even
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import INDUCTION_SCALE


@kernel("grad_projected", "grad_parameters", work=("induced",))
def transfer_adjoint(
    i,
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
    # to work in
    induced,
    # gradients of inputs
    grad_projected,
    grad_parameters,
):
    """Gradients of block i, of its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    induced, like projected: by what induction_scale multiplies, without it. grad_parameters (n_blocks, n_parameters) by
    those of the block's module.
    """
    T = type(projected[0])
    along = 2 * near + 1
    n_near = along * along * rank
    n_rows = n_near + moments
    ticks = block_first[i + 1] - block_first[i]
    size = per_tick * ticks
    base = n_rows * per_tick * block_first[i]
    clear(n_rows * size, induced, base)
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
            own = dx == 0 and dy == 0
            for r in range(rank):
                for phase in range(per_tick):
                    k = r * size + phase * ticks
                    o = begin + (r * per_tick + phase) * span
                    if own or r == far_rank:
                        add_row(ticks, T(1.0), grad_late, o, grad_projected, ee + k)
                        if dx != 0:
                            add_row(ticks, sx, grad_late, o, grad_projected, oe + k)
                        if dy != 0:
                            add_row(ticks, sy, grad_late, o, grad_projected, eo + k)
                        if dx != 0 and dy != 0:
                            add_row(ticks, sx * sy, grad_late, o, grad_projected, oe + rank * size + k)
                    else:
                        add_row(ticks, T(1.0), grad_late, o, induced, ee + k)
                        if dx != 0:
                            add_row(ticks, sx, grad_late, o, induced, oe + k)
                        if dy != 0:
                            add_row(ticks, sy, grad_late, o, induced, eo + k)
                        if dx != 0 and dy != 0:
                            add_row(ticks, sx * sy, grad_late, o, induced, oe + rank * size + k)
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
                        add_four(ticks, a, b, c, d, grad_late, k, k + s, k + 2 * s, k + 3 * s, induced, at)
    by_scale = T(0.0)
    for k in range(n_rows * size):
        by_scale += projected[np.uint64(base + k)] * induced[np.uint64(base + k)]
    grad_parameters[i, INDUCTION_SCALE] += by_scale
    add_row(n_rows * size, parameters[block_module[i], INDUCTION_SCALE], induced, base, grad_projected, base)
