"""Adjoint of buffer."""

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_waveform", light=True)
def buffer_adjoint(
    i,
    # forward inputs
    window_first,
    held_ticks,
    decay,
    share,
    # gradients of outputs
    grad_buffered,
    # gradients of inputs
    grad_waveform,
):
    """Gradient of the waveform of window i: the same filter from the last tick to the first.

    With g_k = d(loss)/d(h_k): d/d(I_k) = (1 - share) d/d(I'_k) + (1 - decay) g_k, g_{k-1} = share d/d(I'_k) + decay g_k
    """
    T = type(share)
    if window_first[i + 1] == window_first[i]:
        return
    grad_held = held_ticks * grad_buffered[window_first[i + 1] - 1]
    for k in range(window_first[i + 1] - 1, window_first[i] - 1, -1):
        grad_waveform[k] += (T(1.0) - share) * grad_buffered[k] + (T(1.0) - decay) * grad_held
        grad_held = share * grad_buffered[k] + decay * grad_held
