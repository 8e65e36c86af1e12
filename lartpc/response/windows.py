"""Bookkeeping between steps and channels: sort the pairs by channel and time, find each one's windows of ticks."""

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import inverse, namespace, offsets, run_starts, sorting
from lartpc.kernels.response.windows import count_windows, window


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


def group(step, column, row, pixel, event, first_tick, last_tick, first_pair, block):
    """Sort the pairs and find the windows: `Pairs`, `Windows`. Arguments (n_pairs,), in the order of steps.

    A pair needs the ticks from its first_tick to its last_tick (not included), in whole blocks. Those of step i begin
    at first_pair[i] (n_steps + 1,).
    """
    xp = namespace(step)
    first_block = first_tick // block
    last_block = -(-last_tick // block)
    order = sorting(event, pixel, first_block)
    event, pixel, first_block, last_block = event[order], pixel[order], first_block[order], last_block[order]
    step = step[order]
    pairs = Pairs(step, column[order], row[order], inverse(order), first_pair)

    n = len(order)
    starts = run_starts(event, pixel)
    pixel_pair = xp.append(starts, xp.asarray([n])).astype(np.int64)

    count = xp.zeros(len(starts), dtype=np.int64)
    blocks = {"pixel_pair": pixel_pair, "first_block": first_block, "last_block": last_block}
    count_windows(len(starts), **blocks, window_count=count)
    of_pixel = offsets(count)
    n_windows = int(of_pixel[-1])
    window_pair = xp.full(n_windows + 1, n, dtype=np.int64)
    window_block = xp.zeros(n_windows, dtype=np.int64)
    size = xp.zeros(n_windows, dtype=np.int64)
    found = {"window_pair": window_pair, "window_block": window_block, "window_size": size}
    window(len(starts), **blocks, pixel_window=of_pixel, **found)

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
