"""Times and charges from clock ticks and ADC counts: the inverse of digitization."""

from __future__ import annotations

import numpy as np

from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError

ON_TICK = 1e-6  # [ticks] above a tick that still belong to it: rounding of times


def whole_ticks(t: np.ndarray, tick: float) -> np.ndarray:
    """The tick of each time, (n,): ceil(t/tick), but a time on a tick belongs to it however it was rounded."""
    ticks = t / tick
    return np.ceil(ticks - ON_TICK - 4.0 * np.finfo(np.float64).eps * np.abs(ticks))


def charge_of(
    adc: np.ndarray, detector: Detector, pixel: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle of each ADC count, its lower and its upper edge [e], (n,); the inverse of `digitize`.

    By the gain and pedestal of the pixel of each, where their ids (n,) are given.

    A count holds the charges with floor((charge gain + offset) adc_counts/full scale + 1/2) = adc; the first those
    below it too, the last those above. Raises InputError where `adc` is no count of the detector.
    """
    last = detector.adc_counts - 1
    wrong = (adc < 0) | (adc > last) | (adc != np.floor(adc))
    if wrong.any():
        raise InputError(f"target: found an adc of {adc[wrong][0]:g}, allowed are whole counts from 0 to {last}")
    gain, offset, per_mV = detector.adc_scale(pixel)
    adc = adc.astype(np.float64)
    middle, low, high = ((value / per_mV - offset) / gain for value in (adc, adc - 0.5, adc + 0.5))
    return middle, np.where(adc == 0, -np.inf, low), np.where(adc == last, np.inf, high)
