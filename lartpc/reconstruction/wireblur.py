"""Waveforms blurred across wires and in time, so that a track that is far off still sees the data.

Data less model, channels x ticks of a plane, become A R B^T: rows of A are Gaussians of `sigma` wires, rows of B of 1.9
`sigma` ticks, as far apart as they are wide. On induction planes B integrates over time first, as signals that go up
and down vanish under a blur: a cumulative sum less the straight line to its last value, without which the random walk
of the noise is all that is left. Each is over the noise that it has: of independent channels |A_i|^2 times B_j C B_j^T,
C the covariance of the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lartpc.detector.wires import WireDetector
from lartpc.losses.linear import Normal
from lartpc.reconstruction.wiremodel import Change, Read, Sources, simulated, windows_of
from lartpc.simulation.wires import WireSimulation
from lartpc.wires.digitize import rounding_variance
from lartpc.wires.noise import both_sides, spectrum

TICKS_A_WIRE = 1.9  # of the blur: 3 mm are 1.9 us at 0.16 cm/us
MARGIN = 3.0  # sigma around what the model has

Windows = list[tuple[int, int, np.ndarray]]  # channel, first tick, samples


class Image(NamedTuple):
    """Part of a plane's channels and ticks, and the blur of it."""

    channels: range
    ticks: range
    across: np.ndarray  # A (n_rows, n_channels), with |A_i| = 1
    along: np.ndarray  # B (n_columns, n_ticks), over the noise

    def blurred(self, windows: Windows) -> np.ndarray:
        """Of the windows that lie in it (n_rows, n_columns)."""
        found = np.zeros((len(self.channels), len(self.ticks)))
        for channel, tick, samples in windows:
            low, high = max(tick, self.ticks.start), min(tick + len(samples), self.ticks.stop)
            if channel in self.channels and low < high:
                found[channel - self.channels.start, low - self.ticks.start : high - self.ticks.start] += samples[
                    low - tick : high - tick
                ]
        lit = np.flatnonzero(found.any(axis=1))
        return self.across[:, lit] @ (found[lit] @ self.along.T)


def blurred_normal(
    simulation: WireSimulation,
    read: Read,
    event_id: int,
    source: Sources,
    changes: Sequence[Change],
    sigma: float,
) -> Normal:
    """As `normal` of one source, by `changes` and log(dE), of waveforms blurred by `sigma` wires."""
    model, *others = (
        _windows(simulation, one) for one in (source, *(side for change in changes for side in change[:2]))
    )
    n = len(changes) + 1
    gradient, information, squares, residuals, images = np.zeros(n), np.zeros((n, n)), 0.0, 0, 0
    for image in _images(simulation.detector, model, sigma):
        rows = [(channel, read(event_id, channel, image.ticks.start, len(image.ticks))) for channel in image.channels]
        data = [(channel, image.ticks.start, samples) for channel, samples in rows if samples is not None]
        usable = {channel for channel, *_ in data}
        own = [[one for one in windows if one[0] in usable] for windows in (model, *others)]
        base, *moved = (image.blurred(windows).reshape(-1) for windows in own)
        off = image.blurred(data).reshape(-1) - base
        pairs = zip(moved[::2], moved[1::2], changes, strict=True)
        slopes = np.stack([*((more - less) / change.by for more, less, change in pairs), base])
        gradient -= slopes @ off
        information += slopes @ slopes.T
        squares, residuals, images = squares + float(off @ off), residuals + len(off), images + 1
    return Normal(0.5 * squares, gradient, information, squares, residuals, images)


def _windows(simulation: WireSimulation, source: Sources) -> Windows:
    found = windows_of(simulated(simulation, source, apart=False))
    return [(channel, tick, samples) for _, channel, tick, samples in found]


def _images(d: WireDetector, model: Windows, sigma: float) -> list[Image]:
    """Of each plane that the model reaches."""
    images = []
    reach = int(np.ceil(MARGIN * sigma))
    reach_t = int(np.ceil(MARGIN * TICKS_A_WIRE * sigma))
    for first, n in sorted({*zip(d.planes.first_channel.tolist(), d.planes.wrap.tolist(), strict=True)}):
        own = [(channel, tick, tick + len(samples)) for channel, tick, samples in model if first <= channel < first + n]
        if not own:
            continue
        channel, begin, end = np.array(own).T
        channels = range(max(int(channel.min()) - reach, first), min(int(channel.max()) + reach + 1, first + n))
        ticks = range(
            max(int(begin.min()) - reach_t, d.first_tick), min(int(end.max()) + reach_t, d.first_tick + d.n_ticks)
        )
        if len(ticks) < 2:
            continue
        along = _gaussians(len(ticks), TICKS_A_WIRE * sigma)
        kind = int(d.channel_kind[channels.start])
        if d.kinds[kind].kind == "induction":
            along = _of_sums(along)
        along /= _noise(d, kind, float(np.median(d.channel_length[channels])), along)[:, None]
        images.append(Image(channels, ticks, _gaussians(len(channels), sigma), along))
    return images


def _gaussians(n: int, sigma: float) -> np.ndarray:
    """Gaussians over n places, as far apart as they are wide, with a sum of squares of 1 (m, n)."""
    m = int(np.ceil(n / sigma))
    centre = 0.5 * (n - 1) + sigma * (np.arange(m) - 0.5 * (m - 1))
    rows = np.exp(-0.5 * ((np.arange(n) - centre[:, None]) / sigma) ** 2)
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def _of_sums(rows: np.ndarray) -> np.ndarray:
    """What of samples gives `rows` (m, n) of their cumulative sum less the straight line to its last value."""
    n = rows.shape[1]
    line = rows @ (np.arange(n) / (n - 1))
    return np.cumsum(rows[:, ::-1], axis=1)[:, ::-1] - line[:, None]


def _noise(d: WireDetector, kind: int, length: float, rows: np.ndarray) -> np.ndarray:
    """Standard deviations of sums of samples of noise with weights `rows` (m, n) [mV]."""
    power = spectrum(d.noise, kind, length, d.n_ticks, d.tick, d.electronics)
    waves = np.abs(np.fft.rfft(rows, d.n_ticks, axis=1)) ** 2
    variance = waves @ (both_sides(d.n_ticks) * power) / d.n_ticks**2
    variance += rounding_variance(d.adc) * np.sum(rows**2, axis=1)
    return np.sqrt(variance)
