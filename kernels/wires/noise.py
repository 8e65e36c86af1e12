"""Noise of channels: random numbers for each frequency, from a counter, with a spectrum."""

import math

import numpy as np

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.random import normals, words

GROUPS = np.uint64(1 << 31)  # marks the counters of groups of channels, so that they differ from those of channels


@device
def root_mean_square(shaped, white, low, high, between, k):
    """Of |DFT| at frequency k; `between` two lengths, 0 to 1. Its two parts are linear in it, and added in square."""
    of_shaped = shaped[low, k] + between * (shaped[high, k] - shaped[low, k])
    return math.sqrt(of_shaped * of_shaped + white * white)


@device
def add(wave, row, pair, weight, seed, event, number, first, second):
    """Add random numbers to frequencies 2 pair and 2 pair + 1, `first` and `second` times their weights in size."""
    u, v, p, q = words(seed, event, number, np.uint64(pair))
    a, b = normals(u, v, first)
    c, d = normals(p, q, second)
    k = 4 * pair
    wave[row, np.uint64(k)] += weight[np.uint64(k)] * (first * a)
    wave[row, np.uint64(k + 1)] += weight[np.uint64(k + 1)] * (first * b)
    wave[row, np.uint64(k + 2)] += weight[np.uint64(k + 2)] * (second * c)
    wave[row, np.uint64(k + 3)] += weight[np.uint64(k + 3)] * (second * d)


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
    weight,
    group,
    seed,
    wave,
):
    """The DFT of the noise of row i, a channel in an event: wave (n, 2 frequencies), zeros.

    Real and imaginary part of each frequency follow each other, an even number of frequencies. Two frequencies at a
    time have numbers of `random.words`: of the event, the channel or (marked) group, and k//2, so that they are the
    same whatever else is drawn, and a group's are those of all its channels.

    row_event, row_channel (n,) int64, channels below 2^31; by channel: the rows of shaped (n_lengths, frequencies) [mV]
    and white (n_lengths,) [mV] between which its length lies, channel_between how far, and its row of common
    (n_planes, frequencies) [mV], what a group of so many channels has: roots of the mean of |DFT|^2. group = 0: none.
    weight (2 frequencies,): the root of the share of each part in the mean of |DFT|^2.
    """
    c = row_channel[i]
    event = row_event[i]
    low = channel_low[c]
    high = channel_high[c]
    between = channel_between[c]
    of_white = white[low] + between * (white[high] - white[low])
    pairs = wave.shape[1] // 4
    for pair in range(lane, pairs, lanes):
        first = root_mean_square(shaped, of_white, low, high, between, np.uint64(2 * pair))
        second = root_mean_square(shaped, of_white, low, high, between, np.uint64(2 * pair + 1))
        add(wave, i, pair, weight, seed, event, np.uint64(c), first, second)
    if group > 0:
        plane = channel_plane[c]
        number = np.uint64(c // group) | GROUPS
        for pair in range(lane, pairs, lanes):
            first = common[plane, np.uint64(2 * pair)]
            second = common[plane, np.uint64(2 * pair + 1)]
            add(wave, i, pair, weight, seed, event, number, first, second)
