"""Pictures of a fit: parameters, convergence, correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lartpc.fit.problem import Evaluation
from lartpc.fit.result import FitResult
from lartpc.fit.shown import others, shown
from lartpc.parameters import common_name, event_of

MARKED = 60  # iterations, up to which figures mark each


def path(result: FitResult, history: Sequence[Evaluation]) -> np.ndarray:
    """The values at every iteration and at the end (n_iterations + 1, n)."""
    return np.array([evaluation.values for evaluation in history if evaluation.phase != "errors"] + [result.values])


def parameters_figure(result: FitResult, history: Sequence[Evaluation]) -> Figure:
    """Each parameter against iteration, with its error band at the end, its range and, where known, the truth.

    Of many that are of single events the first few, and all of them against the events.
    """
    values = path(result, history)
    told, more = shown(result.names), bool(others(result.names))
    n_panels = len(told) + more
    columns = min(3, n_panels)
    rows = -(-n_panels // columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows), dpi=130, layout="constrained")
    warm = sum(evaluation.phase == "warm-up" for evaluation in history)
    marks = "o-" if len(values) <= MARKED else "-"
    for panel, i in enumerate(told, start=1):
        name, ax = result.names[i], figure.add_subplot(rows, columns, panel)
        if warm:
            ax.axvspan(-0.5, warm - 0.5, color="0.94")
        ax.plot(values[:, i], marks, color="tab:blue", markersize=4, label="fit")
        if np.isfinite(result.errors[i]):
            ax.errorbar(len(values) - 1, values[-1, i], result.errors[i], color="tab:blue", capsize=3)
        if result.truth is not None:
            ax.axhline(result.truth[i], color="tab:red", linestyle="--", linewidth=1, label="truth")
        unit = result.units[i]
        ax.set_title(f"{name} [{unit}]" if unit else name, fontsize=10)
        ax.set_xlabel("iteration")
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useOffset=False)
        ax.locator_params(axis="x", integer=True)
        if panel == 1:
            ax.legend(fontsize=8)
    if more:
        events_panel(figure.add_subplot(rows, columns, n_panels), result)
    if warm:
        figure.suptitle("shaded: robust start on the first events", fontsize=9)
    return figure


def events_panel(ax: Axes, result: FitResult) -> None:
    """The values of the parameter of single events against these, those that are open left out."""
    events = np.array([-1 if (event := event_of(name)) is None else event for name in result.names])
    at = np.flatnonzero((events >= 0) & np.isfinite(result.errors))
    ax.errorbar(
        events[at], result.values[at], result.errors[at], fmt=".", color="tab:blue", markersize=3, linewidth=0.8
    )
    if result.truth is not None:
        ax.plot(events[at], result.truth[at], "_", color="tab:red", markersize=4)
    of_events = [i for i in range(len(events)) if events[i] >= 0]
    common, unit = common_name(result.names[of_events[0]]), result.units[of_events[0]]
    ax.set_title(f"{common} of events [{unit}]", fontsize=10)
    ax.set_xlabel("event")
    ax.locator_params(axis="x", integer=True)


def convergence_figure(result: FitResult, history: Sequence[Evaluation]) -> Figure:
    """Distance to the truth, or without one to the end, relative, against iteration."""
    goal = result.values if result.truth is None else result.truth
    figure = Figure(figsize=(6.5, 4.2), dpi=130, layout="constrained")
    ax = figure.add_subplot()
    values = path(result, history)
    marks = "o-" if len(values) <= MARKED else "-"
    for i in shown(result.names):
        off = np.maximum(np.abs(values[:, i] - goal[i]) / result.size[i], 1e-10)
        ax.semilogy(off, marks, markersize=3, label=result.names[i])
    ax.set_xlabel("iteration")
    ax.set_ylabel("|value / truth - 1|" if result.truth is not None else "|value / last value - 1|")
    ax.locator_params(axis="x", integer=True)
    ax.legend(fontsize=8)
    return figure


def correlation_figure(result: FitResult) -> Figure:
    """The correlation matrix, with the first few of many parameters of single events."""
    told = shown(result.names)
    names = [result.names[i] for i in told]
    n, correlation = len(told), result.correlation[np.ix_(told, told)]
    figure = Figure(figsize=(1.6 + 0.8 * n, 1.2 + 0.75 * n), dpi=130, layout="constrained")
    ax = figure.add_subplot()
    image = ax.imshow(correlation, cmap="RdBu_r", vmin=-1.0, vmax=1.0)
    ax.set_xticks(range(n), names, rotation=40, ha="right")
    ax.set_yticks(range(n), names)
    for i in range(n):
        for j in range(n):
            c = correlation[i, j]
            ax.text(j, i, f"{c:.2f}", ha="center", va="center", color="white" if abs(c) > 0.6 else "black", fontsize=8)
    figure.colorbar(image, ax=ax, label="correlation")
    return figure
