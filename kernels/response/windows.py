"""Find the windows of ticks in which a channel sees charge."""

from lartpc.kernels.runtime.launch import device, kernel


@device
def blocks_seen(site, sites, per_tick, first_lag, last_lag, lookback, settle, block):
    """The blocks of ticks (first, end) that see a charge on the lattice of a response through its lags.

    With `lookback` ticks before the first and `settle` after the last.
    """
    first = (site + first_lag) // per_tick - lookback
    end = (site + sites - 1 + last_lag) // per_tick + 1 + settle
    return first // block, -(-end // block)


@kernel("window_count", "window_tick", "window_size", light=True)
def window(i, pixel_pair, first_block, last_block, block, window_count, window_tick, window_size):
    """The windows of pixel i, runs of overlapping or adjacent blocks of ticks; pairs sorted by first_block.

    window_count (n_pixels,); by pair, of that with which a window begins: its first tick and its ticks, else 0.
    """
    n = 0
    begin = 0
    start = 0
    end = 0
    for p in range(pixel_pair[i], pixel_pair[i + 1]):
        window_tick[p] = 0
        window_size[p] = 0
        first = first_block[p]
        last = last_block[p]
        if n == 0 or first > end:
            n += 1
            begin = p
            start = first
            end = last
            window_tick[p] = first * block
        end = max(end, last)
        window_size[begin] = (end - start) * block
    window_count[i] = n
