"""Bookkeeping of a tabulated response: blocks of charge, the pixels that see them, and their windows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import extremes, inverse, namespace, offsets, owners, sorting
from lartpc.contracts import Clouds
from lartpc.kernels.pixels.around import around, count_around, span
from lartpc.kernels.pixels.cells import CELL
from lartpc.kernels.pixels.reach import count_reached, reach
from lartpc.kernels.pixels.under import count_under, under
from lartpc.pixels.response_tables import Tables
from lartpc.response.lattice import Shares
from lartpc.response.windows import Pairs, Windows, blocks_of, group


class Blocks(NamedTuple):
    """Areas of pixels on the anode, and beyond it, each for a run of cells in which charge comes there (n_blocks,)."""

    pair: Any  # (n_blocks + 1,) first pair with a step
    first: Any  # (n_blocks + 1,) first tick among those of all
    tick: Any  # of the first
    event: Any
    tpc: Any
    x: Any  # column
    y: Any  # row
    table: Any
    module: Any


class Spans(NamedTuple):
    """The ticks of windows from the first to the last charge that they see (n_windows,)."""

    tick: Any
    first: Any  # (n_windows + 1,) first tick among those of all
    rank: Any  # of the late waveforms that they see: all, or those of far pixels
    late: Any  # (n_windows + 1,) first of the values that drive these
    table: Any
    coarse: Any  # (n_windows + 1,) first of the coarse sites of the current


class Seen(NamedTuple):
    """What is needed to say which pixel sees which step (`of_steps`), which the currents are found without."""

    clouds: Clouds
    shares: Shares
    sites: dict[str, Any]  # of the steps across
    event: Any  # of the steps
    table: Tables
    tpc_pixels: Any
    n_pixels: int

    def of_steps(self, windows: Windows) -> tuple[Pairs, Any]:
        """Pairs of steps and pixels in the order of windows, and the first pair of each window (n_windows + 1,)."""
        table, clouds = self.table, self.clouds
        xp, n = namespace(clouds.x), len(clouds.x)
        bins_x, bins_y = table.space.shape[1:3]
        reached = {**self.sites, "step_tpc": clouds.tpc, "tpc_pixels": self.tpc_pixels, "bins": table.bins}
        reached |= {"bins_x": bins_x, "bins_y": bins_y}
        number = xp.empty(n, dtype=np.int64)
        count_reached(n, **reached, pair_count=number)
        first_pair = offsets(number)
        n_pairs, names = int(first_pair[-1]), ("pair_step", "pair_x", "pair_y", "pair_pixel")
        index = {name: xp.empty(n_pairs, dtype=np.int64) for name in names}
        reach(n, **reached, first_pair=first_pair, **index)
        step, x, y, pixel = index.values()
        tick = self.shares.site[step] // table.per_tick + table.first_lag[self.shares.table[step]]
        order = sorting(self.event[step], pixel, tick)
        step, tick = step[order], tick[order]
        known = windows.event * self.n_pixels + windows.pixel
        number = xp.searchsorted(known, self.event[step] * self.n_pixels + pixel[order])
        early = int(windows.tick.min()) if len(windows.tick) else 0
        long = max(int(a.max()) for a in (windows.tick, tick)) - early + 1 if len(tick) else 1
        begin = owners(windows.of_pixel, len(windows.tick)) * long + windows.tick - early
        window = xp.searchsorted(begin, number * long + tick - early, side="right") - 1
        of_window = offsets(xp.bincount(window, minlength=len(windows.tick)))
        return Pairs(step, x[order], y[order], inverse(order), first_pair), of_window


def make_blocks(seen: Seen) -> tuple[Blocks, Pairs]:
    """The blocks over which steps lie, and the pairs of both, in the order of blocks."""
    clouds, shares, table, event = seen.clouds, seen.shares, seen.table, seen.event
    xp, n = namespace(clouds.x), len(clouds.x)
    reached = seen.sites | {"bins": table.bins, "side": table.side}
    number = xp.empty(n, dtype=np.int64)
    count_under(n, **reached, pair_count=number)
    first_pair = offsets(number)
    n_pairs = int(first_pair[-1])
    step, x, y = (xp.empty(n_pairs, dtype=np.int64) for _ in range(3))
    under(n, **reached, first_pair=first_pair, pair_step=step, pair_x=x, pair_y=y)
    (low_x, low_y), (last_x, last_y) = extremes(x, y)
    wide, high = last_x - low_x + 1, last_y - low_y + 1
    area = (clouds.tpc[step] * high + y - low_y) * wide + x - low_x
    begin, end = shares.site // table.per_tick, (shares.site + shares.sites - 1) // table.per_tick + 1
    n_areas = len(seen.tpc_pixels) * high * wide
    channel = event[step] * n_areas + area
    pairs, windows = group(step, x, y, channel, n_areas, blocks_of(begin[step], end[step], CELL), first_pair, CELL)
    pixel = owners(windows.of_pixel, len(windows.tick))
    area, some = windows.pixel[pixel], pairs.step[windows.pair[:-1]]
    tpc = area // (wide * high)
    x, y = area % wide + low_x, area // wide % high + low_y
    of = (windows.event[pixel], tpc, x, y, table.of_tpc[tpc], clouds.module[some])
    return Blocks(windows.pair, windows.first, windows.tick, *of), pairs


def make_windows(seen: Seen, blocks: Blocks, of_steps: Pairs, settle: int, block: int) -> tuple[Pairs, Windows, Spans]:
    """Pairs of blocks (`step`) and pixels that see them, their windows, and when these see charge."""
    xp, n, table = namespace(blocks.x), len(blocks.x), seen.table
    near_by = {"block_pair": blocks.pair, "block_x": blocks.x, "block_y": blocks.y, "block_tpc": blocks.tpc}
    near_by |= seen.sites | {"pair_step": of_steps.step, "tpc_pixels": seen.tpc_pixels, "reach": table.reach}
    near_by |= {"bins": table.bins, "side": table.side}
    near_by |= dict(zip(("bins_x", "bins_y"), table.space.shape[1:3], strict=True))
    number = xp.empty(n, dtype=np.int64)
    count_around(n, **near_by, pair_count=number)
    first_pair = offsets(number)
    n_pairs, names = int(first_pair[-1]), ("found_block", "found_x", "found_y", "found_pixel")
    index = {name: xp.empty(n_pairs, dtype=np.int64) for name in names}
    around(n, **near_by, first_found=first_pair, **index)
    step, column, row, pixel = index.values()
    first = blocks.tick + table.first_lag[blocks.table]
    last = blocks.tick + xp.diff(blocks.first) + table.last_lag[blocks.table] + settle
    channel = blocks.event[step] * seen.n_pixels + pixel
    of_ticks = blocks_of(first[step], last[step], block)
    pairs, windows = group(step, column, row, channel, seen.n_pixels, of_ticks, first_pair, block)
    m = len(windows.tick)
    tick, size, near = (xp.empty(m, dtype=np.int64) for _ in range(3))
    span(
        m,
        window_pair=windows.pair,
        pair_block=pairs.step,
        pair_x=pairs.x,
        pair_y=pairs.y,
        block_tick=blocks.tick,
        block_first=blocks.first,
        block_x=blocks.x,
        block_y=blocks.y,
        near=table.near,
        span_tick=tick,
        span_size=size,
        span_near=near,
    )
    rank = xp.where(near > 0, table.rank, table.far_rank)
    coarse = size // CELL + 1 + table.coarse_lags if table.coarse_lags else xp.zeros_like(size)
    of_block = blocks.table[pairs.step[windows.pair[:-1]]]
    late = offsets(size * rank * table.per_tick)
    return pairs, windows, Spans(tick, offsets(size), rank, late, of_block, offsets(coarse))
