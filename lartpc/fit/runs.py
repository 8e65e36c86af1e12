"""Several runs in one fit: what is common to them and what each has of its own, and their losses as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import ChainUnknowns
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.fit.constraint import Constraint
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.losses import per_event
from lartpc.losses.linear import Linear, Parts, join
from lartpc.losses.per_event import MeanLoss
from lartpc.parameters import common_name, is_known, single_of
from lartpc.simulation.simulation import Simulation


class Run(NamedTuple):
    """What `calibrate` takes of one run: energy deposits, the hits that they made, and the model."""

    simulation: Simulation
    segments: Segments
    target: Target | Hits


@dataclasses.dataclass(frozen=True, eq=False)
class RunUnknowns:
    """The n unknowns of all runs, as `Unknowns`; those of run k alone are lifetime.run0, lifetime.run1, ...

    Values of run k are `values[columns[k]]`, in the order of `of_run[k]`.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    start: np.ndarray  # (n,)
    bounds: np.ndarray  # (n, 2)
    scale: np.ndarray  # (n,)
    reach: np.ndarray  # (n,)
    constraints: tuple[Constraint, ...]
    of_run: tuple[ChainUnknowns, ...]
    columns: tuple[np.ndarray, ...]  # int64
    fitted: tuple[str, ...]  # names without those of runs
    per_run: tuple[str, ...] = ()

    @staticmethod
    def of(unknowns: ChainUnknowns) -> RunUnknowns:
        """Those of a single run."""
        u = unknowns
        columns = (np.arange(len(u.names)),)
        return RunUnknowns(u.names, u.units, u.start, u.bounds, u.scale, u.reach, u.constraints, (u,), columns, u.names)

    def size(self, values: np.ndarray) -> np.ndarray:
        """What changes of `values` (n,) are told relative to (n,), above 0."""
        result = np.empty(len(self.names))
        for own, columns in zip(self.of_run, self.columns, strict=True):
            result[columns] = own.size(values[columns])
        return result

    def told(self, of_run: Sequence[np.ndarray | None]) -> np.ndarray | None:
        """One value of each unknown (n,) from those of the runs; None where not known, or where runs differ."""
        result = np.full(len(self.names), np.nan)
        for values, columns in zip(of_run, self.columns, strict=True):
            if values is None:
                return None
            known = ~np.isnan(result[columns])
            if not np.allclose(values[known], result[columns][known], rtol=1e-6, atol=0.0):
                return None
            result[columns] = values
        return result


def names_of_runs(
    names: Sequence[str], per_run: Sequence[str], detectors: Sequence[Detector]
) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The names of all unknowns, and for each run those of `names` there. Raises InputError as `unknowns_of_runs`.

    A run has no name of a module, TPC or pixel that is another's only.
    """
    for name in per_run:
        if name not in names:
            raise InputError(f"per-run: {name} is not fitted, allowed are {', '.join(names)}")
    known = [name for name in names if any(has(detector, name) for detector in detectors)]
    owned = [
        {
            name: f"{name}.run{k}" if name in per_run else name
            for name in names
            if has(detector, name) or name not in known
        }
        for k, detector in enumerate(detectors)
    ]
    return tuple(dict.fromkeys(own[name] for name in names for own in owned if name in own)), owned


def has(detector: Detector, name: str) -> bool:
    """Whether a detector has the module, TPC or pixel that a parameter is of, where it is of one."""
    if common_name(name) == name or not is_known(name):
        return True
    kind, number = single_of(name)
    return number < detector.counts.get(kind, np.inf)


def unknowns_of_runs(
    simulations: Sequence[Simulation],
    names: Sequence[str],
    per_run: Sequence[str] = (),
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    constraints: Sequence[Constraint] = (),
) -> RunUnknowns:
    """The parameters `names` as unknowns of runs; those of `per_run` have a value of their own in each.

    `start` and `bounds` by names as they are in the result, or for all runs as in `names`; without them as
    `unknowns_of` has it, those in common by the first run that has them. Raises InputError as that does, and for what
    `per_run` names and `names` does not.
    """
    every, owned = names_of_runs(names, per_run, [simulation.detector for simulation in simulations])
    for what, given in (("start", start or {}), ("bounds", bounds or {})):
        for name in given:
            if name not in every and name not in names:
                raise InputError(f"{what}: {name} is not fitted, allowed are {', '.join(every)}")
    for one in constraints:
        one.check(every)

    def of(given: Mapping[str, Any] | None, own: Mapping[str, str]) -> dict[str, Any]:
        found = {name: (given or {}).get(own[name], (given or {}).get(name)) for name in own}
        return {name: value for name, value in found.items() if value is not None}

    of_run = tuple(
        unknowns_of(simulation, tuple(name for name in names if name in own), of(start, own), of(bounds, own))
        for simulation, own in zip(simulations, owned, strict=True)
    )
    columns = tuple(np.array([every.index(name) for name in own.values()], dtype=np.int64) for own in owned)
    first = [next((k, list(c).index(i)) for k, c in enumerate(columns) if i in c) for i in range(len(every))]

    def collected(field: str) -> np.ndarray:
        return np.array([getattr(of_run[k], field)[i] for k, i in first])

    return RunUnknowns(
        names=every,
        units=tuple(of_run[k].units[i] for k, i in first),
        start=collected("start"),
        bounds=collected("bounds").reshape(-1, 2),
        scale=collected("scale"),
        reach=collected("reach"),
        constraints=tuple(constraints),
        of_run=of_run,
        columns=columns,
        fitted=tuple(names),
        per_run=tuple(per_run),
    )


class Joint:
    """The losses of runs as one: their sum or, where they are means over events, the mean over all events.

    `parts`: each as `Objective` is called, with the unknowns of its run.
    """

    def __init__(self, parts: Sequence[Any], unknowns: RunUnknowns) -> None:
        self.parts = parts
        self.unknowns = unknowns
        self.batches = [(k, batch) for k, part in enumerate(parts) for batch in range(len(part.batches))]

    def __call__(self, values: np.ndarray, chosen: Sequence[int] | None = None) -> Linear | Parts | MeanLoss:
        """The sum (of events, their mean) over the batches of all runs, or over those `chosen`."""
        found: list[Any] = []
        for k, (part, columns) in enumerate(zip(self.parts, self.unknowns.columns, strict=True)):
            own = None if chosen is None else [batch for run, batch in (self.batches[i] for i in chosen) if run == k]
            if own is None or own:
                one = part(values[columns], own)
                found.append(one if len(self.parts) == 1 else one.among(columns, len(values)))
        if len(found) == 1:
            return found[0]
        return per_event.join(found) if isinstance(found[0], MeanLoss) else join(found)
