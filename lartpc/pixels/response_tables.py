"""Tabulated responses as the kernels take them: sums of products of functions of position and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.pixels.response import Response, _list
from lartpc.response.lattice import Lattice, make_lattice

NEGLIGIBLE = 1e-6  # of the peak: the table is cut where it stays below
PRECISION = 1e-5  # of the peak: deviation of the sum of products that stands for the table


class Tables(NamedTuple):
    """Responses as the kernels take them, a table t for each pitch, on a lattice of position and time.

    Table t is the sum over r of space[t, :, :, r] times waveform r; zeros fill up what it has less than others.
    """

    lattice: Lattice
    space: Any  # (n_tables, bins along |x|, bins along |y|, most rank)
    bins: int  # a pitch
    per_tick: int  # samples a clock cycle
    shift: Any  # (n_tables,) [us] from the table's begin to the arrival at the detector's drift_start
    of_tpc: Any  # (n_tpcs,) int64: which of the tables each TPC has


@one_blas_thread
def make_response_tables(responses: Sequence[Response], detector: Detector, dtype: Any, xp: Any) -> Tables:
    """The sums of products of functions of position and time that stand for `responses`, one for each pitch, ascending.

    The charge of each bin is kept, the rest until no entry deviates by more than `PRECISION` of the peak. Raises
    InputError where the responses do not fit the detector, or differ in bins a pitch or samples a clock cycle.
    """
    pitches, of_tpc = np.unique(detector.pitch, return_inverse=True)
    if len(responses) != len(pitches):
        raise InputError(
            f"response: found tables: {len(responses)}, allowed is one for each pixel pitch of detector "
            f"{detector.name}: {_list(pitches)} [cm]"
        )
    made = [_table(response, detector, pitch) for response, pitch in zip(responses, pitches.tolist(), strict=True)]
    space, waveforms, bins, per_tick, shift = zip(*made, strict=True)
    if len({*bins}) > 1 or len({*per_tick}) > 1:
        raise InputError(
            f"response: found tables of {_list(bins)} bins a pitch and {_list(per_tick)} samples a clock cycle, "
            "allowed is one number of each"
        )
    no_tails = [np.zeros((len(waveform), 0)) for waveform in waveforms]
    first_lag = [0] * len(made)
    lattice = make_lattice(waveforms, per_tick, first_lag, no_tails, np.zeros(0), detector.tick, dtype, xp)
    filled = np.zeros((len(made), *np.max([part.shape[:2] for part in space], axis=0), int(lattice.rank.max())))
    for whole, part in zip(filled, space, strict=True):
        whole[tuple(map(slice, part.shape))] = part
    return Tables(
        lattice,
        xp.asarray(filled.astype(dtype)),
        bins[0],
        per_tick[0],
        xp.asarray(np.array(shift, dtype=dtype)),
        xp.asarray(of_tpc.astype(np.int64)),
    )


def _table(response: Response, detector: Detector, pitch: float) -> tuple[np.ndarray, np.ndarray, int, int, float]:
    """space, waveforms, bins, per_tick and shift of one of `Tables`."""
    response.check("response", detector, pitch)
    table, per_tick, first = _samples(response, detector.tick)
    space, basis = _products(table)
    below = detector.drift_start * response.arrival(detector) / response.drift_length  # [us] from there to the anode
    shift = response.arrival(detector) - below - first * detector.tick / per_tick
    return space, basis, response.bins(pitch), per_tick, shift


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


def _products(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """space (bins, bins, rank) and basis (rank, samples) whose product is `table`.

    The first function of position is the charge, which is so kept exactly; the others are singular vectors of the rest.
    """
    matrix = table.reshape(-1, table.shape[2])
    charge = matrix.sum(axis=1)[:, None]
    charge /= np.linalg.norm(charge) or 1.0
    rest = matrix - charge @ (charge.T @ matrix)
    if rest.shape[0] <= rest.shape[1]:
        left = np.linalg.eigh(rest @ rest.T)[1][:, ::-1]
    else:
        values, right = np.linalg.eigh(rest.T @ rest)
        used = values[::-1] > 1e-15 * values[-1]
        left = (rest @ right[:, ::-1][:, used]) / np.sqrt(values[::-1][used])
    along = left.T @ rest
    low, high = -1, left.shape[1]
    while high - low > 1:  # the smallest rank that is good enough
        rank = (low + high) // 2
        good = np.abs(left[:, :rank] @ along[:rank] - rest).max() <= PRECISION * np.abs(matrix).max()
        low, high = (low, rank) if good else (rank, high)
    left = np.column_stack((charge, left[:, :high]))
    return left.reshape(*table.shape[:2], high + 1), np.concatenate((charge.T @ matrix, along[:high]))
