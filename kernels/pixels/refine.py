"""Refine: the current on a pixel from what drives the late and the slow waveforms of a tabulated response."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, add_eight, add_four, add_row, add_rows, clear, first_of, set_spline
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.runtime.launch import device, in_turn, kernel


@device
def seen(b, sites, lags):
    """The driven sites (first, end) that a coarse site b sees through `lags` coarse lags."""
    return max(b - lags + 1, 0), min(b + 1, sites)


@kernel("coarse", lanes=64)
def refine_coarse(i, lane, lanes, window_table, span_first, slow_rank, driven, early, coarse_first, coarse):
    """Of window i: coarse(b) = sum over r, a of driven(a, r) early_r(b - a), from coarse_first on.

    By table: early (n_tables lags slow_rank,), latest first. None where the window has no slow part.
    """
    sites = (span_first[i + 1] - span_first[i]) // CELL + 2
    n_coarse = coarse_first[i + 1] - coarse_first[i]
    n_lags = n_coarse - sites + 1
    for b in range(lane, n_coarse, lanes):
        low, high = seen(b, sites, n_lags)
        at = (coarse_begin(i, span_first) + low) * slow_rank
        of_early = (window_table[i] * n_lags + low - b + n_lags - 1) * slow_rank
        total = type(coarse[0])(0.0)
        for k in range((high - low) * slow_rank):
            total += driven[np.uint64(at + k)] * early[np.uint64(of_early + k)]
        coarse[coarse_first[i] + b] = total


@kernel("current", lanes=128)
def refine_ticks(
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
    late,
    waveform,
    first_late,
    first_early,
    coarse_first,
    spline,
    coarse,
    current,
):
    """Current of window i at its ticks: current[window_first[i] + k] at tick window_tick[i] + k [e/us].

    current(t) = sum over r, t' of late_r(t') waveform_r(t - t') + sum over b of spline(t/CELL - b) coarse(b)

    By table: waveform (n_tables, lags, rank per_tick) [1/us], from lag first_late on; `early` is from coarse lag
    first_early on. spline (3 CELL,): those of the sites a cell before a tick's, at it and a cell behind.
    """
    T = type(current[0])
    t = window_table[i]
    base = window_first[i]
    clear(lane, lanes, window_first[i + 1] - base, current, base)
    begin = span_tick[i] - window_tick[i]  # of the charge in the window
    c = coarse_first[i]
    n_coarse = coarse_first[i + 1] - c
    for k in range(n_coarse + 2 if n_coarse > 0 else 0):  # cells, which see three coarse sites
        o = begin + (first_early + k - 2) * CELL
        if 0 <= o and o + CELL <= window_first[i + 1] - base:
            x = coarse[c + k - 2] if 2 <= k else T(0.0)
            y = coarse[c + k - 1] if 1 <= k and k <= n_coarse else T(0.0)
            z = coarse[c + k] if k < n_coarse else T(0.0)
            set_spline(first_of(lane, lanes, o), lanes, CELL, x, y, z, spline, current, base + o)
    span = span_first[i + 1] - span_first[i]
    n = late_rank[i] * per_tick
    for lag in range(waveform.shape[1]):
        of = waveform[t, lag]
        o = base + begin + first_late[t] + lag
        first = first_of(lane, lanes, o - base)
        whole = n - n % 8
        for q in range(0, whole, 8):
            a, b, d, e = of[np.uint64(q)], of[np.uint64(q + 1)], of[np.uint64(q + 2)], of[np.uint64(q + 3)]
            f, g, h, k = of[np.uint64(q + 4)], of[np.uint64(q + 5)], of[np.uint64(q + 6)], of[np.uint64(q + 7)]
            add_eight(first, lanes, span, a, b, d, e, f, g, h, k, late, late_first[i] + q * span, span, current, o)
        if n % 8 > 3:
            at = late_first[i] + whole * span
            a, b, d, e = of[whole], of[whole + 1], of[whole + 2], of[whole + 3]
            add_four(first, lanes, span, a, b, d, e, late, at, at + span, at + 2 * span, at + 3 * span, current, o)
        if n % 4 > 1:
            at = late_first[i] + (n - n % 4) * span
            add_rows(first, lanes, span, of[n - n % 4], of[n - n % 4 + 1], late, at, at + span, current, o)
        if n % 2 == 1:
            add_row(first, lanes, span, of[n - 1], late, late_first[i] + (n - 1) * span, current, o)


refine = in_turn("refine", refine_coarse, refine_ticks)
