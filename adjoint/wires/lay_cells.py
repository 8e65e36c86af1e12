"""Adjoint of lay_cells: from the charge of cells back to the shares of a step."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.wires.lay_cells import bins_of


@kernel("grad_share_r", "grad_share_t")
def lay_cells_adjoint(
    i,
    # forward inputs
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
    first_pair,
    pair_place,
    pair_cell,
    # gradients of outputs
    grad_charge,
    # gradients of inputs
    grad_share_r,
    grad_share_t,
):
    """Gradients of step i, from its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]], of cells pair_cell.

    d(charge)/d(share_r) = share_t, d(charge)/d(share_t) = share_r. What both gradients held before does not matter.
    """
    T = type(share_t[0, 0])
    for p in range(per_tpc):
        for j in range(share_r.shape[1]):
            grad_share_r[per_tpc * i + p, j] = T(0.0)
    for m in range(share_t.shape[1]):
        grad_share_t[i, m] = T(0.0)
    for k in range(first_pair[i], first_pair[i + 1]):
        pair = pair_place[k]
        v = per_tpc * i + pair_plane[pair] % per_tpc
        first, end, at = bins_of(site_r[v], sites_r[v], pair_wire[pair], bins)
        cell = pair_cell[pair]
        row = cell_first[cell] + site_t[i] - cell_site[cell]
        for m in range(sites_t[i]):
            share = share_t[i, m]
            total = T(0.0)
            for b in range(first, end):
                grad = grad_charge[row + m, np.uint64(b)]
                total += grad * share_r[v, at + b]
                grad_share_r[v, at + b] += grad * share
            grad_share_t[i, m] += total
