"""High pass: the coupling of a channel through capacitors, once or twice, which takes the slow part off a waveform."""

import math

import numpy as np

from lartpc.kernels.runtime.launch import device, kernel

STRIDE = 16  # ticks


@device
def rates(tau, tick):
    """tick/tau and exp(-tick/tau) - 1; both 0 without a time constant."""
    T = type(tick)
    if tau <= T(0.0):
        return T(0.0), T(0.0)
    return tick / tau, math.expm1(-tick / tau)


@device
def following(held, loss, given):
    """held (1 + loss) + given. `loss` is small: added to 1, it would lose the digits that make the time constant."""
    return held + (loss * held + given)


@device
def over_gap(rate, later_rate, ticks):
    """What a gap of so many ticks leaves of what two stages hold: of the first, of the second, and what moves over.

    exp(-rate ticks), exp(-later_rate ticks), sum of exp(-later_rate (ticks - m) - rate m) over m from 1 to ticks: in
    each tick of the gap the first stage passes what it holds on to the second, with the sign changed.
    """
    T = type(rate)
    n = T(ticks)
    apart = abs(rate - later_rate)
    terms = n if apart == T(0.0) else math.expm1(-apart * n) / math.expm1(-apart)
    moved = math.exp(-rate - min(rate, later_rate) * (n - T(1.0))) * terms
    return math.exp(-rate * n), math.exp(-later_rate * n), moved


@device
def settle(passed, begin, end, loss):
    """Samples from `begin` to `end` behind one high pass, where nothing comes: what was STRIDE ticks before, decayed.

    loss: exp(-STRIDE tick/tau) - 1. They do not wait for each other, as those of a recursion from tick to tick do.
    """
    for k in range(begin, end):
        before = passed[np.uint64(k - STRIDE)]
        passed[np.uint64(k)] = before + loss * before


@kernel("passed", light=True)
def highpass(i, channel_window, window_first, window_tick, waveform, tau, later_tau, tick, passed):
    """The waveform of channel i behind high passes with time constants tau and later_tau [us], 0 for none.

    Each is the convolution with h_k = delta_k - (tick/tau) exp(-k tick/tau), k >= 0, as a recursion:

        s_k = exp(-tick/tau) s_{k-1} + (tick/tau) x_k,  y_k = x_k - s_k

    channel_window (n_channels + 1,): first window of each channel; window_first (n_windows + 1,): first sample;
    window_tick (n_windows,): its tick, rising in a channel; waveform and passed (n_samples,), in the same unit. Between
    windows nothing comes, and what the stages hold decays, which is exact: windows give what one that spans them all
    gives. What follows after the last window is left out. With one stage, zeros at the end of a window are not gone
    through tick by tick: see `settle`.
    """
    rate, loss = rates(tau, tick)
    later_rate, later_loss = rates(later_tau, tick)
    T = type(tick)
    zero = T(0.0)
    held = zero
    later = zero
    for w in range(channel_window[i], channel_window[i + 1]):
        if w > channel_window[i]:
            gap = window_tick[w] - window_tick[w - 1] - (window_first[w] - window_first[w - 1])
            if gap > 0:
                left, later_left, moved = over_gap(rate, later_rate, gap)
                later = later_left * later - later_rate * moved * held
                held = left * held
        end = window_first[w + 1]
        if later_tau <= zero:
            while end > window_first[w] and waveform[end - 1] == zero:
                end -= 1
            end = min(end + STRIDE, window_first[w + 1])
        for k in range(window_first[w], end):
            held = following(held, loss, rate * waveform[k])
            once = waveform[k] - held
            later = following(later, later_loss, later_rate * once)
            passed[k] = once - later
        settled = window_first[w + 1] - end
        if settled > 0:
            settle(passed, end, window_first[w + 1], math.expm1(-rate * T(STRIDE)))
            held = following(held, math.expm1(-rate * T(settled)), zero)
