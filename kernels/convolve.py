"""Convolve: the current on a pixel from the charge that drives the waveforms of a tabulated response."""

import numpy as np

from lartpc.kernels.launch import device, kernel


@device
def since(place, tick, per_tick):
    """Where the waveforms are at `tick` for charge at site `place` in time: phase within a tick, and tick."""
    behind = tick * per_tick - place
    phase = behind % per_tick
    return phase, (behind - phase) // per_tick


@kernel("current")
def convolve(
    i,
    block_window,
    block_tick,
    window_source,
    window_tick,
    window_table,
    per_tick,
    basis,
    source,
    block,
    current,
):
    """Current at the ticks of block i, block_tick[i] + k for k < block: current[i block + k] [e/us].

    current(t) = sum over samples n and r of source[n, r] waveform_r(t - t_n)

    The samples of the block's window w are window_source[w] to window_source[w + 1], `per_tick` a tick from
    window_tick[w] on. basis (n_tables, rank, per_tick, ticks) [1/us]: waveform r of table window_table[w] at
    (tick per_tick + phase) samples.
    """
    w = block_window[i]
    base = i * block
    table = window_table[w]
    ticks = basis.shape[3]
    place = window_tick[w] * per_tick - window_source[w]
    first = max(window_source[w], (block_tick[i] - ticks) * per_tick + 1 - place)
    last = min(window_source[w + 1], (block_tick[i] + block - 1) * per_tick + 1 - place)
    for n in range(first, last):
        phase, q = since(place + n, block_tick[i], per_tick)
        low = max(-q, 0)
        high = min(ticks - q, block)
        for r in range(basis.shape[1]):
            amount = source[n, r]
            for k in range(low, high):
                current[np.uint64(base + k)] += amount * basis[table, r, phase, np.uint64(q + k)]
