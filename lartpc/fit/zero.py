"""The zero of time of a target as an unknown of its fit: `t0_offset`, common to all events of a run or of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.constraint import Constraint
from lartpc.fit.robust import cauchy_weights
from lartpc.fit.runs import Run, RunUnknowns, names_of_runs, unknowns_of_runs
from lartpc.fit.target import Target
from lartpc.parameters import common_name, event_of, parameter
from lartpc.simulation.simulation import Simulation

OFFSET = "t0_offset"
_ROUNDS = 20  # of weights
_FEW = 5  # pixels of an event below which they do not tell its own offset


def with_offset(
    runs: Sequence[Run],
    names: Sequence[str],
    per_run: Sequence[str] = (),
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    constraints: Sequence[Constraint] = (),
) -> RunUnknowns:
    """The parameters `names` and `t0_offset` as unknowns, which begins at its `start` or else where it is estimated.

    Each run has its own. Where `names` have offsets of single events, as `per_event` makes them, each begins where its
    own event has it, or with fewer than 5 pixels to tell that, at the median of the others; a start or bounds of
    `t0_offset` are then those of each. Bounds are as far from the start as the range of `t0_offset` reaches. Raises
    InputError: no hit to estimate it from, an estimate that is no sane value, and as `unknowns_of_runs` does.
    """
    offsets = [name for name in names if common_name(name) == OFFSET] or [OFFSET]
    every = (*names, *(name for name in offsets if name not in names))
    apart = (*per_run, OFFSET) if len(runs) > 1 and OFFSET not in per_run else per_run
    begin, limits = dict(start or {}), dict(bounds or {})
    low, high = parameter(OFFSET).range
    found: dict[str, float] = {}
    for run, own in zip(runs, names_of_runs(every, apart, [run.simulation.detector for run in runs])[1], strict=True):
        if any(own[name] not in begin and OFFSET not in begin for name in offsets):
            pairs = matched(run.simulation, run.segments, Target.of(run.target).hits)
            of_events = {} if OFFSET in offsets else offsets_of_events(pairs)
            common = float(np.median([*of_events.values()])) if of_events else offset(pairs)
            found |= {own[name]: of_events.get(event_of(name), common) for name in offsets}
        found |= {own[name]: begin[key] for name in offsets for key in (OFFSET, own[name]) if key in begin}
    within = {name: (value + low, value + high) for name, value in found.items()}
    if OFFSET in limits:
        within |= dict.fromkeys(found, limits[OFFSET])
    simulations = [run.simulation for run in runs]
    begin.pop(OFFSET, None)
    limits.pop(OFFSET, None)
    return unknowns_of_runs(simulations, every, apart, begin | found, within | limits, constraints)


class Pairs(NamedTuple):
    """First hits of pixels in a target and in the simulation, columns (n,)."""

    event_id: np.ndarray
    drift: np.ndarray  # from the event's first deposit to the simulated hit [us]
    off: np.ndarray  # time of the target's hit less that of the simulated one [us]


def matched(simulation: Simulation, segments: Segments, hits: Hits) -> Pairs:
    """The pixels that have hits in both. Raises InputError where there are fewer than two."""
    model = simulation.without_noise()(segments).hits
    mine, theirs = (table.select(table.hit == 0) for table in (model, hits))
    places = np.concatenate([np.stack((t.event_id, t.pixel_id), axis=1) for t in (mine, theirs)])
    _, place = np.unique(places, axis=0, return_inverse=True)
    _, i, j = np.intersect1d(place[: len(mine)], place[len(mine) :], return_indices=True)
    if len(i) < 2:
        raise InputError(f"{OFFSET}: no two pixels have hits in target and simulation, allowed is to give its start")
    events = segments.events
    drift = mine.t[i] - segments.begins(events)[np.searchsorted(events, mine.event_id[i])]
    return Pairs(mine.event_id[i], drift, theirs.t[j] - mine.t[i])


def offset(pairs: Pairs) -> float:
    """The offset [us] of all hits from where the simulation has them.

    They are off by offset + slope drift, the slope for a velocity that is not the simulation's; a line with weights, so
    that hits of others count little.
    """
    line = np.stack((np.ones(len(pairs.off)), pairs.drift), axis=1)
    value = np.array([np.median(pairs.off), 0.0])
    for _ in range(_ROUNDS):
        root = np.sqrt(cauchy_weights(pairs.off - line @ value))
        value = np.linalg.lstsq(root[:, None] * line, root * pairs.off, rcond=None)[0]
    return float(value[0])


def offsets_of_events(pairs: Pairs) -> dict[int | None, float]:
    """The offset [us] of each event by its id, as `offset` has it, with one slope for all.

    Events may lie at few drift times, which tell no slope. Those with fewer than `_FEW` pixels are left out.
    """
    events, event = np.unique(pairs.event_id, return_inverse=True)
    n = len(events)
    value, slope = np.array([np.median(pairs.off[event == e]) for e in range(n)]), 0.0
    for _ in range(_ROUNDS):
        weight = cauchy_weights(pairs.off - value[event] - slope * pairs.drift)
        total = np.bincount(event, weight, n)
        drift, off = (np.bincount(event, weight * column, n) / total for column in (pairs.drift, pairs.off))
        along = pairs.drift - drift[event]
        spread = float(np.sum(weight * along**2))
        slope = float(np.sum(weight * along * (pairs.off - off[event]))) / spread if spread > 0.0 else 0.0
        value = off - slope * drift
    enough = np.bincount(event, minlength=n) >= _FEW
    return dict(zip(events[enough].tolist(), value[enough].tolist(), strict=True))
