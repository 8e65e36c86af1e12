"""Bookkeeping between steps and pixels: sort the pairs by pixel and time, find each pixel's windows of ticks."""

from typing import Any, NamedTuple

import numpy as np

from .kernels import pair
from .kernels.own import own

LINE = 64  # bytes of a line of the processor's cache


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
    """The run that each of n entries belongs to, from `offsets`, of which the last is n."""
    result = namespace(starts).empty(n, dtype=np.int64)
    own(len(starts) - 1, starts, result)
    return result


def aligned(array):
    """A copy in the order of C which begins where a line of the processor's cache does: wide loads need one line."""
    xp = namespace(array)
    if xp is not np:
        return xp.ascontiguousarray(array)  # a device's memory is aligned
    memory = np.empty(array.nbytes + LINE, dtype=np.uint8)
    begin = -memory.ctypes.data % LINE
    result = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


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


def sorting(*keys):
    """The stable order (n,) by integer keys (n,), the first counting most.

    Sorting one number that holds all keys and the place is several times as fast as `lexsort`.
    """
    xp, n = namespace(keys[0]), len(keys[0])
    if n == 0:
        return xp.arange(0)
    low = [int(key.min()) for key in keys]
    bits = [(int(key.max()) - least).bit_length() for key, least in zip(keys, low, strict=True)]
    bits_of_place = n.bit_length()
    if sum(bits) + bits_of_place > 63:
        return xp.lexsort(xp.stack(keys[::-1]))
    one = xp.zeros(n, dtype=np.int64)
    for key, least, width in zip(keys, low, bits, strict=True):
        one = (one << width) + key - least
    return xp.sort((one << bits_of_place) + xp.arange(n)) & ((1 << bits_of_place) - 1)


def group(step, column, row, pixel, event, first_tick, last_tick, block):
    """Sort the pairs and find the windows: `Pairs`, `Windows`. Arguments (n_pairs,).

    A pair needs the ticks from its first_tick to its last_tick (not included), in whole blocks.
    """
    xp = namespace(step)
    first_block = first_tick // block
    last_block = -(-last_tick // block)
    order = sorting(event, pixel, first_block)
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
