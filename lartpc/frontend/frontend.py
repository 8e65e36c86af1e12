"""The front end of a channel: from its current to reads and ADC counts."""

import math
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace, owners, to_numpy
from lartpc.contracts import Launch
from lartpc.kernels.frontend.adjust import adjust
from lartpc.kernels.frontend.buffer import buffer
from lartpc.kernels.frontend.digitize import digitize
from lartpc.kernels.frontend.trigger import trigger
from lartpc.kernels.runtime.gather import gather

FEW_READS, MOST_READS = 10, 640  # of a pixel: room at first, and at last where the detector sets no limit
SETTLE = 10  # rise times of the buffer for which a window goes on


class Pixels(NamedTuple):
    """Front end of every pixel of `Windows` (n_pixels,)."""

    threshold: Any  # [e]
    gain: Any  # [mV/e]
    offset: Any  # pedestal less common-mode voltage [mV]


class Reads(NamedTuple):
    """Reads of every pixel of `Windows`: (n_pixels, most), of which the first `count` (n_pixels,) are used.

    `most` is the detector's `max_hits`; without, `FEW_READS`, doubled until no pixel has as many or `MOST_READS`.
    """

    count: Any
    window: Any
    tick: Any
    fraction: Any
    reset: Any  # tick of the last periodic reset since the read before, or `kernels.frontend.trigger.NO_RESET`
    time: Any  # [us] from the first tick of `window`
    charge: Any  # [e]
    valid: Any  # 0 where vetoed


def settle(risetime: float, tick: float) -> int:
    """Ticks for which a window goes on after its last current, with a buffer of rise time `risetime` [us]."""
    return math.ceil(SETTLE * risetime / tick)


def make_electronics(pixel, parameters, detector, slots_of, launch: Launch):
    """The electronics parameters (n_pixels, 4) of pixels by their ids (n_pixels,), in the order of `slots.ELECTRONICS`.

    slots_of: `Parameters.slots_of_electronics` of the parameters that the vector `parameters` holds.
    """
    xp = namespace(parameters)
    pixel = to_numpy(pixel)
    tpc = detector.tpc_of(pixel)
    slot = xp.asarray(slots_of(module=detector.module[tpc], tpc=tpc, pixel=pixel))
    electronics = xp.empty(slot.shape, dtype=parameters.dtype)
    threads = {"adjoint_threads": len(parameters)}
    launch(gather, len(slot), values=parameters, slot=slot, module_parameters=electronics, **threads)
    return electronics


def make_pixels(pixel, electronics, detector, launch: Launch):
    """Threshold, gain and offset of pixels by their ids, the detector's adjusted by `electronics`: `Pixels`."""
    xp, T = namespace(electronics), electronics.dtype
    pixel = to_numpy(pixel)
    gain, offset, _ = detector.adc_scale(pixel)
    of_detector = {"threshold": detector.of_pixels("threshold", pixel), "gain": gain, "offset": offset}
    base = {f"base_{name}": xp.asarray(column.astype(T)) for name, column in of_detector.items()}
    pixels = Pixels(*(xp.empty(len(pixel), dtype=T) for _ in Pixels._fields))
    launch(adjust, len(pixel), **base, electronics=electronics, **pixels._asdict())
    return pixels


def behind_buffer(waveform, windows, electronics, detector, launch: Launch):
    """What the rise times of the buffers make of the waveforms."""
    xp = namespace(waveform)
    buffered = xp.empty_like(waveform)
    launch(
        buffer,
        len(windows.tick),
        window_first=windows.first,
        window_pixel=owners(windows.of_pixel, len(windows.tick)),
        waveform=waveform,
        electronics=electronics,
        tick=waveform.dtype.type(detector.tick),
        buffered=buffered,
        adjoint_threads=len(windows.pixel),
        pixel_window=windows.of_pixel,
    )
    return buffered


def make_reads(waveforms, batch, threshold, seed, noise, detector, launch: Launch):
    """Trigger: `Reads`. threshold (n_pixels,) [e]; without `noise` the noise charges are 0."""
    most = detector.max_hits or FEW_READS
    rest = (waveforms, batch, threshold, seed, noise, detector, launch)
    reads = _reads(most, *rest)
    while detector.max_hits is None and most < MOST_READS and bool((reads.count == most).any()):
        most *= 2
        reads = _reads(most, *rest)
    return reads


def reached_limit(reads: Reads) -> int:
    """Pixels that have as many reads as there may be."""
    return int((reads.count == reads.charge.shape[1]).sum())


def _reads(most, waveforms, batch, threshold, seed, noise, detector, launch: Launch):
    """Up to `most` reads of each pixel."""
    xp, T = namespace(waveforms.current), waveforms.current.dtype.type
    windows = waveforms.windows
    n = len(windows.pixel)
    shape = (n, most)
    count = xp.empty(n, dtype=np.int64)
    window, tick, reset, valid = (xp.empty(shape, dtype=np.int64) for _ in range(4))
    fraction, time, charge = (xp.empty(shape, dtype=T) for _ in range(3))
    launch(
        trigger,
        n,
        waveform=waveforms.buffered,
        pixel_window=windows.of_pixel,
        window_first=windows.first,
        window_tick=windows.tick,
        pixel_event=batch.event_id[windows.event],
        pixel_id=windows.pixel,
        threshold=threshold,
        tick=T(detector.tick),
        hold_ticks=detector.hold_ticks,
        reset_cycles=detector.reset_cycles,
        adc_busy_delay=detector.adc_busy_delay,
        periodic_reset_cycles=detector.periodic_reset_cycles,
        seed=seed,
        reset_noise=T(detector.reset_noise if noise else 0.0),
        uncorrelated_noise=T(detector.uncorrelated_noise if noise else 0.0),
        discriminator_noise=T(detector.discriminator_noise if noise else 0.0),
        read_count=count,
        read_window=window,
        read_tick=tick,
        read_fraction=fraction,
        read_reset=reset,
        hit_time=time,
        hit_charge=charge,
        hit_valid=valid,
    )
    return Reads(count, window, tick, fraction, reset, time, charge, valid)


def make_adc(reads, gain, offset, detector, rounded, launch: Launch):
    """Digitize: ADC counts of the reads (n_pixels, max_hits); gain [mV/e] and offset [mV] of the pixels (n_pixels,)."""
    T = reads.charge.dtype.type
    adc = namespace(reads.charge).empty_like(reads.charge)
    launch(
        digitize,
        len(adc),
        hit_charge=reads.charge,
        read_count=reads.count,
        gain=gain,
        offset=offset,
        full_scale=T(detector.full_scale),
        adc_counts=T(detector.adc_counts),
        rounded=rounded,
        adc=adc,
    )
    return adc
