"""The likelihood of waveforms: Gaussian noise with a known spectrum, on regions of channels and time around signals.

    -log L = 1/2 sum over regions and frequencies f of w_f |D_f - M_f|^2/S_f,  w_f = 1 for f = 0 and n/2, else 2

D, M are DFTs of data and model over the n samples of a region, S_f the noise's mean |DFT|^2. A region ends well after
its signals, so that it does not matter that its noise is not periodic. With a blur sigma, S_f is its mean, and terms
have the weight exp(-(2 pi f sigma)^2): pulses that are apart by less than sigma still see each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from lartpc.arrays import owners, to_numpy
from lartpc.contracts import ChainUnknowns
from lartpc.data.segments import Segments
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.gradients.waveforms import bare_slopes
from lartpc.losses.linear import Normal
from lartpc.losses.trackscales import TrackFit, Tracks, check_width
from lartpc.parameters import event_of
from lartpc.response.windows import Windows
from lartpc.simulation.wires import WireSimulation, WireWaveforms
from lartpc.wires.digitize import rounding_variance
from lartpc.wires.noise import both_sides, spectrum
from lartpc.wires.spans import Spans, Stretches, spans_of

PAD = 256  # ticks on either side of what the model has where a fit begins
STEP = 256  # ticks: lengths of regions are multiples of it, or all that is read
AT_ONCE = 1 << 22  # samples of regions that are transformed together


class Regions(NamedTuple):
    """Where data and model are compared: n regions in the order of event, channel and time."""

    event: np.ndarray  # (n,) int64, ids
    channel: np.ndarray  # (n,) int64
    start: np.ndarray  # (n,) int64, ticks
    ticks: np.ndarray  # (n,) int64
    first: np.ndarray  # (n + 1,) int64, first sample of each

    def select(self, rows: np.ndarray) -> Regions:
        """The given regions (indices, or a mask of shape (n,)) alone, in their order."""
        ticks = self.ticks[rows]
        first = np.concatenate(([0], np.cumsum(ticks)))
        return Regions(self.event[rows], self.channel[rows], self.start[rows], ticks, first)

    def spans(self, windows: Windows, event_id: np.ndarray) -> tuple[Spans, np.ndarray]:
        """Windows that hold those of a model and the regions, and where the samples of these are in them (n_samples,).

        `event_id` (n_events,): ids, rising, of the events of the windows.
        """
        event = np.searchsorted(event_id, self.event)
        spans = spans_of(windows, Stretches(event, self.channel, self.start, self.start + self.ticks))
        return spans, np.repeat(spans.place - self.first[:-1], self.ticks) + np.arange(self.first[-1])


def regions_of(waveforms: WireWaveforms, event_id: np.ndarray, ticks: range) -> Regions:
    """Regions around all windows of waveforms, within `ticks` that are read; those that would overlap are one.

    There may be none.
    """
    windows = waveforms.windows
    first, tick = to_numpy(windows.first), to_numpy(windows.tick)
    pixel = owners(to_numpy(windows.of_pixel), len(tick))
    events, channels = event_id[to_numpy(windows.event)][pixel], to_numpy(windows.pixel)[pixel]
    rows: list[tuple[int, int, range]] = []
    columns = (events, channels, tick, tick + np.diff(first))
    for event, channel, begin, end in zip(*(column.tolist() for column in columns), strict=True):
        if end <= ticks.start or begin >= ticks.stop:
            continue
        region = _around(begin - PAD, end + PAD, ticks)
        while rows and rows[-1][:2] == (event, channel) and rows[-1][2].stop > region.start:
            before = rows.pop()[2]
            region = _around(min(before.start, region.start), max(before.stop, region.stop), ticks)
        rows.append((event, channel, region))
    table = np.array([(event, channel, region.start, len(region)) for event, channel, region in rows], dtype=np.int64)
    table = table.reshape(-1, 4)
    table = table[np.lexsort(table.T[2::-1])]
    event_ids, of_channel, start, n = table.T
    return Regions(event_ids, of_channel, start, n, np.concatenate(([0], np.cumsum(n))))


def _around(begin: int, end: int, ticks: range) -> range:
    """A region of whole steps of its length that has what is read from begin to end (not included)."""
    n = min(-(-(end - begin) // STEP) * STEP, len(ticks))
    low = min(max(begin - (n - (end - begin)) // 2, ticks.start), ticks.stop - n)
    return range(low, low + n)


class NoiseWeights:
    """What residuals of regions are weighted with at each frequency: the noise of a detector's channels."""

    def __init__(self, detector: WireDetector, dtype: np.dtype) -> None:
        self.detector, self.dtype = detector, dtype
        self.powers: dict[tuple[int, float, int], np.ndarray] = {}  # those found, by kind, length and ticks

    def of(self, channel: np.ndarray, ticks: int, blur: float = 0.0) -> np.ndarray:
        """Roots of w_f/S_f of channels (n, ticks//2 + 1), with a blur [us]."""
        d = self.detector
        of_wire = np.stack((d.channel_kind[channel].astype(np.float64), np.round(d.channel_length[channel])), axis=1)
        wires, of = np.unique(of_wire, axis=0, return_inverse=True)
        power = np.stack([self.power(int(kind), length, ticks) for kind, length in wires.tolist()])
        both = both_sides(ticks)
        if blur:
            both *= np.exp(-((2.0 * np.pi * np.fft.rfftfreq(ticks, d.tick) * blur) ** 2))
            power = power.mean(axis=1, keepdims=True)
        return np.sqrt(both / power).astype(self.dtype)[of.reshape(-1)]

    def power(self, kind: int, length: float, ticks: int) -> np.ndarray:
        """`power_of_part`, found once."""
        key = (kind, length, ticks)
        if key not in self.powers:
            self.powers[key] = power_of_part(self.detector, *key)
        return self.powers[key]


class WaveformObjective:
    """-log likelihood of waveforms by unknown parameters, as an optimizer takes it.

    `read(event_id, channel, start, ticks)` gives the data of one channel, (ticks,) [mV] above its baseline, or None
    where it has none that are usable: they are left out, as are channels that are off. It is asked event by event, each
    region once.

    `charge_scale`: of each track, the segments of an event with the same traj_id, the dE has a factor that is not
    known, but for a prior of this relative width about 1; infinite: none. See `trackscales`.

    Raises InputError where the segments give no signal that is read, and for another `charge_scale` than 1e-9 to 1e9,
    or infinite.
    """

    def __init__(
        self,
        simulation: WireSimulation,
        segments: Segments,
        read: Callable[[int, int, int, int], np.ndarray | None],
        unknowns: ChainUnknowns,
        progress: Callable[[Iterable], Iterable] = lambda batches: batches,
        charge_scale: float | None = None,
    ) -> None:
        if charge_scale is not None:
            check_width(charge_scale)
        self.simulation = simulation = simulation.apart(unknowns.names)
        self.unknowns, self.progress, self.charge_scale = unknowns, progress, charge_scale
        self.single = {event_of(name): k for k, name in enumerate(unknowns.names) if event_of(name) is not None}
        self.blur, self.free = 0.0, np.ones(len(unknowns.names), dtype=bool)
        self.weights = NoiseWeights(simulation.detector, simulation.dtype)
        detector, start = simulation.detector, self.vector(unknowns.start)
        ticks = range(detector.first_tick, detector.first_tick + detector.n_ticks)
        self.batches, self.regions, self.data = [], [], []
        for batch in map(simulation.cut, simulation.batches(segments)):
            regions = regions_of(simulation.bare(batch, start), to_numpy(batch.event_id), ticks)
            regions = regions.select(~np.isin(regions.channel, detector.unread))
            found = [read(*row) for row in zip(*(column.tolist() for column in regions[:4]), strict=True)]
            data = [one for one in found if one is not None]
            if data:
                self.batches.append(batch)
                self.regions.append(regions.select(np.array([one is not None for one in found])))
                self.data.append(np.concatenate(data).astype(simulation.dtype))
        self.tracks = []
        if charge_scale is not None:
            made = [Tracks.of(batch, segments.traj_id[to_numpy(batch.place)]) for batch in self.batches]
            self.tracks = [one._replace(batch=simulation.cut(one.batch)) for one in made]
        if not self.batches:
            raise InputError("target: the segments give no signal on channels and at ticks that are read")

    def blurred(self, sigma: float, free: np.ndarray) -> WaveformObjective:
        """The same with a blur [us], and derivatives by those of the unknowns that are `free` (n,) alone, others 0.

        Charges of tracks are those of the segments.
        """
        other = object.__new__(WaveformObjective)
        other.__dict__.update(self.__dict__)
        other.blur, other.free, other.charge_scale = sigma, free, None
        return other

    def vector(self, values: np.ndarray) -> Any:
        """All parameters as the kernels take them."""
        return self.simulation.xp.asarray(self.unknowns.apply(values).astype(self.simulation.dtype))

    def __call__(self, values: np.ndarray, chosen: Sequence[int] | None = None) -> Normal:
        """Value, gradient and information with the unknowns at `values`, of all batches or those chosen.

        The velocity is known to a part of a million, next to the rounding of single precision: what that takes from
        the values is added again, to first order in the model.
        """
        wanted = range(len(self.batches)) if chosen is None else chosen
        found = sum_of([self.of_batch(k, values) for k in self.progress(wanted)])
        lost = values - to_numpy(self.vector(values))[self.unknowns.slots].astype(np.float64)
        change = found.information @ lost
        value = found.value + float(lost @ (found.gradient + 0.5 * change))
        return found._replace(value=value, gradient=found.gradient + change)

    def of_batch(self, k: int, values: np.ndarray) -> Normal:
        """The same of a batch, but for what single precision takes."""
        regions, groups = self.regions[k], self.groups(k)
        slots = self.unknowns.slots[max((columns for _, _, columns in groups), key=len)]
        tracks = self.track_fit(k, values, slots)
        residual, slopes = self.residuals(k, values, slots) if tracks is None else (tracks.residual, tracks.slopes)
        n, total = len(self.free), 0.0
        by_all, of_all = np.zeros(n), np.zeros((n, n))
        for event_id, rows, columns in groups:
            squares, gradient, information = self.compare(regions, residual, slopes[: len(columns)], tracks, rows)
            if tracks is not None:
                information = information - tracks.taken(event_id)[: len(columns), : len(columns)]
            total += float(squares.sum())
            by_all[columns] += gradient
            of_all[np.ix_(columns, columns)] += information
        value = 0.5 * total + (0.0 if tracks is None else tracks.penalty)
        return Normal(value, by_all, of_all, total, int(regions.ticks.sum()), len(regions.start))

    def groups(self, k: int) -> list[tuple[int | None, np.ndarray, np.ndarray]]:
        """Regions of a batch with the same unknowns: id of their event, which they are, indices of the free unknowns.

        All regions, of no one event, where none has unknowns of its own; these come last.
        """
        regions, single = self.regions[k], self.single
        common = np.setdiff1d(np.flatnonzero(self.free), list(single.values()))
        if not self.free[list(single.values())].any():
            return [(None, np.arange(len(regions.start)), common)]
        own = {event: [one] for event, one in single.items() if self.free[one]}
        return [
            (event, np.flatnonzero(regions.event == event), np.append(common, own.get(event, [])).astype(np.int64))
            for event in np.unique(regions.event).tolist()
        ]

    def squares(self, k: int, values: np.ndarray) -> np.ndarray:
        """Sum of squares of each region of a batch over its samples (n_regions,), without derivatives."""
        none = np.zeros(0, dtype=np.int64)
        tracks = self.track_fit(k, values, none)
        residual, slopes = self.residuals(k, values, none) if tracks is None else (tracks.residual, tracks.slopes)
        return self.compare(self.regions[k], residual, slopes)[0]

    def track_fit(self, k: int, values: np.ndarray, slots: np.ndarray) -> TrackFit | None:
        """The charges of the tracks of a batch, fitted; None where they are those of the segments."""
        width = self.charge_scale
        return None if width is None else TrackFit(self, k, self.vector(values), slots, width)

    def residuals(self, k: int, values: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Data less model of a batch (n_samples,) [mV], and derivatives of the model by `slots` (n_slots, n_samples).

        What high passes give goes on from a signal to the next region of its channel, however far that is.
        """
        simulation, batch, vector = self.simulation, self.batches[k], self.vector(values)
        if len(slots):
            bare, slopes = bare_slopes(simulation, batch, vector, slots.tolist())
        else:
            bare, slopes = simulation.bare(batch, vector), ()
        spans, inside = self.regions[k].spans(bare.windows, to_numpy(batch.event_id))
        detector = simulation.detector
        passed = spans.behind_high_passes((bare.voltage, *slopes), detector.electronics, detector.tick)
        found = to_numpy(passed[:, simulation.xp.asarray(inside)])
        return self.data[k] - found[0], found[1:]

    def compare(
        self,
        regions: Regions,
        residual: np.ndarray,
        slopes: np.ndarray,
        tracks: TrackFit | None = None,
        rows: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squares of each region (n_regions,) of residuals (n_samples,), gradient and information by slopes of the
        model (n, n_samples): of all regions or `rows` alone, 0 elsewhere. `tracks` take the transforms of slopes.
        """
        n, squares = len(slopes), np.zeros(len(regions.start))
        gradient, information = np.zeros(n), np.zeros((n, n))
        for part, weight in self.pieces(regions, rows):
            samples = regions.first[part][:, None] + np.arange(regions.ticks[part[0]])
            off = scipy.fft.rfft(residual[samples]) * weight
            squares[part] = np.sum(off.real**2 + off.imag**2, axis=1, dtype=np.float64)
            waves = [(scipy.fft.rfft(slope[samples]) * weight).ravel().view(slopes.dtype) for slope in slopes]
            flat = off.ravel().view(residual.dtype)
            gradient -= [float(wave @ flat) for wave in waves]
            for a, one in enumerate(waves):
                for b, other in enumerate(waves[: a + 1]):
                    information[a, b] += float(one @ other)
            if tracks is not None:
                tracks.add(part, weight, waves)
        return squares, gradient, np.tril(information) + np.tril(information, -1).T

    def pieces(self, regions: Regions, rows: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices (n,) of regions of one length, rising, which are transformed together, and their weights.

        Of all regions, or of `rows` alone.
        """
        rows = np.arange(len(regions.start)) if rows is None else rows
        for ticks in np.unique(regions.ticks[rows]).tolist():
            alike = rows[regions.ticks[rows] == ticks]
            for part in np.array_split(alike, -(-len(alike) * ticks // AT_ONCE)):
                yield part, self.weights.of(regions.channel[part], ticks, self.blur)


def power_of_part(detector: WireDetector, kind: int, length: float, ticks: int) -> np.ndarray:
    """Mean |DFT|^2 of a part of the noise of a channel (ticks//2 + 1,) [mV^2], with what rounding adds.

    Of samples with the covariance c(t): sum over -n < t < n of (n - |t|) c(t) exp(-2 pi i f t). A part is not periodic,
    and its steps at the ends have more of high frequencies than the noise itself.
    """
    d = detector
    covariance = np.fft.irfft(spectrum(d.noise, kind, length, d.n_ticks, d.tick, d.electronics), d.n_ticks) / d.n_ticks
    t = np.arange(ticks)
    folded = (ticks - t) * covariance[t] + t * np.roll(covariance[t][::-1], 1)
    return np.fft.rfft(folded).real + ticks * rounding_variance(d.adc)


def sum_of(parts: Sequence[Normal]) -> Normal:
    """The sum over batches."""
    return Normal(*(sum(column[1:], column[0]) for column in zip(*parts, strict=True)))
