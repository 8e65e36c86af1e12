"""Adjoint of deposit: from the values of its pixels back to the coefficients and shares in time of a step."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_coefficient", "grad_share_t", lanes=32)
def deposit_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
    pair_source,
    step_table,
    rank,
    sites_t,
    share_t,
    coefficient,
    first_pair,
    pair_place,
    # gradients of outputs
    grad_source,
    # gradients of inputs
    grad_coefficient,
    grad_share_t,
):
    """Gradients of step i and of its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    d(source_r)/d(coefficient_r) = share_t, d(source_r)/d(share_t) = coefficient_r

    What both gradients held before does not matter.
    """
    T = type(share_t[0, 0])
    for m in range(lane, share_t.shape[1], lanes):
        grad_share_t[i, m] = T(0.0)
    n = rank[step_table[i]]
    for j in range(first_pair[i], first_pair[i + 1]):
        p = pair_place[j]
        for k in range(lane, coefficient.shape[1], lanes):
            grad_coefficient[p, np.uint64(k)] = T(0.0)
        at = pair_source[p]
        for m in range(sites_t[i]):
            share = share_t[i, m]
            of_site = at + m * n
            for k in range(lane, n, lanes):
                grad_coefficient[p, np.uint64(k)] += share * grad_source[np.uint64(of_site + k)]
        for m in range(lane, sites_t[i], lanes):
            total = T(0.0)
            of_site = at + m * n
            for k in range(n):
                total += coefficient[p, np.uint64(k)] * grad_source[np.uint64(of_site + k)]
            grad_share_t[i, m] += total
