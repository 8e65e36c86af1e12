"""Adjoint of couple_wires: from the coefficients of its pairs back to the shares of a step across wires."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.wires.couple_wires import table_rows


@kernel("grad_share_r")
def couple_wires_adjoint(
    i,
    # forward inputs
    pair_wire,
    pair_plane,
    pair_table,
    per_tpc,
    site_r,
    sites_r,
    share_r,
    bins,
    reach,
    space,
    first_pair,
    pair_place,
    # gradients of outputs
    grad_coefficient,
    # gradients of inputs
    grad_share_r,
):
    """Gradients of the views of step i, from its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    d(coefficient_r)/d(share_r_j) = space[pair_table, row of site j, r]. What grad_share_r held before does not matter.
    """
    T = type(share_r[0, 0])
    for p in range(per_tpc):
        v = per_tpc * i + p
        for j in range(share_r.shape[1]):
            grad_share_r[v, j] = T(0.0)
    for k in range(first_pair[i], first_pair[i + 1]):
        pair = pair_place[k]
        table = pair_table[pair]
        v = per_tpc * i + pair_plane[pair] % per_tpc
        row, first, end = table_rows(site_r[v], sites_r[v], pair_wire[pair], bins, reach)
        for j in range(first, end):
            total = T(0.0)
            for r in range(space.shape[2]):
                total += grad_coefficient[pair, np.uint64(r)] * space[table, row + j, np.uint64(r)]
            grad_share_r[v, j] += total
