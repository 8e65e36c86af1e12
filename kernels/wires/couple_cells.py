"""Couple cells: how strongly the charge of cells drives each waveform of the response on a wire."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel


@kernel("source", lanes=64)
def couple_cells(
    i,
    lane,
    lanes,
    window_pair,
    window_table,
    pair_cell,
    pair_wire,
    cell_wire,
    cell_site,
    cell_first,
    charge,
    bins,
    reach,
    space,
    train_site,
    train_source,
    source,
):
    """Of window i: source[train_source[i] + s rank + r], sum over pairs and bins of charge space[table, row, r] [e].

    Pairs window_pair[i] to window_pair[i + 1] of cells and the window's wire, whose table is window_table[i]; cells as
    in `lay_cells`, of the wire cell_wire; space (n_tables, (2 reach + 1) bins, rank) as in `couple_wires`; s: sites in
    time from train_site[i] on; source (n_values,), zeros before. A lane has every so many of the sites.
    """
    rank = space.shape[2]
    table = window_table[i]
    for p in range(window_pair[i], window_pair[i + 1]):
        cell = pair_cell[p]
        row = (cell_wire[cell] - pair_wire[p] + reach) * bins
        at = train_source[i] + (cell_site[cell] - train_site[i]) * rank
        begin = cell_first[cell]
        skip = (lane - cell_site[cell]) & (lanes - 1)
        for s in range(skip, cell_first[cell + 1] - begin, lanes):
            of_site = np.uint64(begin + s)
            to = np.uint64(at + s * rank)
            for b in range(0, bins - 1, 2):
                one = charge[of_site, np.uint64(b)]
                two = charge[of_site, np.uint64(b + 1)]
                if one != type(one)(0.0) or two != type(two)(0.0):
                    of_one = np.uint64(row + b)
                    of_two = np.uint64(row + b + 1)
                    for r in range(rank):
                        k = np.uint64(r)
                        source[to + k] += one * space[table, of_one, k] + two * space[table, of_two, k]
            if bins % 2 > 0:
                one = charge[of_site, np.uint64(bins - 1)]
                of_one = np.uint64(row + bins - 1)
                for r in range(rank):
                    source[to + np.uint64(r)] += one * space[table, of_one, np.uint64(r)]
