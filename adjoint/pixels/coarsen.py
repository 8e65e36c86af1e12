"""Adjoint of coarsen: from how a block drives slow waveforms back to its moments."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, add_row
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.runtime.launch import in_turn, kernel


@kernel("moment", lanes=128)
def coarsen_moments_adjoint(i, lane, lanes, block_first, block_table, offsets, drive, grad_slow, moment):
    """Of block i: the gradients of its moments at coarse sites, in place of these."""
    moments = moment.shape[1]
    begin = coarse_begin(i, block_first)
    for e in range(lane, (coarse_begin(i + 1, block_first) - begin) * moments, lanes):
        at = (block_table[i] * moments + e % moments) * offsets
        o = (begin + e // moments) * offsets
        total = type(grad_slow[0])(0.0)
        for k in range(offsets):
            total += grad_slow[np.uint64(o + k)] * drive[np.uint64(at + k)]
        moment[begin + e // moments, e % moments] = total


@kernel("grad_projected", lanes=128)
def coarsen_cells_adjoint(i, lane, lanes, block_first, per_tick, n_rows, spline, moment, grad_projected):
    """Of block i: gradients of the cells of its moments, from those at coarse sites."""
    ticks = block_first[i + 1] - block_first[i]
    moments = moment.shape[1]
    first = (n_rows * block_first[i] + (n_rows - moments) * ticks) * per_tick
    begin = coarse_begin(i, block_first)
    cells = ticks // CELL
    for e in range(lane, moments * per_tick * cells, lanes):
        row = e // cells
        cell = e % cells
        for j in range(3):
            k = (j * per_tick + row % per_tick) * CELL
            at = first + row * ticks + cell * CELL
            add_row(0, 1, CELL, moment[begin + cell + j, row // per_tick], spline, k, grad_projected, at)


coarsen_adjoint = in_turn("coarsen_adjoint", coarsen_moments_adjoint, coarsen_cells_adjoint)
