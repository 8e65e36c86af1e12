"""Charge per length of fast muons against drift time, with the lifetimes found."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lartpc.reconstruction.lifetime import LifetimeResult

SHOWN = 98.0  # per cent of the cells that the picture reaches to
POINTS = 100


def lifetime_figure(result: LifetimeResult) -> Figure:
    """Cells of tracks, truncated means of bins of drift time, and exp(-t/lifetime) of both ways.

    The joint fit's curve has the height of the means, as it fits its own factor of all charge; the band is its error of
    1/lifetime, about the mean time.
    """
    cells, plain = result.cells, result.plain
    figure = Figure(figsize=(9, 6), dpi=130, layout="constrained")
    ax = figure.add_subplot()
    ax.plot(
        cells.time, cells.density / 1e3, ".", color="0.75", markersize=4, label=f"{len(cells.time)} pieces of tracks"
    )
    if plain is not None:
        ax.errorbar(
            plain.time, plain.mean / 1e3, plain.error / 1e3, fmt="o", color="black", capsize=3, label="truncated means"
        )
        t = np.linspace(0.0, cells.time.max(), POINTS)
        weight = (plain.mean / plain.error) ** 2
        middle = float(weight @ plain.time / weight.sum())
        height = float(weight @ np.log(plain.mean * np.exp((plain.time - middle) / result.value)) / weight.sum())
        curves = [
            np.exp(height - (t - middle) * inverse) / 1e3
            for inverse in 1 / result.value + result.inverse_error * np.array([0.0, -1.0, 1.0])
        ]
        ax.plot(t, curves[0], color="tab:red", label=f"joint fit: lifetime {result.told}")
        ax.fill_between(t, np.minimum(*curves[1:]), np.maximum(*curves[1:]), color="tab:red", alpha=0.2, linewidth=0)
        line = plain.factor * np.exp(-t * plain.inverse) / 1e3
        ax.plot(t, line, color="tab:blue", linestyle="--", label=f"fit of the means: {plain.told}")
    if len(cells.time):
        ax.set_ylim(0.0, 1.3 * float(np.percentile(cells.density, SHOWN)) / 1e3)
    ax.set(xlabel="drift time [us]", ylabel="charge that arrives per length [ke/cm]")
    n = len(result.joint.of_hits.tracks)
    verdict = "" if result.good else "; not to be used"
    ax.set_title(f"{n} muons of {result.joint.length:.0f} cm{verdict}", color="black" if result.good else "tab:red")
    ax.legend(loc="upper right")
    return figure
