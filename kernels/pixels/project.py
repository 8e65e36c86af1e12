"""Project: sums over the sites of a block, by which near pixels see its charge; its moments, by which far ones do."""

import numpy as np

from lartpc.kernels.pixels.cells import add_eight, add_row, clear
from lartpc.kernels.runtime.launch import device, kernel


@device
def fold(first, lanes, n, a, b, c, d, row, out, ee, oe, eo, oo):
    """Even and odd parts along both axes of four rows that mirror each other: a, b along x, c, d along y and both.

    Of their numbers every lanes-th from first on.
    """
    for t in range(first, n, lanes):
        one, two = row[np.uint64(a + t)], row[np.uint64(b + t)]
        three, four = row[np.uint64(c + t)], row[np.uint64(d + t)]
        out[np.uint64(ee + t)] = (one + two) + (three + four)
        out[np.uint64(oe + t)] = (one - two) + (three - four)
        out[np.uint64(eo + t)] = (one + two) - (three + four)
        out[np.uint64(oo + t)] = (one - two) - (three - four)


@device
def mirrored(k, j, side, per_tick, ticks):
    """Where the rows of the sites (k, j) and of their mirror images along x, y and both begin."""
    size = per_tick * ticks
    m, n = side - 1 - k, side - 1 - j
    return (k * side + j) * size, (m * side + j) * size, (k * side + n) * size, (m * side + n) * size


@kernel("projected", work=("folded",), lanes=128)
def project(i, lane, lanes, block_first, block_table, side, per_tick, parity, weight, charge, folded, projected):
    """Of block i: projected_q = sum over k of weight[table, q, k] folded[parity[q], k], tick by tick [e].

    folded: sums and differences of the charge at the sites of a quarter of the pixel, k, and their mirror images: even
    along x and y (parity 0), odd along x (1), y (2), both (3). weight (n_tables n_rows quarter,).
    """
    ticks = block_first[i + 1] - block_first[i]
    half = side // 2
    quarter = half * half
    size = per_tick * ticks
    base = side * side * per_tick * block_first[i]
    for k in range(half):
        for j in range(half):
            a, b, c, d = mirrored(k, j, side, per_tick, ticks)
            o = base + (k * half + j) * size
            step = quarter * size
            a, b, c, d = a + base, b + base, c + base, d + base
            fold(lane, lanes, size, a, b, c, d, charge, folded, o, o + step, o + 2 * step, o + 3 * step)
    table = block_table[i]
    n_rows = parity.shape[0]
    begin = n_rows * per_tick * block_first[i]
    for q in range(n_rows):
        at = base + parity[q] * quarter * size
        o = begin + q * size
        clear(lane, lanes, size, projected, o)
        of_row = (table * n_rows + q) * quarter
        whole = quarter - quarter % 8
        for k in range(0, whole, 8):
            w = of_row + k
            a, b = weight[np.uint64(w)], weight[np.uint64(w + 1)]
            c, d = weight[np.uint64(w + 2)], weight[np.uint64(w + 3)]
            e, f = weight[np.uint64(w + 4)], weight[np.uint64(w + 5)]
            g, h = weight[np.uint64(w + 6)], weight[np.uint64(w + 7)]
            add_eight(lane, lanes, size, a, b, c, d, e, f, g, h, folded, at + k * size, size, projected, o)
        for k in range(whole, quarter):
            add_row(lane, lanes, size, weight[of_row + k], folded, at + k * size, projected, o)
