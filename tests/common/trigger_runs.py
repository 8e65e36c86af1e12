"""The trigger on currents in windows, with its noise."""

import numpy as np

from lartpc.kernels.frontend.trigger import trigger
from lartpc.kernels.runtime.random import draw

BLOCK = 8
TICK = 0.1
HOLD = 18
FIRST = -40  # tick of the first sample
SEED, EVENT = 3, 11


def run(
    dense,
    threshold,
    dtype,
    max_hits=10,
    tick=TICK,
    hold=HOLD,
    reset_cycles=0,
    busy=0,
    noise=(0.0, 0.0, 0.0),
    ids=None,
    seed=SEED,
    periodic=0,
):
    """Reads of the pixels with currents `dense` (n, ticks), in windows of the blocks that are not all zero."""
    n = len(dense)
    samples, first, starts, of_pixel = [], [0], [], [0]
    for row in dense:
        blocks = row.reshape(-1, BLOCK)
        full = np.append(blocks.any(axis=1), False)
        for b in np.flatnonzero(full):
            if b == 0 or not full[b - 1]:
                starts.append(FIRST + b * BLOCK)
                first.append(first[-1])
            samples.append(blocks[b])
            first[-1] += BLOCK
        of_pixel.append(len(starts))
    count = np.zeros(n, dtype=np.int64)
    window, at, reset, valid = (np.zeros((n, max_hits), dtype=np.int64) for _ in range(4))
    fraction, time, charge = (np.zeros((n, max_hits), dtype=dtype) for _ in range(3))
    ids = np.arange(n) if ids is None else ids
    starts = np.array(starts)
    names = ("reset_noise", "uncorrelated_noise", "discriminator_noise")
    trigger(
        n,
        waveform=np.concatenate(samples).astype(dtype),
        pixel_window=np.array(of_pixel),
        window_first=np.array(first),
        window_tick=starts,
        pixel_event=np.full(n, EVENT),
        pixel_id=ids,
        threshold=threshold.astype(dtype),
        tick=dtype(tick),
        hold_ticks=hold,
        reset_cycles=reset_cycles,
        adc_busy_delay=busy,
        periodic_reset_cycles=periodic,
        seed=seed,
        **{name: dtype(sigma) for name, sigma in zip(names, noise, strict=True)},
        read_count=count,
        read_window=window,
        read_tick=at,
        read_fraction=fraction,
        read_reset=reset,
        hit_time=time,
        hit_charge=charge,
        hit_valid=valid,
    )
    return count, starts[window] * tick + time, charge, valid, starts[window] + at, fraction


def draws(pixel, sigmas, n, seed=SEED):
    one = np.float64(1.0)
    return [tuple(np.multiply(draw(seed, EVENT, pixel, read, one), sigmas)) for read in range(n)]
