"""Adjoint of buffer."""

from lartpc.kernels.frontend.buffer import factors
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import BUFFER_RISETIME


@kernel("grad_waveform", "grad_electronics", light=True)
def buffer_adjoint(
    i,
    # forward inputs
    window_first,
    waveform,
    electronics,
    tick,
    # for the adjoint alone
    pixel_window,
    # forward outputs
    buffered,
    # gradients of outputs
    grad_buffered,
    # gradients of inputs
    grad_waveform,
    grad_electronics,
):
    """Gradients of the waveform of pixel i, whose windows begin with pixel_window[i], and of its rise time.

    The same filter from the last tick to the first: with g_k = d(loss)/d(h_k) and e_k = h_{k-1} - I_k,
    d/d(I_k) = (1 - weight) d/d(I'_k) + (1 - decay) g_k, g_{k-1} = weight d/d(I'_k) + decay g_k,
    d/d(weight) = sum of e_k d/d(I'_k), d/d(decay) = sum of e_k g_k, e_k = (I'_k - I_k)/weight; in the last tick, where
    held_ticks h is added, e = (I' - I)/held_ticks - I. With x = tick/tau:
    d(decay)/d(held_ticks) = decay x^2, d(weight)/d(held_ticks) = 1 - decay - decay x
    """
    T = type(tick)
    risetime = electronics[i, BUFFER_RISETIME]
    held_ticks, decay, weight = factors(risetime, tick)
    grad_held_ticks = T(0.0)
    for w in range(pixel_window[i], pixel_window[i + 1]):
        last = window_first[w + 1] - 1
        if last < window_first[w]:
            continue
        grad_held = held_ticks * grad_buffered[last]
        for k in range(last, window_first[w] - 1, -1):
            if risetime > T(0.0):
                if k == last:
                    lag = (buffered[k] - waveform[k]) / held_ticks - waveform[k]
                    grad_held_ticks += grad_buffered[k] * (waveform[k] + decay * lag)
                else:
                    lag = (buffered[k] - waveform[k]) / weight
                x = tick / risetime
                grad_weight = lag * grad_buffered[k]
                grad_decay = lag * grad_held
                grad_held_ticks += grad_decay * decay * x * x + grad_weight * (T(1.0) - decay - decay * x)
            grad_waveform[k] += (T(1.0) - weight) * grad_buffered[k] + (T(1.0) - decay) * grad_held
            grad_held = weight * grad_buffered[k] + decay * grad_held
    grad_electronics[i, BUFFER_RISETIME] += grad_held_ticks / tick
