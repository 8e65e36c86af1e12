"""Soft dynamic time warping: how far two sequences are apart along their best monotone alignment, made smooth.

Source: Cuturi & Blondel 2017 (arXiv:1703.01541), eq. 3 and algorithm 1, with the distance |a - b|.
"""

import numpy as np

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.special import exp_negative, log_to_three


@device
def soft_minimum(a, b, c, gamma, per_gamma):
    """-gamma log(exp(-a/gamma) + exp(-b/gamma) + exp(-c/gamma)), of which the largest term is taken out."""
    T = type(a)
    small = min(a, b)
    large = max(a, b)
    low = min(small, c)
    high = max(large, c)
    middle = max(small, min(large, c))
    terms = T(1.0) + exp_negative((low - middle) * per_gamma) + exp_negative((low - high) * per_gamma)
    return low - gamma * log_to_three(terms)


@kernel("table", "loss")
def soft_dtw(i, value, first, target, target_first, table_first, gamma, table, loss):
    """loss[i] = R[n - 1, m - 1] of the sequences of event i, of lengths n and m, both at least 1.

    R[r, c] = |v_r - t_c| + softmin(R[r - 1, c], R[r, c - 1], R[r - 1, c - 1]); what lies outside is left out, R[0, 0]
    = |v_0 - t_0|. v = value[first[i] : first[i + 1]], t = target[target_first[i] : target_first[i + 1]], gamma in
    their unit. `table` keeps R from table_first[i] (n_events + 1,) on, n m cells by anti-diagonals r + c = k and
    ascending r: the cells of one do not depend on each other, so that the loop over them vectorises.
    """
    T = type(gamma)
    per_gamma = T(1.0) / gamma
    n = first[i + 1] - first[i]
    m = target_first[i + 1] - target_first[i]
    v = first[i]
    t = target_first[i]
    # Cell r of diagonals k - 2, k - 1 and k is at corner + r, edge + r and here + r.
    corner = edge = here = table_first[i]
    for k in range(n + m - 1):
        for r in range(max(1, k - m + 1), min(k, n)):
            distance = abs(value[np.uint64(v + r)] - target[np.uint64(t + k - r)])
            table[np.uint64(here + r)] = distance + soft_minimum(
                table[np.uint64(edge + r - 1)],
                table[np.uint64(edge + r)],
                table[np.uint64(corner + r - 1)],
                gamma,
                per_gamma,
            )
        if k < m:
            table[here] = abs(value[v] - target[t + k])
            if k > 0:
                table[here] += table[edge]
        if 0 < k < n:
            table[here + k] = abs(value[v + k] - target[t]) + table[edge + k - 1]
        corner = edge
        edge = here
        # The next diagonal starts after min(k, n - 1), at max(0, k + 2 - m).
        here += min(k, n - 1) + 1 - max(0, k - m + 2)
    loss[i] = table[table_first[i + 1] - 1]
