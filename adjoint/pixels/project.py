"""Adjoint of project: from sums and moments of a block back to the charge at its sites."""

import numpy as np

from lartpc.kernels.pixels.cells import add_eight, add_row, add_rows, clear
from lartpc.kernels.pixels.project import fold, mirrored
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_charge", work=("folded",))
def project_adjoint(
    i,
    # forward inputs
    block_first,
    block_table,
    side,
    per_tick,
    parity,
    same,
    weight,
    # gradients of outputs
    grad_projected,
    # to work in
    folded,
    # gradients of inputs
    grad_charge,
):
    """Gradients of block i. same (n_rows,): the rows of the same parity that follow each other from each on.

    What grad_charge held before does not matter.
    """
    ticks = block_first[i + 1] - block_first[i]
    half = side // 2
    quarter = half * half
    size = per_tick * ticks
    base = side * side * per_tick * block_first[i]
    table = block_table[i]
    n_rows = parity.shape[0]
    begin = n_rows * per_tick * block_first[i]
    clear(4 * quarter * size, folded, base)
    q = 0
    while q < n_rows:
        n = 8 if same[q] >= 8 else (2 if same[q] >= 2 else 1)
        at = begin + q * size
        for k in range(quarter):
            o = base + (parity[q] * quarter + k) * size
            w = (table * n_rows + q) * quarter + k
            if n == 8:
                a, b = weight[np.uint64(w)], weight[np.uint64(w + quarter)]
                c, d = weight[np.uint64(w + 2 * quarter)], weight[np.uint64(w + 3 * quarter)]
                e, f = weight[np.uint64(w + 4 * quarter)], weight[np.uint64(w + 5 * quarter)]
                g, h = weight[np.uint64(w + 6 * quarter)], weight[np.uint64(w + 7 * quarter)]
                add_eight(size, a, b, c, d, e, f, g, h, grad_projected, at, size, folded, o)
            elif n == 2:
                add_rows(size, weight[w], weight[w + quarter], grad_projected, at, at + size, folded, o)
            else:
                add_row(size, weight[w], grad_projected, at, folded, o)
        q += n
    step = quarter * size
    for k in range(half):
        for m in range(half):
            a, b, c, d = mirrored(k, m, side, per_tick, ticks)
            o = base + (k * half + m) * size
            fold(
                size,
                o,
                o + step,
                o + 2 * step,
                o + 3 * step,
                folded,
                grad_charge,
                base + a,
                base + b,
                base + c,
                base + d,
            )
