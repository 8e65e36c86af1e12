"""Lay cells: the charge of all steps on the lattice of a plane, put together in the cells of its wires.

Where many steps come to the same places, what wires see is found of cells, each once, and not of steps.
"""

import numpy as np

from lartpc.kernels.runtime.launch import device, kernel


@device
def bins_of(site, n, wire, bins):
    """Which of the bins of a wire's cell n sites from `site` on have: first, end, and the place of bin 0 among them."""
    at = wire * bins - site
    return max(0, -at), min(bins, n - at), at


@kernel("charge", lanes=16)
def lay_cells(
    i,
    lane,
    lanes,
    cell_pair,
    pair_step,
    pair_wire,
    pair_plane,
    per_tpc,
    site_r,
    sites_r,
    share_r,
    site_t,
    sites_t,
    share_t,
    bins,
    cell_site,
    cell_first,
    charge,
):
    """Of cell i: charge[cell_first[i] + s, b] = sum over its pairs of share_r share_t [e] at site cell_site[i] + s in
    time and bin b across the wire.

    Pairs cell_pair[i] to cell_pair[i + 1] of steps and wires, whose cell it is; sites and shares as in `share_wires`;
    charge (n_sites, bins), zeros before. A lane has every so many of the bins.
    """
    for p in range(cell_pair[i], cell_pair[i + 1]):
        step = pair_step[p]
        v = per_tpc * step + pair_plane[p] % per_tpc
        first, end, at = bins_of(site_r[v], sites_r[v], pair_wire[p], bins)
        row = cell_first[i] + site_t[step] - cell_site[i]
        begin = first + ((lane - first) & (lanes - 1))
        view = np.uint64(v)
        for m in range(sites_t[step]):
            share = share_t[step, m]
            site = np.uint64(row + m)
            for b in range(begin, end, lanes):
                charge[site, np.uint64(b)] += share * share_r[view, np.uint64(at + b)]
