"""The front end of a channel: from its current to reads and ADC counts."""

import math
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace
from lartpc.autodiff.launch import plain
from lartpc.kernels.frontend.buffer import buffer
from lartpc.kernels.frontend.digitize import digitize
from lartpc.kernels.frontend.trigger import trigger

SETTLE = 10  # rise times of the buffer for which a window goes on


class Pixels(NamedTuple):
    """Front end of every pixel of `Windows` (n_pixels,)."""

    threshold: Any  # [e]
    gain: Any  # [mV/e]
    offset: Any  # pedestal less common-mode voltage [mV]


class Reads(NamedTuple):
    """Reads of every pixel of `Windows`: (n_pixels, max_hits), of which the first `count` (n_pixels,) are used."""

    count: Any
    window: Any
    tick: Any
    part: Any
    time: Any  # [us] from the first tick of `window`
    charge: Any  # [e]
    valid: Any  # 0 where vetoed


def settle(detector):
    """Ticks for which a window goes on after its last current."""
    return math.ceil(SETTLE * detector.buffer_risetime / detector.tick)


def behind_buffer(waveform, windows, detector, launch):
    """What the rise time of the buffer makes of a waveform: the same array where there is none."""
    if detector.buffer_risetime == 0.0:
        return waveform
    buffered = namespace(waveform).zeros_like(waveform)
    factors = buffer_factors(detector, waveform.dtype.type)
    launch(buffer, len(windows.tick), windows.first, waveform, *factors, buffered)
    return buffered


def buffer_factors(detector, T):
    """held_ticks, decay and share of `buffer`; all 0 without a rise time."""
    held_ticks = detector.buffer_risetime / detector.tick
    decay = math.exp(-1.0 / held_ticks) if held_ticks > 0.0 else 0.0
    share = -held_ticks * math.expm1(-1.0 / held_ticks) if held_ticks > 0.0 else 0.0
    return T(held_ticks), T(decay), T(share)


def make_reads(waveforms, batch, threshold, seed, noise, detector, launch=plain):
    """Trigger: `Reads`. threshold (n_pixels,) [e]; without `noise` the noise charges are 0."""
    xp, T = namespace(waveforms.current), waveforms.current.dtype.type
    windows = waveforms.windows
    n = len(windows.pixel)
    shape = (n, detector.max_hits)
    count = xp.zeros(n, dtype=np.int64)
    window, tick, valid = (xp.zeros(shape, dtype=np.int64) for _ in range(3))
    part, time, charge = (xp.zeros(shape, dtype=T) for _ in range(3))
    launch(
        trigger,
        n,
        waveforms.buffered,
        windows.of_pixel,
        windows.first,
        windows.tick,
        batch.event_id[windows.event],
        windows.pixel,
        threshold,
        T(detector.tick),
        detector.hold_ticks,
        detector.reset_cycles,
        detector.adc_busy_delay,
        seed,
        T(detector.reset_noise if noise else 0.0),
        T(detector.uncorrelated_noise if noise else 0.0),
        T(detector.discriminator_noise if noise else 0.0),
        count,
        window,
        tick,
        part,
        time,
        charge,
        valid,
    )
    return Reads(count, window, tick, part, time, charge, valid)


def make_adc(reads, gain, offset, detector, rounded=True, launch=plain):
    """Digitize: ADC counts of the reads (n_pixels, max_hits); gain [mV/e] and offset [mV] of the pixels (n_pixels,)."""
    T = reads.charge.dtype.type
    adc = namespace(reads.charge).zeros_like(reads.charge)
    scale = (T(detector.v_ref - detector.v_cm), T(detector.adc_counts))
    launch(digitize, len(adc), reads.charge, reads.count, gain, offset, *scale, rounded, adc)
    return adc
