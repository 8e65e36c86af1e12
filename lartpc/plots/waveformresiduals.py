"""Residuals of waveforms: mean squares of the channels of each plane, and how those of regions are spread."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from lartpc.detector.wires import WireDetector
from lartpc.goodness.verdict import Verdict
from lartpc.goodness.waveforms import Squares

FARTHEST = 6.0  # deviations that are drawn; what is beyond is at the edge
BINS = 48


def waveform_residuals_figure(verdict: Verdict, detector: WireDetector) -> Figure:
    """The picture of a verdict on waveforms: a row of two panels for each plane that has regions."""
    found: Squares = verdict.examined
    kind = detector.channel_kind[found.channel]
    planes = np.unique(kind).tolist()
    figure = Figure(figsize=(12, 0.8 + 2.9 * len(planes)), dpi=130, layout="constrained")
    axes = figure.subplots(len(planes), 2, squeeze=False, width_ratios=(1.6, 1))
    for (channels, regions), k in zip(axes, planes, strict=True):
        rows = np.flatnonzero(kind == k)
        draw_channels(channels, found, rows)
        draw_regions(regions, found, rows)
        channels.set_title(f"plane {detector.kinds[k].name}: mean square {found.mean(rows):.4f}", fontsize=10)
    figure.suptitle(
        f"the model {'describes' if verdict.describes else 'does not describe'} the target: {len(kind)} regions",
        color="black" if verdict.describes else "tab:red",
    )
    return figure


def draw_channels(ax: Axes, found: Squares, rows: np.ndarray) -> None:
    """Mean square of each channel, with the deviation that noise has."""
    channel, of = np.unique(found.channel[rows], return_inverse=True)
    ticks = np.bincount(of, found.ticks[rows])
    mean = np.bincount(of, found.squares[rows]) / ticks
    ax.axhline(1.0, color="0.6", linewidth=1)
    ax.errorbar(channel, mean, np.sqrt(2.0 / ticks), fmt=".", markersize=3, linewidth=0.6, color="tab:blue")
    ax.set(xlabel="channel", ylabel="mean square of residuals")


def draw_regions(ax: Axes, found: Squares, rows: np.ndarray) -> None:
    """How far sums of squares of regions are off, in deviations, next to a normal distribution.

    Roots of third order of chi-squared numbers are normal: E. B. Wilson, M. M. Hilferty, PNAS 17 (1931) 684.
    """
    variance = 2.0 / (9.0 * found.ticks[rows])
    off = (np.cbrt(found.squares[rows] / found.ticks[rows]) - 1.0 + variance) / np.sqrt(variance)
    edges = np.linspace(-FARTHEST, FARTHEST, BINS + 1)
    counts, _ = np.histogram(np.clip(off, edges[0], edges[-1]), edges)
    ax.stairs(counts, edges, fill=True, color="tab:blue", alpha=0.6)
    middle = 0.5 * (edges[1:] + edges[:-1])
    ax.plot(middle, len(rows) * (edges[1] - edges[0]) * norm.pdf(middle), color="black", linewidth=1)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5)
    ax.set(xlabel="sum of squares, deviations off", ylabel="regions")
