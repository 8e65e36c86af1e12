"""A tabulated response in levels: late currents fine in place and time, what is smooth coarse.

A charge at height z above the anode sees the field on the scale of z: its current is smooth in place and time until it
is near the anode, and further pixels see it smoothly at all times. So the table, of pixel offset d, site s, lag, is

    late   lags of the last LATE ticks: sum over r of (near: space_r(d, s); far: moment_m(s) far_r(d, m)) late_r(lag)
    slow   all lags: sum over r, m of moment_m(s) slow_r(d, m) times splines of early_r, on sites of CELL ticks

where near are the offsets up to `near` pixels along each axis, moments are functions of the place in a pixel: products
of polynomials, and for late currents, where the table needs them, others that are found from it: electrons that follow
the field to a pad smaller than the pitch arrive later from further away. Late is what slow leaves of the table there,
near as it is, so that the charge of each site and offset is that of the table. Tables of few bins or samples, and such
as are not smooth, are near and late altogether.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.kernels.pixels.cells import CELL

PRECISION = 1e-5  # of the peak: deviation of sums of products from the table
SMOOTH = 3e-4  # of the peak: deviation of levels from the table, at every site and time
LOBE = 6e-4  # of the charge: deviation of their integrals up to any time
LEAST = 1e-4  # of the charge: what pixels see of charge further away is left out
LATE = 48  # ticks
DEGREES = ((0, 0), (2, 0), (0, 2), (1, 0), (1, 2), (0, 1), (2, 1), (1, 1))  # of the moments along x and y
LEAST_BINS = 8  # a pitch, from which moments are fewer
NEAR = 1
BEFORE = 2 * CELL  # ticks before the table's begin in which the splines fall to 0
OTHERS = ((0, 4), (8, 4), (16, 8), (32, 12))  # functions of place but polynomials, and rank of far pixels, to be tried
SLOW_RANK = 4


class Level(NamedTuple):
    """One table in levels, float64: see above; offsets are 2 reach + 1 along each axis, sites side x side of a pixel.

    The first `far_rank` functions of late are those of far pixels, too; the next, number `far_rank`, has the charge
    that the table collects, the others beyond it none.
    """

    near: int
    reach: int
    space: np.ndarray  # (near + 1, near + 1, side, side, rank), of offsets from 0 on: others are mirrored
    late: np.ndarray  # (rank, late lags)
    first_late: int  # lag of the first of these
    moments: np.ndarray  # (n_moments, side, side); slow ones are the last
    far: np.ndarray  # (reach + 1, reach + 1, n_moments, far_rank), likewise; 0 where near
    slow: np.ndarray  # (reach + 1, reach + 1, number of DEGREES, slow rank)
    early: np.ndarray  # (slow rank, coarse lags)
    first_early: int  # coarse lag of the first of these


def side(bins: int) -> int:
    """Sites of a pixel along an axis: those on its edges, where there are such, count half in each of two pixels."""
    return bins + bins % 2


def by_offset(table: np.ndarray, bins: int) -> np.ndarray:
    """The table by offset of the pixel and site in the source's: (offsets, offsets, side, side, lags)."""
    reach = -(-(max(table.shape[:2]) - bins // 2) // bins)
    d, s = np.arange(-reach, reach + 1), np.arange(side(bins))
    k = s - d[:, None] * bins - (bins + 1) // 2
    u = np.where(k >= 0, k, -1 - k)
    n = int(u.max()) + 1
    padded = np.zeros((max(n, table.shape[0]), max(n, table.shape[1]), table.shape[2]))
    padded[: table.shape[0], : table.shape[1]] = table
    return padded[u[:, None, :, None], u[None, :, None, :]]


def polynomials(n: int) -> np.ndarray:
    """Products of orthonormal polynomials of the place among n sites, of `DEGREES` (n_moments, n, n)."""
    x = (np.arange(n) - 0.5 * (n - 1)) / (0.5 * n)
    one = np.linalg.qr(np.polynomial.legendre.legvander(x, 2))[0].T
    return np.array([np.outer(one[a], one[b]) for a, b in DEGREES])


def other_functions(currents: Sequence[np.ndarray], number: int) -> list[np.ndarray]:
    """Of each table functions (number, n, n) of the most that `polynomials` leave of its currents (k, n, n, lags).

    Even or odd along each axis, as many of each kind for every table, and orthonormal, to the polynomials, too.
    """
    found = [_by_parity(one) for one in currents]
    size = np.max([sizes / (sizes.sum() or 1.0) for sizes, _ in found], axis=0)  # descending for each parity
    most = np.argsort(-size, axis=None, kind="stable")[:number] // size.shape[1]
    count = np.bincount(most, minlength=len(size))
    return [np.concatenate([of[:n] for of, n in zip(one, count, strict=True)]) for _, one in found]


def _by_parity(currents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By parity, even or odd along x and y, sizes (4, n^2), descending, and functions (4, n^2, n, n)."""
    n = currents.shape[1]
    known = polynomials(n)
    rest = currents - np.einsum("mij,mab,zabt->zijt", known, known, currents, optimize=True)
    sizes, functions = [], []
    for sign_y, sign_x in itertools.product((1.0, -1.0), repeat=2):
        of_x = rest + sign_x * rest[:, ::-1]
        rows = (of_x + sign_y * of_x[:, :, ::-1]).transpose(1, 2, 0, 3).reshape(n * n, -1)
        size, of = np.linalg.eigh(rows @ rows.T)
        sizes.append(size[::-1])
        functions.append(of.T[::-1].reshape(n * n, n, n))
    return np.array(sizes), np.array(functions)


def spline(x: Any) -> np.ndarray:
    """The quadratic B-spline on (-1.5, 1.5)."""
    x = np.abs(x)
    return np.where(x < 0.5, 0.75 - x * x, np.where(x < 1.5, 0.5 * (1.5 - x) ** 2, 0.0))


def spline_kernels(lags: np.ndarray, coarse: np.ndarray, cell: int) -> np.ndarray:
    """What a coarse lag gives at a fine one, splines in and splines out: (phases of the charge, lags, coarse lags)."""
    phase = np.arange(cell)[:, None]
    result = np.zeros((cell, len(lags), len(coarse)))
    for a in (-1, 0, 1):
        charge = spline(phase / cell - a - 0.5)
        result += charge[..., None] * spline(((lags + phase) / cell - 0.5 - a)[..., None] - coarse)
    return result


def smooth_part(table: np.ndarray, late: int, cell: int, before: int) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Coarse functions of time for rows `table` (n, lags) earlier than `late` lags before the end.

    Coefficients (n, SLOW_RANK), functions (SLOW_RANK, coarse lags), first coarse lag, and what these give at lags from
    -before on, by the phase of the charge (cell, SLOW_RANK, before + lags). Least squares; where late takes over, what
    depends on the phase is to be 0.
    """
    n = table.shape[1]
    lags = np.arange(-before, n)
    coarse = np.arange(3 - before // cell, (n - 3 * cell) // cell + 1)
    kernels = spline_kernels(lags, coarse, cell)
    early, varying = lags < n - late, kernels - kernels.mean(axis=0)
    rows = np.concatenate((kernels[:, early].reshape(-1, len(coarse)), varying[:, ~early].reshape(-1, len(coarse))))
    wanted = np.pad(table[:, : n - late], ((0, 0), (before, 0)))
    fitted = np.linalg.solve(rows.T @ rows, kernels[:, early].sum(axis=0).T @ wanted.T).T
    right = np.linalg.eigh(fitted.T @ fitted)[1][:, : -SLOW_RANK - 1 : -1].T
    return fitted @ right.T, right, int(coarse[0]), right @ kernels.transpose(0, 2, 1)


def late_functions(
    near: np.ndarray, charge: np.ndarray, far: np.ndarray, far_rank: int, precision: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Functions of the late lags (rank, lags) and coefficients of rows `near` (n, rank) and `far` (m, far_rank).

    near (n, lags), far (m, lags); charge (n,): what the table collects. The integral of each row is kept.
    """
    functions, of_far = _functions(far, far_rank)
    collected = charge @ near
    total = collected.sum()
    collected = collected / total if total else np.full(near.shape[1], 1.0 / near.shape[1])
    rest = near - charge[:, None] * collected
    of_near = np.zeros((len(near), far_rank))
    if far_rank:
        of_near[:, 0] = rest.sum(axis=1) / functions[0].sum()
        of_near[:, 1:] = (rest - of_near[:, :1] * functions[0]) @ functions[1:].T
        rest -= of_near @ functions
    right = np.linalg.eigh(rest.T @ rest)[1][:, ::-1]
    along, limit = rest @ right, precision * np.abs(near).max()
    low, high = -1, right.shape[1]
    while high - low > 1:  # the smallest rank that is good enough
        rank = (low + high) // 2
        good = np.abs(along[:, :rank] @ right[:, :rank].T - rest).max() <= limit
        low, high = (low, rank) if good else (rank, high)
    functions = np.concatenate((functions, collected[None], right[:, :high].T))
    return functions, np.column_stack((of_near, charge, along[:, :high])), of_far


def _functions(rows: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Functions (rank, lags) and coefficients (n, rank) of rows (n, lags): the first has their integral, no others."""
    if not rank:
        return np.zeros((0, rows.shape[1])), np.zeros((len(rows), 0))
    charge = rows.sum(axis=1)[:, None]
    charge /= np.linalg.norm(charge) or 1.0
    first = charge.T @ rows
    rest = rows - charge @ first
    right = np.linalg.eigh(rest.T @ rest)[1][:, :-rank:-1]
    return np.concatenate((first, right.T)), np.column_stack((charge, rest @ right))


def levels(tables: Sequence[np.ndarray], bins: int, per_tick: int) -> list[Level]:
    """Tables (|x| bins, |y| bins, lags) in levels, all alike, as smooth as they are found to be."""
    every = [trimmed(by_offset(table, bins)) for table in tables]
    lags, reach = min(table.shape[2] for table in tables), max(len(one) for one in every) // 2
    if bins >= LEAST_BINS and reach > NEAR:
        late = [size * per_tick for size in (LATE, 2 * LATE, 4 * LATE) if lags >= 3 * size * per_tick]
        for size in (*late, None):
            far = [_far(one, NEAR)[..., -size if size else None :] for one in every]
            for number, far_rank in OTHERS:
                others = other_functions(far, number)
                made = [
                    in_levels(one, per_tick, size or one.shape[-1], NEAR, functions, far_rank)
                    for one, functions in zip(every, others, strict=True)
                ]
                early, rest = np.max([deviates(one, of, per_tick) for one, of in zip(made, every, strict=True)], axis=0)
                if early <= 1.0 and rest <= 1.0:
                    return made
                if early > 1.0:
                    break  # whatever the functions of late currents
    return [in_levels(one, per_tick, one.shape[-1], reach) for one in every]


def quadrant_of(every: np.ndarray, near: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets from 0 on (reach + 1, reach + 1, side, side, lags), and which of them are near (reach + 1, reach + 1)."""
    d = np.arange(len(every) // 2 + 1)
    return every[d[-1] :, d[-1] :], np.maximum(d[:, None], d) <= near


def _far(every: np.ndarray, near: int) -> np.ndarray:
    """Offsets that are not near (n, side, side, lags)."""
    quadrant, is_near = quadrant_of(every, near)
    return quadrant[~is_near]


def trimmed(every: np.ndarray) -> np.ndarray:
    """Without the outermost offsets, where next to nothing is seen from there."""
    least = LEAST * np.abs(every.sum(axis=-1)).max()
    while len(every) > 3 and np.abs(np.cumsum(every[-1], axis=-1)).max(axis=-1).mean(axis=(1, 2)).max() <= least:
        every = every[1:-1, 1:-1]
    return every


def in_levels(
    every: np.ndarray, per_tick: int, late: int, near: int, others: np.ndarray | tuple[()] = (), far_rank: int = 0
) -> Level:
    """With the last `late` lags fine in time, offsets up to `near` fine in place; others: see `other_functions`."""
    reach, n, lags = len(every) // 2, every.shape[2], every.shape[-1]
    quadrant, is_near = quadrant_of(every, near)
    first, before = lags - late, BEFORE * per_tick
    smooth = polynomials(n) if first or near < reach else np.zeros((0, n, n))
    moments = np.array([*others, *smooth]).reshape(-1, n, n)
    seen = np.einsum("mij,xyijt->xymt", moments, quadrant, optimize=True)
    slow, early, first_early = np.zeros((*seen.shape[:2], len(smooth), 0)), np.zeros((0, 1)), 0
    of_near, of_far = quadrant[is_near][..., first:], seen[~is_near][..., first:]
    if first:
        of_smooth = seen[:, :, len(others) :]
        coefficients, early, first_early, given = smooth_part(
            of_smooth.reshape(-1, lags), late, CELL * per_tick, before
        )
        slow = coefficients.reshape(*of_smooth.shape[:3], -1)
        part = np.pad(slow @ given.mean(axis=0), ((0, 0), (0, 0), (len(others), 0), (0, 0)))
        parts = np.einsum("mij,zmt->zijt", moments, part[is_near], optimize=True), part[~is_near]
        whole = quadrant[is_near].sum(axis=-1), seen[~is_near].sum(axis=-1)
        rests = []
        for part_of, part, total in zip((of_near, of_far), parts, whole, strict=True):
            rest = part_of - part[..., before + first :]
            missing = total - part.sum(axis=-1) - rest.sum(axis=-1)
            rests.append(rest + missing[..., None] / late)
        of_near, of_far = rests
    charge = quadrant[is_near].sum(axis=-1).ravel()
    precision = PRECISION if near == reach else SMOOTH / 3.0
    functions, space, far = late_functions(
        of_near.reshape(-1, late), charge, of_far.reshape(-1, late), far_rank, precision
    )
    every_far = np.zeros((reach + 1, reach + 1, len(moments), far_rank))
    if far_rank:
        every_far[~is_near] = far.reshape(-1, len(moments), far_rank)
    space = space.reshape(near + 1, near + 1, n, n, -1)
    return Level(near, reach, space, functions, first, moments, every_far, slow, early, first_early)


def deviates(level: Level, every: np.ndarray, per_tick: int) -> tuple[float, float]:
    """How far levels are from the table, relative to what is allowed: at early lags, and at late ones or integrated.

    At every site. A cell about the table's begin counts integrated alone: there the table itself has, in one sample,
    the charge that earlier currents would have moved.
    """
    lags, before, cell = every.shape[-1], BEFORE * per_tick, CELL * per_tick
    quadrant, is_near = quadrant_of(every, level.near)
    peak, charge = np.abs(every).max(), np.abs(every.sum(axis=-1)).max()
    error = np.pad(-quadrant, ((0, 0),) * 4 + ((before, 0),))
    late = np.empty((*quadrant.shape[:-1], level.late.shape[1]))
    late[is_near] = level.space.reshape(-1, *level.space.shape[2:]) @ level.late
    far = level.far[~is_near]
    if far.size:
        of_far = level.late[: far.shape[-1]]
        late[~is_near] = np.einsum("mij,zmr,rt->zijt", level.moments, far, of_far, optimize=True)
    error[..., before + level.first_late :] += late
    varying = 0.0
    if level.first_late:
        coarse = level.first_early + np.arange(level.early.shape[1])
        kernels = spline_kernels(np.arange(-before, lags), coarse, cell)
        given = level.early @ kernels.transpose(0, 2, 1)
        mean = given.mean(axis=0)
        moments = level.moments[-level.slow.shape[2] :]
        error += np.einsum("mij,xymr,rt->xyijt", moments, level.slow, mean, optimize=True)
        own = np.einsum("mij,xymr->xyijr", moments, level.slow[:2, :2], optimize=True)
        varying = max(np.abs(own @ (one - mean)).max() for one in given)
    lobe = np.abs(np.cumsum(error, axis=-1)).max() / (LOBE * (charge or 1.0))
    error[..., before - cell : before + cell] = 0.0
    early, late = (np.abs(part).max(initial=0.0) for part in np.split(error, [before + level.first_late], axis=-1))
    allowed = SMOOTH * (peak or 1.0)
    return float((early + varying) / allowed), float(max((late + varying) / allowed, lobe))
