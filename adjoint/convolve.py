"""Adjoint of convolve: a sample's share in the gradient of its pixel's current."""

import numpy as np

from lartpc.kernels.convolve import since
from lartpc.kernels.launch import kernel


@kernel("grad_source")
def convolve_adjoint(
    i,
    # forward inputs
    window_tick,
    window_table,
    per_tick,
    basis,
    window_first,
    sample_window,
    sample_place,
    # gradients of outputs
    grad_current,
    # gradients of inputs
    grad_source,
):
    """Gradients of sample i, of window sample_window[i] and at site sample_place[i] in time.

    d(current(t))/d(source_r) = waveform_r(t - t_i); window_first (n_windows + 1,): first sample of the current.
    """
    T = type(basis[0, 0, 0, 0])
    w = sample_window[i]
    table = window_table[w]
    phase, q = since(sample_place[i], window_tick[w], per_tick)
    start = window_first[w]
    low = max(-q, 0)
    high = min(basis.shape[3] - q, window_first[w + 1] - start)
    for r in range(basis.shape[1]):
        total = T(0.0)
        for k in range(low, high):
            total += grad_current[np.uint64(start + k)] * basis[table, r, phase, np.uint64(q + k)]
        grad_source[i, r] += total
