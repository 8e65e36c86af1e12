"""Adjoint of collect: a pair's share in the gradient of its pixel's current."""

import numpy as np

from lartpc.kernels.launch import kernel


@kernel("grad_row", "grad_tail")
def collect_adjoint(
    i,
    # forward inputs
    first_tick,
    tail_tick,
    first_row,
    decay,
    pair_start,
    # gradients of outputs
    grad_current,
    # gradients of inputs
    grad_row,
    grad_tail,
):
    """Gradients of pair i, whose first tick is sample pair_start[i] of the current.

    d(current(t))/d(row(t)) = 1, d(current(t))/d(tail_m) = decay_m(t_tail - t)
    """
    base = first_row[i]
    start = pair_start[i]
    for k in range(first_row[i + 1] - base):
        grad_row[np.uint64(base + k)] += grad_current[np.uint64(start + k)]
    knee = start + tail_tick[i] - first_tick[i]
    for m in range(decay.shape[0]):
        total = type(decay[0, 0])(0.0)
        for k in range(1, decay.shape[1]):
            total += grad_current[np.uint64(knee - k)] * decay[m, np.uint64(k)]
        grad_tail[i, m] += total
