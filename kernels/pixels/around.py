"""Around: the pixels on which charge over an area of the anode induces current, and when their windows have charge."""

from lartpc.kernels.pixels.pair import FIRST_PIXEL, N_X, N_Y
from lartpc.kernels.pixels.pool import overlap
from lartpc.kernels.pixels.reach import columns
from lartpc.kernels.runtime.launch import device, kernel


@device
def sees(column, first, n, pixel, bins, side, table):
    """Whether a pixel's `column` sees, within `table` bins, those of n sites from `first` on that are over `pixel`."""
    begin, end = overlap(first, n, pixel, bins, side)
    low, high = columns(first + begin, end - begin, bins, table, column + 1)
    return low <= column and column <= high


@device
def whole(bins, side, table):
    """Up to which offset of pixels every site of one is seen by the other."""
    return (table - side + bins // 2) // bins


@device
def block_seen(
    i, ix, iy, block_pair, block_x, block_y, pair_step, site_x, site_y, sites_x, sites_y, bins, side, bins_x, bins_y
):
    """Whether the pixel (ix, iy) sees the whole area of block i, or some step of it."""
    far_x = abs(ix - block_x[i]) > whole(bins, side, bins_x)
    far_y = abs(iy - block_y[i]) > whole(bins, side, bins_y)
    seen = not (far_x or far_y)
    p = block_pair[i]
    while not seen and p < block_pair[i + 1]:
        step = pair_step[p]
        seen = sees(ix, site_x[step], sites_x[step], block_x[i], bins, side, bins_x)
        seen = seen and sees(iy, site_y[step], sites_y[step], block_y[i], bins, side, bins_y)
        p += 1
    return seen


@kernel("pair_count", light=True)
def count_around(
    i,
    block_pair,
    block_x,
    block_y,
    block_tpc,
    pair_step,
    site_x,
    site_y,
    sites_x,
    sites_y,
    tpc_pixels,
    bins,
    side,
    bins_x,
    bins_y,
    reach,
    pair_count,
):
    """Number of pixels, up to `reach` along each axis, that see a step of block i: pair_count (n_blocks,).

    Steps: pairs block_pair[i] to block_pair[i + 1], sites as in `assign`; bins_x, bins_y: bins of the table's quadrant.
    """
    tpc = block_tpc[i]
    n = 0
    for iy in range(max(block_y[i] - reach, 0), min(block_y[i] + reach, tpc_pixels[tpc, N_Y] - 1) + 1):
        for ix in range(max(block_x[i] - reach, 0), min(block_x[i] + reach, tpc_pixels[tpc, N_X] - 1) + 1):
            if block_seen(
                i,
                ix,
                iy,
                block_pair,
                block_x,
                block_y,
                pair_step,
                site_x,
                site_y,
                sites_x,
                sites_y,
                bins,
                side,
                bins_x,
                bins_y,
            ):
                n += 1
    pair_count[i] = n


@kernel("found_block", "found_x", "found_y", "found_pixel", light=True)
def around(
    i,
    block_pair,
    block_x,
    block_y,
    block_tpc,
    pair_step,
    site_x,
    site_y,
    sites_x,
    sites_y,
    tpc_pixels,
    bins,
    side,
    bins_x,
    bins_y,
    reach,
    first_found,
    found_block,
    found_x,
    found_y,
    found_pixel,
):
    """The pixels that see a step of block i, int64 (n_found,), from first_found[i] on, see `count_around`.

    found_block = i; column found_x and row found_y on the plane, found_pixel the pixel's number.
    """
    tpc = block_tpc[i]
    k = first_found[i]
    for iy in range(max(block_y[i] - reach, 0), min(block_y[i] + reach, tpc_pixels[tpc, N_Y] - 1) + 1):
        for ix in range(max(block_x[i] - reach, 0), min(block_x[i] + reach, tpc_pixels[tpc, N_X] - 1) + 1):
            if block_seen(
                i,
                ix,
                iy,
                block_pair,
                block_x,
                block_y,
                pair_step,
                site_x,
                site_y,
                sites_x,
                sites_y,
                bins,
                side,
                bins_x,
                bins_y,
            ):
                found_block[k] = i
                found_x[k] = ix
                found_y[k] = iy
                found_pixel[k] = tpc_pixels[tpc, FIRST_PIXEL] + ix + tpc_pixels[tpc, N_X] * iy
                k += 1


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
