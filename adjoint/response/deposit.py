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


@kernel("source_by", lanes=64)
def deposit_slopes(
    i,
    lane,
    lanes,
    # forward inputs
    window_pair,
    pair_step,
    pair_source,
    step_table,
    rank,
    sites_t,
    share_t,
    coefficient,
    # derivatives of inputs
    step_slope,
    share_t_by_arrival,
    share_t_by_sigma_t,
    coefficient_by_sigma_T,
    # derivatives
    source_by,
):
    """Derivatives of the values of window i by parameters c: source_by (n_columns, n_values), zeros before.

    d(coefficient share_t)/dc = (coefficient s_0 + coefficient_by_sigma_T s_3) share_t
                                + coefficient (share_t_by_arrival s_1 + share_t_by_sigma_t s_2)

    step_slope s (n_steps, n_columns, 4): of log(charge), arrival, sigma_t and sigma_T of a step by each parameter.
    """
    for p in range(window_pair[i], window_pair[i + 1]):
        step = pair_step[p]
        n = rank[step_table[step]]
        for c in range(source_by.shape[0]):
            by_charge = step_slope[step, c, 0]
            by_arrival = step_slope[step, c, 1]
            by_sigma_t = step_slope[step, c, 2]
            by_sigma_T = step_slope[step, c, 3]
            for m in range(sites_t[step]):
                share = share_t[step, m]
                change = share_t_by_arrival[step, m] * by_arrival + share_t_by_sigma_t[step, m] * by_sigma_t
                change += share * by_charge
                wider = share * by_sigma_T
                at = pair_source[p] + m * n
                for k in range(lane, n, lanes):
                    r = np.uint64(k)
                    value = coefficient[p, r] * change + coefficient_by_sigma_T[p, r] * wider
                    source_by[c, np.uint64(at + k)] += value
