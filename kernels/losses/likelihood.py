"""Likelihood: what measured hits say of the noiseless charge of their pixel.

With Q(t) the noiseless charge, hits (t_k, q_k), reads at e_k = t_k + hold, from which charge is lost until the reset
ends at s_k = e_k + reset, threshold T, the reset noise of read k must have been T - [Q(t_k) - Q(s_{k-1})] and its
readout noise q_k - T - [Q(e_k) - Q(t_k)]. The density of t_k takes the factor I(t_k) = dQ/dt. After the last hit no
more than Q(end) - Q(s_n) arrives.
"""

from lartpc.kernels.frontend.current import charge_until, current_at
from lartpc.kernels.runtime.launch import device, kernel

# A current [e/us] that is always there, so that a hit where no charge is expected has a finite probability.
DARK_CURRENT = 1.0


@device
def density(current):
    """The factor for a current [e/us], above 0 and smooth: current + D, below 0 D^2/(D - current), D the dark one."""
    D = type(current)(DARK_CURRENT)
    return current + D if current >= type(current)(0.0) else D * D / (D - current)


@device
def highest(waveform, window_tick, window_first, low, high, t, hold_ticks):
    """Sum of a pixel's samples that some read after tick t finds at most, and the tick up to which it goes.

    The most, over the ends of ticks from t on, of the charge there and hold_ticks later, whichever is lower: charge
    that is gone when it is read makes no hit.
    """
    T = type(waveform[0])
    total = T(0.0)
    ahead = T(0.0)
    most = T(0.0)
    at = t - 1
    found = False
    lead = low
    step = 0
    for w in range(low, high):
        for k in range(window_first[w + 1] - window_first[w]):
            total += waveform[window_first[w] + k]
            now = window_tick[w] + k
            while lead < high and window_tick[lead] + step <= now + hold_ticks:
                ahead += waveform[window_first[lead] + step]
                step += 1
                if step == window_first[lead + 1] - window_first[lead]:
                    lead += 1
                    step = 0
            if now >= t and (not found or min(total, ahead) >= most):
                found = True
                most = min(total, ahead)
                at = now if total <= ahead else now + hold_ticks
    return (most if found else total), at


@kernel("before", "during", "rate", "resume", "after", light=True)
def likelihood(
    i,
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
    before,
    during,
    rate,
    resume,
    after,
):
    """Charges of pixel i between the times of its measured hits.

    Target hits (n_pixels, max_hits), the first target_count (n_pixels,) used: at target_fraction (0 to 1) of tick
    target_tick, int64. Outputs (n_pixels, max_hits): before = Q(t_k) - Q(s_{k-1}), during = Q(e_k) - Q(t_k) [e],
    rate = I(t_k) + DARK_CURRENT (`density`), resume = I(s_k) [e/us]; after (n_pixels,) = Q(max) - Q(s_n) [e], not
    below 0.
    """
    T = type(tick)
    low = pixel_window[i]
    high = pixel_window[i + 1]
    last = T(0.0)
    start = window_tick[low]
    for n in range(target_count[i]):
        t = target_tick[i, n]
        fraction = target_fraction[i, n]
        crossing = charge_until(waveform, window_tick, window_first, low, high, t, fraction, tick)
        read = charge_until(waveform, window_tick, window_first, low, high, t + hold_ticks, fraction, tick)
        before[i, n] = crossing - last
        during[i, n] = read - crossing
        rate[i, n] = density(current_at(waveform, window_tick, window_first, low, high, t))
        start = t + hold_ticks + reset_cycles
        resume[i, n] = current_at(waveform, window_tick, window_first, low, high, start)
        last = (
            charge_until(waveform, window_tick, window_first, low, high, start, fraction, tick)
            if reset_cycles
            else read
        )
    total, _ = highest(waveform, window_tick, window_first, low, high, start, hold_ticks)
    after[i] = max(total * tick - last, T(0.0))
