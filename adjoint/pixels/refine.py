"""Adjoint of refine: from the current on a pixel back to what drives late and slow waveforms."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, add_eight, add_row, clear, first_of
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.pixels.refine import seen
from lartpc.kernels.runtime.launch import in_turn, kernel


@kernel("coarse", lanes=64)
def refine_coarse_adjoint(
    i, lane, lanes, window_tick, window_first, span_tick, coarse_first, first_early, spline, grad_current, coarse
):
    """Of window i: the gradients of its coarse currents, in place of these: of the ticks of three cells."""
    base = window_first[i]
    n_coarse = coarse_first[i + 1] - coarse_first[i]
    for b in range(lane, n_coarse, lanes):
        total = type(grad_current[0])(0.0)
        for j in range(3):
            o = span_tick[i] - window_tick[i] + (first_early + b - j) * CELL
            if 0 <= o and o + CELL <= window_first[i + 1] - base:
                for m in range(CELL):
                    total += grad_current[np.uint64(base + o + m)] * spline[np.uint64(j * CELL + m)]
        coarse[coarse_first[i] + b] = total


@kernel("grad_late", "grad_driven", lanes=64)
def refine_ticks_adjoint(
    i,
    lane,
    lanes,
    window_tick,
    window_first,
    window_table,
    span_tick,
    span_first,
    per_tick,
    late_first,
    late_rank,
    waveform,
    first_late,
    slow_rank,
    early,
    coarse_first,
    grad_current,
    coarse,
    grad_late,
    grad_driven,
):
    """Gradients of window i, with those of its coarse currents. What grad_late and grad_driven held does not matter."""
    t = window_table[i]
    begin = span_tick[i] - window_tick[i]
    span = span_first[i + 1] - span_first[i]
    sites = span // CELL + 2
    c = coarse_first[i]
    n_coarse = coarse_first[i + 1] - c
    n_lags = n_coarse - sites + 1
    of_sites = coarse_begin(i, span_first) * slow_rank
    if n_coarse > 0:
        clear(lane, lanes, sites * slow_rank, grad_driven, of_sites)
    for b in range(n_coarse):
        low, high = seen(b, sites, n_lags)
        at = low * slow_rank
        of_early = (t * n_lags + low - b + n_lags - 1) * slow_rank
        first = first_of(lane, lanes, at)
        add_row(first, lanes, (high - low) * slow_rank, coarse[c + b], early, of_early, grad_driven, of_sites + at)
    lags = waveform.shape[1]
    whole = lags - lags % 8
    for q in range(late_rank[i] * per_tick):
        at = late_first[i] + q * span
        clear(lane, lanes, span, grad_late, at)
        o = window_first[i] + begin + first_late[t]
        for lag in range(0, whole, 8):
            a, b, d, e = waveform[t, lag, q], waveform[t, lag + 1, q], waveform[t, lag + 2, q], waveform[t, lag + 3, q]
            f, g = waveform[t, lag + 4, q], waveform[t, lag + 5, q]
            h, k = waveform[t, lag + 6, q], waveform[t, lag + 7, q]
            add_eight(lane, lanes, span, a, b, d, e, f, g, h, k, grad_current, o + lag, 1, grad_late, at)
        for lag in range(whole, lags):
            add_row(lane, lanes, span, waveform[t, lag, q], grad_current, o + lag, grad_late, at)


refine_adjoint = in_turn("refine_adjoint", refine_coarse_adjoint, refine_ticks_adjoint)
