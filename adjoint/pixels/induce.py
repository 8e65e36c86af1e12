"""Adjoint of induce."""

import numpy as np

from lartpc.kernels.response.convolve import LANES
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_moment_x", "grad_moment_y", lanes=32)
def induce_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
    pair_step,
    step_table,
    moment_x,
    moment_y,
    degree,
    rank,
    space,
    # gradients of outputs
    grad_coefficient,
    # gradients of inputs
    grad_moment_x,
    grad_moment_y,
):
    """Gradients of pair i: d(coefficient_r)/d(moment_x_n) = sum over m of moment_y_m space[table, n, r, m].

    d/d(moment_y_n) is the same with moment_x, as the response is symmetric in x and y:
    space[table, n, r, m] = space[table, m, r, n].
    """
    table = step_table[pair_step[i]]
    whole = (degree[table] + LANES - 1) // LANES * LANES
    for r in range(0, rank[table], LANES):
        g0 = grad_coefficient[i, r]
        g1 = grad_coefficient[i, r + 1]
        g2 = grad_coefficient[i, r + 2]
        g3 = grad_coefficient[i, r + 3]
        g4 = grad_coefficient[i, r + 4]
        g5 = grad_coefficient[i, r + 5]
        g6 = grad_coefficient[i, r + 6]
        g7 = grad_coefficient[i, r + 7]
        for n in range(degree[table]):
            x = moment_x[i, n]
            y = moment_y[i, n]
            for k in range(lane, whole, lanes):
                m = np.uint64(k)
                s = (g0 * space[table, n, r, m] + g1 * space[table, n, r + 1, m]) + (
                    g2 * space[table, n, r + 2, m] + g3 * space[table, n, r + 3, m]
                )
                s += (g4 * space[table, n, r + 4, m] + g5 * space[table, n, r + 5, m]) + (
                    g6 * space[table, n, r + 6, m] + g7 * space[table, n, r + 7, m]
                )
                grad_moment_x[i, m] += y * s
                grad_moment_y[i, m] += x * s


@kernel("coefficient_by_sigma_T")
def induce_tangent(
    i,
    # forward inputs
    pair_step,
    step_table,
    moment_x,
    moment_y,
    degree,
    rank,
    space,
    # derivatives of inputs
    moment_x_by_sigma_T,
    moment_y_by_sigma_T,
    # derivative
    coefficient_by_sigma_T,
):
    """Derivatives of the coefficients of pair i by sigma_T [e/cm], (n_pairs, most): those by the moments times theirs.

    Both sums over n with what is read of `space` once.
    """
    table = step_table[pair_step[i]]
    whole = (degree[table] + LANES - 1) // LANES * LANES
    for r in range(rank[table]):
        coefficient_by_sigma_T[i, r] = type(moment_x[i, 0])(0.0)
    for n in range(0, degree[table], 4):
        x0 = moment_x[i, n]
        x1 = moment_x[i, n + 1]
        x2 = moment_x[i, n + 2]
        x3 = moment_x[i, n + 3]
        d0 = moment_x_by_sigma_T[i, n]
        d1 = moment_x_by_sigma_T[i, n + 1]
        d2 = moment_x_by_sigma_T[i, n + 2]
        d3 = moment_x_by_sigma_T[i, n + 3]
        for r in range(rank[table]):
            total = type(x0)(0.0)
            for k in range(whole):
                m = np.uint64(k)
                s0 = space[table, n, r, m]
                s1 = space[table, n + 1, r, m]
                s2 = space[table, n + 2, r, m]
                s3 = space[table, n + 3, r, m]
                by_moment = (x0 * s0 + x1 * s1) + (x2 * s2 + x3 * s3)
                change = (d0 * s0 + d1 * s1) + (d2 * s2 + d3 * s3)
                total += moment_y[i, m] * change + moment_y_by_sigma_T[i, m] * by_moment
            coefficient_by_sigma_T[i, r] += total
