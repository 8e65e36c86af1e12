"""Under: the pixels' areas of the anode, and beyond it, over which the charge of a step lies."""

from lartpc.kernels.runtime.launch import device, kernel


@device
def areas(first, n, bins, side):
    """First and last pixel with one of n sites from `first` on; a site on an edge (side > bins) is of two."""
    return (first - side) // bins + 1, (first + n - 1) // bins


@kernel("pair_count", light=True)
def count_under(i, site_x, site_y, sites_x, sites_y, bins, side, pair_count):
    """Number of areas over which step i lies: pair_count (n_steps,). Sites as in `assign`, `side` of them an area."""
    first_x, last_x = areas(site_x[i], sites_x[i], bins, side)
    first_y, last_y = areas(site_y[i], sites_y[i], bins, side)
    pair_count[i] = (last_x - first_x + 1) * (last_y - first_y + 1)


@kernel("pair_step", "pair_x", "pair_y", light=True)
def under(i, site_x, site_y, sites_x, sites_y, bins, side, first_pair, pair_step, pair_x, pair_y):
    """The areas over which step i lies, int64 (n_pairs,), from first_pair[i] on: column pair_x and row pair_y."""
    first_x, last_x = areas(site_x[i], sites_x[i], bins, side)
    first_y, last_y = areas(site_y[i], sites_y[i], bins, side)
    p = first_pair[i]
    for iy in range(first_y, last_y + 1):
        for ix in range(first_x, last_x + 1):
            pair_step[p] = i
            pair_x[p] = ix
            pair_y[p] = iy
            p += 1
