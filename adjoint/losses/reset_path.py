"""Adjoint of reset_path."""

from lartpc.adjoint.frontend.current import add_between
from lartpc.kernels.frontend.current import current_at
from lartpc.kernels.losses.reset_path import CROSSING, walk
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_waveform", "grad_threshold", light=True)
def reset_path_adjoint(
    i,
    # forward inputs
    waveform,
    pixel,
    pixel_window,
    window_first,
    window_tick,
    target_count,
    target_tick,
    target_fraction,
    threshold,
    tick,
    hold_ticks,
    reset_cycles,
    reset_noise,
    uncorrelated_noise,
    # forward outputs
    resets,
    # gradients of outputs
    grad_lost,
    # gradients of inputs
    grad_waveform,
    grad_threshold,
):
    """Gradients of the i-th pixel.

    With crossings c_m, ends of resets e_m = c_m + hold + reset, m = 1, ..., and the current I:
    d(lost) = dQ(e_m) - dQ(e_0), where dQ(e_m) at a time that moves with c_m is that at the time as it is + I(e_m) dc_m,
    dc_m = [d(threshold) - dQ(c_m) + dQ(e_{m-1})]/I(c_m); a peak does not move.
    """
    T = type(tick)
    own = pixel[i]
    low = pixel_window[own]
    high = pixel_window[own + 1]
    start = window_tick[low]
    begin = T(0.0)
    lead = hold_ticks + reset_cycles
    for n in range(target_count[own]):
        t = target_tick[own, n]
        end = target_fraction[own, n]
        value = grad_lost[own, n]
        for back in range(resets[own, n] if value != T(0.0) else 0):
            kind, at, fraction = walk(
                waveform,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t,
                end,
                threshold[own],
                tick,
                hold_ticks,
                reset_cycles,
                reset_noise,
                uncorrelated_noise,
                resets[own, n] - back,
            )
            reset = at + lead
            add_between(
                grad_waveform, window_tick, window_first, low, high, start, begin, reset, fraction, value * tick
            )
            if kind != CROSSING:
                break
            value *= current_at(waveform, window_tick, window_first, low, high, reset)
            value /= current_at(waveform, window_tick, window_first, low, high, at)
            grad_threshold[own] += value
            add_between(grad_waveform, window_tick, window_first, low, high, start, begin, at, fraction, -value * tick)
        start = t + lead
        begin = end
