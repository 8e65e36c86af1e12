"""Profiles of a likelihood: its least along parameters, or over the plane of two, all others fitted at each point."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.contracts import ChainUnknowns
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import SIX, Journal, calibrate
from lartpc.fit.optimizers import GaussNewton, gauss_newton
from lartpc.fit.problem import Evaluation, Problem, Record
from lartpc.fit.result import FitResult
from lartpc.fit.scan import Scan, check_points, lines_of, plane_of
from lartpc.fit.stage import Stage
from lartpc.fit.target import Target
from lartpc.fit.unknowns import as_unknowns
from lartpc.simulation.simulation import Simulation

ERRORS = 3.0  # from the best value to the ends of a range by default
ITERATIONS = 20  # at a point


@one_blas_thread
def profile_scan(
    simulation: Simulation,
    segments: Segments,
    target: Target | Hits,
    unknowns: Sequence[str] | ChainUnknowns = SIX,
    *,
    over: Mapping[str, tuple[float, float] | None] | None = None,
    points: int = 21,
    plane: bool = False,
    journal: Journal = Journal(),  # noqa: B008  (immutable)
) -> Scan:
    """Fit `unknowns`, then again with each of `over` held at `points` values of its range, or with `plane` two of them.

    A range that is None: three errors to both sides of the best value. Each point starts from its neighbour, from the
    best one outwards. The loss is that of the target (`Target.loss`), the gradient that of its profile, as the others
    have none at their minimum (envelope theorem). `over`: by default all. Contours of 68 and 95 %: see
    `Scan.interval`; S. S. Wilks, Ann. Math. Stat. 9 (1938) 60.

    Raises InputError as `calibrate` does; `over` of what is not fitted, a range that is not from low to high within the
    bounds, one that is None of a parameter that the data leave open, fewer than 2 points, a plane of other than two.
    """
    target = Target.of(target)
    varied = as_unknowns(simulation, unknowns)
    asked = over if over is not None else dict.fromkeys(varied.names)
    check(asked, varied, points, plane)
    first, rest = divided(journal)
    best = calibrate(simulation, segments, target, varied, optimizer="gauss-newton", journal=first)
    target, _ = target.usable(simulation.detector)
    quiet = simulation.apart(varied.names).without_noise()
    stage = Stage(quiet, segments, target, varied, best.loss, GaussNewton(), list)
    return profile_objective(stage.objective(best.verdicts[0].cleaning), best, asked, points, plane, rest())


def divided(journal: Journal) -> tuple[Journal, Callable[[], Journal]]:
    """That of a fit, and what gives that of all that is evaluated after it."""
    seen: list[Evaluation] = []

    def report(evaluation: Evaluation) -> None:
        seen.append(evaluation)
        journal.report(evaluation)

    return Journal(journal.done, report), lambda: dataclasses.replace(journal, done=journal.done[len(seen) :])


def profile_objective(
    objective: Any,
    best: FitResult,
    asked: Mapping[str, tuple[float, float] | None],
    points: int,
    plane: bool,
    journal: Journal,
) -> Scan:
    """The profile of an objective from the result `best` of its fit."""
    varied = objective.unknowns
    ranges = {name: limits or around(best, name) for name, limits in asked.items()}
    problem = Problem(objective, Record(journal.done, journal.report), "profile")
    columns = [varied.names.index(name) for name in ranges]
    middle = best.values[columns]
    along, values = plane_of(ranges, points) if plane else lines_of(ranges, points, middle)
    held = [columns if k < 0 else [columns[k]] for k in along]
    found: dict[int, Evaluation] = {}
    for k, before in journal.progress(outwards(along, values, middle)):
        start = best.values.copy() if before < 0 else found[before].values.copy()
        start[held[k]] = values[k, along[k]] if along[k] >= 0 else values[k]
        bounds = varied.bounds.copy()
        bounds[held[k]] = start[held[k], None]
        at = Problem(problem.objective, problem.record, problem.phase, bounds)
        found[k] = gauss_newton(at, np.clip(start, *bounds.T), ITERATIONS).last
    rows = [found[k] for k in range(len(values))]
    losses = np.array([row.value for row in rows])
    everything = np.array([row.values for row in rows])
    return Scan(
        names=tuple(ranges),
        along=along,
        values=everything[:, columns],
        loss=losses,
        gradient=np.array([row.gradient[columns] for row in rows]),
        fixed=middle,
        truth=None if best.truth is None else best.truth[columns],
        kind=best.loss,
        minimum=min(best.value, float(losses.min())),
        fitted=varied.names,
        profiled=everything,
        left_out=str(best.verdicts[0].cleaning),
    )


def check(asked: Mapping[str, tuple[float, float] | None], varied: ChainUnknowns, points: int, plane: bool) -> None:
    """Raise InputError where there are no such points."""
    check_points(asked, points, plane)
    for name, limits in asked.items():
        if name not in varied.names:
            raise InputError(f"profile: {name} is not fitted, allowed are {', '.join(varied.names)}")
        low, high = varied.bounds[varied.names.index(name)]
        if limits is not None and not low <= limits[0] < limits[1] <= high:
            raise InputError(
                f"range of {name}: found {limits[0]:g} to {limits[1]:g}, allowed is from a lower to a higher value "
                f"within {low:g} to {high:g}"
            )


def around(best: FitResult, name: str) -> tuple[float, float]:
    """The range of `ERRORS` errors about the best value, within the bounds."""
    k = best.names.index(name)
    error = best.errors[k]
    if not np.isfinite(error):
        raise InputError(f"range of {name}: the data leave it open, allowed is a range of one's own")
    low, high = np.clip(best.values[k] + ERRORS * error * np.array([-1.0, 1.0]), *best.bounds[k])
    return float(low), float(high)


def outwards(along: np.ndarray, values: np.ndarray, middle: np.ndarray) -> list[tuple[int, int]]:
    """The points in the order in which they are fitted, and the neighbour that each starts from, -1: the best one.

    A line goes from the point nearest to the best value to both sides; a plane from the row nearest to it, each row in
    the same way from the point that lies beside one of the row before.
    """
    if (along < 0).all():
        n = round(len(values) ** 0.5)
        rows, columns = values[::n, 0], values[:n, 1]
        steps_j = steps(columns, middle[1])
        return [
            (i * n + j, i * n + before_j if before_j >= 0 else before_i * n + j if before_i >= 0 else -1)
            for i, before_i in steps(rows, middle[0])
            for j, before_j in steps_j
        ]
    order = []
    for k in np.unique(along):
        at = np.flatnonzero(along == k)
        order += [(int(at[i]), int(at[b]) if b >= 0 else -1) for i, b in steps(values[at, k], middle[k])]
    return order


def steps(x: np.ndarray, middle: float) -> list[tuple[int, int]]:
    """Indices of rising values from the nearest to `middle` outwards, with the neighbour of each, -1 of the first."""
    first = int(np.argmin(np.abs(x - middle)))
    up = [(i, i - 1) for i in range(first + 1, len(x))]
    return [(first, -1), *up, *((i, i + 1) for i in range(first - 1, -1, -1))]
