"""Rows: gradients of the losses of single pixels by the parameters, each pixel's apart."""

import numpy as np

from lartpc.adjoint.pixels.conserve import conserve_adjoint
from lartpc.adjoint.response.convolve import convolve_adjoint
from lartpc.kernels.pixels.conserve import PARTIAL
from lartpc.kernels.runtime.launch import device, kernel

conserve_window_adjoint = device(conserve_adjoint.body)
convolve_window_adjoint = device(convolve_adjoint.body)


@kernel("row", work=("grad_moment_x", "grad_moment_y", "grad_current", "grad_state", "grad_source", "partial"))
def rows(
    i,
    pixel,
    pixel_window,
    window_pair,
    pair_step,
    pair_source,
    # conserve
    conserved,
    window_first,
    moment_x,
    moment_y,
    moment_x_by_sigma_T,
    moment_y_by_sigma_T,
    tick,
    current,
    # convolve
    window_train,
    window_tick,
    train_table,
    train_site,
    train_sites,
    train_source,
    per_tick,
    rank,
    first_lag,
    last_lag,
    basis,
    tail_back,
    decay,
    # deposit
    step_table,
    sites_t,
    share_t,
    share_t_by_arrival,
    share_t_by_sigma_t,
    coefficient,
    coefficient_by_sigma_T,
    coefficient_by_induction,
    # the parameters
    step_slope,
    induction_column,
    # to work in
    grad_moment_x,
    grad_moment_y,
    grad_current,
    grad_state,
    grad_source,
    # gradient of the waveform
    grad_waveform,
    # sums, of zeros: of the last PARTIAL pairs, to work in, and of all
    partial,
    row,
):
    """Gradients of the loss of pixel[i]: back to what its pairs bring, and the sum over the pairs, one of each step.

    The values `source` that pair p drives are coefficient share_t (see `deposit`), where coefficient is proportional
    to the step's charge and depends on its sigma_T, share_t depends on its arrival and sigma_t:

    row[i, c] = sum over pairs of grad(log charge) step_slope[step, c, 0] + grad(arrival) step_slope[step, c, 1]
                + grad(sigma_t) step_slope[step, c, 2] + grad(sigma_T) step_slope[step, c, 3]

    To row[i, induction_column] it adds what coefficient_by_induction gives, the derivative by the parameter itself; -1:
    it is not asked for, and the derivative has no rows.

    pixel (n_rows,), each once; step_slope (n_steps, n_columns, 4): d(log charge), d(arrival), d(sigma_t), d(sigma_T) by
    the parameter of a column; row (n_rows, n_columns). coefficient_by_sigma_T like coefficient [e/cm], share_t_by_...
    like share_t [1/us]. moment_x, moment_y (n_pairs, 1): the lowest alone, as are their derivatives; with a response
    that is not `conserved` they have no rows. The gradient of the waveform is read on the pixel's windows alone.
    """
    T = type(grad_source[0])
    begin = pixel_window[pixel[i]]
    end = pixel_window[pixel[i] + 1]
    for k in range(window_first[begin], window_first[end] if not conserved else 0):
        grad_current[k] = grad_waveform[k]
    for w in range(begin, end):
        for k in range(decay.shape[0]):
            grad_state[w, k] = T(0.0)
        if conserved:
            conserve_window_adjoint(
                w,
                window_pair,
                window_first,
                moment_x,
                moment_y,
                tick,
                current,
                grad_waveform,
                grad_moment_x,
                grad_moment_y,
                grad_current,
            )
        convolve_window_adjoint(
            w,
            window_train,
            window_tick,
            window_first,
            train_table,
            train_site,
            train_sites,
            train_source,
            per_tick,
            rank,
            first_lag,
            last_lag,
            basis,
            tail_back,
            decay,
            grad_current,
            grad_state,
            grad_source,
        )
    for p in range(window_pair[begin], window_pair[end]):
        step = pair_step[p]
        n = rank[step_table[step]]
        at = pair_source[p]
        by_log_charge = T(0.0)
        by_arrival = T(0.0)
        by_sigma_t = T(0.0)
        by_sigma_T = T(0.0)
        by_induction = T(0.0)
        if conserved:
            by_log_charge = grad_moment_x[p, 0] * moment_x[p, 0]
            by_sigma_T = grad_moment_x[p, 0] * moment_x_by_sigma_T[p, 0]
            by_sigma_T += grad_moment_y[p, 0] * moment_y_by_sigma_T[p, 0]
        for m in range(sites_t[step]):
            total = T(0.0)
            change = T(0.0)
            for k in range(n):
                grad = grad_source[np.uint64(at + k)]
                total += coefficient[p, np.uint64(k)] * grad
                change += coefficient_by_sigma_T[p, np.uint64(k)] * grad
            by_log_charge += share_t[step, m] * total
            by_arrival += share_t_by_arrival[step, m] * total
            by_sigma_t += share_t_by_sigma_t[step, m] * total
            by_sigma_T += share_t[step, m] * change
            if induction_column >= 0:
                induced = T(0.0)
                for k in range(n):
                    induced += coefficient_by_induction[p, np.uint64(k)] * grad_source[np.uint64(at + k)]
                by_induction += share_t[step, m] * induced
            at += n
        for c in range(row.shape[1]):
            early = by_log_charge * step_slope[step, c, 0] + by_arrival * step_slope[step, c, 1]
            late = by_sigma_t * step_slope[step, c, 2] + by_sigma_T * step_slope[step, c, 3]
            partial[i, c] += early + late
        if induction_column >= 0:
            partial[i, induction_column] += by_induction
        if (p - window_pair[begin]) % PARTIAL == PARTIAL - 1 or p == window_pair[end] - 1:
            for c in range(row.shape[1]):
                row[i, c] += partial[i, c]
                partial[i, c] = T(0.0)
