"""Conserve: make the samples of a window sum to the charge that reaches it."""

from lartpc.kernels.runtime.launch import device, kernel

NEGLIGIBLE = 1e-20  # sum of currents [e/us] of a window below which nothing is scaled
PARTIAL = 64  # pairs that are summed before they are added to the rest: rounding grows with the number of terms


@kernel("waveform", lanes=32)
def conserve(i, lane, lanes, window_pair, window_first, moment_x, moment_y, tick, current, waveform):
    """Scale the samples of window i to the charge that reaches it: waveform = factor current [e/us].

    factor = charge / (tick sum of current), charge = sum over pairs of moment_x_0 moment_y_0. Sampling at ticks misses
    or doubles part of a signal that is narrower than a tick (steps within 2 cm of the anode); elsewhere the factor is 1
    to the precision of the response's tables.
    window_first (n_windows + 1,): first sample of each window.
    """
    T = type(tick)
    charge = window_charge(i, window_pair, moment_x, moment_y)
    total = T(0.0)
    for k in range(window_first[i], window_first[i + 1]):
        total += current[k]
    factor = charge / (total * tick) if total > T(NEGLIGIBLE) else T(1.0)
    for k in range(window_first[i] + lane, window_first[i + 1], lanes):
        waveform[k] = factor * current[k]


@device
def window_charge(i, window_pair, moment_x, moment_y):
    """Charge of window i [e], by partial sums: one by one, 10,000 equal charges lose 6e-5 in single precision."""
    T = type(moment_x[0, 0])
    charge = T(0.0)
    partial = T(0.0)
    for p in range(window_pair[i], window_pair[i + 1]):
        partial += moment_x[p, 0] * moment_y[p, 0]
        if (p - window_pair[i]) % PARTIAL == PARTIAL - 1:
            charge += partial
            partial = T(0.0)
    return charge + partial
