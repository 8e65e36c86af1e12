"""The charge chain on one batch of events: the only place that knows the order of the stages."""

import math
from typing import Any, NamedTuple

import numpy as np

from .kernels.buffer import buffer
from .kernels.conserve import conserve
from .kernels.digitize import digitize
from .kernels.drift import drift
from .kernels.gather import gather
from .kernels.induce import LANES, induce
from .kernels.likelihood import likelihood
from .kernels.pair import count_pairs, pair
from .kernels.quench import quench
from .kernels.share import choose, share
from .kernels.split import count_pieces, count_steps, pieces, split
from .kernels.spread import spread
from .kernels.trigger import trigger
from .lattice import Shares, lattice_current, step_ticks
from .tabulated import most_sites, tabulated_current
from .windows import Pairs, Windows, aligned, group, inverse, namespace, offsets, owners

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
    parametric: Any = None  # `parametric.Tables`; None where the response is tabulated
    response: Any = None  # `response.Tables`; None where it is parametric


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


def make_shares(steps, batch, tables, detector, launch=plain):
    """When the charge of the steps counts on the lattice of the parametric response: `Shares`."""
    xp, T = namespace(steps.x), steps.x.dtype.type
    n, table, lattice = len(steps.x), tables.parametric, tables.parametric.lattice
    step_table, site_t, sites_t = (xp.zeros(n, dtype=np.int64) for _ in range(3))
    choose(n, steps.distance, steps.sigma_t, steps.volume, table.of_volume, table.least, step_table)
    share_t = xp.empty((n, most_sites(steps.sigma_t, detector.tick / lattice.per_tick[step_table])), dtype=T)
    step_tick = batch.tick[steps.segment]
    inputs = (steps.arrival, steps.sigma_t, step_table, step_tick, lattice.per_tick, table.smooth, T(detector.tick))
    launch(share, n, *inputs, site_t, sites_t, share_t)
    return Shares(step_table, site_t, sites_t, share_t)


def make_pairs(steps, shares, batch, tables, detector, settings):
    """Which pixels see which steps, and when: `Pairs`, `Windows`, and the first pair of each step (n_steps + 1,)."""
    xp, T = namespace(steps.x), steps.x.dtype.type
    n = len(steps.x)
    count = xp.zeros(n, dtype=np.int64)
    place = (steps.x, steps.y, steps.sigma_T, steps.volume, tables.volumes, tables.planes, T(settings.width))
    count_pairs(n, *place, count)
    first_pair = offsets(count)
    index = [xp.zeros(int(first_pair[-1]), dtype=np.int64) for _ in range(4)]
    pair(n, *place, first_pair, *index)
    step, column, row, pixel = index
    event = batch.event[steps.segment[step]]
    first_tick, last_tick = step_ticks(tables.parametric.lattice, shares)
    ticks = (first_tick[step] - memory(detector, settings), last_tick[step] + settle(detector))
    pairs, windows = group(step, column, row, pixel, event, *ticks, settings.block)
    return pairs, windows, first_pair


def make_waveforms(steps, batch, tables, detector, settings, launch=plain):
    """Share, spread, induce, deposit, convolve, conserve, or the stages of tabulated.py; with a rise time, buffer."""
    if tables.response is not None:
        current, pairs, windows = tabulated_current(steps, batch, tables, detector, settings, settle(detector), launch)
        return Waveforms(current, steps, pairs, windows, behind_buffer(current, windows, detector, launch))
    xp, T = namespace(steps.x), steps.x.dtype.type
    table, tick = tables.parametric, T(detector.tick)
    shares = make_shares(steps, batch, tables, detector, launch)
    pairs, windows, first_pair = make_pairs(steps, shares, batch, tables, detector, settings)
    n, pair_place = len(pairs.step), inverse(pairs.order)
    lattice, is_used = table.lattice, xp.zeros(len(table.degree), dtype=bool)
    is_used[shares.table] = True
    used = xp.flatnonzero(is_used)
    most, most_rank = whole_lanes(table.degree[used]), whole_lanes(lattice.rank[used])
    moment_x, moment_y = (xp.empty((n, most), dtype=T) for _ in range(2))
    launch(
        spread,
        n,
        steps.x,
        steps.y,
        steps.distance,
        steps.charge,
        steps.sigma_T,
        steps.volume,
        tables.volumes,
        shares.table,
        table.degree,
        pairs.step,
        pairs.x,
        pairs.y,
        T(settings.width),
        T(math.erf(settings.width / math.sqrt(2.0))),
        settings.nodes,
        tables.gauss_point,
        tables.gauss_weight,
        moment_x,
        moment_y,
        adjoint_threads=len(steps.x),
        first_pair=first_pair,
        pair_place=pair_place,
    )
    coefficient = xp.empty((n, most_rank), dtype=T)
    space = aligned(table.space[: int(used.max()) + 1 if n else 0, :most, :most_rank, :most])
    of_table = (table.degree, lattice.rank, space)
    launch(induce, n, pairs.step, shares.table, moment_x, moment_y, *of_table, coefficient)
    extent = (memory(detector, settings), settle(detector), first_pair, pair_place)
    current = lattice_current(coefficient, pairs, windows, shares, lattice, *extent, launch)
    waveform = xp.empty_like(current)
    launch(conserve, len(windows.tick), windows.pair, windows.first, moment_x, moment_y, tick, current, waveform)
    return Waveforms(waveform, steps, pairs, windows, behind_buffer(waveform, windows, detector, launch))


def whole_lanes(numbers):
    """The largest of some numbers, up to a multiple of LANES."""
    return -(-int(numbers.max()) // LANES) * LANES if len(numbers) else LANES


def memory(detector, settings):
    """Ticks for which the parametric response is followed back before its first lag."""
    return round(settings.memory / detector.tick)


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
