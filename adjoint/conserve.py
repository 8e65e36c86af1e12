"""Adjoint of conserve."""

from lartpc.kernels.conserve import NEGLIGIBLE, window_charge
from lartpc.kernels.launch import kernel


@kernel("grad_weight_x", "grad_weight_y", "grad_current", light=True)
def conserve_adjoint(
    i,
    # forward inputs
    window_pair,
    window_first,
    weight_x,
    weight_y,
    nodes_x,
    nodes_y,
    tick,
    current,
    # gradients of outputs
    grad_waveform,
    # gradients of inputs
    grad_weight_x,
    grad_weight_y,
    grad_current,
):
    """Gradients of window i. waveform = factor current, factor = charge/(tick total):

    d(factor)/d(charge) = 1/(tick total), d(factor)/d(current) = -factor/total
    charge = sum over pairs of (sum weight_x)(sum weight_y): d/d(weight_x) = sum weight_y, and the reverse
    """
    T = type(tick)
    charge = window_charge(i, window_pair, weight_x, weight_y, nodes_x, nodes_y)
    total = T(0.0)
    grad_factor = T(0.0)
    for k in range(window_first[i], window_first[i + 1]):
        total += current[k]
        grad_factor += grad_waveform[k] * current[k]
    if total <= T(NEGLIGIBLE):
        for k in range(window_first[i], window_first[i + 1]):
            grad_current[k] += grad_waveform[k]
        return
    factor = charge / (total * tick)
    for k in range(window_first[i], window_first[i + 1]):
        grad_current[k] += factor * grad_waveform[k] - grad_factor * factor / total
    grad_charge = grad_factor / (total * tick)
    for p in range(window_pair[i], window_pair[i + 1]):
        sum_x = T(0.0)
        for j in range(nodes_x[p]):
            sum_x += weight_x[p, j]
        sum_y = T(0.0)
        for j in range(nodes_y[p]):
            sum_y += weight_y[p, j]
        for j in range(nodes_x[p]):
            grad_weight_x[p, j] += grad_charge * sum_y
        for j in range(nodes_y[p]):
            grad_weight_y[p, j] += grad_charge * sum_x
