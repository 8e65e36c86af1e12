"""Adjoint of couple: from the coefficients of all pairs of a step back to its shares and the scale of induction."""

import numpy as np

from lartpc.kernels.pixels.couple import edge, table_bin
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import INDUCTION_SCALE


@kernel("grad_share_x", "grad_share_y", "grad_parameters")
def couple_adjoint(
    i,
    # forward inputs
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
    parameters,
    step_module,
    first_pair,
    pair_place,
    # gradients of outputs
    grad_coefficient,
    # gradients of inputs
    grad_share_x,
    grad_share_y,
    grad_parameters,
):
    """Gradients of step i, summed over its pairs pair_place[first_pair[i]] to ... [first_pair[i + 1]].

    d(coefficient_r)/d(share_x) = sum over sites in y of share_y s_r space_r, and the reverse
    d(coefficient_r)/d(induction_scale) = sum over sites beside the pixel of share_x share_y space_r, of r > 0

    grad_parameters (n_steps, n_parameters) by those of the step's module.
    """
    T = type(space[0, 0, 0, 0])
    table = step_table[i]
    scale = parameters[step_module[i], INDUCTION_SCALE]
    beside = edge(bins)
    by_scale = T(0.0)
    more = scale - T(1.0)
    for j in range(first_pair[i], first_pair[i + 1]):
        p = pair_place[j]
        for jx in range(sites_x[i]):
            u = table_bin(site_x[i] + jx, pair_x[p], bins)
            if u >= space.shape[1]:
                continue
            far = u >= beside
            along = T(0.0)
            for jy in range(sites_y[i]):
                v = table_bin(site_y[i] + jy, pair_y[p], bins)
                if v >= space.shape[2]:
                    continue
                total = T(0.0)
                for r in range(space.shape[3]):
                    total += space[table, u, v, np.uint64(r)] * grad_coefficient[p, np.uint64(r)]
                grad_share_x[i, jx] += share_y[i, jy] * total
                grad_share_y[i, jy] += share_x[i, jx] * total
                if far or v >= beside:
                    induced = total - space[table, u, v, 0] * grad_coefficient[p, 0]
                    along += share_y[i, jy] * induced
                    if more != T(0.0):  # not nominally: one sum less
                        grad_share_y[i, jy] += more * share_x[i, jx] * induced
            grad_share_x[i, jx] += more * along
            by_scale += share_x[i, jx] * along
    grad_parameters[i, INDUCTION_SCALE] += by_scale
