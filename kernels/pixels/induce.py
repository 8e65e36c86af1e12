"""Induce: how strongly the charge of a step drives each of the parametric response's waveforms on a pixel.

Eight products at a time: a sum that is read and written for each would wait for itself.
"""

import numpy as np

from lartpc.kernels.response.convolve import LANES
from lartpc.kernels.runtime.launch import kernel


@kernel("coefficient", lanes=32)
def induce(i, lane, lanes, pair_step, step_table, moment_x, moment_y, degree, rank, space, coefficient):
    """Coefficients of pair i: coefficient[i, r] = sum over n, m of moment_x_n moment_y_m space[table, n, r, m].

    Moments as in `spread`; by table: degree, rank, space (n_tables, most, most, most), zeros beyond them; coefficient
    (n_pairs, most) [e].
    """
    table = step_table[pair_step[i]]
    whole = (degree[table] + LANES - 1) // LANES * LANES
    for r in range(lane, coefficient.shape[1], lanes):
        coefficient[i, r] = type(moment_x[i, 0])(0.0)
    for n in range(0, degree[table], LANES):
        x0 = moment_x[i, n]
        x1 = moment_x[i, n + 1]
        x2 = moment_x[i, n + 2]
        x3 = moment_x[i, n + 3]
        x4 = moment_x[i, n + 4]
        x5 = moment_x[i, n + 5]
        x6 = moment_x[i, n + 6]
        x7 = moment_x[i, n + 7]
        for r in range(lane, rank[table], lanes):
            total = type(x0)(0.0)
            for k in range(whole):
                m = np.uint64(k)
                s = (x0 * space[table, n, r, m] + x1 * space[table, n + 1, r, m]) + (
                    x2 * space[table, n + 2, r, m] + x3 * space[table, n + 3, r, m]
                )
                s += (x4 * space[table, n + 4, r, m] + x5 * space[table, n + 5, r, m]) + (
                    x6 * space[table, n + 6, r, m] + x7 * space[table, n + 7, r, m]
                )
                total += moment_y[i, m] * s
            coefficient[i, r] += total
