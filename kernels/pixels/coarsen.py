"""Coarsen: what the charge of a block gives on sites of whole cells of ticks, and how it drives slow waveforms."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, add_eight, clear
from lartpc.kernels.runtime.launch import device, in_turn, kernel


@device
def coarse_begin(i, first):
    """Where the sites of a block or window begin among those of all: each has two more than cells."""
    return first[i] // CELL + 2 * i


@kernel("moment", lanes=128)
def coarsen_moments(i, lane, lanes, block_first, per_tick, n_rows, spline, projected, moment):
    """Of block i: its moments at coarse sites, moment (n_sites, moments): G_m(a) [e] of moment m at site a.

    G_m(a) = sum over ticks of a spline times moment m; moments are the last of n_rows rows of projected. Of the coarse
    sites of a block the first lies a cell before its first: a sees the cells a - 2 to a, those that there are. spline
    (3 per_tick CELL,): those of the sites a cell before a tick's, at it and a cell behind.
    """
    ticks = block_first[i + 1] - block_first[i]
    moments = moment.shape[1]
    first = (n_rows * block_first[i] + (n_rows - moments) * ticks) * per_tick
    for e in range(lane, (ticks // CELL + 2) * moments, lanes):
        a = e // moments
        m = e % moments
        total = type(projected[0])(0.0)
        for cell in range(max(a - 2, 0), min(a + 1, ticks // CELL)):
            for phase in range(per_tick):
                at = first + (m * per_tick + phase) * ticks + cell * CELL
                of = ((a - cell) * per_tick + phase) * CELL
                for k in range(CELL):
                    total += spline[np.uint64(of + k)] * projected[np.uint64(at + k)]
        moment[coarse_begin(i, block_first) + a, m] = total


@kernel("slow", lanes=128)
def coarsen_slow(i, lane, lanes, block_first, block_table, offsets, drive, moment, slow):
    """Of block i: slow[a, q] = sum over moments m of drive[table, m, q] G_m(a).

    drive (n_tables moments offsets,), `offsets`: of them times ranks.
    """
    moments = moment.shape[1]
    n = offsets
    t = block_table[i]
    for k in range(coarse_begin(i, block_first), coarse_begin(i + 1, block_first)):
        o = k * n
        clear(lane, lanes, n, slow, o)
        for m in range(0, moments, 8):
            b, c, d, e = moment[k, m], moment[k, m + 1], moment[k, m + 2], moment[k, m + 3]
            f, g, h, j = moment[k, m + 4], moment[k, m + 5], moment[k, m + 6], moment[k, m + 7]
            add_eight(lane, lanes, n, b, c, d, e, f, g, h, j, drive, (t * moments + m) * n, n, slow, o)


coarsen = in_turn("coarsen", coarsen_moments, coarsen_slow)
