"""The charge of the waveform of a pixel, summed once to be read often."""

from lartpc.kernels.runtime.launch import device


@device
def sums(waveform, at, first, low, high, tick, total):
    """Sets `total` to the charge [e] of the samples from `at` on, up to the end of each."""
    charge = type(tick)(0.0)
    for j in range(first[low], first[high]):
        charge += waveform[at + j - first[low]] * tick
        total[j] = charge


@device
def tick_of(ticks, first, low, high, j):
    """The tick of sample j of the windows low to high."""
    w = low
    while w + 1 < high and j >= first[w + 1]:
        w += 1
    return ticks[w] + j - first[w]


@device
def at_or_after(ticks, first, low, high, t):
    """The first sample of the windows low to high in tick t or after it; where there is none, the end of the last."""
    for w in range(low, high):
        if t < ticks[w] + first[w + 1] - first[w]:
            return first[w] + max(t - ticks[w], 0)
    return first[high]


@device
def charge_to(total, ticks, first, low, high, t, fraction):
    """The charge [e] up to a fraction of tick t, of the sums `total` up to the end of each sample."""
    T = type(fraction)
    j = at_or_after(ticks, first, low, high, t)
    before = total[j - 1] if j > first[low] else T(0.0)
    if j == first[high] or tick_of(ticks, first, low, high, j) > t:
        return before
    return before + fraction * (total[j] - before)
