"""Adjoint of refine: from the current on a pixel back to what drives late and slow waveforms."""

import numpy as np

from lartpc.kernels.pixels.cells import CELL, add_eight, add_row, clear
from lartpc.kernels.pixels.coarsen import coarse_begin
from lartpc.kernels.pixels.refine import seen
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_late", "grad_driven", work=("coarse",))
def refine_adjoint(
    i,
    # forward inputs
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
    first_early,
    coarse_first,
    spline,
    # gradients of outputs
    grad_current,
    # to work in
    coarse,
    # gradients of inputs
    grad_late,
    grad_driven,
):
    """Gradients of window i. What grad_late and grad_driven held before does not matter."""
    T = type(grad_current[0])
    t = window_table[i]
    base = window_first[i]
    begin = span_tick[i] - window_tick[i]
    span = span_first[i + 1] - span_first[i]
    sites = span // CELL + 2
    c = coarse_first[i]
    n_coarse = coarse_first[i + 1] - c
    n_lags = n_coarse - sites + 1
    for k in range(n_coarse):
        coarse[c + k] = T(0.0)
    for k in range(n_coarse + 2 if n_coarse > 0 else 0):
        o = begin + (first_early + k - 2) * CELL
        if 0 <= o and o + CELL <= window_first[i + 1] - base:
            for j in range(max(2 - k, 0), min(n_coarse + 2 - k, 3)):
                total = T(0.0)
                for m in range(CELL):
                    total += grad_current[np.uint64(base + o + m)] * spline[np.uint64(j * CELL + m)]
                coarse[c + k - 2 + j] += total
    if n_coarse > 0:
        clear(sites * slow_rank, grad_driven, coarse_begin(i, span_first) * slow_rank)
    for b in range(n_coarse):
        low, high = seen(b, sites, n_lags)
        at = (coarse_begin(i, span_first) + low) * slow_rank
        of_early = (t * n_lags + low - b + n_lags - 1) * slow_rank
        add_row((high - low) * slow_rank, coarse[c + b], early, of_early, grad_driven, at)
    lags = waveform.shape[1]
    whole = lags - lags % 8
    for q in range(late_rank[i] * per_tick):
        at = late_first[i] + q * span
        clear(span, grad_late, at)
        o = base + begin + first_late[t]
        for lag in range(0, whole, 8):
            a, b, d, e = waveform[t, lag, q], waveform[t, lag + 1, q], waveform[t, lag + 2, q], waveform[t, lag + 3, q]
            f, g = waveform[t, lag + 4, q], waveform[t, lag + 5, q]
            h, k = waveform[t, lag + 6, q], waveform[t, lag + 7, q]
            add_eight(span, a, b, d, e, f, g, h, k, grad_current, o + lag, 1, grad_late, at)
        for lag in range(whole, lags):
            add_row(span, waveform[t, lag, q], grad_current, o + lag, grad_late, at)
