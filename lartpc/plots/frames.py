"""Event display of wires: time against channel, a panel a plane, and the waveform of one channel with its truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lartpc.data.frames import Frame

_BLOCKS = 400  # of channels, and of ticks, that a panel shows at most: it has as many points
_SIGNAL = 5.0  # times the noise from which a sample is signal
_ROWS = 256  # channels that are worked on together
_COLUMNS = 3  # panels beside each other
_TOP = 1.5  # end of the scale of colours, in medians of the signal: what is common does not look pale
_GREY = "0.85"
_MARGIN = 40  # ticks around a signal


class PlaneImage(NamedTuple):
    """The samples of the channels of a plane."""

    name: str
    wires: np.ndarray  # (n,) numbers of wires or channels
    samples: np.ndarray  # (n, n_ticks) with their baseline
    tick: float  # [us]
    kind: str = "induction"  # or "collection"
    time: float = 0.0  # of the first sample [us]


def frames_figure(
    title: str, planes: Sequence[PlaneImage], unit: str = "ADC counts", most_columns: int = _COLUMNS
) -> Figure:
    """A panel a plane: samples less the median of their channel, induction by a diverging scale of colours, collection
    by a sequential one, each up to one and a half of the median of its signal. Channels that are not there are grey.
    """
    columns = min(most_columns, max(1, len(planes)))
    rows = -(-max(1, len(planes)) // columns)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    figure = Figure(figsize=(1.0 + 5.2 * columns, 0.6 + 5.4 * rows), dpi=110, layout=layout)
    figure.suptitle(title, fontsize=14)
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for ax, plane in zip(axes, planes, strict=False):
        draw_plane(ax, plane, unit)
    for ax in axes[len(planes) :]:
        ax.set_axis_off()
    return figure


def of_frames(frames: Iterable[Frame]) -> list[PlaneImage]:
    """All channels of each frame as one plane, as it is not known which are whose."""
    return [PlaneImage(f"anode {f.anode}", f.channels, f.samples, f.tick, time=f.time) for f in frames]


def draw_plane(ax: Axes, plane: PlaneImage, unit: str) -> None:
    """One plane; nothing but its name where it has no channel."""
    ax.set_title(f"{plane.name}: {len(plane.wires)} channels", fontsize=11)
    ax.set(xlabel="wire or channel", ylabel="time [µs]")
    if not plane.samples.size:
        ax.text(0.5, 0.5, "no channels", transform=ax.transAxes, ha="center", va="center", color=_GREY)
        return
    image, noise, low, high = pooled(plane)
    shown = np.abs(image[np.isfinite(image)])
    signal = shown[shown > _SIGNAL * noise]
    top = max(_TOP * float(np.median(signal)) if len(signal) else 0.0, _SIGNAL * noise) or 1.0
    induction = plane.kind == "induction"
    end = plane.time + plane.samples.shape[1] * plane.tick
    picture = ax.imshow(
        image.T,
        origin="lower",
        aspect="auto",
        interpolation="none",
        extent=(low - 0.5, high + 0.5, plane.time, end),
        cmap="RdBu_r" if induction else "OrRd",
        vmin=-top if induction else 0.0,
        vmax=top,
    )
    ax.set_facecolor(_GREY)
    figure: Any = ax.figure
    bar = figure.colorbar(
        picture, ax=ax, label=f"{unit} above the baseline", extend="both" if induction else "max", pad=0.02
    )
    bar.ax.tick_params(labelsize=9)


def pooled(plane: PlaneImage) -> tuple[np.ndarray, float, float, float]:
    """The picture of a plane (channels, ticks) in at most `_BLOCKS` blocks each way, the rms of its noise, and its
    first and last wire.

    A block shows its largest sample, of either sign, where that is signal next to the noise of its channels, and its
    mean elsewhere: thin tracks stay, while noise and the two halves of an induction pulse do not add up. Blocks without
    a channel are NaN.
    """
    n, n_ticks = plane.samples.shape
    wires = plane.wires.astype(np.float64)
    low, high = float(wires.min()), float(wires.max())
    across = int(min(_BLOCKS, high - low + 1))
    order = np.argsort(wires, kind="stable")
    block = np.minimum((wires[order] - low) / (high - low + 1) * across, across - 1).astype(np.int64)
    edges = np.unique(np.linspace(0, n_ticks, min(_BLOCKS, n_ticks) + 1).astype(np.int64))[:-1]
    total, lowest, highest = (np.zeros((n, len(edges)), dtype=np.float32) for _ in range(3))
    noise = np.zeros(n)
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        part = plane.samples[order[rows]].astype(np.float32)
        part -= np.median(part, axis=1, keepdims=True)
        noise[rows] = noise_rms(part)
        total[rows] = np.add.reduceat(part, edges, axis=1)
        lowest[rows] = np.minimum.reduceat(part, edges, axis=1)
        highest[rows] = np.maximum.reduceat(part, edges, axis=1)
    rms = float(np.median(noise))
    there, first, count = np.unique(block, return_index=True, return_counts=True)
    loudest = np.maximum.reduceat(noise, first)
    average = np.add.reduceat(total, first) / (count[:, None] * np.diff(edges, append=n_ticks))
    below, above = np.minimum.reduceat(lowest, first), np.maximum.reduceat(highest, first)
    extreme = np.where(above >= -below, above, below)
    image = np.full((across, len(edges)), np.nan, dtype=np.float32)
    image[there] = np.where(np.abs(extreme) > _SIGNAL * loudest[:, None], extreme, average)
    return image, rms, low, high


def noise_rms(samples: np.ndarray) -> np.ndarray:
    """The rms of the noise of channels (n,), of their samples (n, n_ticks) about 0: of those within 3 of it.

    A median alone would be a whole number of counts.
    """
    size = np.abs(samples)
    inside = size <= 3.0 * 1.4826 * np.median(size, axis=1, keepdims=True)
    squares = np.sum(np.where(inside, size, 0.0) ** 2, axis=1, dtype=np.float64)
    result: np.ndarray = np.sqrt(squares / np.maximum(inside.sum(axis=1), 1))
    return result


def waveform_figure(
    title: str, samples: np.ndarray, tick: float, truth: np.ndarray | None = None, time: float = 0.0, unit: str = "ADC"
) -> Figure:
    """The waveform of one channel, `samples` (n_ticks,) less their median, from `time` [us] on, in steps of `tick`.

    `truth` (n_ticks,), in the same unit, is what it would be without noise, above the baseline; the picture shows where
    it is not 0, or without truth where the samples are signal, and beneath what is left.
    """
    figure = Figure(figsize=(11, 6.4 if truth is not None else 4.4), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=13)
    above = samples - np.median(samples)
    at = time + np.arange(len(above)) * tick
    shown = window(above if truth is None else truth)
    axes: Any = figure.subplots(2 if truth is not None else 1, 1, sharex=True, squeeze=False)
    if truth is not None:
        axes[0, 0].get_gridspec().set_height_ratios((2.4, 1))
    top, bottom = axes[0, 0], axes[-1, 0]
    top.step(at[shown], above[shown], where="mid", color="tab:blue", linewidth=1.1, label="as read")
    top.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
    top.set_ylabel(f"{unit} above the baseline")
    if truth is not None:
        top.plot(at[shown], truth[shown], color="tab:red", linewidth=1.6, label="without noise")
        bottom.step(at[shown], (above - truth)[shown], where="mid", color="0.35", linewidth=0.9)
        bottom.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
        bottom.set_ylabel("difference")
        top.legend(frameon=False, fontsize=10)
    bottom.set_xlabel("time [µs]")
    bottom.margins(x=0.01)
    return figure


def window(waveform: np.ndarray) -> slice:
    """The ticks of a waveform (n_ticks,) that are signal, and some around; all where none is."""
    noise = 1.4826 * float(np.median(np.abs(waveform)))
    least = max(_SIGNAL * noise, 0.005 * float(np.abs(waveform).max(initial=0.0)))
    used = np.flatnonzero(np.abs(waveform) > least)
    if not len(used):
        return slice(0, len(waveform))
    return slice(max(0, int(used[0]) - _MARGIN), int(used[-1]) + _MARGIN + 1)
