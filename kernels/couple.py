"""Couple: how strongly the charge of a step drives each of a tabulated response's waveforms on a pixel."""

import numpy as np

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.reach import bin_offset


@device
def table_bin(site, column, bins):
    """The bin of the table's quadrant in which a site lies, seen from a pixel."""
    k = bin_offset(site, column, bins)
    return k if k >= 0 else -1 - k


@kernel("coefficient")
def couple(
    i,
    pair_step,
    pair_x,
    pair_y,
    site_x,
    site_y,
    sites_x,
    sites_y,
    share_x,
    share_y,
    bins,
    space,
    coefficient,
):
    """Coefficients of pair i: coefficient[i, r] = sum over sites of share_x share_y space[|x| bin, |y| bin, r] [e].

    Sites and shares of the steps as in `assign`; the response is the sum over r of space[:, :, r] (bins_x, bins_y,
    rank) times a waveform; it is 0 beyond its bins. coefficient (n_pairs, rank).
    """
    step = pair_step[i]
    for jx in range(sites_x[step]):
        u = table_bin(site_x[step] + jx, pair_x[i], bins)
        if u >= space.shape[0]:
            continue
        for jy in range(sites_y[step]):
            v = table_bin(site_y[step] + jy, pair_y[i], bins)
            if v >= space.shape[1]:
                continue
            Q = share_x[step, jx] * share_y[step, jy]
            for r in range(space.shape[2]):
                coefficient[i, np.uint64(r)] += Q * space[u, v, np.uint64(r)]
