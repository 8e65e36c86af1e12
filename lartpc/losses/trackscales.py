"""Charges of tracks as unknowns: a factor for each, eliminated from the likelihood of the waveforms of a batch.

The model is a sum over tracks, M = sum over k of c_k M_k, so that at any parameters the factors c are those of linear
least squares, with a prior of some width about 1 or none. With A_kl = <M_k, M_l>, b_k = <M_k, D - M(c = 1)> and
P = 1/width^2:

    c = 1 + (A + P)^-1 b,    F' = F - X (A + P)^-1 X^T

F is the information of the parameters with the factors held, X_ik = <dM/di, M_k>, F' that with the factors free (Schur
complement). Value and gradient are those at c, where the derivative by the factors is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.fft

from lartpc.arrays import namespace, offsets, to_numpy
from lartpc.exceptions import InputError
from lartpc.gradients.waveforms import bare_slopes
from lartpc.response.windows import Windows
from lartpc.simulation.batches import Batch
from lartpc.wires.spans import Stretches, spans_of

if TYPE_CHECKING:
    from lartpc.losses.waveforms import Regions, WaveformObjective

WIDTHS = (1e-9, 1e9)  # of priors
DEGENERATE = 1e-10  # relative eigenvalue of A + P below which tracks are the same: what tells them apart stays at 1


class Tracks(NamedTuple):
    """A batch with each of its tracks, the segments of one event with the same traj_id, as an event of its own."""

    batch: Batch
    event: np.ndarray  # (n_tracks,) index of the event of each, rising

    @staticmethod
    def of(batch: Batch, traj_id: np.ndarray) -> Tracks:
        """Those of a batch, whose segments are of trajectories (n_segments,)."""
        xp = namespace(batch.event)
        both, track = np.unique(np.stack((to_numpy(batch.event), traj_id), axis=1), axis=0, return_inverse=True)
        order = np.argsort(track.reshape(-1), kind="stable")
        single = batch.select(xp.asarray(order))
        event = both[:, 0]
        ids = to_numpy(batch.event_id)[event]
        return Tracks(single._replace(event=xp.asarray(track.reshape(-1)[order]), event_id=xp.asarray(ids)), event)


class Parts(NamedTuple):
    """What tracks give in regions: n parts, in the order of regions and tracks."""

    region: np.ndarray  # (n,) int64
    track: np.ndarray  # (n,) int64
    first: np.ndarray  # (n + 1,) int64, first sample of each
    at: np.ndarray  # (n_samples,) int64, where each is among the samples of the regions

    @staticmethod
    def of(windows: Windows, tracks: Tracks, regions: Regions, event_id: np.ndarray) -> Parts:
        """Those of the windows of tracks in regions of their channels; event_id (n_events,): ids of the batch."""
        event, channel = np.searchsorted(event_id, regions.event), regions.channel
        track, seen = to_numpy(windows.event), to_numpy(windows.pixel)
        most = 1 + int(max(channel.max(initial=0), seen.max(initial=0)))
        key, wanted = event * most + channel, tracks.event[track] * most + seen
        low, high = (np.searchsorted(key, wanted, side=side) for side in ("left", "right"))
        number = high - low
        of = np.repeat(np.arange(len(number)), number)
        region = low[of] + np.arange(len(of)) - np.repeat(np.cumsum(number) - number, number)
        order = np.lexsort((track[of], region))
        region = region[order]
        first = offsets(regions.ticks[region])
        at = np.repeat(regions.first[region] - first[:-1], regions.ticks[region]) + np.arange(int(first[-1]))
        return Parts(region, track[of][order], first, at)

    def summed(self, values: np.ndarray, n: int) -> np.ndarray:
        """Values of all samples of parts (..., n_samples), summed over tracks: those of the regions (..., n)."""
        rank = np.arange(len(self.region)) - np.searchsorted(self.region, self.region)
        of_sample = np.repeat(rank, np.diff(self.first))
        result = np.zeros((*values.shape[:-1], n), dtype=values.dtype)
        for k in range(int(rank.max(initial=-1)) + 1):
            own = slice(None) if not rank.any() else of_sample == k
            result[..., self.at[own]] += values[..., own]
        return result


def check_width(width: float) -> None:
    """Raise InputError for a width of the prior of which a fit makes no use."""
    low, high = WIDTHS
    if not low <= width <= high and width != np.inf:
        raise InputError(f"charge_scale: found {width:g}, allowed is a width from {low:g} to {high:g}, or infinite")


class TrackFit:
    """The factors of the tracks of batch k of an objective at the parameters `vector`, fitted to its data.

    residual (n_samples,) and slopes (n_slots, n_samples): of regions, with the factors as fitted; change (n_tracks,) of
    the factors from 1; penalty: of the prior.
    """

    def __init__(self, objective: WaveformObjective, k: int, vector: Any, slots: np.ndarray, width: float) -> None:
        self.objective, self.regions, self.tracks = objective, objective.regions[k], objective.tracks[k]
        self.event_id = to_numpy(objective.batches[k].event_id)
        voltage, slopes = self._of_tracks(vector, slots)
        self.voltage, n = voltage, len(objective.data[k])
        self.prior = 0.0 if np.isinf(width) else 1.0 / width**2
        residual = objective.data[k] - self.parts.summed(voltage, n)
        found: list[tuple[np.ndarray, ...]] = []  # tracks and elements of A
        by_track = np.zeros(len(self.tracks.event))
        for part, weight in objective.pieces(self.regions):
            rows, of_region, wave = self._waves(part, weight)
            off = scipy.fft.rfft(residual[self._samples(part)]) * weight
            dots = _dots(off.view(wave.dtype)[of_region], wave)
            by_track += np.bincount(self.parts.track[rows], dots, len(by_track))
            found += self._products(rows, wave)
        self.products = tuple(np.concatenate([np.zeros(0, int), *one]) for one in zip(*found, strict=True))
        self.change = self._solved(by_track[None])[0]
        factor = (1.0 + self.change)[self.parts.track]
        of_sample = np.repeat(factor.astype(voltage.dtype), np.diff(self.parts.first))
        self.residual = objective.data[k] - self.parts.summed(of_sample * voltage, n)
        self.slopes = self.parts.summed(of_sample * slopes, n)
        self.cross = np.zeros((len(slots), len(by_track)))
        self.penalty = 0.5 * self.prior * float(self.change @ self.change)

    def add(self, part: np.ndarray, weight: np.ndarray, waves: list[np.ndarray]) -> None:
        """Take the weighted transforms of slopes in the regions `part` into account, as `taken` needs them."""
        rows, of_region, wave = self._waves(part, weight)
        for i, one in enumerate(waves):
            dots = _dots(one.reshape(len(part), -1)[of_region], wave)
            self.cross[i] += np.bincount(self.parts.track[rows], dots, self.cross.shape[1])

    def taken(self, event_id: int | None) -> np.ndarray:
        """What the freedom of the tracks of an event, or of all, takes of the information (n_slots, n_slots).

        X (A + P)^-1 X^T, of what has been taken into account of these.
        """
        own = np.where(self.event_id[self.tracks.event] == event_id, self.cross, 0.0)
        cross = self.cross if event_id is None else own
        return cross @ self._solved(cross).T

    def _of_tracks(self, vector: Any, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Voltages of the parts (n_samples,) [mV] behind the high passes, and derivatives (n_slots, n_samples)."""
        simulation, tracks, regions = self.objective.simulation, self.tracks, self.regions
        if len(slots):
            bare, slopes = bare_slopes(simulation, tracks.batch, vector, slots.tolist())
        else:
            bare, slopes = simulation.bare(tracks.batch, vector), ()
        parts = self.parts = Parts.of(bare.windows, tracks, regions, self.event_id)
        start = regions.start[parts.region]
        ticks = regions.ticks[parts.region]
        spans = spans_of(bare.windows, Stretches(parts.track, regions.channel[parts.region], start, start + ticks))
        detector = simulation.detector
        passed = spans.behind_high_passes((bare.voltage, *slopes), detector.electronics, detector.tick)
        inside = np.repeat(spans.place - parts.first[:-1], ticks) + np.arange(int(parts.first[-1]))
        found = to_numpy(passed[:, simulation.xp.asarray(inside)])
        return found[0], found[1:]

    def _samples(self, part: np.ndarray) -> np.ndarray:
        """Of regions of one length (n, ticks)."""
        return self.regions.first[part][:, None] + np.arange(self.regions.ticks[part[0]])

    def _waves(self, part: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the parts in the regions `part`, ascending: which they are, their region there, weighted transforms."""
        rows = np.flatnonzero(np.isin(self.parts.region, part))
        of_region = np.searchsorted(part, self.parts.region[rows])
        samples = self.parts.first[rows][:, None] + np.arange(self.regions.ticks[part[0]])
        wave = scipy.fft.rfft(self.voltage[samples]) * weight[of_region]
        return rows, of_region, wave.view(self.voltage.dtype)

    def _products(self, rows: np.ndarray, wave: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Tracks and element of A of all pairs of tracks that share a region, of these parts."""
        region, track = self.parts.region[rows], self.parts.track[rows]
        for shift in range(len(rows)):
            first = np.flatnonzero(region[: len(rows) - shift] == region[shift:])
            if not len(first):
                break
            yield track[first], track[first + shift], _dots(wave[first], wave[first + shift])

    def _solved(self, right: np.ndarray) -> np.ndarray:
        """(A + P)^-1 of rows (n, n_tracks), event by event."""
        one, other, element = self.products
        result = np.zeros_like(right)
        for low, high in _runs(self.tracks.event):
            if not right[:, low:high].any():
                continue
            own = (one >= low) & (one < high)
            A, at = np.zeros((high - low, high - low)), (one[own] - low, other[own] - low)
            np.add.at(A, at, element[own])
            A = A + np.triu(A, 1).T  # parts of a region are in the order of tracks
            A[np.diag_indices(high - low)] += self.prior
            size = np.sqrt(np.diag(A))
            size = np.where(size > 0.0, size, 1.0)
            inverse = np.linalg.pinv(A / np.outer(size, size), rcond=DEGENERATE, hermitian=True)
            result[:, low:high] = right[:, low:high] / size @ inverse / size
        return result


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products of rows (n,), in double precision."""
    return np.einsum("ij,ij->i", a, b, dtype=np.float64)


def _runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and one after the last of each run of equal values (n,)."""
    edges = np.flatnonzero(np.diff(values, prepend=-1, append=-1))
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
