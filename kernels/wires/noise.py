"""Noise of channels: random numbers for each frequency, from a counter, with a spectrum."""

import math

import numpy as np

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.random import normals, words

GROUPS = np.uint64(1 << 31)  # marks the counters of groups of channels, so that they differ from those of channels


@device
def add(wave, row, k, ticks, size, a, b):
    """Add a random number of mean square size^2 to frequency k: complex, or real where a waveform's DFT is real."""
    T = type(size)
    if k == 0 or 2 * k == ticks:
        wave[row, k, 0] += size * a
    else:
        wave[row, k, 0] += size * T(0.7071067811865476) * a
        wave[row, k, 1] += size * T(0.7071067811865476) * b


@device
def root_mean_square(shaped, white, low, high, between, k):
    """Of |DFT| at frequency k; `between` two lengths, 0 to 1. Its two parts are linear in it, and added in square."""
    of_shaped = shaped[low, k] + between * (shaped[high, k] - shaped[low, k])
    of_white = white[low] + between * (white[high] - white[low])
    return math.sqrt(of_shaped * of_shaped + of_white * of_white)


@kernel("wave", lanes=64)
def noise(
    i,
    lane,
    lanes,
    row_event,
    row_channel,
    channel_low,
    channel_high,
    channel_between,
    channel_plane,
    shaped,
    white,
    common,
    group,
    seed,
    ticks,
    wave,
):
    """The DFT of the noise of row i, a channel in an event: wave (n, frequencies, 2), real and imaginary part, zeros.

    Frequencies k = 0 to ticks//2. Two numbers of `random.words` at a time: of the event, the channel or (marked) group,
    and k//2, so that they are the same whatever else is drawn, and a group's are those of all its channels.

    row_event, row_channel (n,) int64, channels below 2^31; by channel: the rows of shaped (n_lengths, frequencies) [mV]
    and white (n_lengths,) [mV] between which its length lies, channel_between how far, and its row of common
    (n_planes, frequencies) [mV], what a group of so many channels has: roots of the mean of |DFT|^2. group = 0: none.
    """
    c = row_channel[i]
    low = channel_low[c]
    high = channel_high[c]
    between = channel_between[c]
    plane = channel_plane[c]
    frequencies = ticks // 2 + 1
    for pair in range(lane, (frequencies + 1) // 2, lanes):
        k = 2 * pair
        for source in range(2 if group > 0 else 1):
            number = np.uint64(c) if source == 0 else np.uint64(c // group) | GROUPS
            u, v, p, q = words(seed, row_event[i], number, np.uint64(pair))
            a, b = normals(u, v, between)
            size = root_mean_square(shaped, white, low, high, between, k) if source == 0 else common[plane, k]
            add(wave, i, k, ticks, size, a, b)
            if k + 1 < frequencies:
                a, b = normals(p, q, between)
                if source == 0:
                    size = root_mean_square(shaped, white, low, high, between, k + 1)
                else:
                    size = common[plane, k + 1]
                add(wave, i, k + 1, ticks, size, a, b)
