"""Event display: segments in space, pixel planes, a waveform with its threshold and hits."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from lartpc.data.hits import Hits, WaveformTable
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector

_DEDX_RANGE = (1.0, 20.0)  # MeV/cm: from below a minimum-ionising particle to a stopping proton
_TPCS = 2  # at most, those with most hits
_EDGE = "0.55"
_BOX_EDGES = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]  # corners as three bits


def busiest_event(hits: Hits, segments: Segments) -> int | None:
    """The event with most hits; without hits the first of the segments, without those None."""
    if len(hits):
        events, counts = np.unique(hits.event_id, return_counts=True)
        return int(events[np.argmax(counts)])
    return int(segments.event_id.min()) if len(segments) else None


def event_display(
    event: int | None,
    hits: Hits,
    segments: Segments,
    detector: Detector,
    waveforms: WaveformTable | None = None,
    threshold: float | None = None,
) -> Figure:
    """Figure of one event: segments by dE/dx [MeV/cm], the planes with most hits by ADC [counts] and, where there are
    `waveforms`, that of the pixel with most charge in a hit (circled), with `threshold` [e] (not drawn where None).

    An event without hits, or None, gives empty planes.
    """
    hits = hits.select(hits.event_id == event)
    segments = segments.select(segments.event_id == event)
    n_tpcs = min(_TPCS, len(detector.z_anode))
    in_tpc = np.bincount(hits.tpc, minlength=len(detector.z_anode))
    tpcs = np.sort(np.argsort(-in_tpc, kind="stable")[:n_tpcs])

    layout = ConstrainedLayoutEngine(w_pad=0.1)
    figure = Figure(figsize=(13, 9.5 if waveforms is not None else 6.5), dpi=130, layout=layout)
    top: Any = figure
    bottom: Any = None
    if waveforms is not None:
        halves: Any = figure.subfigures(2, 1, height_ratios=[2.1, 1], hspace=0.02)
        top, bottom = halves
    grid = top.add_gridspec(1, 1 + n_tpcs, width_ratios=[2.0, *[1.0] * n_tpcs])
    label = "no event" if event is None else f"event {event}: {len(segments)} segments, {len(hits)} hits"
    figure.suptitle(f"{detector.name}, {label}", fontsize=14)

    draw_segments(top.add_subplot(grid[0], projection="3d"), segments, detector)
    adc_range = (0.0, detector.adc_counts - 1.0)
    if len(hits):  # up to where a few large hits do not leave one colour for all others
        adc_range = (float(hits.adc.min()), float(np.percentile(hits.adc, 97)))
    axes = [top.add_subplot(grid[1 + k]) for k in range(n_tpcs)]
    for ax, tpc in zip(axes, tpcs, strict=True):
        draw_plane(ax, hits, detector, int(tpc), adc_range)
    for ax in axes[1:]:
        ax.set_ylabel("")
    top.colorbar(
        axes[0].images[0], ax=axes, label="largest ADC of the pixel [counts]", shrink=0.85, pad=0.02, extend="max"
    )
    if waveforms is not None:
        best = int(np.argmax(np.where(np.isin(hits.tpc, tpcs), hits.charge, -np.inf))) if len(hits) else None
        if best is not None:
            plane = axes[int(np.searchsorted(tpcs, hits.tpc[best]))]
            plane.plot(hits.x[best], hits.y[best], "o", markersize=12, markerfacecolor="none", color="tab:red")
        draw_waveform(bottom.subplots(), hits, best, waveforms, detector, threshold)
    return figure


def draw_segments(ax: Any, segments: Segments, detector: Detector) -> None:
    """Segments by dE/dx, and the TPCs as boxes. The vertical axis is y, the drift axis z."""
    d = detector
    low = np.stack((np.minimum(d.z_anode, d.z_cathode), d.x_lo, d.y_lo), axis=1)
    high = np.stack((np.maximum(d.z_anode, d.z_cathode), d.x_hi, d.y_hi), axis=1)
    bits = np.arange(8)[:, None] >> np.arange(3) & 1
    corners = np.where(bits, high[:, None], low[:, None])
    boxes = corners[:, _BOX_EDGES].reshape(-1, 2, 3)
    ax.add_collection3d(Line3DCollection(boxes, colors=_EDGE, linewidths=0.6))

    scale = ScalarMappable(LogNorm(*_DEDX_RANGE), "plasma")
    if len(segments):  # matplotlib cannot draw an empty collection in space
        start = np.stack((segments.z_start, segments.x_start, segments.y_start), axis=1)
        end = np.stack((segments.z_end, segments.x_end, segments.y_end), axis=1)
        lines = Line3DCollection(
            np.stack((start, end), axis=1), cmap=scale.cmap, norm=scale.norm, linewidths=1.5, capstyle="round"
        )
        lines.set_array(np.clip(segments.dEdx, *_DEDX_RANGE))
        ax.add_collection3d(lines)
    bar = ax.figure.colorbar(scale, ax=ax, label="dE/dx [MeV/cm]", shrink=0.7, pad=0.02, extend="both", location="left")
    ticks = [1, 2, 5, 10, 20]
    bar.set_ticks(ticks, labels=[str(tick) for tick in ticks], minor=False)
    bar.minorticks_off()

    low, high = low.min(axis=0), high.max(axis=0)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    ax.set_box_aspect(high - low, zoom=0.92)
    ax.view_init(elev=18, azim=-60)
    ax.locator_params(axis="x", nbins=5)
    ax.locator_params(axis="y", nbins=5)
    ax.set(xlabel="z, drift [cm]", ylabel="x [cm]")
    ax.set_zlabel("y [cm]", labelpad=10)
    ax.grid(False)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.pane.set_visible(False)


def draw_plane(ax: Axes, hits: Hits, detector: Detector, tpc: int, adc_range: tuple[float, float]) -> None:
    """Pixels of one TPC, coloured by the largest ADC value of their hits."""
    d = detector
    adc = np.full((d.n_y[tpc], d.n_x[tpc]), -np.inf)
    here = hits.tpc == tpc
    np.maximum.at(adc, (hits.iy[here], hits.ix[here]), hits.adc[here])
    extent = (d.x_lo[tpc], d.x_hi[tpc], d.y_lo[tpc], d.y_hi[tpc])
    image = np.ma.masked_array(adc, mask=np.isneginf(adc))
    low, high = adc_range
    ax.imshow(
        image, origin="lower", extent=extent, cmap="viridis", vmin=low, vmax=max(high, low + 1), interpolation="none"
    )
    ax.set_facecolor("0.95")
    ax.set(xlabel="x [cm]", ylabel="y [cm]")
    ax.set_title(f"TPC {tpc}, anode at z = {d.z_anode[tpc]:.1f} cm\n{here.sum()} hits", fontsize=10)
    if not here.any():
        ax.text(0.5, 0.5, "no hits", transform=ax.transAxes, ha="center", va="center", color=_EDGE)


def draw_waveform(
    ax: Axes, hits: Hits, best: int | None, waveforms: WaveformTable, detector: Detector, threshold: float | None = None
) -> None:
    """Current and collected charge of the pixel of hit `best` (None: no hit), with its threshold and its hits.

    The charge counts from the last reset, which follows each read, and leaves noise and rise time out.
    """
    tick, hold = detector.tick, detector.hold_ticks * detector.tick
    if best is None:
        no_waveform(ax, "no hits, no waveform")
        return
    last_tick = waveforms.start_tick + waveforms.ticks
    windows = np.flatnonzero(
        (waveforms.event_id == hits.event_id[best])
        & (waveforms.pixel_id == hits.pixel_id[best])
        & (waveforms.start_tick * tick <= hits.t[best] + tick)
        & (hits.t[best] <= last_tick * tick + tick)
    )
    if not len(windows) or not waveforms.current[waveforms.offset[windows[0]] :][: waveforms.ticks[windows[0]]].any():
        no_waveform(ax, f"no waveform of pixel {hits.pixel_id[best]}")
        return
    window = windows[0]
    samples = slice(waveforms.offset[window], waveforms.offset[window] + waveforms.ticks[window])
    current = waveforms.current[samples].astype(np.float64)
    time = (waveforms.start_tick[window] + np.arange(len(current))) * tick
    of_pixel = (hits.event_id == hits.event_id[best]) & (hits.pixel_id == hits.pixel_id[best])
    of_pixel &= (hits.t >= time[0] - tick) & (hits.t <= time[-1] + tick)
    t, charge, adc = hits.t[of_pixel], hits.charge[of_pixel], hits.adc[of_pixel]

    used = np.flatnonzero(np.abs(current) > 2e-3 * np.abs(current).max())
    left = min(time[used[0]], t.min()) - 0.5
    right = max(time[used[-1]], t.max() + hold) + 0.5
    total = np.cumsum(current) * tick
    counts_from = np.append(-np.inf, t + hold + detector.reset_cycles * tick)
    resets = np.interp(counts_from, time, total, left=0.0)
    read = np.searchsorted(t + hold, time, side="left")
    # twice at each read: the charge before the reset, and 0 after it
    charge_time = np.concatenate((time, t + hold, t + hold))
    since_reset = np.concatenate(
        (
            np.where(time > counts_from[read], total - resets[read], 0.0),
            np.interp(t + hold, time, total) - resets[:-1],
            np.zeros(len(t)),
        )
    )
    order = np.argsort(charge_time, kind="stable")
    charge_time, since_reset = charge_time[order], since_reset[order]

    ax.fill_between(time, current / 1e3, step="pre", color="tab:blue", alpha=0.25)
    ax.step(time, current / 1e3, where="pre", color="tab:blue", linewidth=1.2, label="current")
    ax.set_xlabel("time [µs]")
    ax.set_ylabel("current [ke/µs]", color="tab:blue")
    ax.tick_params(axis="y", colors="tab:blue")
    ax.set_xlim(left, right)
    ax.set_ylim(bottom=min(0.0, 1.05 * current.min() / 1e3))

    right_ax = ax.twinx()
    right_ax.plot(
        charge_time, since_reset / 1e3, color="tab:red", linewidth=1.5, label="charge since last reset, no noise"
    )
    if threshold is not None:
        label = f"threshold {threshold / 1e3:g} ke"
        right_ax.axhline(threshold / 1e3, color="black", linestyle="--", linewidth=1, label=label)
    for k, crossing in enumerate(t):
        first = "hit: threshold crossed" if k == 0 else None
        right_ax.axvline(crossing, color="black", linestyle=":", linewidth=1, label=first)
    right_ax.plot(t + hold, charge / 1e3, "o", color="tab:red", markeredgecolor="black", label="hit: charge as read")
    top = 1.3 * max(charge.max(), since_reset.max(), threshold or 0.0) / 1e3
    right_ax.set_ylim(min(0.0, 1.05 * since_reset.min() / 1e3), top)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for at, value, counts in zip(t + hold, charge / 1e3, adc, strict=True):
        right_ax.annotate(
            f"ADC {counts:g}", (at, value), xytext=(0, 9), textcoords="offset points", ha="center", bbox=box
        )
    right_ax.set_ylabel("charge [ke]", color="tab:red")
    right_ax.tick_params(axis="y", colors="tab:red")
    handles = [handle for axes in (ax, right_ax) for handle in axes.get_legend_handles_labels()[0]]
    ax.figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9)
    where = f"TPC {hits.tpc[best]}, x = {hits.x[best]:.2f} cm, y = {hits.y[best]:.2f} cm"
    ax.set_title(f"pixel {hits.pixel_id[best]}: {where}", fontsize=10)


def no_waveform(ax: Axes, why: str) -> None:
    """A place without a waveform."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=_EDGE)
