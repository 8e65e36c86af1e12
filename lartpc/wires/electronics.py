"""Amplifiers of wires: what they make of a charge, and their high passes."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from lartpc.arrays import namespace
from lartpc.checks import check_choice
from lartpc.contracts import Launch
from lartpc.detector.waveforms import CHARGE, KINDS, Electronics
from lartpc.exceptions import InputError
from lartpc.kernels.wires.highpass import highpass

# Poles of cold amplifiers, in 1/shaping time: one that is real, and of two pairs those above the real axis.
POLES = -1.996 * np.array([1.477, 1.417 - 0.598j, 1.204 - 1.299j])
RISE, FALL = 0.9**2 / 2.0, 0.5**2 / 2.0  # of warm amplifiers, of the square of the time in shaping times


def impulse(electronics: Electronics, t: np.ndarray) -> np.ndarray:
    """What an amplifier gives at times t (n,) [us] after a charge of one electron [mV/e], without its high passes.

    With u = t/shaping, and scale = gain postgain x the electron's charge:

        cold: scale f(u)/(peak of f), f(u) = sum over poles p_i of exp(p_i u) product over j != i of 1/(p_i - p_j)
        warm: scale (1 - exp(-(0.9 u)^2/2)) exp(-(0.5 u)^2/2), of which the peak is 0.4892 scale

    and 0 before. f is the inverse Laplace transform of the product of 1/(s - p_i). Its peak is at 1.174 shaping times.
    Poles and warm form are those of Wire-Cell (util/src/Response.cxx, `paramscoldelec` and `warmelec`). Raises
    InputError as `check`.
    """
    check(electronics)
    return scale(electronics) * _shape(electronics.kind, np.asarray(t) / electronics.shaping)[0]


def impulse_slopes(electronics: Electronics, t: np.ndarray) -> np.ndarray:
    """Derivatives of `impulse` at t (n,) by gain [mV/e per mV/fC] and by shaping time [mV/e/us]: (2, n)."""
    check(electronics)
    u = np.asarray(t) / electronics.shaping
    shape, slope = _shape(electronics.kind, u)
    of_gain = scale(electronics) / electronics.gain * shape
    return np.stack((of_gain, -scale(electronics) * u / electronics.shaping * slope))


def peak(electronics: Electronics) -> float:
    """The largest value of `impulse` [mV/e]."""
    if electronics.kind == "cold":
        return scale(electronics)
    least = FALL / (RISE + FALL)  # exp(-RISE u^2) where the derivative is 0
    return scale(electronics) * (1.0 - least) * least ** (FALL / RISE)


def scale(electronics: Electronics) -> float:
    """gain postgain x the electron's charge [mV/e]."""
    return electronics.gain * electronics.postgain * CHARGE


def behind_high_passes(waveform: Any, windows: Any, electronics: Electronics, tick: float, launch: Launch) -> Any:
    """Waveforms (n_samples,) behind the high passes of every channel; without any, the same array.

    windows: as of `lartpc.response.windows.Windows`, of channels. Differentiated by the waveform alone.
    """
    if not electronics.rc:
        return waveform
    T = waveform.dtype.type
    tau, later_tau = (*electronics.rc, 0.0)[:2]
    passed = namespace(waveform).empty_like(waveform)
    launch(
        highpass,
        len(windows.of_pixel) - 1,
        channel_window=windows.of_pixel,
        window_first=windows.first,
        window_tick=windows.tick,
        waveform=waveform,
        tau=T(tau),
        later_tau=T(later_tau),
        tick=T(tick),
        passed=passed,
    )
    return passed


def continued(voltage: np.ndarray, seen: np.ndarray, electronics: Electronics, tick: float) -> np.ndarray:
    """What the high passes give of a channel at every tick (n,), from what they give where its windows are.

    voltage (n,), of which those `seen`, a mask (n,), are known; elsewhere nothing comes in. In windows it is told from
    what comes out what came in: x = (y + e^{-dt/tau} s)/(1 - dt/tau), s being what a stage holds.
    """
    rates = [tick / tau for tau in electronics.rc]
    kept = [math.exp(-rate) for rate in rates]
    held, result = [0.0] * len(rates), np.where(seen, voltage, 0.0).astype(np.float64)
    for k, known in enumerate(seen.tolist()):
        before = [factor * one for factor, one in zip(kept, held, strict=True)]
        wave = float(result[k])
        if known:
            for i in reversed(range(len(rates))):
                wave = (wave + before[i]) / (1.0 - rates[i])
        for i, rate in enumerate(rates):
            held[i] = before[i] + rate * wave
            wave -= held[i]
        result[k] = wave
    return result


def check(electronics: Electronics) -> None:
    """Raise InputError for a kind that is not known, for what is not above 0, and for more than two high passes."""
    check_choice("electronics: kind", electronics.kind, KINDS)
    above = [(name, getattr(electronics, name)) for name in ("gain", "shaping", "postgain")]
    for name, value in above + [("rc", tau) for tau in electronics.rc]:
        if not 0.0 < value < np.inf:
            raise InputError(f"electronics: {name}: found {value:g}, allowed is a number above 0")
    if len(electronics.rc) > 2:
        raise InputError(f"electronics: rc: found {len(electronics.rc)} time constants, allowed are up to two")


def _shape(kind: str, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The form at times u in shaping times, and its derivative."""
    after, u = u > 0.0, np.maximum(u, 0.0)
    if kind == "cold":
        shape, slope = np.zeros_like(u), np.zeros_like(u)
        for pole, residue in zip(POLES, _residues(), strict=True):
            wave = residue * np.exp(pole * u)
            shape += wave.real
            slope += (pole * wave).real
        return shape * after, slope * after  # at 0 they cancel, but for rounding
    falling = np.exp(-FALL * u**2)
    shape = -np.expm1(-RISE * u**2) * falling
    return shape, 2.0 * u * (RISE * np.exp(-RISE * u**2) * falling - FALL * shape)


@functools.cache
def _residues() -> np.ndarray:
    """Factors of the exponentials with which the peak is 1; of pairs doubled, as the real part has the other."""
    poles = np.concatenate((POLES, POLES[1:].conj()))
    apart = POLES[:, None] - poles
    np.fill_diagonal(apart, 1.0)
    residues = np.array([1.0, 2.0, 2.0]) / apart.prod(axis=1)
    at = 1.17  # near the peak, found by Newton's method
    for _ in range(5):
        waves = residues * np.exp(POLES * at)
        at -= (POLES * waves).sum().real / (POLES**2 * waves).sum().real
    return residues / (residues * np.exp(POLES * at)).sum().real
