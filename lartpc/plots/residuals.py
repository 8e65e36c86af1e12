"""Residuals of a target: against drift, dE/dx and angle, over the pixels, and its spectra with the model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lartpc.detector.detector import Detector
from lartpc.goodness.items import Examined, Seen
from lartpc.goodness.statistics import OF_HITS, Trend
from lartpc.goodness.verdict import Verdict

BY = {"drift": "distance to the anode [cm]", "dE/dx": "dE/dx [MeV/cm]", "cosine": "|cos| of the angle to the drift"}
TITLES = {"times": "charge lacking at the hit's time", "charges": "charge read, less expected"}
TPCS = 2  # at most, those with most hits
CLIP = 3.0  # residuals at which the colours end
BINS = 40
TAIL = 99.5  # per cent of the data that spectra reach to


def residuals_figure(verdict: Verdict, detector: Detector) -> Figure:
    """The picture of a verdict. Residuals are over the noise, less the mean of those that the model draws.

    A target without noise has none drawn: its residuals are as they are, its spectra alone.
    """
    examined = verdict.examined
    figure = Figure(figsize=(16, 10.5), dpi=130, layout="constrained")
    grid: Any = figure.add_gridspec(3, 4, width_ratios=(1, 1, 1, 1.3))
    of = {(one.what, one.by): one for one in verdict.trends}
    for row, (what, name) in enumerate(OF_HITS.items()):
        for column, (by, label) in enumerate(BY.items()):
            draw_trend(figure.add_subplot(grid[row, column]), of[what, by], label, TITLES[what])
        draw_map(figure, grid[row, 3], examined, detector, name, f"{what}: mean of the pixel")
    spectra: dict[str, Callable[[Seen], np.ndarray]] = {
        "charge of a hit [ke]": lambda seen: seen.charge / 1e3,
        "time between hits of a pixel [us]": gaps,
        "time of a hit less that expected [us]": lateness,
    }
    draw_numbers(figure.add_subplot(grid[2, 0]), examined)
    for column, (label, values) in enumerate(spectra.items(), start=1):
        draw_spectrum(figure.add_subplot(grid[2, column]), examined, label, values)
    figure.suptitle(
        f"{'the model describes the target' if verdict.describes else 'the model does not describe the target'}: "
        f"{examined.target.hits.sum()} hits" + (f"; left out: {told}" if (told := str(verdict.cleaning)) else ""),
        fontsize=13,
        color="black" if verdict.describes else "tab:red",
    )
    return figure


def draw_trend(ax: Axes, trend: Trend, label: str, title: str) -> None:
    """Mean residuals in bins, with their errors."""
    ax.axhline(0.0, color="0.6", linewidth=1)
    ax.errorbar(trend.center, trend.mean, trend.error, fmt="o", color="tab:blue", markersize=5, capsize=3)
    ax.set(xlabel=label, ylabel=f"{title} [noise]")
    ax.set_title(f"{trend.what}, {trend.significance:+.1f} deviations", fontsize=10)


def draw_map(figure: Figure, place: Any, examined: Examined, detector: Detector, name: str, title: str) -> None:
    """Mean residuals of the pixels of the TPCs with most hits, as far as hits are."""
    pixel = examined.spots.pixel_id[examined.target.spot]
    values = getattr(examined.target, name)
    known = np.isfinite(values)
    ids, of_pixel = np.unique(pixel[known], return_inverse=True)
    mean = np.bincount(of_pixel, values[known], len(ids)) / np.maximum(np.bincount(of_pixel, minlength=len(ids)), 1)
    tpc, _, _, x, y = detector.locate(ids)
    tpcs = np.sort(np.argsort(-np.bincount(tpc, minlength=len(detector.z_anode)), kind="stable")[:TPCS])
    tpcs = tpcs[np.isin(tpcs, tpc)]
    cells = place.subgridspec(1, max(len(tpcs), 1))
    axes = [figure.add_subplot(cells[0, k]) for k in range(max(len(tpcs), 1))]
    for ax, one in zip(axes, tpcs, strict=False):
        here = tpc == one
        order = np.argsort(np.abs(mean[here]), kind="stable")  # the largest on top
        dots = ax.scatter(
            x[here][order], y[here][order], c=mean[here][order], s=7, marker="s", cmap="RdBu_r", vmin=-CLIP, vmax=CLIP
        )
        ax.set_aspect("equal", adjustable="datalim")
        ax.set(xlabel="x [cm]", ylabel="y [cm]" if one == tpcs[0] else "")
        ax.set_title(f"TPC {one}", fontsize=10)
    if len(tpcs):
        figure.colorbar(dots, ax=axes, label=f"{title} [noise]", extend="both")


def draw_numbers(ax: Axes, examined: Examined) -> None:
    """How many pixels of events have how many hits."""
    most = int(max((seen.hits.max(initial=0) for seen in (examined.target, *examined.drawn)), default=0))
    edges = np.arange(-0.5, most + 1.0)
    draw_histograms(ax, edges, examined, lambda seen: seen.hits)
    ax.set_yscale("log")
    ax.locator_params(axis="x", integer=True)
    ax.set(xlabel="hits of a pixel", ylabel="pixels of events")


def draw_spectrum(ax: Axes, examined: Examined, label: str, values: Callable[[Seen], np.ndarray]) -> None:
    """A spectrum of hits, up to its far tails."""
    found = values(examined.target)
    if len(found):
        low = np.percentile(found, 100.0 - TAIL, method="lower")
        high = np.percentile(found, TAIL, method="higher")
        edges = np.linspace(low, max(high, low + 1e-9 * max(abs(low), 1.0)), BINS + 1)
        draw_histograms(ax, edges, examined, values)
    ax.set(xlabel=label, ylabel="hits")


def draw_histograms(ax: Axes, edges: np.ndarray, examined: Examined, values: Callable[[Seen], np.ndarray]) -> None:
    """The target as points with errors, over the mean of what the model draws as a step."""
    counts, _ = np.histogram(values(examined.target), edges)
    if examined.drawn:
        drawn = np.mean([np.histogram(values(seen), edges)[0] for seen in examined.drawn], axis=0)
        ax.stairs(drawn, edges, fill=True, color="0.82", label="model")
    middle = 0.5 * (edges[1:] + edges[:-1])
    ax.errorbar(middle, counts, np.sqrt(counts), fmt=".", color="black", markersize=4, linewidth=0.8, label="target")
    ax.legend(fontsize=9)


def lateness(seen: Seen) -> np.ndarray:
    """Times [us] of the hits at which charge still arrives, less those at which the threshold was to be reached."""
    rising = seen.slope > 0.0
    return -seen.r[rising] / seen.slope[rising]


def gaps(seen: Seen) -> np.ndarray:
    """Times from each hit to the next of the same pixel and event."""
    return np.diff(seen.time)[np.diff(seen.spot) == 0]
