"""Adjoint of likelihood."""

from lartpc.adjoint.frontend.current import add_between
from lartpc.kernels.losses.likelihood import DARK_CURRENT, highest
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_waveform", light=True)
def likelihood_adjoint(
    i,
    # forward inputs
    waveform,
    pixel_window,
    window_first,
    window_tick,
    target_count,
    target_tick,
    target_fraction,
    tick,
    hold_ticks,
    reset_cycles,
    # forward outputs
    after,
    # gradients of outputs
    grad_before,
    grad_during,
    grad_rate,
    grad_resume,
    grad_after,
    # gradients of inputs
    grad_waveform,
):
    """Gradient of the waveform of pixel i: each charge is tick times the sum of the samples between two times.

    d(before_k)/d(waveform) = tick between s_{k-1} and t_k, d(during_k) the same between t_k and e_k,
    d(after) the same from s_n to where the charge is highest, d(rate_k)/d(waveform) = 1 at the tick of t_k, or
    (D/(D - I))^2 where the current I is negative, d(resume_k)/d(waveform) = 1 at the tick of s_k
    """
    T = type(tick)
    low = pixel_window[i]
    high = pixel_window[i + 1]
    last = window_tick[low]
    last_fraction = T(0.0)
    for n in range(target_count[i]):
        t = target_tick[i, n]
        fraction = target_fraction[i, n]
        read = t + hold_ticks
        value = grad_before[i, n] * tick
        if t > last or (t == last and fraction >= last_fraction):
            add_between(grad_waveform, window_tick, window_first, low, high, last, last_fraction, t, fraction, value)
        else:
            add_between(grad_waveform, window_tick, window_first, low, high, t, fraction, last, last_fraction, -value)
        add_between(
            grad_waveform, window_tick, window_first, low, high, t, fraction, read, fraction, grad_during[i, n] * tick
        )
        last = read + reset_cycles
        for w in range(low, high):
            k = t - window_tick[w]
            if 0 <= k < window_first[w + 1] - window_first[w]:
                root = T(DARK_CURRENT) / (T(DARK_CURRENT) - min(waveform[window_first[w] + k], T(0.0)))
                grad_waveform[window_first[w] + k] += grad_rate[i, n] * root * root
            k = last - window_tick[w]
            if 0 <= k < window_first[w + 1] - window_first[w]:
                grad_waveform[window_first[w] + k] += grad_resume[i, n]
        last_fraction = fraction
    value = grad_after[i] * tick
    if value != T(0.0) and after[i] > T(0.0):
        _, end = highest(waveform, window_tick, window_first, low, high, last, hold_ticks)
        if end >= last:
            add_between(grad_waveform, window_tick, window_first, low, high, last, last_fraction, end, T(1.0), value)
