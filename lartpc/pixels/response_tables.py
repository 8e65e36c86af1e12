"""Tabulated responses as the kernels take them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.kernels.pixels.cells import CELL
from lartpc.pixels.levels import Level, levels, side, spline
from lartpc.pixels.response import Response, _list

NEGLIGIBLE = 1e-6  # of the peak: the table is cut where it stays below


class Tables(NamedTuple):
    """Responses in levels as the kernels take them, a table t for each pitch; zeros fill up what one has less.

    Rows of `project`: those of near pixels, by even and odd functions along x, along y and rank; then moments.
    """

    bins: int  # a pitch
    side: int  # sites of a pixel along an axis
    per_tick: int  # samples a clock cycle
    shift: Any  # (n_tables,) [us] from the table's begin to the arrival at the detector's drift_start
    of_tpc: Any  # (n_tpcs,) int64: which of the tables each TPC has
    near: int  # pixels along each axis
    reach: int
    rank: int  # of late waveforms
    far_rank: int  # of those of far pixels, the first; the next has the charge
    slow_rank: int
    parity: Any  # (n_rows,) int64: 1 where odd along x, and 2 along y
    same: Any  # (n_rows,) int64: rows of the same parity from each on
    weight: Any  # (n_tables n_rows quarter,): of a quarter of a pixel's sites
    moments: int  # a multiple of 8
    slow_moments: int  # of them, the last
    far: Any  # (n_tables offsets offsets far_rank moments,)
    waveform: Any  # (n_tables, lags, rank per_tick) [1/us]
    first_late: Any  # (n_tables,) int64, lag of the first of these
    drive: Any  # (n_tables moments offsets offsets slow_rank,)
    early: Any  # (n_tables coarse lags slow_rank,) [1/us], latest first
    coarse_lags: int
    first_early: int
    spline_charge: Any  # (3 per_tick CELL,) of the coarse sites a cell before that of a tick, at it and behind it
    spline: Any  # (3 CELL,)
    first_lag: Any  # (n_tables,) int64: first lag of all, and
    last_lag: Any  # the last one
    space: Any  # (n_tables, |x| bins, |y| bins, ranks of all levels): see `couple` and `back_levels`
    induced: Any  # like space: what induction_scale multiplies


@one_blas_thread
def make_response_tables(responses: Sequence[Response], detector: Detector, dtype: Any, xp: Any) -> Tables:
    """The levels (see `lartpc.pixels.levels`) of `responses`, one for each pitch, ascending.

    Raises InputError where the responses do not fit the detector, or differ in bins a pitch or samples a clock cycle.
    """
    pitches, of_tpc = np.unique(detector.pitch, return_inverse=True)
    if len(responses) != len(pitches):
        raise InputError(
            f"response: found tables: {len(responses)}, allowed is one for each pixel pitch of detector "
            f"{detector.name}: {_list(pitches)} [cm]"
        )
    made = [_table(response, detector, pitch) for response, pitch in zip(responses, pitches.tolist(), strict=True)]
    tables, bins, per_tick, shift = zip(*made, strict=True)
    if len({*bins}) > 1 or len({*per_tick}) > 1:
        raise InputError(
            f"response: found tables of {_list(bins)} bins a pitch and {_list(per_tick)} samples a clock cycle, "
            "allowed is one number of each"
        )
    arrays = _arrays(levels(tables, bins[0], per_tick[0]), bins[0], per_tick[0])
    arrays |= {"shift": np.array(shift), "of_tpc": of_tpc.astype(np.int64)}
    arrays = {
        name: xp.asarray(value if value.dtype == np.int64 else value.astype(dtype))
        if hasattr(value, "dtype")
        else value
        for name, value in arrays.items()
    }
    return Tables(bins=bins[0], side=side(bins[0]), per_tick=per_tick[0], **arrays)


def _arrays(tables: list[Level], bins: int, per_tick: int) -> dict[str, Any]:
    """Of `Tables`, those that follow from the levels alone."""
    near, reach = tables[0].near, max(one.reach for one in tables)
    far_rank, slow_rank = tables[0].far.shape[-1], len(tables[0].early)
    rank, half = max(len(one.late) for one in tables), tables[0].space.shape[2] // 2
    moments, slow_moments, n = len(tables[0].moments), tables[0].slow.shape[2], len(tables)
    parity = _parity(near, rank, tables[0].moments)
    weight = np.zeros((n, len(parity), half * half))
    far = np.zeros((n, 2 * reach + 1, 2 * reach + 1, far_rank, moments))
    drive = np.zeros((n, slow_moments, 2 * reach + 1, 2 * reach + 1, slow_rank))
    lags = [_late_lags(one, per_tick) for one in tables]
    waveform = np.zeros((n, max(last - first + 1 for first, last in lags), rank * per_tick))
    early = np.zeros((n, max(one.early.shape[1] for one in tables), slow_rank))
    for t, one in enumerate(tables):
        weight[t] = _weights(one, rank)
        cut = slice(reach - one.reach, reach + one.reach + 1)
        sign = _signs(one.moments)
        far[t, cut, cut] = _mirrored(one.far, sign).transpose(0, 1, 3, 2)
        drive[t, :, cut, cut] = _mirrored(one.slow, sign[:, moments - slow_moments :]).transpose(2, 0, 1, 3)
        for lag in range(lags[t][0], lags[t][1] + 1):
            for phase in range(per_tick):
                j = lag * per_tick - phase - one.first_late
                if 0 <= j < one.late.shape[1]:
                    waveform[t, lag - lags[t][0], phase : len(one.late) * per_tick : per_tick] = one.late[:, j]
        early[t, early.shape[1] - one.early.shape[1] :] = one.early.T[::-1]
    ends = np.append(np.flatnonzero(np.diff(parity)), len(parity) - 1)
    same = ends[np.searchsorted(ends, np.arange(len(parity)))] - np.arange(len(parity)) + 1
    whole = [_spaces(one, bins, rank, reach) for one in tables]
    space = np.stack([space for space, _ in whole])
    bins_x, bins_y = (int(axis.max(initial=0)) + 1 for axis in np.nonzero(space)[1:3])
    first_early = tables[0].first_early
    first, last = np.array(lags, dtype=np.int64).T
    tick = np.arange(CELL * per_tick).reshape(CELL, per_tick).T / (CELL * per_tick)
    offset = np.arange(3)[:, None, None] - 0.5
    return {
        "near": near,
        "reach": reach,
        "rank": rank,
        "far_rank": far_rank,
        "slow_rank": slow_rank,
        "parity": parity,
        "same": same,
        "weight": weight.ravel(),
        "moments": moments,
        "slow_moments": slow_moments,
        "far": far.ravel(),
        "waveform": waveform,
        "first_late": first,
        "drive": drive.ravel(),
        "early": early.ravel(),
        "coarse_lags": early.shape[1] if slow_rank else 0,
        "first_early": first_early,
        "spline_charge": spline(tick - offset).ravel(),
        "spline": spline(tick[:1] - offset).ravel(),
        "first_lag": np.minimum(first, (first_early - 2) * CELL) if slow_rank else first,
        "last_lag": last,
        "space": space[:, :bins_x, :bins_y],
        "induced": np.stack([induced for _, induced in whole])[:, :bins_x, :bins_y],
    }


def _spaces(one: Level, bins: int, rank: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """`space` and `induced` of `Tables`: functions of all levels at the bins of the table's quadrant."""
    d, n, far_rank = one.reach + 1, one.space.shape[2], one.far.shape[-1]
    values = np.zeros((d, d, n, n, rank + one.slow.shape[-1]))
    of_moments = "mij,xymr->xyijr"
    values[..., :far_rank] = np.einsum(of_moments, one.moments, one.far, optimize=True)
    slow_moments = one.moments[len(one.moments) - one.slow.shape[2] :]
    values[..., rank:] = np.einsum(of_moments, slow_moments, one.slow, optimize=True)
    values[: one.near + 1, : one.near + 1, ..., : one.space.shape[-1]] = one.space
    values = np.concatenate((values[..., far_rank, None], np.delete(values, far_rank, axis=-1)), axis=-1)
    beside = values.copy()
    beside[0, 0] = beside[..., 0] = 0.0
    of_bin = np.zeros((reach * bins + (bins + 1) // 2, d, n))
    for u in range(len(of_bin)):
        offset, s = divmod(u + (bins + 1) // 2, bins)
        places = [(offset, s, 1.0)] if n == bins or s else [(offset, 0, 0.5), (offset - 1, bins, 0.5)]
        for offset, s, part in places:
            if offset < d:
                of_bin[u, offset, n - 1 - s] = part
    space, induced = (np.einsum("uxi,vyj,xyijr->uvr", of_bin, of_bin, a, optimize=True) for a in (values, beside))
    return space, induced


def _late_lags(one: Level, per_tick: int) -> tuple[int, int]:
    """The first and the last lag in ticks of the late waveforms."""
    return -(-one.first_late // per_tick), (one.first_late + one.late.shape[1] + per_tick - 2) // per_tick


def _signs(moments: np.ndarray) -> np.ndarray:
    """(2, n_moments): -1 where a moment is odd along x, along y."""
    flipped = (moments[:, ::-1], moments[:, :, ::-1])
    return np.sign([np.einsum("mij,mij->m", moments, other) for other in flipped])


def _mirrored(quadrant: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Coefficients (offsets, offsets, moments, rank) from those of offsets from 0 on: moments are even or odd."""
    reach = len(quadrant) - 1
    d = np.arange(-reach, reach + 1)
    by_x, by_y = (np.where(d[:, None] < 0, one, 1.0) for one in sign)
    return quadrant[np.abs(d)[:, None], np.abs(d)] * (by_x[:, None] * by_y[None])[..., None]


def _parity(near: int, rank: int, moments: np.ndarray) -> np.ndarray:
    """Of the rows of `project` (n_rows,)."""
    odd = np.array([0, *[0, 1] * near])
    of_near = np.repeat(odd[:, None] + 2 * odd, rank)
    of_moments = (_signs(moments) < 0).T @ [1, 2] if len(moments) else np.zeros(0)
    return np.concatenate((of_near, of_moments)).astype(np.int64)


def _weights(one: Level, rank: int) -> np.ndarray:
    """Of the rows of `project` (n_rows, quarter): even and odd parts of functions of place, over half a pixel."""
    n = one.space.shape[2] // 2
    space = np.pad(one.space, ((0, 0),) * 4 + ((0, rank - one.space.shape[4]),))

    def parts(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Half of what is even and odd along an axis of sites, over its first half."""
        mirror = np.flip(values, axis)
        even, odd = 0.5 * (values + mirror), 0.5 * (values - mirror)
        return np.take(even, np.arange(n), axis), np.take(odd, np.arange(n), axis)

    rows = []
    for ax, of_x in enumerate(space):
        for part_x in parts(of_x, 1)[: 1 if ax == 0 else 2]:
            for ay, of_y in enumerate(part_x):
                rows += [part.reshape(n * n, rank).T for part in parts(of_y, 1)[: 1 if ay == 0 else 2]]
    odd = (_signs(one.moments) < 0).T.astype(int)
    for moment, (odd_x, odd_y) in zip(one.moments, odd, strict=True):
        rows.append(parts(parts(moment, 0)[odd_x], 1)[odd_y].reshape(1, n * n))
    return np.concatenate(rows)


def _table(response: Response, detector: Detector, pitch: float) -> tuple[np.ndarray, int, int, float]:
    """Samples as `_samples` has them, bins, per_tick and shift of one of `Tables`."""
    response.check("response", detector, pitch)
    table, per_tick, first = _samples(response, detector.tick)
    below = detector.drift_start * response.arrival(detector) / response.drift_length  # [us] from there to the anode
    shift = response.arrival(detector) - below - first * detector.tick / per_tick
    return table, response.bins(pitch), per_tick, shift


def _samples(response: Response, tick: float) -> tuple[np.ndarray, int, int]:
    """Currents averaged over a clock cycle, every tick/per_tick, sharpened; per_tick; number of the first sample.

    Averaged, so that the charge of all ticks is that of the table, wherever the ticks are. Sharing charge linearly
    among the sites of a lattice of step h widens it by the variance h^2/6; sharpened is the table less h^2/12 of its
    second derivative along each axis, which makes up for that, and leaves the charge as it is.
    """
    h, table = response.time_tick, response.response
    per_tick = max(1, math.ceil(tick / h - 1e-6))
    step = tick / per_tick
    if abs(step - h) > 1e-9 * h:
        from scipy.interpolate import PchipInterpolator  # takes a third of a second to load

        edges = (np.arange(table.shape[2] + 1) - 0.5) * h
        collected = np.concatenate((np.zeros((*table.shape[:2], 1)), np.cumsum(table, axis=2)), axis=2) * h
        at = (np.arange(math.ceil(table.shape[2] * h / step) + 2) - 0.5) * step
        table = np.diff(PchipInterpolator(edges, collected, axis=2)(np.clip(at, edges[0], edges[-1]))) / step
    wide = per_tick // 2
    weights = np.full(2 * wide + 1, 1.0 / per_tick)
    if per_tick % 2 == 0:
        weights[[0, -1]] *= 0.5
    padded = np.pad(table, ((0, 0), (0, 0), (2 * wide, 2 * wide)))
    n = table.shape[2] + 2 * wide
    mean = sum(weight * padded[..., k : k + n] for k, weight in enumerate(weights))
    size = np.abs(mean).max(axis=(0, 1))
    kept = np.flatnonzero(size > NEGLIGIBLE * size.max()) if size.any() else np.arange(1)
    low, high = kept[0], kept[-1] + 1
    cut = mean[..., low:high].copy()
    cut[..., 0] += mean[..., :low].sum(axis=2)
    cut[..., -1] += mean[..., high:].sum(axis=2)
    for axis in range(3):
        cut = _sharpened(cut, axis)
    return cut, per_tick, int(low) - wide - 1


def _sharpened(table: np.ndarray, axis: int) -> np.ndarray:
    """table - (second difference)/12; one entry longer at ends where 0 follows. Bins are mirrored at the centre."""
    table = np.moveaxis(table, axis, -1)
    begin = table[..., :1] if axis < 2 else np.zeros((*table.shape[:-1], 2))
    wide = np.concatenate((begin, table, np.zeros((*table.shape[:-1], 2))), axis=-1)
    return np.moveaxis(wide[..., 1:-1] - np.diff(wide, n=2) / 12.0, -1, axis)
