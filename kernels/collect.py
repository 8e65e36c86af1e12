"""Collect: the current on a pixel is the sum of its pairs' rows and tails."""

import numpy as np

from lartpc.kernels.launch import kernel


@kernel("current")
def collect(
    i,
    block_window,
    block_tick,
    window_pair,
    first_tick,
    tail_tick,
    first_row,
    row,
    tail,
    decay,
    block,
    current,
):
    """Current at the ticks of block i, block_tick[i] + k for k < block: current[i block + k] [e/us].

    current(t) = sum over pairs of row(t) + sum over m of tail_m decay_m(t_tail - t), the second term for t < t_tail.

    Pairs window_pair[w] to window_pair[w + 1] of the block's window w are summed in their order; ticks, row and tail
    as in `induce`; decay (n_moments, memory): coefficient m of exp(-tau/c) as a polynomial, at tau of 0, 1, ... ticks.
    """
    T = type(current[0])
    base = i * block
    for k in range(block):
        current[np.uint64(base + k)] = T(0.0)
    memory = decay.shape[1]
    for p in range(window_pair[block_window[i]], window_pair[block_window[i] + 1]):
        length = first_row[p + 1] - first_row[p]
        offset = first_tick[p] - block_tick[i]
        start = first_row[p] - offset
        for k in range(max(offset, 0), min(offset + length, block)):
            current[np.uint64(base + k)] += row[np.uint64(start + k)]
        knee = tail_tick[p] - block_tick[i]
        low = max(knee - memory + 1, 0)
        high = min(knee, block)
        if low < high:
            for m in range(decay.shape[0]):
                scale = tail[p, m]
                for k in range(low, high):
                    current[np.uint64(base + k)] += scale * decay[m, np.uint64(knee - k)]
