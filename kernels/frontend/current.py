"""What a front end reads of a waveform: the charge up to a time, and the current at it."""

from lartpc.kernels.runtime.launch import device


@device
def charge_until(waveform, window_tick, window_first, low, high, t, fraction, tick):
    """Charge [e] on the windows low to high of a pixel up to the given fraction of tick t."""
    T = type(tick)
    total = T(0.0)
    for w in range(low, high):
        n = window_first[w + 1] - window_first[w]
        whole = min(max(t - window_tick[w], 0), n)
        for k in range(whole):
            total += waveform[window_first[w] + k]
        if whole == t - window_tick[w] and whole < n:
            total += fraction * waveform[window_first[w] + whole]
    return total * tick


@device
def current_at(waveform, window_tick, window_first, low, high, t):
    """The current [e/us] in tick t of the windows low to high of a pixel; 0 between and after them."""
    for w in range(low, high):
        k = t - window_tick[w]
        if 0 <= k < window_first[w + 1] - window_first[w]:
            return waveform[window_first[w] + k]
    return type(waveform[0])(0.0)
