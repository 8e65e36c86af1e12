"""The folder of a fit or scan: history.h5, fit.json or scan.h5, pictures. Each file is complete or absent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import hdf5
from .errors import InputError
from .output import new_file
from .parameters import parameter
from .problem import Evaluation
from .result import FitResult
from .scan import Scan

MARKED = 60  # iterations, up to which figures mark each
HISTORY, RESULT, SCAN = "history.h5", "fit.json", "scan.h5"
RESULTS = (RESULT, SCAN)
SCALARS = ("batch", "value", "events", "hits", "unmatched", "mean_square")


def write_history(folder: Path, history: Sequence[Evaluation], names: Sequence[str], setup: dict[str, Any]) -> None:
    """Replace history.h5: one row an evaluation, a dataset for each field of `Evaluation`, and `setup` as JSON."""
    with hdf5.new_hdf5(folder / HISTORY, overwrite=True) as file:
        file.attrs["setup"] = json.dumps(setup, sort_keys=True)
        file.attrs["names"] = json.dumps(list(names))
        for name in Evaluation._fields:
            file[name] = [getattr(evaluation, name) for evaluation in history]


def read_history(folder: Path, setup: dict[str, Any]) -> list[Evaluation]:
    """The evaluations in history.h5, none where it does not exist. Raises InputError where `setup` is another one."""
    path = folder / HISTORY
    if not path.exists():
        return []
    with hdf5.open_hdf5(path) as file:
        try:
            before = json.loads(file.attrs["setup"])
            columns = {name: file[name][()] for name in Evaluation._fields}
        except (KeyError, ValueError):
            raise InputError(f"{path}: is not the history of a fit, so there is nothing to --resume") from None
    now = json.loads(json.dumps(setup))
    for key in now:
        if before.get(key) != now[key]:
            raise InputError(
                f"{path}: {key} was {before.get(key)!r}, now {now[key]!r}: --resume continues the same fit only"
            )
    columns["phase"] = [phase.decode() for phase in columns["phase"]]
    scalars = {name: column.tolist() for name, column in columns.items() if name in SCALARS}
    return [Evaluation(*row) for row in zip(*{**columns, **scalars}.values(), strict=True)]


def write_result(folder: Path, result: FitResult, more: dict[str, Any]) -> None:
    """Write fit.json, in place of another."""
    with new_file(folder / RESULT, overwrite=True) as path:
        path.write_text(json.dumps({**result.as_dict(), **more}, indent=1) + "\n")


def write_scan(folder: Path, scan: Scan, attrs: dict[str, Any]) -> None:
    """Write scan.h5, in place of another: a dataset for each array of `Scan`, the rest and `attrs` as attributes."""
    with hdf5.new_hdf5(folder / SCAN, overwrite=True) as file:
        for name, value in {**scan._asdict(), **attrs}.items():
            if isinstance(value, np.ndarray):
                file[name] = value
            elif value is not None:
                file.attrs[name] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def write_figure(path: Path, figure: Figure) -> None:
    with new_file(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png")


def path(result: FitResult, history: Sequence[Evaluation]) -> np.ndarray:
    """The values at every iteration and at the end (n_iterations + 1, n)."""
    return np.array([evaluation.values for evaluation in history if evaluation.phase != "errors"] + [result.values])


def parameters_figure(result: FitResult, history: Sequence[Evaluation]) -> Figure:
    """Each parameter against iteration, with its error band at the end, its range and, where known, the truth."""
    values = path(result, history)
    columns = min(3, len(result.names))
    rows = -(-len(result.names) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows), dpi=130, layout="constrained")
    warm = sum(evaluation.phase == "warm-up" for evaluation in history)
    marks = "o-" if len(values) <= MARKED else "-"
    for i, name in enumerate(result.names):
        ax = figure.add_subplot(rows, columns, i + 1)
        if warm:
            ax.axvspan(-0.5, warm - 0.5, color="0.94")
        ax.plot(values[:, i], marks, color="tab:blue", markersize=4, label="fit")
        if np.isfinite(result.errors[i]):
            ax.errorbar(len(values) - 1, values[-1, i], result.errors[i], color="tab:blue", capsize=3)
        if result.truth is not None:
            ax.axhline(result.truth[i], color="tab:red", linestyle="--", linewidth=1, label="truth")
        unit = parameter(name).unit
        ax.set_title(f"{name} [{unit}]" if unit else name, fontsize=10)
        ax.set_xlabel("iteration")
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4), useOffset=False)
        ax.locator_params(axis="x", integer=True)
        if i == 0:
            ax.legend(fontsize=8)
    if warm:
        figure.suptitle("shaded: robust start on the first events", fontsize=9)
    return figure


def convergence_figure(result: FitResult, history: Sequence[Evaluation]) -> Figure:
    """Distance to the truth, or without one to the end, relative, against iteration."""
    goal = result.values if result.truth is None else result.truth
    figure = Figure(figsize=(6.5, 4.2), dpi=130, layout="constrained")
    ax = figure.add_subplot()
    values = path(result, history)
    marks = "o-" if len(values) <= MARKED else "-"
    for i, name in enumerate(result.names):
        ax.semilogy(np.maximum(np.abs(values[:, i] / goal[i] - 1.0), 1e-10), marks, markersize=3, label=name)
    ax.set_xlabel("iteration")
    ax.set_ylabel("|value / truth - 1|" if result.truth is not None else "|value / last value - 1|")
    ax.locator_params(axis="x", integer=True)
    ax.legend(fontsize=8)
    return figure


def correlation_figure(result: FitResult) -> Figure:
    """The correlation matrix."""
    n = len(result.names)
    figure = Figure(figsize=(1.6 + 0.8 * n, 1.2 + 0.75 * n), dpi=130, layout="constrained")
    ax = figure.add_subplot()
    image = ax.imshow(result.correlation, cmap="RdBu_r", vmin=-1.0, vmax=1.0)
    ax.set_xticks(range(n), result.names, rotation=40, ha="right")
    ax.set_yticks(range(n), result.names)
    for i in range(n):
        for j in range(n):
            c = result.correlation[i, j]
            ax.text(j, i, f"{c:.2f}", ha="center", va="center", color="white" if abs(c) > 0.6 else "black", fontsize=8)
    figure.colorbar(image, ax=ax, label="correlation")
    return figure
