"""Adjoint of relay: from what drives slow waveforms on all pixels around a block back to how it does so."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, clear
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import INDUCTION_SCALE


@kernel("grad_slow", "grad_parameters", lanes=32, sums=("grad_parameters",))
def relay_adjoint(
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
    block_module,
    parameters,
    reach,
    slow_rank,
    span_tick,
    span_first,
    slow,
    first_pair,
    pair_place,
    pair_window,
    # gradients of outputs
    grad_driven,
    # gradients of inputs
    grad_slow,
    grad_parameters,
):
    """Gradients of block i, of its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    What grad_slow held before does not matter. grad_parameters (n_blocks, lanes, n_parameters) by those of the block's
    module.
    """
    T = type(slow[0])
    along = 2 * reach + 1
    sites = (block_first[i + 1] - block_first[i]) // CELL + 2
    base = coarse_begin(i, block_first) * along * along * slow_rank
    for a in range(sites):
        for offset in range(lane, along * along, lanes):
            clear(0, 1, slow_rank, grad_slow, base + (a * along * along + offset) * slow_rank)
    by_scale = T(0.0)
    for j in range(first_pair[i], first_pair[i + 1]):
        p = pair_place[j]
        w = pair_window[p]
        dx = pair_x[p] - block_x[i]
        dy = pair_y[p] - block_y[i]
        offset = (dx + reach) * along + dy + reach
        if offset & (lanes - 1) != lane:
            continue
        own = dx == 0 and dy == 0
        scale = T(1.0) if own else parameters[block_module[i], INDUCTION_SCALE]
        at = base + offset * slow_rank
        o = (coarse_begin(w, span_first) + (block_tick[i] - span_tick[w]) // CELL) * slow_rank
        for _a in range(sites):
            for r in range(slow_rank):
                grad = grad_driven[np.uint64(o + r)]
                grad_slow[np.uint64(at + r)] = scale * grad
                if not own:
                    by_scale += slow[np.uint64(at + r)] * grad
            o += slow_rank
            at += along * along * slow_rank
    grad_parameters[i, lane, INDUCTION_SCALE] += by_scale
