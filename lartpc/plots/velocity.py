"""How far hits are off tracks through a cathode along the drift, with the velocity given and that found."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lartpc.reconstruction.drift import VelocityResult

BIN = 2.0  # [cm] of distance to the cathode
FEWEST = 3  # hits of a bin
REACH = 0.6  # [cm] of the residuals that are shown


def velocity_figure(result: VelocityResult) -> Figure:
    """Residuals against distance to the cathode, before and after."""
    figure = Figure(figsize=(11, 7), dpi=130, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, sharey=True)
    draw(above, result.residuals.height, result.residuals.before, "before: with the velocity given")
    draw(below, result.residuals.height, result.residuals.after, "after: with that of the fit")
    below.set_xlabel("distance to the cathode [cm], negative on the side of lower z")
    told = "; ".join(
        f"module {one.quick.module}: {one.velocity:.6f} +- {one.error:.2g} cm/us" for one in result.modules
    )
    n = len(result.joint.of_hits.tracks)
    figure.suptitle(
        f"{n} muons through a cathode; {told}" + ("" if result.good else "; not to be used"),
        color="black" if result.good else "tab:red",
    )
    return figure


def draw(ax: Axes, height: np.ndarray, off: np.ndarray, title: str) -> None:
    """Residuals of hits, and medians of bins with their errors."""
    ax.axhline(0.0, color="0.6", linewidth=1)
    ax.axvline(0.0, color="0.6", linewidth=1, linestyle=":")
    ax.plot(height, 10 * off, ".", color="0.7", markersize=3)
    cell = np.floor(height / BIN).astype(int)
    for k in np.unique(cell):
        own = cell == k
        if own.sum() >= FEWEST:
            spread = 1.2533 * np.std(off[own]) / np.sqrt(own.sum())  # of a median of normal numbers
            ax.errorbar((k + 0.5) * BIN, 10 * np.median(off[own]), 10 * spread, fmt="o", color="tab:blue", capsize=3)
    ax.set(ylabel="hits off their track [mm]", ylim=(-10 * REACH, 10 * REACH))
    ax.set_title(title, fontsize=11)
