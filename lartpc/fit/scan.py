"""Scan: a loss and its exact derivatives along parameters, or over the plane of two, the others fixed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chi2

from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.agreement import check_agreement
from lartpc.fit.calibrate import LOSSES, SIX, Journal, truth_of
from lartpc.fit.problem import Problem, Record
from lartpc.fit.target import Target
from lartpc.fit.unknowns import check_events, check_names, unknowns_of
from lartpc.losses.catalogue import SQUARES
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import TABLE, Parameters, check_parameter, parameter
from lartpc.simulation.batching import Batching
from lartpc.simulation.simulation import Simulation

CONTENTS = (0.6827, 0.95)  # of intervals and contours


def rise_of(content: float, dimensions: int) -> float:
    """The rise of -log L at the edge of the region of so many parameters that has the truth with this probability."""
    return 0.5 * float(chi2.ppf(content, dimensions))


class Scan(NamedTuple):
    """A loss at n_points values of the n parameters `names`; arrays in this order."""

    names: tuple[str, ...]
    along: np.ndarray  # (n_points,) index of the one parameter that varies there, -1 in a plane
    values: np.ndarray  # (n_points, n)
    loss: np.ndarray  # (n_points,)
    gradient: np.ndarray  # (n_points, n) of the loss
    fixed: np.ndarray  # (n,) where a parameter is while it does not vary
    truth: np.ndarray | None  # (n,) of the target, where known
    kind: str  # name of the loss
    minimum: float | None = None  # of a profile: the loss where nothing is held
    fitted: tuple[str, ...] = ()  # of a profile: the m parameters that were fitted, at each point all but those held
    profiled: np.ndarray | None = None  # (n_points, m) their values
    left_out: str = ""  # of the target, as `Cleaning` tells it

    @property
    def plane(self) -> bool:
        return bool((self.along < 0).all())

    def line(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values of one parameter, rising, the loss and its derivative by that parameter, (n_of_line,) each."""
        i = self.names.index(name)
        at = self.along == i
        return self.values[at, i], self.loss[at], self.gradient[at, i]

    def interval(self, name: str, content: float) -> tuple[float, float]:
        """Where the profile of one parameter is chi2/2 of `content` above its minimum; NaN beyond the points."""
        x, loss, _ = self.line(name)
        least = loss.argmin()
        root = np.sqrt(np.maximum(2.0 * (loss - self.minimum), 0.0)) * np.where(np.arange(len(x)) < least, -1.0, 1.0)
        root = np.maximum.accumulate(root)
        level = np.sqrt(2.0 * rise_of(content, 1))
        low, high = np.interp((-level, level), root, x, left=np.nan, right=np.nan)
        return float(low), float(high)

    def lowest(self) -> np.ndarray:
        """The values (n,) of the point with the least loss."""
        return self.values[np.argmin(self.loss)]

    def __str__(self) -> str:
        return f"left out: {self.left_out}\n{self.table()}" if self.left_out else self.table()

    def table(self) -> str:
        """Where the loss is lowest, and how it rises."""
        unit = {name: parameter(name).unit for name in self.names}
        if self.plane:
            found = ", ".join(f"{n} {v:.7g} {unit[n]}".rstrip() for n, v in zip(self.names, self.lowest(), strict=True))
            return f"{self.kind}: {self.loss.min():.6g} at the lowest of {len(self.loss)} points, {found}"
        if self.minimum is not None:
            head = f"{'':3}{'name':<15} {'best':>13} " + " ".join(
                f"{f'{content:.0%} {end}':>13}" for content in CONTENTS for end in ("from", "to")
            )
            lines = [f"{self.kind}, minimal in the others: {self.minimum:.6g}", f"{head}  unit"]
            for i, name in enumerate(self.names):
                ends = (end for content in CONTENTS for end in self.interval(name, content))
                line = f"{i:<3}{name:<15} {self.fixed[i]:13.7g} " + " ".join(f"{end:13.7g}" for end in ends)
                lines.append(f"{line}  {unit[name]}".rstrip())
            return "\n".join(lines)
        head = f"{'':3}{'name':<15} {'lowest at':>13} {'loss there':>13}"
        lines = [self.kind, f"{head} {'from':>11} {'rise':>11} {'to':>11} {'rise':>11}  unit"]
        for i, name in enumerate(self.names):
            x, loss, _ = self.line(name)
            least = np.argmin(loss)
            rise = loss - loss[least]
            line = f"{i:<3}{name:<15} {x[least]:13.7g} {loss[least]:13.7g} {x[0]:11.5g} {rise[0]:11.4g}"
            lines.append(f"{line} {x[-1]:11.5g} {rise[-1]:11.4g}  {unit[name]}".rstrip())
        return "\n".join(lines)


@one_blas_thread
def scan(
    simulation: Simulation,
    segments: Segments,
    target: Target | Hits,
    *,
    over: dict[str, tuple[float, float]] | None = None,
    points: int = 21,
    plane: bool = False,
    loss: str | None = None,
    journal: Journal = Journal(),  # noqa: B008  (immutable)
) -> Scan:
    """Evaluate `loss` with its gradient on `points` values of each parameter in `over`, from low to high.

    Default: the six of the paper, over the ranges of `TABLE`. Each alone, the others at the simulation's values, which
    is one of the points too where it lies in the range (the paper's Fig. 12); or, with `plane`, two of them together
    (Fig. 9), `points` squared, the second varying fastest. `target`, `loss`, `journal`: as `calibrate` takes them; the
    journal's `progress` wraps the points.

    Raises InputError: unknown name, one that nothing depends on, a range that is not low < high or not physical, fewer
    than 2 points, a plane of other than two parameters, an unknown loss, hits of another detector or of other events
    than the segments' or simulated otherwise (`check_agreement`), no hit where the segments give charge. Raises
    FloatingPointError where the loss is not finite.
    """
    over = over if over is not None else {name: TABLE[name].range for name in SIX}
    names = tuple(over)
    check_grid(simulation, over, points, plane)
    check_events(names, segments.events)
    target = Target.of(target)
    loss = loss or target.loss
    check_choice("loss", loss, LOSSES)
    target.check(simulation.detector, segments)
    check_agreement(target, simulation, names)
    target, left_out = target.usable(simulation.detector)
    simulation = simulation.apart(names).without_pixels(target.unread)
    hits = TargetHits(target.hits, simulation.detector, target.rounded)
    varied = unknowns_of(simulation, names)
    quiet = simulation.without_noise()
    batches = quiet.batches(segments, whole=loss not in SQUARES)
    objective = Objective(loss, quiet, batches, hits, varied)
    return scan_objective(
        objective, over, points, plane, journal, kind=loss, truth=target.truth, left_out=str(left_out)
    )


def scan_objective(
    objective: Any,
    over: Mapping[str, tuple[float, float]],
    points: int,
    plane: bool,
    journal: Journal,
    *,
    kind: str,
    truth: Parameters | None,
    left_out: str = "",
) -> Scan:
    """The scan of an objective by its unknowns, which are those of `over`, in its order; `kind`: name of the loss."""
    fixed, names = objective.unknowns.start, tuple(over)
    along, values = plane_of(over, points) if plane else lines_of(over, points, fixed)
    problem = Problem(objective, Record(journal.done, journal.report), "scan")
    found = [problem(row) for row in journal.progress(values)]
    if not any(evaluation.hits for evaluation in found):
        raise InputError("target: no hit is on a pixel where the segments give charge")
    return Scan(
        names=names,
        along=along,
        values=values,
        loss=np.array([evaluation.value for evaluation in found]),
        gradient=np.array([evaluation.gradient for evaluation in found]),
        fixed=fixed,
        truth=truth_of(truth, names),
        kind=kind,
        left_out=left_out,
    )


def check_grid(simulation: Batching, over: Mapping[str, tuple[float, float]], points: int, plane: bool) -> None:
    """Raise InputError where there is no such grid."""
    check_names(simulation, tuple(over))
    check_points(over, points, plane)
    for name, (low, high) in over.items():
        for value in (low, high):
            check_parameter(name, value, f"range of {name}")
        if not low < high:
            raise InputError(f"range of {name}: found {low:g} to {high:g}, allowed is from a lower to a higher value")


def check_points(over: Collection[str], points: int, plane: bool) -> None:
    """Raise InputError where there are not that many points along the parameters `over`."""
    if plane and len(over) != 2:
        raise InputError(f"plane: needs two parameters, found {len(over)}: {', '.join(over)}")
    if points < 2:
        raise InputError(f"points: found {points}, allowed are 2 or more")


def lines_of(over: Mapping[str, tuple[float, float]], points: int, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`along` and `values` of a line for each parameter, through `fixed` where that is within its range."""
    along, values = [], []
    for i, (low, high) in enumerate(over.values()):
        line = np.linspace(low, high, points)
        if low < fixed[i] < high:
            line = np.unique(np.append(line, fixed[i]))
        rows = np.tile(fixed, (len(line), 1))
        rows[:, i] = line
        along.append(np.full(len(line), i))
        values.append(rows)
    return np.concatenate(along), np.concatenate(values)


def plane_of(over: Mapping[str, tuple[float, float]], points: int) -> tuple[np.ndarray, np.ndarray]:
    """`along` and `values` of the plane of two parameters."""
    first, second = (np.linspace(low, high, points) for low, high in over.values())
    values = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.full(len(values), -1), values
