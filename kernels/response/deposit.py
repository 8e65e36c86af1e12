"""Deposit: when the charge of all steps drives the waveforms of a response on a pixel."""

import numpy as np

from lartpc.kernels.runtime.launch import kernel


@kernel("source")
def deposit(
    i,
    window_pair,
    pair_step,
    pair_source,
    window_train,
    train_source,
    step_table,
    rank,
    sites_t,
    share_t,
    coefficient,
    source,
):
    """Sum over the pairs p of window i of coefficient[p, r] share_t [e], at the sites in time of the pair's step.

    Pairs window_pair[i] to window_pair[i + 1]; pair_source (n_pairs,): where the value of the first site and of r = 0
    is in `source` (n_values,), in which those of a site follow each other, rank[table] of them. The window's values are
    those of its trains window_train[i] to window_train[i + 1], which begin at train_source. sites_t, share_t as in
    `share` or `assign`, coefficient as in `induce`.
    """
    for k in range(train_source[window_train[i]], train_source[window_train[i + 1]]):
        source[k] = type(share_t[0, 0])(0.0)
    for p in range(window_pair[i], window_pair[i + 1]):
        step = pair_step[p]
        n = rank[step_table[step]]
        at = pair_source[p]
        for m in range(sites_t[step]):
            share = share_t[step, m]
            for k in range(n):
                source[np.uint64(at + k)] += coefficient[p, np.uint64(k)] * share
            at += n
