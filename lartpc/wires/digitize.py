"""The ADC of wires: from mV to counts and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.arrays import namespace
from lartpc.detector.waveforms import Adc
from lartpc.exceptions import InputError


def digitize(waveform: Any, adc: Adc, plane: Any) -> Any:
    """Counts of a waveform [mV] (any shape), int16: clip(round((V + baseline - low)/step), 0, 2^bits - 1).

    step: `count`. plane: which of the planes that are read, a number or integers whose shape goes with the waveform's.
    Halves go to the even number. Raises InputError as `count`.
    """
    xp = namespace(waveform)
    T = waveform.dtype.type
    value = waveform + _offset(adc, plane, xp, waveform.dtype)
    value *= T(1.0 / count(adc))
    xp.clip(value, T(0.0), T(2**adc.bits - 1), out=value)
    return xp.rint(value, out=value).astype(np.int16)


def undigitize(counts: Any, adc: Adc, plane: Any, dtype: Any = np.float32) -> Any:
    """The waveform [mV] that counts (any shape) stand for: counts step + low - baseline, in a floating-point type.

    What was outside the range of the ADC comes back as its end; else the error is at most step/2. As `digitize`.
    """
    xp = namespace(counts)
    return counts.astype(dtype) * np.dtype(dtype).type(count(adc)) - _offset(adc, plane, xp, dtype)


def count(adc: Adc) -> float:
    """Step of one count [mV]: (high - low)/(2^bits - 1).

    Raises InputError for bits that do not fit into int16, and for a range without width.
    """
    if not 1 <= adc.bits <= 15:
        raise InputError(f"adc: bits: found {adc.bits}, allowed is a whole number from 1 to 15")
    if not adc.low < adc.high:
        raise InputError(f"adc: high: found {adc.high:g} mV, allowed is a number above low, {adc.low:g}")
    return (adc.high - adc.low) / (2**adc.bits - 1)


def rounding_variance(adc: Adc) -> float:
    """Variance that rounding adds to every sample [mV^2]: step^2/12, of an error that is even over a step.

    Of different samples the errors are independent where noise is larger than about half a step: the mean of |DFT|^2
    of n samples grows by n times this.
    """
    return count(adc) ** 2 / 12.0


def _offset(adc: Adc, plane: Any, xp: Any, dtype: Any) -> Any:
    """baseline - low of planes [mV]."""
    return xp.asarray((np.array(adc.baseline) - adc.low).astype(dtype))[plane]
