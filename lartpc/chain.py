"""The charge chain on one batch of events: the only place that knows the order of the stages."""

import math
from typing import Any, NamedTuple

import numpy as np

from .kernels.buffer import buffer
from .kernels.collect import collect
from .kernels.conserve import conserve
from .kernels.digitize import digitize
from .kernels.drift import drift
from .kernels.gather import gather
from .kernels.induce import induce
from .kernels.likelihood import likelihood
from .kernels.pair import count_pairs, pair
from .kernels.quench import quench
from .kernels.split import count_pieces, count_steps, pieces, split
from .kernels.spread import spread
from .kernels.trigger import trigger
from .tabulated import tabulated_current
from .windows import Pairs, Windows, group, inverse, namespace, offsets, owners

SETTLE = 10  # rise times of the buffer for which a window goes on


class Batch(NamedTuple):
    """Segments of whole events, as the kernels take them; n segments."""

    event: Any  # (n,) int64, index into event_id
    event_id: Any  # (n_events,) int64
    start: Any  # (n, 3) x, y, z [cm], simulation frame
    end: Any  # (n, 3)
    dE: Any  # (n,) [MeV]
    dEdx: Any  # (n,) [MeV/cm]
    tick: Any  # (n,) int64, whole ticks of t0
    time: Any  # (n,) the rest of t0 [us]
    volumes: Any  # (n_volumes,) int64, ascending: the TPCs that are simulated

    def select(self, rows):
        """Some of the segments."""
        per_segment = [name for name in self._fields if name not in ("event_id", "volumes")]
        return self._replace(**{name: getattr(self, name)[rows] for name in per_segment})


class Tables(NamedTuple):
    """What the kernels need of detector and settings, on the device."""

    volumes: Any
    planes: Any
    module: Any  # (n_volumes,) int64
    place: Any  # (n_modules, n_parameters) int64: which of the parameters' values each module has
    gauss_point: Any
    gauss_weight: Any
    decay: Any
    response: Any = None  # `response.Tables`; None where the response is parametric


class Pieces(NamedTuple):
    """The parts of segments in TPCs (n_pieces,), by segment and TPC."""

    of_segment: Any  # (n_segments + 1,) first piece of each segment
    segment: Any
    volume: Any
    first_step: Any  # (n_pieces + 1,) first step of each piece


class Steps(NamedTuple):
    """Steps of a batch (n_steps,); charge is that which arrives at the anode's response region."""

    segment: Any
    volume: Any
    x: Any
    y: Any
    distance: Any
    electrons: Any
    charge: Any
    arrival: Any
    sigma_t: Any
    sigma_T: Any


class Waveforms(NamedTuple):
    """Current of every pixel with charge [e/us], sparse: see `Windows`."""

    current: Any
    steps: Steps
    pairs: Pairs
    windows: Windows
    buffered: Any  # current behind the buffer, which the trigger sees; `current` itself where there is no rise time


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


def plain(kernel, threads, *arguments, **_):
    """Launch a kernel and remember nothing."""
    kernel(threads, *arguments)


def make_pieces(batch, tables, settings):
    """Cut the segments where they leave a TPC: `Pieces`."""
    xp, n = namespace(batch.dE), len(batch.dE)
    line = (batch.start, batch.end, tables.volumes)
    count = xp.zeros(n, dtype=np.int64)
    count_pieces(n, *line, batch.volumes, count)
    of_segment = offsets(count)
    n_pieces = int(of_segment[-1])
    segment, volume, count = (xp.zeros(n_pieces, dtype=np.int64) for _ in range(3))
    pieces(n, *line, batch.volumes, of_segment, segment, volume)
    count_steps(n_pieces, *line, batch.dE.dtype.type(settings.step_length), segment, volume, count)
    return Pieces(of_segment, segment, volume, offsets(count))


def make_steps(batch, parameters, model, tables, detector, settings, launch=plain):
    """Split, quench and drift: `Steps`."""
    xp, T = namespace(batch.dE), batch.dE.dtype.type
    cut = make_pieces(batch, tables, settings)
    n = int(cut.first_step[-1])
    piece = owners(cut.first_step, n)
    segment, volume, number = cut.segment[piece], cut.volume[piece], xp.arange(n) - cut.first_step[piece]
    x, y, distance, dE, dEdx, time, electrons, charge, arrival, sigma_t, sigma_T = (
        xp.zeros(n, dtype=T) for _ in range(11)
    )
    inputs = (batch.start, batch.end, batch.dE, batch.dEdx, batch.time)
    rules = (tables.gauss_point, tables.gauss_weight)
    launch(
        split,
        n,
        *inputs,
        tables.volumes,
        T(settings.step_length),
        *rules,
        segment,
        volume,
        number,
        x,
        y,
        distance,
        dE,
        dEdx,
        time,
        adjoint_threads=len(batch.dE),
        first_piece=cut.of_segment,
        piece_volume=cut.volume,
        first_step=cut.first_step,
    )
    by_module = xp.zeros(tables.place.shape, dtype=T)
    launch(gather, len(by_module), parameters, tables.place, by_module, adjoint_threads=len(parameters))
    module = tables.module[volume]
    launch(quench, n, dE, dEdx, by_module, module, model, electrons)
    drift_start = T(detector.drift_start)
    launch(drift, n, electrons, distance, time, by_module, module, drift_start, charge, arrival, sigma_t, sigma_T)
    return Steps(segment, volume, x, y, distance, electrons, charge, arrival, sigma_t, sigma_T)


def make_pairs(steps, batch, tables, detector, settings):
    """Which pixels see which steps, and when: `Pairs`, `Windows`, and the first pair of each step (n_steps + 1,)."""
    xp, T = namespace(steps.x), steps.x.dtype.type
    n = len(steps.x)
    width = T(settings.width)
    count = xp.zeros(n, dtype=np.int64)
    place = (steps.volume, tables.volumes, tables.planes, width)
    count_pairs(n, steps.x, steps.y, steps.sigma_T, *place, count)
    first_pair = offsets(count)
    index = [xp.zeros(int(first_pair[-1]), dtype=np.int64) for _ in range(7)]
    step_tick = batch.tick[steps.segment]
    pair(
        n,
        steps.x,
        steps.y,
        steps.arrival,
        steps.sigma_t,
        steps.sigma_T,
        steps.volume,
        step_tick,
        tables.volumes,
        tables.planes,
        width,
        T(detector.tick),
        first_pair,
        *index,
    )
    step, column, row, pixel, *ticks = index
    event = batch.event[steps.segment[step]]
    memory = tables.decay.shape[1]
    pairs, windows = group(step, column, row, pixel, event, step_tick, *ticks, memory, settle(detector), settings.block)
    return pairs, windows, first_pair


def make_waveforms(steps, batch, tables, detector, settings, launch=plain):
    """Spread, induce, collect, conserve, or the stages of tabulated.py; where there is a rise time, buffer."""
    if tables.response is not None:
        current, pairs, windows = tabulated_current(steps, batch, tables, detector, settings, settle(detector), launch)
        return Waveforms(current, steps, pairs, windows, behind_buffer(current, windows, detector, launch))
    xp, T = namespace(steps.x), steps.x.dtype.type
    pairs, windows, first_pair = make_pairs(steps, batch, tables, detector, settings)
    n, width = len(pairs.step), settings.nodes + 3
    node_x, node_y, weight_x, weight_y = (xp.zeros((n, width), dtype=T) for _ in range(4))
    nodes_x, nodes_y = (xp.zeros(n, dtype=np.int32) for _ in range(2))
    pair_arrival, pair_sigma = (xp.zeros(n, dtype=T) for _ in range(2))
    launch(
        spread,
        n,
        steps.x,
        steps.y,
        steps.distance,
        steps.charge,
        steps.arrival,
        steps.sigma_t,
        steps.sigma_T,
        steps.volume,
        tables.volumes,
        pairs.step,
        pairs.x,
        pairs.y,
        T(settings.width),
        settings.nodes,
        tables.gauss_point,
        tables.gauss_weight,
        node_x,
        node_y,
        weight_x,
        weight_y,
        nodes_x,
        nodes_y,
        pair_arrival,
        pair_sigma,
        adjoint_threads=len(steps.x),
        first_pair=first_pair,
        pair_place=inverse(pairs.order),
    )
    nodes = (node_x, node_y, weight_x, weight_y, nodes_x, nodes_y)
    tick = T(detector.tick)
    row = xp.zeros(int(pairs.first_row[-1]), dtype=T)
    tail = xp.zeros((n, len(tables.decay)), dtype=T)
    ticks = (pairs.first_tick, pairs.tail_tick, pairs.first_row)
    launch(induce, n, pair_arrival, pair_sigma, pairs.tick, *ticks, *nodes, tick, row, tail)
    of_pair = owners(windows.pair, n)
    current, waveform = (xp.zeros(int(windows.first[-1]), dtype=T) for _ in range(2))
    launch(
        collect,
        len(windows.block_window),
        windows.block_window,
        windows.block_tick,
        windows.pair,
        *ticks,
        row,
        tail,
        tables.decay,
        settings.block,
        current,
        adjoint_threads=n,
        pair_start=windows.first[of_pair] + pairs.first_tick - windows.tick[of_pair],
    )
    launch(conserve, len(windows.tick), windows.pair, windows.first, *nodes[2:], tick, current, waveform)
    return Waveforms(waveform, steps, pairs, windows, behind_buffer(waveform, windows, detector, launch))


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


def make_charges(waveforms, target, detector, launch=plain):
    """Likelihood: charges between measured hits.

    before, during, rate, resume (n_pixels, max_hits) and after (n_pixels,), see `likelihood`.
    """
    xp, T = namespace(waveforms.current), waveforms.current.dtype.type
    windows = waveforms.windows
    before, during, rate, resume = (xp.zeros(target.part.shape, dtype=T) for _ in range(4))
    after = xp.zeros(len(windows.pixel), dtype=T)
    launch(
        likelihood,
        len(windows.pixel),
        waveforms.buffered,
        windows.of_pixel,
        windows.first,
        windows.tick,
        target.count,
        target.tick,
        target.part,
        T(detector.tick),
        detector.hold_ticks,
        detector.reset_cycles,
        before,
        during,
        rate,
        resume,
        after,
    )
    return before, during, rate, resume, after


def make_adc(reads, gain, offset, detector, rounded=True, launch=plain):
    """Digitize: ADC counts of the reads (n_pixels, max_hits); gain [mV/e] and offset [mV] of the pixels (n_pixels,)."""
    T = reads.charge.dtype.type
    adc = namespace(reads.charge).zeros_like(reads.charge)
    scale = (T(detector.v_ref - detector.v_cm), T(detector.adc_counts))
    launch(digitize, len(adc), reads.charge, reads.count, gain, offset, *scale, rounded, adc)
    return adc
