"""Bookkeeping between steps and channels: sort the pairs by channel and time, find each one's windows of ticks."""

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import inverse, namespace, offsets, run_bounds, sorting
from lartpc.kernels.response.windows import window


class Pairs(NamedTuple):
    """Pairs of steps and pixels (n_pairs,), in the order of event, pixel and time."""

    step: Any
    x: Any  # column on the plane
    y: Any  # row
    place: Any  # of each pair in the order of steps, where it is in this one
    first: Any  # (n_steps + 1,) first pair of each step in the order of steps


class Windows(NamedTuple):
    """Pixels with charge and, for each, its windows: runs of blocks of ticks with current. Offsets have one more."""

    event: Any  # (n_pixels,) index of the event
    pixel: Any  # (n_pixels,) pixel id
    of_pixel: Any  # (n_pixels + 1,) first window
    pair: Any  # (n_windows + 1,) first pair
    first: Any  # (n_windows + 1,) first sample
    tick: Any  # (n_windows,) tick of the first sample


def group(step, column, row, channel, n_pixels, blocks, first_pair, block):
    """Sort the pairs and find the windows: `Pairs`, `Windows`. Arguments (n_pairs,), in the order of steps.

    channel: event n_pixels + pixel. blocks: the first of `block` ticks that a pair needs, and the one after the last.
    The pairs of step i begin at first_pair[i] (n_steps + 1,).
    """
    xp, n = namespace(step), len(step)
    order = sorting(channel, blocks[0])
    first_block, last_block, channel = blocks[0][order], blocks[1][order], channel[order]
    pairs = Pairs(step[order], column[order], row[order], inverse(order), first_pair)
    pixel_pair = run_bounds(channel)
    n_channels = len(pixel_pair) - 1
    count, tick = (xp.empty(m, dtype=np.int64) for m in (n_channels, n))
    size = xp.ones(n + 1, dtype=np.int64)  # also where the last window ends
    found = {"window_count": count, "window_tick": tick, "window_size": size}
    of_pairs = {"pixel_pair": pixel_pair, "first_block": first_block, "last_block": last_block}
    window(n_channels, **of_pairs, block=block, **found)
    pair = xp.flatnonzero(size)
    begin, channel = pair[:-1], channel[pixel_pair[:-1]]
    of_pixel, first = offsets(count), offsets(size[begin])
    return pairs, Windows(channel // n_pixels, channel % n_pixels, of_pixel, pair, first, tick[begin])


def blocks_of(first, last, block):
    """The blocks of `block` ticks with those from `first` to `last`, not included: the first and the end."""
    return first // block, -(-last // block)
