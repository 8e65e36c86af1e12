"""Deposit: when the charge of all steps drives the waveforms of a response on a pixel."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel

LANES_OF_RANK = 16


@kernel("source", lanes=512)
def deposit(
    i,
    lane,
    lanes,
    window_pair,
    pair_step,
    pair_source,
    step_table,
    rank,
    site_t,
    sites_t,
    share_t,
    coefficient,
    source,
):
    """Sum over the pairs p of window i of coefficient[p, r] share_t [e], at the sites in time of the pair's step.

    Pairs window_pair[i] to window_pair[i + 1]; pair_source (n_pairs,): where the value of the first site and of r = 0
    is in `source` (n_values,), zeros, in which those of a site follow each other, rank[table] of them. site_t, sites_t,
    share_t as in `share` or `assign`, coefficient as in `induce`. A lane has every so many of the ranks and the sites.
    """
    of_rank = min(lanes, LANES_OF_RANK)
    of_site = lanes // of_rank
    for p in range(window_pair[i], window_pair[i + 1]):
        step = pair_step[p]
        first = (lane // of_rank - site_t[step]) & (of_site - 1)
        sites = sites_t[step]
        if first < sites:
            n = rank[step_table[step]]
            at = pair_source[p]
            for m in range(first, sites, of_site):
                share = share_t[step, m]
                of_site_m = at + m * n
                for k in range(lane & (of_rank - 1), n, of_rank):
                    source[np.uint64(of_site_m + k)] += coefficient[p, np.uint64(k)] * share
