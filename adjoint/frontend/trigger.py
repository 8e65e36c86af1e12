"""Adjoint of trigger: hit times and charges back to the current and the thresholds."""

from lartpc.adjoint.frontend.current import add_between
from lartpc.kernels.frontend.current import current_at
from lartpc.kernels.frontend.trigger import NO_RESET
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_waveform", "grad_threshold", light=True)
def trigger_adjoint(
    i,
    # forward inputs
    waveform,
    pixel_window,
    window_first,
    window_tick,
    tick,
    hold_ticks,
    reset_cycles,
    adc_busy_delay,
    discriminator_noise,
    # forward outputs
    read_count,
    read_window,
    read_tick,
    read_fraction,
    read_reset,
    hit_valid,
    # gradients of outputs
    grad_hit_time,
    grad_hit_charge,
    # gradients of inputs
    grad_waveform,
    grad_threshold,
):
    """Gradients of pixel i, from its last read to its first. With I(t) the current, e_n = t_n + hold the read's end:

    crossing: integral of I from s_n = e_{n-1} + reset to t_n = threshold - reset noise
        dt_n = [d(threshold) - integral of dI from s_n to t_n + I(s_n) de_{n-1}]/I(t_n)
    charge: q_n = threshold + integral of I from t_n to e_n + readout noise
        dq_n = d(threshold) + integral of dI from t_n to e_n + I(e_n) de_n - I(t_n) dt_n,  de_n = dt_n
    A read that starts as soon as the pixel is free, where noise or what came while the ADC was busy is above the
    threshold, has dt_n = de_{n-1}. One that starts with a tick, whose threshold is below that of the tick before, has
    dt_n = 0. The charge of both is reset noise + integral of I from s_n to e_n + readout noise.
    After a periodic reset s_n is the end of its tick, which does not move; where its noise is above the threshold, the
    read starts with the next tick.
    """
    T = type(tick)
    low = pixel_window[i]
    high = pixel_window[i + 1]
    carry = T(0.0)
    for n in range(read_count[i] - 1, -1, -1):
        start = window_tick[read_window[i, n]] + read_tick[i, n]
        fraction = read_fraction[i, n]
        end = start + hold_ticks
        before = window_tick[low]
        free = before
        before_fraction = T(0.0)
        if n > 0:
            before = window_tick[read_window[i, n - 1]] + read_tick[i, n - 1] + hold_ticks + reset_cycles
            free = before + (adc_busy_delay if hit_valid[i, n - 1] == 1 else 0)
            before_fraction = read_fraction[i, n - 1]
        at_once = start == free and fraction == before_fraction
        cleared = read_reset[i, n] != NO_RESET
        current_before = current_at(waveform, window_tick, window_first, low, high, before)
        if cleared:
            before = read_reset[i, n]
            before_fraction = T(1.0)
            current_before = T(0.0)
        current_start = current_at(waveform, window_tick, window_first, low, high, start)
        current_end = current_at(waveform, window_tick, window_first, low, high, end)
        value = grad_hit_charge[i, n] * tick
        with_tick = (discriminator_noise > T(0.0) or cleared) and fraction == T(0.0) and not at_once
        if at_once or with_tick or current_start == T(0.0):
            add_between(
                grad_waveform, window_tick, window_first, low, high, before, before_fraction, end, fraction, value
            )
            moved = T(0.0) if with_tick else grad_hit_time[i, n] + carry + grad_hit_charge[i, n] * current_end
            carry = moved - grad_hit_charge[i, n] * current_before
            continue
        grad_t = grad_hit_time[i, n] + carry + grad_hit_charge[i, n] * (current_end - current_start)
        add_between(grad_waveform, window_tick, window_first, low, high, start, fraction, end, fraction, value)
        rate = grad_t / current_start
        add_between(
            grad_waveform, window_tick, window_first, low, high, before, before_fraction, start, fraction, -rate * tick
        )
        grad_threshold[i] += grad_hit_charge[i, n] + rate
        carry = rate * current_before
