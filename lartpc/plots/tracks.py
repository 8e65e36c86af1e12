"""Reconstructed tracks of an event: over their hits, what is left of these, and dE/dx against residual range."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from lartpc.charge.freed import stopping_of
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.formats.tracks import Tracks
from lartpc.generator.stopping import PARTICLES, kinematics, landau_width, max_transfer, range_table
from lartpc.kernels.runtime.slots import LIFETIME
from lartpc.parameters import Parameters
from lartpc.reconstruction.cluster import positions

BIN = 1.0  # [cm] of residual range, of which charge is taken together
BANDS = {2212: "tab:red", 211: "tab:green", 13: "tab:blue"}  # particles that are drawn
LISTED = 16  # tracks that a legend has room for
VIEWS = (("z", "x"), ("z", "y"), ("x", "y"))
AXES = {"x": 0, "y": 1, "z": 2}


class Along(NamedTuple):
    """Hits of a track by where they are along it (n,)."""

    s: np.ndarray  # from its end [cm]
    across: np.ndarray  # off the track in the plane of the pixels [cm]
    drift: np.ndarray  # off the track in the plane of track and drift, towards +z [cm]
    charge: np.ndarray  # that drifted, as it was freed [e]
    width: np.ndarray  # of the pixel along the track [cm]


def tracks_figure(event: int | None, hits: Hits, tracks: Tracks, detector: Detector) -> Figure:
    """The picture of one event; event None is that of no event."""
    parameters = Parameters().replace(**tracks.fit["parameters"])
    chosen = np.flatnonzero(hits.event_id == event)
    hits, of_hits = hits.select(chosen), tracks.of_hits[chosen]
    rows: list[int] = np.flatnonzero(tracks.table["event_id"] == event).tolist()
    colors = {row: f"C{k % 10}" for k, row in enumerate(rows)}
    curves = {row: curve_of(tracks, row) for row in rows}
    figure = Figure(figsize=(16, 11), dpi=110, layout="constrained")
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    top, bottom = halves
    draw_views(top, hits, of_hits, tracks.table, curves, colors, positions(hits, detector, parameters), detector)
    grid: Any = bottom.add_gridspec(2, 2, width_ratios=(1, 1.1))
    across, drift = bottom.add_subplot(grid[0, 0]), bottom.add_subplot(grid[1, 0])
    stopping = bottom.add_subplot(grid[:, 1])
    draw_bands(stopping, rows, tracks)
    for row in rows:
        own = of_hits == row
        along = along_track(curves[row], hits.select(own), tracks.table[row], detector, parameters)
        for ax, values in ((across, along.across), (drift, along.drift)):
            ax.plot(along.s, values, ".", color=colors[row], markersize=5)
        draw_stopping(stopping, row, along, tracks, parameters, colors[row])
    for ax, label in ((across, "across [cm]"), (drift, "along the drift [cm]")):
        ax.axhline(0.0, color="0.6", linewidth=1)
        ax.set(xlabel="distance to the end of the track [cm]", ylabel=label)
    across.set_title("hits off their track", fontsize=11)
    stopping.legend(fontsize=9, loc="upper right")
    good, free = int(tracks.table["good"][rows].sum()), int((of_hits < 0).sum())
    told = "no event" if event is None else f"event {event}: {len(rows)} tracks, {good} good; "
    told += "" if event is None else f"{len(hits)} hits, {free} of no track (grey)"
    figure.suptitle(f"{detector.name}, {told}", fontsize=14)
    return figure


def curve_of(tracks: Tracks, row: int) -> np.ndarray:
    """Nodes (n + 1, 3) [cm] of a track, from its end to its start."""
    own = tracks.segments.select(tracks.segments.traj_id == row)
    start, end = (np.stack([getattr(own, f"{a}_{what}") for a in "xyz"], axis=1) for what in ("start", "end"))
    return np.concatenate([end[-1:], start[::-1]]).astype(np.float64)


def along_track(curve: np.ndarray, hits: Hits, row: np.void, detector: Detector, parameters: Parameters) -> Along:
    """The hits of a track, `row` of the table, by the nearest point of its curve."""
    points = positions(hits, detector, parameters, float(row["t0"]))
    step = np.diff(curve, axis=0)
    length = np.linalg.norm(step, axis=1)
    off = points[:, None] - curve[:-1]
    part = np.clip(np.sum(off * step, axis=2) / length**2, 0.0, 1.0)
    off = off - part[:, :, None] * step
    near = np.argmin(np.sum(off**2, axis=2), axis=1)
    rows = np.arange(len(points))
    s = (np.concatenate([[0.0], np.cumsum(length)[:-1]]) + part * length)[rows, near]
    flat = np.stack((-step[:, 1], step[:, 0], np.zeros(len(step))), axis=1)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    up = np.cross(step / length[:, None], flat)
    up *= np.where(up[:, 2:] < 0, -1.0, 1.0)
    left = off[rows, near]
    lifetime = parameters.table(detector.n_modules)[detector.module[hits.tpc], LIFETIME]
    freed = hits.charge * np.exp((hits.t - row["t0"]) / lifetime)
    widest = np.max(np.abs(step[near, :2]), axis=1) / length[near]
    width = detector.pitch[hits.tpc] / np.maximum(widest, 0.3)
    return Along(s, np.sum(left * flat[near], axis=1), np.sum(left * up[near], axis=1), freed, width)


def draw_views(
    figure: Any,
    hits: Hits,
    of_hits: np.ndarray,
    table: np.ndarray,
    curves: dict[int, np.ndarray],
    colors: dict[int, str],
    points: np.ndarray,
    detector: Detector,
) -> None:
    """Hits at `points` (n, 3), those of tracks at the tracks' time, and the tracks over them, in three projections."""
    axes = figure.subplots(1, len(VIEWS))
    for ax, view in zip(axes, VIEWS, strict=True):
        a, b = (AXES[name] for name in view)
        draw_borders(ax, view, detector)
        ax.scatter(*points[of_hits < 0][:, [a, b]].T, s=5, color="0.6", linewidths=0)
        for row, curve in curves.items():
            ax.scatter(*points[of_hits == row][:, [a, b]].T, s=9, color=colors[row], alpha=0.5, linewidths=0)
            ax.plot(*curve[:, [a, b]].T, color="black", linewidth=1, linestyle="-" if table["good"][row] else ":")
            ax.plot(*curve[0, [a, b]], "o", markersize=4, markerfacecolor=colors[row], color="black")
            ax.annotate(str(row), curve[0, [a, b]], xytext=(4, 4), textcoords="offset points", fontsize=9)
        ax.set(xlabel=f"{view[0]}{', drift' if view[0] == 'z' else ''} [cm]", ylabel=f"{view[1]} [cm]")
        ax.set_aspect("equal", adjustable="datalim")
    axes[0].set_title("hits and tracks; a dot where a track ends, dotted if it is not good", fontsize=11, loc="left")


def draw_borders(ax: Axes, view: tuple[str, str], detector: Detector) -> None:
    """The TPCs as boxes."""
    d = detector
    sides = {"x": (d.x_lo, d.x_hi), "y": (d.y_lo, d.y_hi), "z": (d.z_anode, d.z_cathode)}
    (left, right), (low, high) = (sides[name] for name in view)
    corners = np.stack((left, low, right, low, right, high, left, high), axis=1).reshape(-1, 4, 2)
    ax.add_collection(
        PolyCollection(list(corners), facecolors="none", edgecolors="0.75", linewidths=0.7), autolim=False
    )


def draw_bands(ax: Axes, rows: list[int], tracks: Tracks) -> None:
    """Mean dE/dx of particles by their residual range, and its spread over `BIN`."""
    table, density = tracks.table[rows], float(tracks.fit["track_density"])
    longest = max(float(np.max(table["length"] + table["residual_range"], initial=0.0)), 2.0) * 1.05
    s = np.linspace(0.0, longest, 400)
    for pdg, color in BANDS.items():
        particle = PARTICLES[pdg]
        kinetic, _ = range_table(particle.mass).kinetic_and_slope(np.stack((s, s + BIN)) * density)
        middle, mean = kinetic.mean(axis=0), np.diff(kinetic, axis=0)[0] / BIN
        beta2, _ = kinematics(middle, particle.mass)
        width = landau_width(middle, particle.mass, BIN * density) * max_transfer(middle, particle.mass)
        spread = np.sqrt(width * (1 - beta2 / 2)) / BIN
        ax.fill_between(s + BIN / 2, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0)
        ax.plot(s + BIN / 2, mean, color=color, linewidth=1, label=particle.name)
    ax.set(xlim=(0.0, longest), ylim=(0.0, 30.0), xlabel="residual range [cm]", ylabel="dE/dx [MeV/cm]")
    ax.set_title(f"charge of hits in {BIN:g} cm, as dE/dx; bands: expected mean and spread", fontsize=11)


def draw_stopping(ax: Axes, row: int, along: Along, tracks: Tracks, parameters: Parameters, color: str) -> None:
    """dE/dx of the charge of hits in bins along a track, of those bins that it fills."""
    own = tracks.table[row]
    bins = int(own["length"] // BIN)
    edges = BIN * np.arange(bins + 1.0)
    part = (edges[:, None] - along.s) / along.width + 0.5  # of a hit's charge before each edge
    low, high = 0.5 - along.s / along.width, (own["length"] - along.s) / along.width + 0.5
    low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    inside = np.clip((np.clip(part, low, high) - low) / np.maximum(high - low, 1e-9), 0, 1)
    charge = np.diff(inside, axis=0) @ along.charge
    dEdx = stopping_of(charge / BIN, parameters, str(tracks.fit["recombination"]))
    at = own["residual_range"] + (np.arange(bins) + 0.5) * BIN
    label = f"{row}: {own['hypothesis'].decode()}, {own['length']:.1f} cm, {own['energy']:.1f} MeV"
    ax.plot(at, dEdx, "o-", color=color, markersize=4, linewidth=0.6, label=label if row < LISTED else None)
