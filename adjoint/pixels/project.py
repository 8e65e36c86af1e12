"""Adjoint of project: from sums and moments of a block back to the charge at its sites."""

import numpy as np

from lartpc.kernels.pixels.cells import add_eight, add_row, add_rows, clear
from lartpc.kernels.pixels.project import fold, mirrored
from lartpc.kernels.runtime.launch import device, kernel


@device
def place(k, parity, side):
    """The site of the image of site k of a quarter, mirrored along x, y or both by its parity."""
    half = side // 2
    x, y = k // half, k % half
    if parity % 2 == 1:
        x = side - 1 - x
    if parity >= 2:
        y = side - 1 - y
    return x * side + y


@kernel("grad_charge", lanes=128)
def project_adjoint(
    i,
    lane,
    lanes,
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
    # gradients of inputs
    grad_charge,
):
    """Gradients of block i. same (n_rows,): the rows of the same parity that follow each other from each on.

    What grad_charge held before does not matter: first it holds what `folded` would, at the sites that are folded.
    """
    ticks = block_first[i + 1] - block_first[i]
    half = side // 2
    quarter = half * half
    size = per_tick * ticks
    base = side * side * per_tick * block_first[i]
    table = block_table[i]
    n_rows = parity.shape[0]
    begin = n_rows * per_tick * block_first[i]
    for k in range(4 * quarter):
        clear(lane, lanes, size, grad_charge, base + k * size)
    q = 0
    while q < n_rows:
        n = 8 if same[q] >= 8 else (2 if same[q] >= 2 else 1)
        at = begin + q * size
        for k in range(quarter):
            o = base + place(k, parity[q], side) * size
            w = (table * n_rows + q) * quarter + k
            if n == 8:
                a, b = weight[np.uint64(w)], weight[np.uint64(w + quarter)]
                c, d = weight[np.uint64(w + 2 * quarter)], weight[np.uint64(w + 3 * quarter)]
                e, f = weight[np.uint64(w + 4 * quarter)], weight[np.uint64(w + 5 * quarter)]
                g, h = weight[np.uint64(w + 6 * quarter)], weight[np.uint64(w + 7 * quarter)]
                add_eight(lane, lanes, size, a, b, c, d, e, f, g, h, grad_projected, at, size, grad_charge, o)
            elif n == 2:
                add_rows(
                    lane, lanes, size, weight[w], weight[w + quarter], grad_projected, at, at + size, grad_charge, o
                )
            else:
                add_row(lane, lanes, size, weight[w], grad_projected, at, grad_charge, o)
        q += n
    for k in range(half):
        for m in range(half):
            a, b, c, d = mirrored(k, m, side, per_tick, ticks)
            a, b, c, d = a + base, b + base, c + base, d + base
            fold(lane, lanes, size, a, b, c, d, grad_charge, grad_charge, a, b, c, d)
