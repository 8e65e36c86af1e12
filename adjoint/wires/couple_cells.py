"""Adjoint of couple_cells: from what drives the waveforms back to the charge of a cell."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_charge", lanes=64)
def couple_cells_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
    window_table,
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
    first_pair,
    pair_place,
    pair_window,
    # gradients of outputs
    grad_source,
    # gradients of inputs
    grad_charge,
):
    """Gradients of cell i, from its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]], of windows pair_window.

    d(source_r)/d(charge) = space[window_table, row, r]. What grad_charge held before does not matter.
    """
    T = type(charge[0, 0])
    rank = space.shape[2]
    begin = cell_first[i]
    for s in range(lane, cell_first[i + 1] - begin, lanes):
        for b in range(bins):
            grad_charge[begin + s, np.uint64(b)] = T(0.0)
        for k in range(first_pair[i], first_pair[i + 1]):
            pair = pair_place[k]
            window = pair_window[pair]
            table = window_table[window]
            row = (cell_wire[i] - pair_wire[pair] + reach) * bins
            at = train_source[window] + (cell_site[i] - train_site[window] + s) * rank
            for b in range(bins):
                total = T(0.0)
                for r in range(rank):
                    total += grad_source[np.uint64(at + r)] * space[table, row + b, np.uint64(r)]
                grad_charge[begin + s, np.uint64(b)] += total
