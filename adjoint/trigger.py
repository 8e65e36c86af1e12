"""Adjoint of trigger: hit times and charges back to the current and the thresholds."""

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.likelihood import current_at


@device
def add_between(grad_waveform, window_tick, window_first, low, high, t0, part0, t1, part1, value):
    """Add `value` times the part of each tick that lies between (t0, part0) and (t1, part1)."""
    T = type(value)
    for w in range(low, high):
        n = window_first[w + 1] - window_first[w]
        for k in range(max(t0 - window_tick[w], 0), min(t1 - window_tick[w] + 1, n)):
            begin = part0 if window_tick[w] + k == t0 else T(0.0)
            end = part1 if window_tick[w] + k == t1 else T(1.0)
            grad_waveform[window_first[w] + k] += value * (end - begin)


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
    # forward outputs
    read_count,
    read_window,
    read_tick,
    read_part,
    # gradients of outputs
    grad_hit_time,
    grad_hit_charge,
    # gradients of inputs
    grad_waveform,
    grad_threshold,
):
    """Gradients of pixel i, from its last read to its first. With I(t) the current, e_n = t_n + hold the read's end:

    crossing: integral of I from e_{n-1} to t_n = threshold - reset noise
        dt_n = [d(threshold) - integral of dI from e_{n-1} to t_n + I(e_{n-1}) de_{n-1}]/I(t_n)
    charge: q_n = threshold + integral of I from t_n to e_n + readout noise
        dq_n = d(threshold) + integral of dI from t_n to e_n + I(e_n) de_n - I(t_n) dt_n,  de_n = dt_n
    A read that starts at once where the reset noise alone is above the threshold has dt_n = de_{n-1}, and its charge
    starts from the noise.
    """
    T = type(tick)
    low = pixel_window[i]
    high = pixel_window[i + 1]
    carry = T(0.0)
    for n in range(read_count[i] - 1, -1, -1):
        start = window_tick[read_window[i, n]] + read_tick[i, n]
        part = read_part[i, n]
        end = start + hold_ticks
        current_start = current_at(waveform, window_tick, window_first, low, high, start)
        current_end = current_at(waveform, window_tick, window_first, low, high, end)
        if n > 0:
            before = window_tick[read_window[i, n - 1]] + read_tick[i, n - 1] + hold_ticks
            before_part = read_part[i, n - 1]
        else:
            before = window_tick[low]
            before_part = T(0.0)
        grad_t = grad_hit_time[i, n] + carry + grad_hit_charge[i, n] * (current_end - current_start)
        value = grad_hit_charge[i, n] * tick
        add_between(grad_waveform, window_tick, window_first, low, high, start, part, end, part, value)
        if current_start == T(0.0) or (start == before and part == before_part):
            carry = grad_t
            continue
        rate = grad_t / current_start
        add_between(grad_waveform, window_tick, window_first, low, high, before, before_part, start, part, -rate * tick)
        grad_threshold[i] += grad_hit_charge[i, n] + rate
        carry = rate * current_at(waveform, window_tick, window_first, low, high, before)
