"""Adjoint of coarsen: from how a block drives slow waveforms back to its moments."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, add_row
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_projected", work=("moment",))
def coarsen_adjoint(
    i,
    # forward inputs
    block_first,
    block_table,
    per_tick,
    n_rows,
    offsets,
    spline,
    drive,
    # gradients of outputs
    grad_slow,
    # to work in
    moment,
    # gradients of inputs
    grad_projected,
):
    """Gradients of block i, by the gradients `moment` of the moments at coarse sites."""
    ticks = block_first[i + 1] - block_first[i]
    moments = moment.shape[1]
    first = (n_rows * block_first[i] + (n_rows - moments) * ticks) * per_tick
    begin = coarse_begin(i, block_first)
    t = block_table[i]
    for a in range(ticks // CELL + 2):
        for m in range(moments):
            at = (t * moments + m) * offsets
            o = (begin + a) * offsets
            total = type(grad_slow[0])(0.0)
            for k in range(offsets):
                total += grad_slow[np.uint64(o + k)] * drive[np.uint64(at + k)]
            moment[begin + a, m] = total
    for m in range(moments):
        for phase in range(per_tick):
            at = first + (m * per_tick + phase) * ticks
            for cell in range(ticks // CELL):
                for j in range(3):
                    k = (j * per_tick + phase) * CELL
                    add_row(CELL, moment[begin + cell + j, m], spline, k, grad_projected, at + cell * CELL)
