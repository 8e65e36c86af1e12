"""Couple: how strongly the charge of a step drives each waveform of a tabulated response on a pixel."""

import numpy as np

from lartpc.kernels.pixels.reach import bin_offset
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import INDUCTION_SCALE


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
    step_table,
    bins,
    space,
    induced,
    parameters,
    step_module,
    coefficient,
):
    """Of pair i: coefficient[i, r] = sum over sites of share_x share_y (space + (s - 1) induced)[table, |x|, |y|, r].

    s = induction_scale. Sites and shares of the steps as in `assign`; the response of table step_table[step] is the sum
    over r of space[table, :, :, r] (n_tables, bins_x, bins_y, rank), of which `induced` is scaled, times a waveform; it
    is 0 beyond its bins. coefficient (n_pairs, rank) [e]; parameters (n_modules, n_parameters), step_module (n_steps,).
    """
    step = pair_step[i]
    table = step_table[step]
    more = parameters[step_module[step], INDUCTION_SCALE]
    more -= type(more)(1.0)
    for jx in range(sites_x[step]):
        u = table_bin(site_x[step] + jx, pair_x[i], bins)
        if u >= space.shape[1]:
            continue
        for jy in range(sites_y[step]):
            v = table_bin(site_y[step] + jy, pair_y[i], bins)
            if v >= space.shape[2]:
                continue
            Q = share_x[step, jx] * share_y[step, jy]
            for r in range(space.shape[3]):
                coefficient[i, np.uint64(r)] += Q * space[table, u, v, np.uint64(r)]
            if more != type(more)(0.0):
                for r in range(space.shape[3]):
                    coefficient[i, np.uint64(r)] += Q * more * induced[table, u, v, np.uint64(r)]
