"""Relay: the sum over the blocks of a window of how they drive slow waveforms."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, clear
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import INDUCTION_SCALE


@kernel("driven")
def relay(
    i,
    window_pair,
    pair_block,
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
    driven,
):
    """Of window i: driven[a, r] = sum over its blocks of slow[a, offset, r], beside it times the induction_scale."""
    T = type(driven[0])
    base = coarse_begin(i, span_first) * slow_rank
    clear(0, 1, ((span_first[i + 1] - span_first[i]) // CELL + 2) * slow_rank, driven, base)
    along = 2 * reach + 1
    for p in range(window_pair[i], window_pair[i + 1]):
        b = pair_block[p]
        dx = pair_x[p] - block_x[b]
        dy = pair_y[p] - block_y[b]
        scale = T(1.0) if dx == 0 and dy == 0 else parameters[block_module[b], INDUCTION_SCALE]
        at = (coarse_begin(b, block_first) * along * along + (dx + reach) * along + dy + reach) * slow_rank
        o = base + (block_tick[b] - span_tick[i]) // CELL * slow_rank
        for _a in range((block_first[b + 1] - block_first[b]) // CELL + 2):
            for r in range(slow_rank):
                driven[np.uint64(o + r)] += scale * slow[np.uint64(at + r)]
            o += slow_rank
            at += along * along * slow_rank
