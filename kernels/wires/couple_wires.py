"""Couple wires: how strongly the charge of a step drives each waveform of the response on a wire."""

import numpy as np

from lartpc.kernels.runtime.launch import device, kernel


@device
def table_rows(site, n, wire, bins, reach):
    """Row of the table for the first of n sites, seen from a wire, and which of them have rows: first, end."""
    row = site - (wire - reach) * bins
    return row, max(0, -row), min(n, (2 * reach + 1) * bins - row)


@kernel("coefficient")
def couple_wires(
    i, pair_step, pair_wire, pair_plane, pair_table, per_tpc, site_r, sites_r, share_r, bins, reach, space, coefficient
):
    """Of pair i: coefficient[i, r] = sum over sites of share_r space[pair_table[i], row of the site, r] [e].

    Sites and shares of the views as in `share_wires`. space (n_tables, (2 reach + 1) bins, rank): the response of the
    wire that reads is the sum over r of it times a waveform; coefficient (n_pairs, rank).
    """
    T = type(share_r[0, 0])
    table = pair_table[i]
    v = per_tpc * pair_step[i] + pair_plane[i] % per_tpc
    row, first, end = table_rows(site_r[v], sites_r[v], pair_wire[i], bins, reach)
    for r in range(space.shape[2]):
        coefficient[i, np.uint64(r)] = T(0.0)
    for j in range(first, end):
        share = share_r[v, j]
        for r in range(space.shape[2]):
            coefficient[i, np.uint64(r)] += share * space[table, row + j, np.uint64(r)]
