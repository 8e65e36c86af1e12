"""Around: the pixels on which charge over an area of the anode induces current, and when their windows have charge."""

from lartpc.kernels.pixels.pair import N_X, N_Y, fill_pairs
from lartpc.kernels.runtime.launch import kernel


@kernel("pair_count", light=True)
def count_around(i, block_x, block_y, block_tpc, tpc_pixels, reach, pair_count):
    """Number of pixels up to `reach` from block i along each axis: pair_count (n_blocks,)."""
    tpc = block_tpc[i]
    along_x = min(block_x[i] + reach, tpc_pixels[tpc, N_X] - 1) - max(block_x[i] - reach, 0) + 1
    along_y = min(block_y[i] + reach, tpc_pixels[tpc, N_Y] - 1) - max(block_y[i] - reach, 0) + 1
    pair_count[i] = max(along_x, 0) * max(along_y, 0)


@kernel("pair_step", "pair_x", "pair_y", "pair_pixel", light=True)
def around(i, block_x, block_y, block_tpc, tpc_pixels, reach, first_pair, pair_step, pair_x, pair_y, pair_pixel):
    """The pixels up to `reach` from block i, int64 (n_pairs,), from first_pair[i] on: as in `pair`, pair_step = i."""
    tpc = block_tpc[i]
    first_x, last_x = max(block_x[i] - reach, 0), min(block_x[i] + reach, tpc_pixels[tpc, N_X] - 1)
    first_y, last_y = max(block_y[i] - reach, 0), min(block_y[i] + reach, tpc_pixels[tpc, N_Y] - 1)
    p = first_pair[i]
    fill_pairs(i, tpc, tpc_pixels, first_x, last_x, first_y, last_y, p, pair_step, pair_x, pair_y, pair_pixel)


@kernel("span_tick", "span_size", "span_near", light=True)
def span(
    i,
    window_pair,
    pair_block,
    pair_x,
    pair_y,
    block_tick,
    block_first,
    block_x,
    block_y,
    near,
    span_tick,
    span_size,
    span_near,
):
    """The ticks from the first to the last charge that window i sees (n_windows,), and 1 where some of it is near."""
    first = 0
    end = 0
    found = 0
    for p in range(window_pair[i], window_pair[i + 1]):
        b = pair_block[p]
        begin = block_tick[b]
        last = begin + block_first[b + 1] - block_first[b]
        if p == window_pair[i]:
            first, end = begin, last
        first = min(first, begin)
        end = max(end, last)
        if abs(pair_x[p] - block_x[b]) <= near and abs(pair_y[p] - block_y[b]) <= near:
            found = 1
    span_tick[i] = first
    span_size[i] = end - first
    span_near[i] = found
