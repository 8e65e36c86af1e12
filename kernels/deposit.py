"""Deposit: when the charge of all steps drives the waveforms of a tabulated response on a pixel."""

import numpy as np

from lartpc.kernels.launch import kernel


@kernel("source")
def deposit(i, window_pair, pair_step, pair_sample, sites_t, share_t, coefficient, source):
    """Sum over the pairs p of window i of coefficient[p, r] share_t: source (n_samples, rank) [e].

    Pairs window_pair[i] to window_pair[i + 1]; pair_sample (n_pairs,): the sample of `source` at the first site in time
    of the pair's step; sites_t, share_t as in `assign`, coefficient as in `couple`.
    """
    for p in range(window_pair[i], window_pair[i + 1]):
        step = pair_step[p]
        for m in range(sites_t[step]):
            sample = pair_sample[p] + m
            part = share_t[step, m]
            for r in range(source.shape[1]):
                source[sample, np.uint64(r)] += coefficient[p, np.uint64(r)] * part
