"""Adjoint of conserve."""

import numpy as np

from lartpc.kernels.pixels.conserve import NEGLIGIBLE, window_charge
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_moment_x", "grad_moment_y", "grad_current", lanes=32)
def conserve_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
    window_pair,
    window_first,
    moment_x,
    moment_y,
    tick,
    current,
    # gradients of outputs
    grad_waveform,
    # gradients of inputs
    grad_moment_x,
    grad_moment_y,
    grad_current,
):
    """Gradients of window i. waveform = factor current, factor = charge/(tick total):

    d(factor)/d(charge) = 1/(tick total), d(factor)/d(current) = -factor/total
    charge = sum over pairs of moment_x_0 moment_y_0

    What grad_moment_x, grad_moment_y and grad_current held before does not matter.
    """
    T = type(tick)
    for p in range(window_pair[i], window_pair[i + 1]):
        for k in range(1 + lane, moment_x.shape[1], lanes):
            m = np.uint64(k)
            grad_moment_x[p, m] = T(0.0)
            grad_moment_y[p, m] = T(0.0)
    for p in range(window_pair[i] + lane, window_pair[i + 1], lanes):
        grad_moment_x[p, 0] = T(0.0)
        grad_moment_y[p, 0] = T(0.0)
    charge = window_charge(i, window_pair, moment_x, moment_y)
    total = T(0.0)
    grad_factor = T(0.0)
    for k in range(window_first[i], window_first[i + 1]):
        total += current[k]
        grad_factor += grad_waveform[k] * current[k]
    if total <= T(NEGLIGIBLE):
        for k in range(window_first[i] + lane, window_first[i + 1], lanes):
            grad_current[k] = grad_waveform[k]
        return
    factor = charge / (total * tick)
    for k in range(window_first[i] + lane, window_first[i + 1], lanes):
        grad_current[k] = factor * grad_waveform[k] - grad_factor * factor / total
    grad_charge = grad_factor / (total * tick)
    for p in range(window_pair[i] + lane, window_pair[i + 1], lanes):
        grad_moment_x[p, 0] = grad_charge * moment_y[p, 0]
        grad_moment_y[p, 0] = grad_charge * moment_x[p, 0]
