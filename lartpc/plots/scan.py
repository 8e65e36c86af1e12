"""Figures of scans: curves with the slopes of the gradient, and loss landscapes."""

from __future__ import annotations

import re
import textwrap

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from lartpc.fit.scan import CONTENTS, Scan, rise_of
from lartpc.losses.catalogue import SQUARES, WAVEFORMS
from lartpc.parameters import event_of, parameter

OF_SQUARES = (*SQUARES, WAVEFORMS)  # losses of which half a standard deviation squared is 1/2
SMALL = 1e-2  # of the largest rise, for losses that have no scale
TANGENTS = 0.25  # half their length, in rise of the scaled loss or in distances of points, whatever is less
PERCENT = 5.0  # up to which the scale of changes is linear
CHANGES = np.array([-90, -50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50, 100, 200, 500])
ARROWS = 17  # in a row, at most
LONGEST = 34  # characters of a line of the legend
FINE = 12  # parts of each cell of a landscape
STEP = 0.2  # of contours, in decades


def figure(scan: Scan) -> Figure:
    """The landscape of a plane, else the curves."""
    return landscape(scan) if scan.plane else curves(scan)


def unit_of_rise(scan: Scan) -> float:
    """A rise of the loss that is little: below it scales are linear, above logarithmic. 1 in units of -log L."""
    rise = scan.loss - scan.loss.min()
    return 1.0 if scan.kind in OF_SQUARES else SMALL * float(rise.max()) or 1.0


def curves(scan: Scan) -> Figure:
    """Rise of the loss above its least against the change [%] of each parameter; short lines: slopes by the adjoint.

    The curves are drawn through the points without regard to the slopes, which are so a check.
    """
    small = unit_of_rise(scan)
    figure = Figure(figsize=(8.6, 5.2), dpi=150, layout="constrained")
    ax = figure.add_subplot()
    ax.set_yscale("asinh", linear_width=small)
    ax.set_xscale("asinh", linear_width=PERCENT)
    for i, name in enumerate(scan.names):
        x, loss, slope = scan.line(name)
        row, own = parameter(name), scan.fixed[i]
        size, of = (row.scale, f", % of {row.scale:g} {row.unit}") if row.nominal == 0.0 else (abs(own), "")
        percent, slope = 100.0 * (x - own) / size, slope * size / 100.0
        rise = loss - scan.loss.min()
        shape = PchipInterpolator(np.arcsinh(percent / PERCENT), np.arcsinh(rise / small))
        fine = np.linspace(shape.x[0], shape.x[-1], 1000)
        curve = PERCENT * np.sinh(fine), small * np.sinh(shape(fine))
        (line,) = ax.plot(*curve, linewidth=1.8, label=textwrap.fill(title(name) + of, LONGEST))
        ax.plot(percent, rise, "o", markersize=4, color=line.get_color())
        reach = TANGENTS * np.minimum(np.gradient(percent), (rise + small) / np.maximum(np.abs(slope), 1e-300))
        along = np.linspace(-1.0, 1.0, 9)[:, None] * reach
        ax.plot(percent + along, rise + along * slope, color="black", linewidth=0.9, zorder=3)
    ax.plot([], [], color="black", linewidth=0.9, label="slope by the adjoint")
    low, high = ax.get_xlim()
    ax.set_xticks(CHANGES[(low <= CHANGES) & (CHANGES <= high)], minor=False)
    ax.xaxis.set_major_formatter(lambda change, _: f"{change:+.0f}" if change else "0")
    ax.set_ylim(bottom=0.0)
    decades = 10.0 ** np.arange(np.ceil(np.log10(small)), np.log10(scan_height(scan)) + 1.0)
    ax.set_yticks(np.append(0.0, decades), minor=False)
    ax.set_xlabel("change of the parameter [%]")
    ax.set_ylabel(rise_label(scan))
    ax.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def landscape(scan: Scan) -> Figure:
    """Contours of the rise of the loss above its least, arrows of its negative gradient in units of the ranges.

    Between the points a likelihood is the bicubic of values and gradients: valleys are narrower than a grid. The losses
    of hit lists jump where hits come and go: of them the points alone are used.
    """
    n = round(len(scan.loss) ** 0.5)
    x, y = scan.values[::n, 0], scan.values[:n, 1]
    low, high = unit_of_rise(scan), scan_height(scan)
    levels = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high) + STEP, STEP)
    fine_x, fine_y, rise = x, y, (scan.loss - scan.loss.min()).reshape(n, n)
    if scan.kind in OF_SQUARES:
        fine_x, fine_y, rise = bicubic(x, y, rise, scan.gradient.reshape(n, n, 2))
    figure = Figure(figsize=(7.2, 5.6), dpi=150, layout="constrained")
    ax = figure.add_subplot()
    ax.set_box_aspect(1.0)
    shown = np.clip(rise.T, levels[0], levels[-1])
    image = ax.contourf(fine_x, fine_y, shown, levels, norm=LogNorm(levels[0], levels[-1]), cmap="viridis")
    if scan.minimum is not None:
        edges = [rise_of(content, 2) for content in CONTENTS]
        above = rise.T + scan.loss.min() - scan.minimum
        ax.contour(fine_x, fine_y, above, edges, colors="white", linestyles=("solid", "dashed"))
    inner = slice(1, -1, -(-n // ARROWS))
    down = -scan.gradient * np.ptp(scan.values, axis=0)
    down = down / np.maximum(np.linalg.norm(down, axis=1, keepdims=True), 1e-300)
    u, v = np.moveaxis(down.reshape(n, n, 2)[inner, inner], 2, 0)
    ax.quiver(x[inner], y[inner], u.T, v.T, color="white", pivot="mid", angles="uv", width=0.0035, scale=26)
    ax.plot(
        *scan.lowest(),
        "o",
        markersize=10,
        markerfacecolor="none",
        markeredgecolor="tab:red",
        markeredgewidth=2,
        clip_on=False,
    )
    if scan.truth is not None:
        ax.plot(*scan.truth, "*", markersize=18, color="gold", markeredgecolor="black")
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=label(scan.names[0]), ylabel=label(scan.names[1]))
    ax.locator_params(nbins=6)
    star = "" if scan.truth is None else "star: truth, "
    ax.set_title(f"{star}circle: lowest of the points, arrows: negative gradient in units of the ranges", fontsize=9)
    bar = figure.colorbar(image, ax=ax, label=rise_label(scan), pad=0.02)
    decades = range(round(np.log10(levels[0])), int(np.log10(levels[-1]) + 0.01) + 1)
    bar.set_ticks([10.0**k for k in decades], labels=[f"$10^{{{k}}}$" for k in decades])
    return figure


def bicubic(
    x: np.ndarray, y: np.ndarray, f: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A finer grid and the values there of the cubic in each cell with the values f (n, n) and gradients (n, n, 2).

    The mixed derivative that it needs too is by differences of the gradient.
    """
    mixed = 0.5 * (np.gradient(gradient[..., 0], y, axis=1) + np.gradient(gradient[..., 1], x, axis=0))
    fine_x, fine_y = (
        np.interp(np.arange(0.0, len(a) - 1 + 0.5 / FINE, 1.0 / FINE), np.arange(len(a)), a) for a in (x, y)
    )
    along_x = CubicHermiteSpline(x, f, gradient[..., 0], axis=0)(fine_x)
    slope_y = CubicHermiteSpline(x, gradient[..., 1], mixed, axis=0)(fine_x)
    return fine_x, fine_y, CubicHermiteSpline(y, along_x, slope_y, axis=1)(fine_y)


def scan_height(scan: Scan) -> float:
    """The largest rise of the loss, where it is more than little."""
    return max(float(np.ptp(scan.loss)), 10.0 * unit_of_rise(scan))


def label(name: str) -> str:
    """Meaning and unit of a parameter."""
    unit = parameter(name).unit.replace("us", "µs").replace("^2", "²")
    return f"{title(name)} [{unit}]" if unit else title(name)


def title(name: str) -> str:
    """Meaning of a parameter, its symbol set as one."""
    _, single, of = name.partition(".")
    which = f", event {event_of(name)}" if event_of(name) is not None else f", module {of}" if single else ""
    return re.sub(r"\b(\w_\w+)\b", r"$\1$", parameter(name).meaning) + which


def rise_label(scan: Scan) -> str:
    likelihood = r"$-\log L$ above its least"
    known = {"likelihood": likelihood, WAVEFORMS: likelihood, "residuals": "half the sum of squares above its least"}
    return known.get(scan.kind, f"{scan.kind} above its least")
