"""Hits that no charge makes: those of a discriminator on its own noise, at a rate."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.special import ndtri, pdtr

from lartpc.arrays import run_starts, to_numpy
from lartpc.autodiff.launch import plain
from lartpc.charge.velocity import longest_drift
from lartpc.checks import as_number
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.formats.packet_events import first_ticks
from lartpc.frontend.frontend import Reads, make_adc, make_electronics, make_pixels
from lartpc.kernels.runtime.random import MASK, SHIFT, philox
from lartpc.parameters import Parameters
from lartpc.simulation.collect import concatenate

HIGHEST = 1e5  # [Hz] about 20 hits a pixel and event
COUNTER = 1 << 31  # marks the counters of these hits: reads of a pixel have lower numbers


def check_rate(rate: Any, noise: bool) -> float:
    """A rate of noise hits [Hz a pixel]. Raises InputError where it is none, and above 0 without `noise`."""
    value = as_number(rate)
    if value is None or not 0.0 <= value <= HIGHEST:
        raise InputError(f"noise_hits: found {rate}, allowed is a number from 0 to {HIGHEST:g} [Hz]")
    if value > 0.0 and not noise:
        raise InputError(f"noise_hits: found {rate} without noise, allowed is 0 there")
    return value


def readout_window(detector: Detector, parameters: Parameters) -> float:
    """How long after an event's first deposit hits may begin [us]: the longest drift, then a hold and a reset."""
    return longest_drift(detector, parameters) + (detector.hold_ticks + detector.reset_cycles) * detector.tick


def make_noise_hits(segments: Segments, rate: float, seed: int, simulation: Any) -> Hits:
    """Hits of a `rate` [Hz a pixel] in the `readout_window` of each event, on all pixels but those that are unread.

    Their number is Poisson's, their times are even over the window, and the charge is the pixel's threshold and |n|,
    n as the readout noise, in ADC counts as that of other hits. Seed, event id and pixel id alone say what they are.
    """
    d, xp, T = simulation.detector, simulation.xp, simulation.dtype
    window = readout_window(d, simulation.parameters)
    planes = [np.arange(first, first + n) for first, n in zip(d.first_pixel, d.n_x * d.n_y, strict=True)]
    drawn = [draw(event, plane, seed, rate * 1e-6 * window) for event in segments.events for plane in planes]
    number = [len(pixel) for pixel, *_ in drawn]
    pixel, late, above = (np.concatenate(column) for column in zip(*drawn, strict=True))
    event = np.repeat(np.arange(len(segments.events)), np.reshape(number, (-1, len(planes))).sum(axis=1))
    read = ~np.isin(pixel, d.unread)
    event, pixel, late, above = event[read], pixel[read], late[read], above[read]

    ids = xp.asarray(pixel)
    electronics = make_electronics(ids, simulation.vector(), d, simulation.parameters.slots_of_electronics, plain)
    pixels = make_pixels(ids, electronics, d, plain)
    charge = pixels.threshold + xp.asarray((d.uncorrelated_noise * above).astype(T))
    one = xp.ones(len(pixel), dtype=np.int64)
    reads = Reads(
        count=one, window=None, tick=None, fraction=None, reset=None, time=None, charge=charge[:, None], valid=one
    )
    adc = make_adc(reads, pixels.gain, pixels.offset, d, True, plain)
    tpc, ix, iy, x, y = d.locate(pixel)
    offset = [simulation.parameters.value(f"t0_offset.event{one}") for one in segments.events.tolist()]
    begin = first_ticks(segments.events, segments, d) * d.tick + np.array(offset, dtype=np.float64)
    return Hits(
        event_id=segments.events[event].astype(np.int64),
        pixel_id=pixel,
        tpc=tpc,
        ix=ix,
        iy=iy,
        hit=np.zeros(len(pixel), dtype=np.int64),
        x=x,
        y=y,
        z_anode=d.z_anode[tpc],
        t=begin[event] + window * late,
        charge=to_numpy(charge),
        adc=to_numpy(adc[:, 0]),
    )


def draw(event: Any, pixel: np.ndarray, seed: int, mean: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels of the hits of an event, from ids (n,); of each a number even in 0 to 1, and |n| of a normal one."""
    high, low, *_ = words(event, pixel, seed, np.zeros(len(pixel), dtype=np.int64))
    even = (high * 2.0**21 + (low >> np.uint64(11))) * 2.0**-53
    none_to_most = pdtr(np.arange(int(mean + 12.0 * np.sqrt(mean)) + 40), mean)
    some = np.flatnonzero(even >= none_to_most[0])
    count = np.searchsorted(none_to_most, even[some], side="right")
    pixel = np.repeat(pixel[some], count)
    number = np.arange(len(pixel)) - np.repeat(np.cumsum(count) - count, count)
    time, charge, *_ = words(event, pixel, seed, 1 + number)
    return pixel, (time + 0.5) * 2.0**-32, ndtri(0.5 + (charge + 0.5) * 2.0**-33)


def words(event: Any, pixel: np.ndarray, seed: int, number: np.ndarray) -> Any:
    """Four random 32-bit words, each (n,), of pixels (n,) and the numbers (n,) of what is drawn there."""
    s, e = np.uint64(seed), np.int64(event).astype(np.uint64)
    counter = (number + COUNTER).astype(np.uint64)
    return philox(e & MASK, e >> SHIFT, pixel.astype(np.uint64), counter, s & MASK, s >> SHIFT)


def merged(hits: Hits, noise: Hits, detector: Detector) -> tuple[Hits, np.ndarray]:
    """All hits in the order of event, pixel and time; and of each its row among `hits`, -1 where it is noise.

    Hits of charge stay what they are. Of noise there are no more than `max_hits` leaves room for, none while a pixel is
    not ready, which it is not from a hit until hold, reset and dead time are over, and none that would make it miss a
    hit of charge.
    """
    both = concatenate(Hits, (hits, noise))
    row = np.append(np.arange(len(hits)), np.full(len(noise), -1))
    charge_first = np.lexsort((both.t, row < 0, both.pixel_id, both.event_id))
    both, row = both.select(charge_first), row[charge_first]
    kept = (row >= 0) | (numbers(both) < detector.most_hits)
    both, row = both.select(kept), row[kept]

    order = np.lexsort((both.t, both.pixel_id, both.event_id))
    both, row = both.select(order), row[order]
    same = (np.diff(both.event_id) == 0) & (np.diff(both.pixel_id) == 0)
    soon = same & (np.diff(both.t) < detector.dead_ticks * detector.tick)
    kept = (row >= 0) | ~(np.append(False, soon) | np.append(soon & (row[1:] >= 0), False))
    both, row = both.select(kept), row[kept]
    return dataclasses.replace(both, hit=numbers(both)), row


def numbers(hits: Hits) -> np.ndarray:
    """The number of each hit (n,) on its pixel, of hits in the order of event and pixel."""
    start = run_starts(hits.event_id, hits.pixel_id)
    return np.arange(len(hits)) - np.repeat(start, np.diff(np.append(start, len(hits))))
