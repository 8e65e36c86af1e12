"""Noise of channels with a spectrum: from equivalent noise charges or from measured spectra.

DFT X_k = sum of x_j exp(-2 pi i j k/n) over the n samples of a readout. The noise is stationary, of period n: its X_k
are independent normal numbers, complex but for k = 0 and n/2, and with weights w_k = 1 for these two, else 2, the
variance of a sample is the sum of w_k <|X_k|^2> over k = 0 to n//2, over n^2.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numba
import numpy as np
import scipy.fft

from lartpc.arrays import namespace
from lartpc.detector.waveforms import Charges, Electronics, NoiseModel, Spectra
from lartpc.kernels.wires.noise import noise as draw_noise
from lartpc.wires.electronics import impulse, peak

WHITE = 0.01  # of the variance of a formula's noise comes behind the amplifier
CORNER = 0.1  # [MHz] from which on the amplitude of what comes before the amplifier grows with the frequency
ROWS = 32  # that a device transforms at once: always so many, as its transform may depend on how many there are


class Levels(NamedTuple):
    """Roots of the mean of |DFT|^2 at lengths of wires; both parts are linear between them, and added in square."""

    length: np.ndarray  # (n_lengths,) [cm], rising
    shaped: np.ndarray  # (n_lengths, n_frequencies) [mV]
    white: np.ndarray  # (n_lengths,) [mV]


def spectrum(
    model: NoiseModel, plane: int, length: Any, n_ticks: int, tick: float, electronics: Electronics
) -> np.ndarray:
    """Mean of |DFT|^2 of the noise of channels of a plane (..., n_ticks//2 + 1) [mV^2], own and coherent together.

    length (...): of their wires [cm], any shape; tick [us]. The white part that rounding adds is not in it.
    """
    shaped, white = _between(_levels(model.planes[plane], n_ticks, tick, electronics), np.asarray(length))
    common = model.coherent[plane] * _formula(n_ticks, tick, electronics)
    return shaped**2 + white[..., None] ** 2 + common**2


def noise_of(
    model: NoiseModel,
    channel: Any,
    event_id: Any,
    seed: int,
    kind: np.ndarray,
    length: np.ndarray,
    n_ticks: int,
    tick: float,
    electronics: Electronics,
    dtype: Any = np.float32,
) -> Any:
    """Noise (n, n_ticks) [mV] of channels in events, (n,) int64 each, where those two are.

    kind, length (n_channels,): the plane of every channel and the length of its wires [cm]; tick [us]. The numbers
    depend on seed, event, channel and frequency, and of coherent noise on the group in place of the channel: they are
    the same bits in any order and batch.
    """
    xp, n = namespace(channel), len(channel)
    levels = [_levels(one, n_ticks, tick, electronics) for one in model.planes]
    common = np.outer(model.coherent, _formula(n_ticks, tick, electronics))
    low, high, between = _places(levels, kind, length)
    weight = _weights(n_ticks)
    rows = n if xp is np else -(-n // ROWS) * ROWS
    wave = xp.zeros((rows, len(weight)), dtype=dtype)
    draw_noise(
        n,
        row_event=event_id,
        row_channel=channel,
        channel_low=xp.asarray(low),
        channel_high=xp.asarray(high),
        channel_between=xp.asarray(between.astype(dtype)),
        channel_plane=xp.asarray(np.asarray(kind, dtype=np.int64)),
        shaped=xp.asarray(_even(np.concatenate([one.shaped for one in levels])).astype(dtype)),
        white=xp.asarray(np.concatenate([one.white for one in levels]).astype(dtype)),
        common=xp.asarray(_even(common).astype(dtype)),
        weight=xp.asarray(weight.astype(dtype)),
        group=model.group if any(model.coherent) else 0,
        seed=seed,
        wave=wave,
    )
    transform = wave.view(np.result_type(dtype, np.complex64))[:, : n_ticks // 2 + 1]
    if xp is np:
        return scipy.fft.irfft(transform, n_ticks, workers=numba.get_num_threads())
    result = xp.empty((len(wave), n_ticks), dtype=dtype)
    for k in range(0, len(wave), ROWS):
        result[k : k + ROWS] = xp.fft.irfft(transform[k : k + ROWS], n_ticks)
    return result[:n]


def _weights(n_ticks: int) -> np.ndarray:
    """Roots of the shares of real and imaginary parts in the mean of |DFT|^2 (2 n_frequencies,), an even number."""
    both = both_sides(n_ticks)
    weight = np.full((len(both) + len(both) % 2, 2), math.sqrt(0.5))
    weight[: len(both)][both == 1.0] = 1.0, 0.0
    return weight.ravel()


def _even(rows: np.ndarray) -> np.ndarray:
    """Rows (n, n_frequencies) with zeros behind them for an even number of frequencies."""
    return np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))


def _formula(n_ticks: int, tick: float, electronics: Electronics) -> np.ndarray:
    """Root of the mean of |DFT|^2 (n_ticks//2 + 1,) [mV/e] of noise of an equivalent noise charge of one electron.

    |H|^2 (1 + (f/0.1 MHz)^2), H the DFT of `impulse`, and white noise that has a hundredth of the variance; together
    the rms of a sample is the peak of `impulse`.
    """
    shaped, white = _parts_of_formula(n_ticks, tick, electronics)
    return np.sqrt(shaped**2 + white**2)


@functools.lru_cache(maxsize=16)
def _parts_of_formula(n_ticks: int, tick: float, electronics: Electronics) -> tuple[np.ndarray, float]:
    """What the amplifier shapes and what comes behind it."""
    f = np.fft.rfftfreq(n_ticks, tick)
    shape = _transform(n_ticks, tick, electronics) ** 2 * (1.0 + (f / CORNER) ** 2)
    variance = both_sides(n_ticks) @ shape / n_ticks**2
    top = peak(electronics)
    return top * np.sqrt((1.0 - WHITE) / variance * shape), top * math.sqrt(WHITE * n_ticks)


def both_sides(n: int) -> np.ndarray:
    """How often each frequency of a real DFT of n samples stands in a sum over all n of them, (n//2 + 1,)."""
    times = np.full(n // 2 + 1, 2.0)
    times[0] = 1.0
    if n % 2 == 0:
        times[-1] = 1.0
    return times


def _levels(of_plane: Charges | Spectra, n_ticks: int, tick: float, electronics: Electronics) -> Levels:
    """The noise of a plane as n_ticks samples of it have it.

    Of measured spectra, mean(|X|^2) = 4/pi mean(|X|)^2, as X are normal; it grows with the number of samples, and the
    part that the amplifier shapes with the inverse of their period, so that its density stays. That part is scaled by
    gain, not postgain, and by the transforms of `impulse` for the shaping time that is, and that of the measurement, as
    Wire-Cell's `EmpiricalNoiseModel` does.
    """
    if isinstance(of_plane, Charges):
        shaped, white = _parts_of_formula(n_ticks, tick, electronics)
        charge = np.array(of_plane.charge)
        return Levels(np.array(of_plane.length), np.outer(charge, shaped), white * charge)
    f = np.fft.rfftfreq(n_ticks, tick)
    amplitude = np.array([np.interp(f, of_plane.frequency, row) for row in of_plane.amplitude])
    measured = electronics._replace(gain=of_plane.gain, shaping=of_plane.shaping)
    gained = _transform(n_ticks, tick, electronics) / _transform(n_ticks, tick, measured)
    factor = math.sqrt(4.0 / math.pi * n_ticks / of_plane.samples)
    shaped = factor * math.sqrt(of_plane.period / tick) * gained * amplitude
    return Levels(of_plane.length, shaped, factor * of_plane.white)


def _transform(n_ticks: int, tick: float, electronics: Electronics) -> np.ndarray:
    """|DFT| of `impulse` (n_ticks//2 + 1,) [mV/e]."""
    return np.abs(np.fft.rfft(impulse(electronics, tick * np.arange(n_ticks))))


def _place(length: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Between which of lengths (m,) others (...) lie, int64, and how far from the first to the second, 0 to 1."""
    high = np.clip(np.searchsorted(length, wanted), 0, len(length) - 1)
    low = np.maximum(high - 1, 0)
    width = np.where(high > low, length[high] - length[low], 1.0)
    return low, high, np.clip((wanted - length[low]) / width, 0.0, 1.0)


def _between(levels: Levels, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of `Levels` at lengths (...): (..., n_frequencies) and (...)."""
    low, high, between = _place(levels.length, length)
    shaped = levels.shaped[low] + between[..., None] * (levels.shaped[high] - levels.shaped[low])
    return shaped, levels.white[low] + between * (levels.white[high] - levels.white[low])


def _places(levels: list[Levels], kind: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`_place` of every channel, in the rows of all planes together."""
    low, high, between = np.zeros_like(kind), np.zeros_like(kind), np.zeros(len(kind))
    first = 0
    for plane, of_plane in enumerate(levels):
        chosen = kind == plane
        below, above, between[chosen] = _place(of_plane.length, length[chosen])
        low[chosen], high[chosen] = first + below, first + above
        first += len(of_plane.length)
    return low, high, between
