"""Cells: runs of ticks in which charge is kept; and sums of rows of ticks, loops for a processor's vectors.

Sums are of every lanes-th tick from `first` on: on the CPU of all.
"""

import numpy as np

from lartpc.kernels.runtime.launch import device

CELL = 8  # ticks


@device
def first_of(lane, lanes, o):
    """The least t for which o + t is a lane's: every lanes-th from it on is."""
    return (lane - o) & (lanes - 1)


@device
def clear(first, lanes, n, out, o):
    """out[o + t] = 0, every lanes-th t < n."""
    for t in range(first, n, lanes):
        out[np.uint64(o + t)] = type(out[0])(0.0)


@device
def add_row(first, lanes, n, a, row, at, out, o):
    """out[o + t] += a row[at + t], every lanes-th t < n."""
    for t in range(first, n, lanes):
        out[np.uint64(o + t)] += a * row[np.uint64(at + t)]


@device
def add_rows(first, lanes, n, a, b, row, at, bt, out, o):
    """out[o + t] += a row[at + t] + b row[bt + t], every lanes-th t < n."""
    for t in range(first, n, lanes):
        out[np.uint64(o + t)] += a * row[np.uint64(at + t)] + b * row[np.uint64(bt + t)]


@device
def add_four(first, lanes, n, a, b, c, d, row, at, bt, ct, dt, out, o):
    """out[o + t] += a row[at + t] + b row[bt + t] + c row[ct + t] + d row[dt + t], every lanes-th t < n."""
    for t in range(first, n, lanes):
        early = a * row[np.uint64(at + t)] + b * row[np.uint64(bt + t)]
        late = c * row[np.uint64(ct + t)] + d * row[np.uint64(dt + t)]
        out[np.uint64(o + t)] += early + late


@device
def add_eight(first, lanes, n, a, b, c, d, e, f, g, h, row, at, step, out, o):
    """out[o + t] += sum of a to h times row[at + k step + t], k = 0 to 7,, every lanes-th t < n."""
    bt, ct, dt = at + step, at + 2 * step, at + 3 * step
    et, ft, gt, ht = at + 4 * step, at + 5 * step, at + 6 * step, at + 7 * step
    for t in range(first, n, lanes):
        first = a * row[np.uint64(at + t)] + b * row[np.uint64(bt + t)]
        second = c * row[np.uint64(ct + t)] + d * row[np.uint64(dt + t)]
        third = e * row[np.uint64(et + t)] + f * row[np.uint64(ft + t)]
        fourth = g * row[np.uint64(gt + t)] + h * row[np.uint64(ht + t)]
        out[np.uint64(o + t)] += (first + second) + (third + fourth)


@device
def set_spline(first, lanes, n, a, b, c, spline, out, o):
    """out[o + t] = a spline[t] + b spline[n + t] + c spline[2 n + t], every lanes-th t < n."""
    for t in range(first, n, lanes):
        early = a * spline[np.uint64(t)] + b * spline[np.uint64(n + t)]
        out[np.uint64(o + t)] = early + c * spline[np.uint64(2 * n + t)]
