"""Reach: the pixels on which a tabulated response lets a step induce current."""

from lartpc.kernels.pixels.pair import N_X, N_Y, fill_pairs
from lartpc.kernels.runtime.launch import device, kernel


@device
def bin_offset(site, column, bins):
    """Bins from the centre of a pixel to a site: k for the one from k to k + 1, -1 - k on the other side."""
    return site - column * bins - (bins + 1) // 2


@device
def columns(first, n, bins, table, n_pixels):
    """First and last pixel, of n_pixels along an axis, with one of n sites from `first` on within `table` bins."""
    low = bin_offset(first, 0, bins) - table + 1
    high = bin_offset(first + n - 1, 0, bins) + table
    return max(-(-low // bins), 0), min(high // bins, n_pixels - 1)


@kernel("pair_count", light=True)
def count_reached(i, site_x, site_y, sites_x, sites_y, step_tpc, tpc_pixels, bins, bins_x, bins_y, pair_count):
    """Number of pixels that step i reaches: pair_count (n_steps,); bins_x, bins_y: bins of the table's quadrant."""
    tpc = step_tpc[i]
    first_x, last_x = columns(site_x[i], sites_x[i], bins, bins_x, tpc_pixels[tpc, N_X])
    first_y, last_y = columns(site_y[i], sites_y[i], bins, bins_y, tpc_pixels[tpc, N_Y])
    pair_count[i] = max(last_x - first_x + 1, 0) * max(last_y - first_y + 1, 0)


@kernel("pair_step", "pair_x", "pair_y", "pair_pixel", light=True)
def reach(
    i,
    site_x,
    site_y,
    sites_x,
    sites_y,
    step_tpc,
    tpc_pixels,
    bins,
    bins_x,
    bins_y,
    first_pair,
    pair_step,
    pair_x,
    pair_y,
    pair_pixel,
):
    """The pixels that step i reaches, int64 (n_pairs,), from first_pair[i] on.

    Sites as in `assign`. pair_step; column pair_x and row pair_y on the plane, pair_pixel the pixel's number.
    """
    tpc = step_tpc[i]
    first_x, last_x = columns(site_x[i], sites_x[i], bins, bins_x, tpc_pixels[tpc, N_X])
    first_y, last_y = columns(site_y[i], sites_y[i], bins, bins_y, tpc_pixels[tpc, N_Y])
    p = first_pair[i]
    fill_pairs(i, tpc, tpc_pixels, first_x, last_x, first_y, last_y, p, pair_step, pair_x, pair_y, pair_pixel)
