"""The stages from steps to currents with the parametric response."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lartpc.arrays import aligned, inverse, namespace, offsets
from lartpc.autodiff.launch import plain
from lartpc.kernels.pixels.conserve import conserve
from lartpc.kernels.pixels.induce import induce
from lartpc.kernels.pixels.pair import count_pairs, pair
from lartpc.kernels.pixels.share import choose, share
from lartpc.kernels.pixels.spread import spread
from lartpc.pixels.sites import most_sites
from lartpc.response.lattice import LANES, Shares, lattice_current, step_ticks
from lartpc.response.windows import Pairs, Windows, group


def parametric_current(
    steps: Any, batch: Any, tables: Any, detector: Any, settings: Any, settle: int, launch: Callable
) -> tuple[Any, Pairs, Windows]:
    """Share, spread, induce, deposit, convolve, conserve: current of every pixel [e/us], `Pairs` and `Windows`.

    Windows go on for `settle` ticks.
    """
    xp, T = namespace(steps.x), steps.x.dtype.type
    table, tick = tables.parametric, T(detector.tick)
    shares = make_shares(steps, batch, tables, detector, launch)
    pairs, windows, first_pair = make_pairs(steps, shares, batch, tables, detector, settings, settle)
    n, pair_place = len(pairs.step), inverse(pairs.order)
    lattice, is_used = table.lattice, xp.zeros(len(table.degree), dtype=bool)
    is_used[shares.table] = True
    used = xp.flatnonzero(is_used)
    most, most_rank = whole_lanes(table.degree[used]), whole_lanes(lattice.rank[used])
    moment_x, moment_y = (xp.empty((n, most), dtype=T) for _ in range(2))
    launch(
        spread,
        n,
        steps.x,
        steps.y,
        steps.distance,
        steps.charge,
        steps.sigma_T,
        steps.volume,
        tables.volumes,
        shares.table,
        table.degree,
        pairs.step,
        pairs.x,
        pairs.y,
        T(settings.width),
        T(math.erf(settings.width / math.sqrt(2.0))),
        settings.nodes,
        tables.gauss_point,
        tables.gauss_weight,
        moment_x,
        moment_y,
        adjoint_threads=len(steps.x),
        first_pair=first_pair,
        pair_place=pair_place,
    )
    coefficient = xp.empty((n, most_rank), dtype=T)
    space = aligned(table.space[: int(used.max()) + 1 if n else 0, :most, :most_rank, :most])
    of_table = (table.degree, lattice.rank, space)
    launch(induce, n, pairs.step, shares.table, moment_x, moment_y, *of_table, coefficient)
    extent = (memory(detector, settings), settle, first_pair, pair_place)
    current = lattice_current(coefficient, pairs, windows, shares, lattice, *extent, launch)
    waveform = xp.empty_like(current)
    launch(conserve, len(windows.tick), windows.pair, windows.first, moment_x, moment_y, tick, current, waveform)
    return waveform, pairs, windows


def make_shares(steps, batch, tables, detector, launch=plain):
    """When the charge of the steps counts on the lattice of the parametric response: `Shares`."""
    xp, T = namespace(steps.x), steps.x.dtype.type
    n, table, lattice = len(steps.x), tables.parametric, tables.parametric.lattice
    step_table, site_t, sites_t = (xp.zeros(n, dtype=np.int64) for _ in range(3))
    choose(n, steps.distance, steps.sigma_t, steps.volume, table.of_volume, table.least, step_table)
    share_t = xp.empty((n, most_sites(steps.sigma_t, detector.tick / lattice.per_tick[step_table])), dtype=T)
    step_tick = batch.tick[steps.segment]
    inputs = (steps.arrival, steps.sigma_t, step_table, step_tick, lattice.per_tick, table.smooth, T(detector.tick))
    launch(share, n, *inputs, site_t, sites_t, share_t)
    return Shares(step_table, site_t, sites_t, share_t)


def make_pairs(steps, shares, batch, tables, detector, settings, settle):
    """Which pixels see which steps, and when: `Pairs`, `Windows`, and the first pair of each step (n_steps + 1,)."""
    xp, T = namespace(steps.x), steps.x.dtype.type
    n = len(steps.x)
    count = xp.zeros(n, dtype=np.int64)
    place = (steps.x, steps.y, steps.sigma_T, steps.volume, tables.volumes, tables.planes, T(settings.width))
    count_pairs(n, *place, count)
    first_pair = offsets(count)
    index = [xp.zeros(int(first_pair[-1]), dtype=np.int64) for _ in range(4)]
    pair(n, *place, first_pair, *index)
    step, column, row, pixel = index
    event = batch.event[steps.segment[step]]
    first_tick, last_tick = step_ticks(tables.parametric.lattice, shares)
    ticks = (first_tick[step] - memory(detector, settings), last_tick[step] + settle)
    pairs, windows = group(step, column, row, pixel, event, *ticks, settings.block)
    return pairs, windows, first_pair


def whole_lanes(numbers):
    """The largest of some numbers, up to a multiple of LANES."""
    return -(-int(numbers.max()) // LANES) * LANES if len(numbers) else LANES


def memory(detector, settings):
    """Ticks for which the parametric response is followed back before its first lag."""
    return round(settings.memory / detector.tick)
