"""The stages from steps to currents with a tabulated response: assign, reach, couple, and those of lattice.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lartpc.arrays import inverse, namespace, offsets
from lartpc.kernels.pixels.assign import assign
from lartpc.kernels.pixels.couple import couple
from lartpc.kernels.pixels.reach import count_reached, reach
from lartpc.pixels.sites import most_sites
from lartpc.response.lattice import Shares, lattice_current, step_ticks
from lartpc.response.windows import Pairs, Windows, group


def tabulated_current(
    steps: Any, batch: Any, tables: Any, detector: Any, settings: Any, settle: int, launch: Callable
) -> tuple[Any, Pairs, Windows]:
    """Current of every pixel that the response reaches [e/us], `Pairs` and `Windows`, which go on for `settle` ticks.

    The charge of a step is shared over a lattice in x, y and time, on which the response is tabulated. The response is
    a sum of products of functions of place and of time: so a pixel's pairs are summed first, each by its `coefficient`
    of every such function of time, and convolved with it together. Charge that starts below the table's begin counts as
    if it had come from there: a part of its current lies before its own time.
    """
    xp, T = namespace(steps.x), steps.x.dtype.type
    response = tables.response
    n = len(steps.x)
    bins, per_tick, tick = response.bins, response.per_tick, T(detector.tick)
    step_tick = batch.tick[steps.segment]
    step_table = response.of_volume[steps.volume]
    first = [xp.zeros(n, dtype=np.int64) for _ in range(3)]
    count = [xp.zeros(n, dtype=np.int64) for _ in range(3)]
    across = float(detector.pitch.min()) / bins
    wide = most_sites(steps.sigma_T, across)
    share = [xp.zeros((n, m), dtype=T) for m in (wide, wide, most_sites(steps.sigma_t, detector.tick / per_tick))]
    launch(
        assign,
        n,
        steps.x,
        steps.y,
        steps.charge,
        steps.arrival,
        steps.sigma_t,
        steps.sigma_T,
        steps.volume,
        step_table,
        step_tick,
        tables.volumes,
        bins,
        per_tick,
        tick,
        response.shift,
        *first,
        *count,
        *share,
    )
    *place, site_t = first
    *places, sites_t = count
    size = response.space.shape[1:3]
    pair_count = xp.zeros(n, dtype=np.int64)
    count_reached(n, *place, *places, steps.volume, tables.planes, bins, *size, pair_count)
    first_pair = offsets(pair_count)
    index = [xp.zeros(int(first_pair[-1]), dtype=np.int64) for _ in range(4)]
    reach(n, *place, *places, steps.volume, tables.planes, bins, *size, first_pair, *index)
    step, column, row, pixel = index
    event = batch.event[steps.segment[step]]
    shares = Shares(step_table, site_t, sites_t, share[2])
    first_tick, last_tick = step_ticks(response.lattice, shares)
    ticks = (first_tick[step], last_tick[step] + settle)
    pairs, windows = group(step, column, row, pixel, event, *ticks, settings.block)

    n_pairs, rank = len(pairs.step), response.space.shape[3]
    of_steps = {"adjoint_threads": n, "first_pair": first_pair, "pair_place": inverse(pairs.order)}
    coefficient = xp.zeros((n_pairs, rank), dtype=T)
    sites = (*place, *places, *share[:2], step_table)
    arguments = (pairs.step, pairs.x, pairs.y, *sites, bins, response.space, coefficient)
    launch(couple, n_pairs, *arguments, **of_steps)

    pair_place = of_steps["pair_place"]
    lattice = response.lattice
    current = lattice_current(coefficient, pairs, windows, shares, lattice, 0, settle, first_pair, pair_place, launch)
    return current, pairs, windows
