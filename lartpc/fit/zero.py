"""The zero of time of a target as an unknown of its fit: `t0_offset`, common to all events of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.constraint import Constraint
from lartpc.fit.robust import cauchy_weights
from lartpc.fit.runs import Run, RunUnknowns, names_of_runs, unknowns_of_runs
from lartpc.fit.target import Target
from lartpc.parameters import parameter
from lartpc.simulation.simulation import Simulation

OFFSET = "t0_offset"
_ROUNDS = 20  # of weights


def with_offset(
    runs: Sequence[Run],
    names: Sequence[str],
    per_run: Sequence[str] = (),
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    constraints: Sequence[Constraint] = (),
) -> RunUnknowns:
    """The parameters `names` and `t0_offset` as unknowns, which begins at its `start` or else where it is estimated.

    Each run has its own. Its bounds are as far from there as its range reaches. Raises InputError: no hit to estimate
    it from, an estimate that is no sane value, and as `unknowns_of_runs` does.
    """
    every = (*names, *(() if OFFSET in names else (OFFSET,)))
    apart = (*per_run, OFFSET) if len(runs) > 1 and OFFSET not in per_run else per_run
    begin, within = dict(start or {}), {}
    low, high = parameter(OFFSET).range
    for run, own in zip(runs, names_of_runs(every, apart, len(runs))[1], strict=True):
        name = own[OFFSET]
        if name not in begin:
            target = Target.of(run.target)
            given = begin.get(OFFSET)
            begin[name] = estimated(run.simulation, run.segments, target.hits) if given is None else given
        within[name] = begin[name] + low, begin[name] + high
    simulations = [run.simulation for run in runs]
    return unknowns_of_runs(simulations, every, apart, begin, {**within, **(bounds or {})}, constraints)


def estimated(simulation: Simulation, segments: Segments, hits: Hits) -> float:
    """The offset [us] of `hits` from where the simulation has them.

    The first hits of pixels are off by offset + slope (drift time), the slope for a velocity that is not the
    simulation's; a line with weights, so that hits of others count little.
    """
    model = simulation.without_noise()(segments).hits
    mine, theirs = (table.select(table.hit == 0) for table in (model, hits))
    places = np.concatenate([np.stack((t.event_id, t.pixel_id), axis=1) for t in (mine, theirs)])
    _, place = np.unique(places, axis=0, return_inverse=True)
    _, i, j = np.intersect1d(place[: len(mine)], place[len(mine) :], return_indices=True)
    if len(i) < 2:
        raise InputError(f"{OFFSET}: no two pixels have hits in target and simulation, allowed is to give its start")
    begin = np.full(len(segments.events), np.inf)
    np.minimum.at(begin, np.searchsorted(segments.events, segments.event_id), segments.t0)
    drift = mine.t[i] - begin[np.searchsorted(segments.events, mine.event_id[i])]
    off = theirs.t[j] - mine.t[i]
    line = np.stack((np.ones(len(i)), drift), axis=1)
    value = np.array([np.median(off), 0.0])
    for _ in range(_ROUNDS):
        root = np.sqrt(cauchy_weights(off - line @ value))
        value = np.linalg.lstsq(root[:, None] * line, root * off, rcond=None)[0]
    return float(value[0])
