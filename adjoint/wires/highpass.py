"""Adjoint of highpass."""

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.wires.highpass import following, over_gap, rates


@kernel("grad_waveform", light=True)
def highpass_adjoint(
    i,
    # forward inputs
    channel_window,
    window_first,
    window_tick,
    tau,
    later_tau,
    tick,
    # gradients of outputs
    grad_passed,
    # gradients of inputs
    grad_waveform,
):
    """Gradients of the waveform of channel i. The time constants are no parameters.

    The same recursions from the last tick to the first, the second stage before the first: with d_k the gradient of
    what a stage gives, that of s_k is g_k = exp(-tick/tau) g_{k+1} - d_k, and that of x_k d_k + (tick/tau) g_k. What is
    held between ticks is exp(-tick/tau) g_k, on which a gap acts transposed.
    """
    rate, loss = rates(tau, tick)
    later_rate, later_loss = rates(later_tau, tick)
    zero = type(tick)(0.0)
    grad_held = zero
    grad_later = zero
    last = channel_window[i + 1] - 1
    for w in range(last, channel_window[i] - 1, -1):
        if w < last:
            gap = window_tick[w + 1] - window_tick[w] - (window_first[w + 1] - window_first[w])
            if gap > 0:
                left, later_left, moved = over_gap(rate, later_rate, gap)
                grad_held = left * grad_held - later_rate * moved * grad_later
                grad_later = later_left * grad_later
        for k in range(window_first[w + 1] - 1, window_first[w] - 1, -1):
            of_later = grad_later - grad_passed[k]
            of_once = grad_passed[k] + later_rate * of_later
            of_held = grad_held - of_once
            grad_waveform[k] += of_once + rate * of_held
            grad_later = following(of_later, later_loss, zero)
            grad_held = following(of_held, loss, zero)
