"""Deposits seen by wires, each an event of its own, and how waveforms change with what each of them has of its own.

Voltages are sums over deposits. So all are simulated at once as events of one batch, and central differences need two
simulations for each number that a deposit has, not for each deposit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from lartpc.arrays import owners, to_numpy
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.losses.linear import Normal
from lartpc.losses.waveforms import PAD, NoiseWeights, Regions, regions_of
from lartpc.simulation.wires import WireSimulation, WireWaveforms

Read = Callable[[int, int, int, int], np.ndarray | None]  # data of event, channel, first tick, ticks [mV]


class Sources(NamedTuple):
    """Straight deposits (n,), in the simulation frame; of one event."""

    start: np.ndarray  # (n, 3) [cm]
    end: np.ndarray  # (n, 3)
    dE: np.ndarray  # (n,) [MeV]
    dEdx: np.ndarray  # (n,) [MeV/cm]
    t0: float  # [us]

    def moved(self, start: np.ndarray, end: np.ndarray) -> Sources:
        """With their ends moved by vectors (n, 3) or (3,)."""
        return self._replace(start=self.start + start, end=self.end + end)

    def segments(self, event_id: np.ndarray) -> Segments:
        """Of events (n,)."""
        n = len(self.dE)
        columns: dict[str, Any] = {f"{a}_start": self.start[:, k] for k, a in enumerate("xyz")}
        columns |= {f"{a}_end": self.end[:, k] for k, a in enumerate("xyz")}
        ids, zero = np.arange(n), np.zeros(n, dtype=np.int64)
        return Segments(event_id, ids, zero, zero, **columns, dE=self.dE, dEdx=self.dEdx, t0=np.full(n, self.t0))


class Change(NamedTuple):
    """A number that each source has: the sources with it greater and less, and the difference of both."""

    more: Sources
    less: Sources
    by: float


class Seen(NamedTuple):
    """Residuals of regions, and the derivatives of the model by what sources have, where they are not 0.

    Of pair p of a source and a region, derivatives by its numbers are slopes[:, first[p] : first[p] + ticks].
    """

    regions: Regions
    residual: np.ndarray  # (n_samples,) data - model [mV]
    source: np.ndarray  # (n_pairs,) int64, in the order of regions
    region: np.ndarray  # (n_pairs,) int64
    first: np.ndarray  # (n_pairs + 1,) int64
    slopes: np.ndarray  # (n_numbers, first[-1])


def simulated(simulation: WireSimulation, sources: Sources, apart: bool, settled: bool = True) -> WireWaveforms:
    """Voltages of sources, each its own event, or all of one; `settled`: as far as a region goes.

    Raises InputError where single events have parameters of their own: ids here are none of the data.
    """
    for name in simulation.parameters.of_events:
        raise InputError(f"parameter {name}: found in a reconstruction, allowed with wires is t0_offset of all events")
    n = len(sources.dE)
    event_id = np.arange(n) if apart else np.zeros(n, dtype=np.int64)
    settle = 2 * PAD if settled and simulation.detector.electronics.rc else 0
    return simulation.waveforms(simulation.batch(sources.segments(event_id)), simulation.vector(), settle=settle)


def windows_of(waveforms: WireWaveforms) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Event, by its index, channel, first tick and samples of each window."""
    windows = waveforms.windows
    first, tick, voltage = (to_numpy(array) for array in (windows.first, windows.tick, waveforms.voltage))
    pixel = owners(to_numpy(windows.of_pixel), len(tick))
    event, channel = to_numpy(windows.event)[pixel], to_numpy(windows.pixel)[pixel]
    columns = (event, channel, tick, first[:-1], first[1:])
    for of, on, begin, low, high in zip(*(column.tolist() for column in columns), strict=True):
        yield of, on, begin, voltage[low:high]


def seen(
    simulation: WireSimulation, read: Read, event_id: int, sources: Sources, changes: Sequence[Change], scaled: bool
) -> Seen:
    """Around what sources give: data less the model, and slopes by `changes` and, where `scaled`, by log(dE), last.

    Raises InputError where there are no data.
    """
    d = simulation.detector
    ticks = range(d.first_tick, d.first_tick + d.n_ticks)
    bare = simulated(simulation, sources, apart=False, settled=False)
    regions = regions_of(bare, np.array([event_id]), ticks)
    data = [read(*row) for row in zip(*(column.tolist() for column in regions[:4]), strict=True)]
    if not any(one is not None for one in data):
        raise InputError(f"event {event_id}: no data where the deposits give signal")
    regions = regions.select(np.array([one is not None for one in data]))
    residual = np.concatenate([one for one in data if one is not None]).astype(simulation.dtype)
    at = _Places(regions)
    for _, channel, tick, samples in windows_of(simulated(simulation, sources, apart=False)):
        place = at.of(channel, tick, len(samples))
        if place is not None:
            residual[regions.first[place.region] + place.begin :][: place.n] -= samples[place.skip :][: place.n]
    apart = [(simulated(simulation, sources, apart=True), len(changes), 1.0)] if scaled else []
    for k, change in enumerate(changes):
        apart += [(simulated(simulation, change.more, apart=True), k, 1.0 / change.by)]
        apart += [(simulated(simulation, change.less, apart=True), k, -1.0 / change.by)]
    pieces = [
        (place.region, source, k, factor, place, samples)
        for found, k, factor in apart
        for source, channel, tick, samples in windows_of(found)
        if (place := at.of(channel, tick, len(samples))) is not None
    ]
    key = np.array([region * len(sources.dE) + source for region, source, *_ in pieces], dtype=np.int64)
    pairs, of = np.unique(key, return_inverse=True)
    region, source = np.divmod(pairs, len(sources.dE))
    first = np.concatenate(([0], np.cumsum(regions.ticks[region])))
    slopes = np.zeros((len(changes) + scaled, first[-1]), dtype=simulation.dtype)
    for pair, (_, _, k, factor, place, samples) in zip(of.tolist(), pieces, strict=True):
        slopes[k, first[pair] + place.begin :][: place.n] += factor * samples[place.skip :][: place.n]
    return Seen(regions, residual, source, region, first, slopes)


class _Place(NamedTuple):
    """Where a window lies in a region: `n` samples from `skip` on, which begin at `begin` of the region."""

    region: int
    begin: int
    skip: int
    n: int


class _Places:
    """Regions by channel, as windows ask for them."""

    def __init__(self, regions: Regions) -> None:
        self.of_channel: dict[int, list[tuple[int, int, int]]] = {}
        columns = (regions.channel.tolist(), regions.start.tolist(), regions.ticks.tolist())
        for k, (channel, start, ticks) in enumerate(zip(*columns, strict=True)):
            self.of_channel.setdefault(channel, []).append((k, start, ticks))

    def of(self, channel: int, tick: int, n: int) -> _Place | None:
        """The region that a window is in; None where there is none. Regions are further apart than windows reach."""
        for region, start, ticks in self.of_channel.get(channel, ()):
            low, high = max(tick, start), min(tick + n, start + ticks)
            if low < high:
                return _Place(region, low - start, low - tick, high - low)
        return None


def normal(weights: NoiseWeights, found: Seen, n_sources: int, blur: float = 0.0) -> Normal:
    """-log likelihood with its gradient and information by all numbers of all sources, source by source."""
    regions, k = found.regions, len(found.slopes)
    gradient, information = np.zeros(n_sources * k), np.zeros((n_sources * k,) * 2)
    pair = np.searchsorted(found.region, np.arange(len(regions.start) + 1))
    squares = 0.0
    for ticks in np.unique(regions.ticks).tolist():
        rows = np.flatnonzero(regions.ticks == ticks)
        for r, root in zip(rows.tolist(), weights.of(regions.channel[rows], ticks, blur), strict=True):
            off = _real(scipy.fft.rfft(found.residual[regions.first[r] : regions.first[r + 1]]) * root)
            squares += float(off @ off)
            if pair[r] == pair[r + 1]:
                continue
            own = found.slopes[:, found.first[pair[r]] : found.first[pair[r + 1]]].reshape(k, -1, ticks)
            waves = _real(scipy.fft.rfft(own) * root).transpose(1, 0, 2).reshape(-1, len(off))
            at = (found.source[pair[r] : pair[r + 1], None] * k + np.arange(k)).reshape(-1)
            gradient[at] -= waves @ off
            information[np.ix_(at, at)] += waves @ waves.T
    return Normal(0.5 * squares, gradient, information, squares, int(regions.ticks.sum()), len(regions.start))


def _real(waves: np.ndarray) -> np.ndarray:
    """Complex numbers (..., n) as real ones (..., 2 n)."""
    return waves.view(waves.real.dtype)
