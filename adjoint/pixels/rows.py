"""Rows: gradients of the losses of single pixels by the parameters, each pixel's apart, from those by its pairs."""

import numpy as np

from lartpc.adjoint.pixels.conserve import conserve_adjoint
from lartpc.adjoint.response.convolve import convolve_adjoint
from lartpc.kernels.pixels.conserve import PARTIAL
from lartpc.kernels.runtime.launch import device, kernel

conserve_window_adjoint = device(conserve_adjoint.body)
convolve_window_adjoint = device(convolve_adjoint.body)


# What a pair brings to the loss of its pixel: columns of by_pair (n_pairs, 7), derivatives by numbers of its step, and
# by the scale of induction, where that acts.
BY_LOG_CHARGE = 0
BY_ARRIVAL = 1
BY_SIGMA_LONG = 2
BY_SIGMA_TRAN = 3
BY_INDUCTION = 4
BY_X = 5
BY_Y = 6


@kernel("grad_source", "grad_moment_x", "grad_moment_y", work=("grad_current", "grad_state"))
def back(
    i,
    pixel,
    pixel_window,
    window_pair,
    # conserve
    conserved,
    window_first,
    moment_x,
    moment_y,
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
    # to work in
    grad_current,
    grad_state,
    # gradient of the waveform
    grad_waveform,
    # gradients
    grad_moment_x,
    grad_moment_y,
    grad_source,
):
    """Gradients of the loss of pixel[i], back to its values `source` and, where `conserved`, to moments of its pairs.

    pixel (n_rows,), each once. The gradient of the waveform is read on the pixel's windows alone.
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
                0,
                1,
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


@kernel("by_pair")
def pull(
    i,
    pixel,
    pixel_window,
    window_pair,
    pair_step,
    pair_source,
    # conserve
    conserved,
    moment_x,
    moment_x_by_sigma_T,
    moment_y_by_sigma_T,
    moment_x_by_x,
    moment_y_by_y,
    # deposit
    step_table,
    rank,
    sites_t,
    share_t,
    share_t_by_arrival,
    share_t_by_sigma_t,
    coefficient,
    coefficient_by_sigma_T,
    coefficient_by_induction,
    coefficient_by_x,
    coefficient_by_y,
    # gradients, of `back`
    grad_moment_x,
    grad_moment_y,
    grad_source,
    # gradients
    by_pair,
):
    """Gradients of the loss of pixel[i], back to what its pairs bring, one of each step that it sees: by_pair.

    The values `source` that pair p drives are coefficient share_t (see `deposit`), where coefficient is proportional
    to the step's charge and depends on its sigma_T and place, share_t depends on its arrival and sigma_t.

    pixel (n_rows,), each once. coefficient_by_sigma_T, ..._by_x and ..._by_y like coefficient [e/cm], ..._by_induction
    like it [e], share_t_by_... like share_t [1/us]. moment_x, moment_y (n_pairs, 1): the lowest alone, as are their
    derivatives and gradients; with a response that is not `conserved` they have no rows. A derivative of the
    coefficient that is not asked for has no rows, nor have those of the moments, and its columns of by_pair keep what
    they held.
    """
    T = type(grad_source[0])
    begin = pixel_window[pixel[i]]
    end = pixel_window[pixel[i] + 1]
    for p in range(window_pair[begin], window_pair[end]):
        step = pair_step[p]
        n = rank[step_table[step]]
        at = pair_source[p]
        by_log_charge = T(0.0)
        by_arrival = T(0.0)
        by_sigma_t = T(0.0)
        by_sigma_T = T(0.0)
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
            at += n
        by_pair[p, BY_LOG_CHARGE] = by_log_charge
        by_pair[p, BY_ARRIVAL] = by_arrival
        by_pair[p, BY_SIGMA_LONG] = by_sigma_t
        by_pair[p, BY_SIGMA_TRAN] = by_sigma_T
        if coefficient_by_induction.shape[0] > 0:
            at = pair_source[p]
            by_induction = T(0.0)
            for m in range(sites_t[step]):
                induced = T(0.0)
                for k in range(n):
                    induced += coefficient_by_induction[p, np.uint64(k)] * grad_source[np.uint64(at + k)]
                by_induction += share_t[step, m] * induced
                at += n
            by_pair[p, BY_INDUCTION] = by_induction
        if coefficient_by_x.shape[0] > 0:
            at = pair_source[p]
            by_x = T(0.0)
            by_y = T(0.0)
            if conserved:
                by_x = grad_moment_x[p, 0] * moment_x_by_x[p, 0]
                by_y = grad_moment_y[p, 0] * moment_y_by_y[p, 0]
            for m in range(sites_t[step]):
                along = T(0.0)
                across = T(0.0)
                for k in range(n):
                    grad = grad_source[np.uint64(at + k)]
                    along += coefficient_by_x[p, np.uint64(k)] * grad
                    across += coefficient_by_y[p, np.uint64(k)] * grad
                by_x += share_t[step, m] * along
                by_y += share_t[step, m] * across
                at += n
            by_pair[p, BY_X] = by_x
            by_pair[p, BY_Y] = by_y


@kernel("row", work=("partial",))
def rows(i, pixel, pixel_window, window_pair, pair_step, by_pair, step_slope, induction_column, partial, row):
    """Gradients of the loss of pixel[i] by the parameters: the sum over its pairs of what `pull` gives.

    row[i, c] = sum over pairs of grad(log charge) step_slope[step, c, 0] + grad(arrival) step_slope[step, c, 1]
                + grad(sigma_t) step_slope[step, c, 2] + grad(sigma_T) step_slope[step, c, 3]

    To row[i, induction_column] it adds the derivative by the parameter itself; -1: it is not asked for.

    step_slope (n_steps, n_columns, 4): d(log charge), d(arrival), d(sigma_t), d(sigma_T) by the parameter of a column;
    partial, row (n_rows, n_columns), of zeros: sums of the last PARTIAL pairs, to work in, and of all.
    """
    T = type(by_pair[0, 0])
    begin = window_pair[pixel_window[pixel[i]]]
    end = window_pair[pixel_window[pixel[i] + 1]]
    for p in range(begin, end):
        step = pair_step[p]
        by_log_charge = by_pair[p, BY_LOG_CHARGE]
        by_arrival = by_pair[p, BY_ARRIVAL]
        by_sigma_t = by_pair[p, BY_SIGMA_LONG]
        by_sigma_T = by_pair[p, BY_SIGMA_TRAN]
        for c in range(row.shape[1]):
            early = by_log_charge * step_slope[step, c, 0] + by_arrival * step_slope[step, c, 1]
            late = by_sigma_t * step_slope[step, c, 2] + by_sigma_T * step_slope[step, c, 3]
            partial[i, c] += early + late
        if induction_column >= 0:
            partial[i, induction_column] += by_pair[p, BY_INDUCTION]
        if (p - begin) % PARTIAL == PARTIAL - 1 or p == end - 1:
            for c in range(row.shape[1]):
                row[i, c] += partial[i, c]
                partial[i, c] = T(0.0)
