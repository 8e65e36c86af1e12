"""Adjoint of the charge that a front end reads between two times."""

from lartpc.kernels.runtime.launch import device


@device
def add_between(grad_waveform, window_tick, window_first, low, high, t0, fraction0, t1, fraction1, value):
    """Add `value` times the fraction of each tick that lies between (t0, fraction0) and (t1, fraction1)."""
    T = type(value)
    if value == T(0.0):
        return
    for w in range(low, high):
        base = window_first[w]
        n = window_first[w + 1] - base
        first, last = t0 - window_tick[w], t1 - window_tick[w]
        for k in range(max(first, 0), min(last + 1, n)):
            begin = fraction0 if k == first else T(0.0)
            end = fraction1 if k == last else T(1.0)
            grad_waveform[base + k] += value * (end - begin)
