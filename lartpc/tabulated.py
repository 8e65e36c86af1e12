"""The stages from steps to currents with a tabulated response: assign, reach, couple, deposit, convolve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .kernels.assign import assign
from .kernels.convolve import convolve
from .kernels.couple import couple
from .kernels.deposit import deposit
from .kernels.reach import count_reached, reach
from .kernels.special import edge_width
from .windows import Pairs, Windows, group, inverse, namespace, offsets, owners


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
    index = [xp.zeros(int(first_pair[-1]), dtype=np.int64) for _ in range(6)]
    length = response.basis.shape[3] * per_tick
    where = (steps.volume, tables.planes, bins, *size, per_tick, length, first_pair)
    reach(n, *first, *count, *where, *index)
    step, column, row, pixel, first_tick, last_tick = index
    event = batch.event[steps.segment[step]]
    ticks = (step_tick, first_tick, first_tick, last_tick)
    pairs, windows = group(step, column, row, pixel, event, *ticks, 0, settle, settings.block)

    n_pairs, rank = len(pairs.step), response.basis.shape[1]
    of_steps = {"adjoint_threads": n, "first_pair": first_pair, "pair_place": inverse(pairs.order)}
    coefficient = xp.zeros((n_pairs, rank), dtype=T)
    sites = (*place, *places, *share[:2], step_table)
    arguments = (pairs.step, pairs.x, pairs.y, *sites, bins, response.space, coefficient)
    launch(couple, n_pairs, *arguments, **of_steps)

    window_source = offsets(xp.diff(windows.first) * per_tick - length + 1)
    of_pair = owners(windows.pair, n_pairs)
    pair_sample = window_source[of_pair] + site_t[pairs.step] - windows.tick[of_pair] * per_tick
    source = xp.zeros((int(window_source[-1]), rank), dtype=T)
    arguments = (windows.pair, pairs.step, pair_sample, sites_t, share[2], coefficient, source)
    launch(deposit, len(windows.tick), *arguments, **of_steps)

    of_sample = owners(window_source, len(source))
    current = xp.zeros(int(windows.first[-1]), dtype=T)
    launch(
        convolve,
        len(windows.block_window),
        windows.block_window,
        windows.block_tick,
        window_source,
        windows.tick,
        step_table[pairs.step[windows.pair[:-1]]],
        per_tick,
        response.basis,
        source,
        settings.block,
        current,
        adjoint_threads=len(source),
        window_first=windows.first,
        sample_window=of_sample,
        sample_place=xp.arange(len(source)) - window_source[of_sample] + windows.tick[of_sample] * per_tick,
    )
    return current, pairs, windows


def most_sites(sigma: Any, size: float) -> int:
    """Sites of `size` that the widest of the charges of spreads `sigma` may reach."""
    widest = float(sigma.max()) / size if len(sigma) else 0.0
    return int(2.0 * float(edge_width(sigma.dtype.type(0.0))) * widest) + 4
