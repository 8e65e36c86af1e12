"""Bookkeeping between steps and pixels: sort the pairs by pixel and time, find each pixel's windows of ticks."""

from typing import Any, NamedTuple

import numpy as np

from .kernels import pair


def namespace(array):
    """numpy or cupy, whichever made `array`."""
    if isinstance(array, np.ndarray):
        return np
    import cupy

    return cupy


def to_numpy(array):
    """The array in main memory."""
    return array if isinstance(array, np.ndarray) else array.get()


def offsets(counts):
    """Where each of several runs starts, and their end: (n + 1,) int64 from the lengths (n,)."""
    xp = namespace(counts)
    result = xp.zeros(len(counts) + 1, dtype=np.int64)
    xp.cumsum(counts, out=result[1:])
    return result


def owners(starts, n):
    """The run that each of n entries belongs to, from `offsets`."""
    xp = namespace(starts)
    return xp.searchsorted(starts, xp.arange(n), side="right") - 1


def inverse(order):
    """The inverse of a permutation."""
    xp = namespace(order)
    result = xp.empty_like(order)
    result[order] = xp.arange(len(order))
    return result


class Pairs(NamedTuple):
    """Pairs of steps and pixels (n_pairs,), in the order of event, pixel and time."""

    step: Any
    x: Any  # column on the plane
    y: Any  # row
    order: Any  # sorted pair -> pair in the order of steps


class Windows(NamedTuple):
    """Pixels with charge and, for each, its windows: runs of blocks of ticks with current. Offsets have one more."""

    event: Any  # (n_pixels,) index of the event
    pixel: Any  # (n_pixels,) pixel id
    of_pixel: Any  # (n_pixels + 1,) first window
    pair: Any  # (n_windows + 1,) first pair
    first: Any  # (n_windows + 1,) first sample
    tick: Any  # (n_windows,) tick of the first sample


def group(step, column, row, pixel, event, first_tick, last_tick, block):
    """Sort the pairs and find the windows: `Pairs`, `Windows`. Arguments (n_pairs,).

    A pair needs the ticks from its first_tick to its last_tick (not included), in whole blocks.
    """
    xp = namespace(step)
    first_block = first_tick // block
    last_block = -(-last_tick // block)
    order = xp.lexsort(xp.stack((first_block, pixel, event)))
    event, pixel, first_block, last_block = event[order], pixel[order], first_block[order], last_block[order]
    step = step[order]
    pairs = Pairs(step, column[order], row[order], order)

    n = len(order)
    new = xp.ones(n, dtype=bool)
    new[1:] = (event[1:] != event[:-1]) | (pixel[1:] != pixel[:-1])
    starts = xp.flatnonzero(new)
    pixel_pair = xp.append(starts, xp.asarray([n])).astype(np.int64)

    count = xp.zeros(len(starts), dtype=np.int64)
    pair.count_windows(len(starts), pixel_pair, first_block, last_block, count)
    of_pixel = offsets(count)
    n_windows = int(of_pixel[-1])
    window_pair = xp.full(n_windows + 1, n, dtype=np.int64)
    window_block = xp.zeros(n_windows, dtype=np.int64)
    size = xp.zeros(n_windows, dtype=np.int64)
    pair.window(len(starts), pixel_pair, first_block, last_block, of_pixel, window_pair, window_block, size)

    window_first_block = offsets(size)
    windows = Windows(
        event=event[starts],
        pixel=pixel[starts],
        of_pixel=of_pixel,
        pair=window_pair,
        first=window_first_block * block,
        tick=window_block * block,
    )
    return pairs, windows
