"""What is fitted: numbers with names, units, a start, bounds and a scale, and what they are in the chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from lartpc.checks import nearest
from lartpc.contracts import ChainUnknowns, Unknowns
from lartpc.exceptions import InputError
from lartpc.fit.constraint import Constraint
from lartpc.parameters import OF_EVENTS, SINGLE, TABLE, check_parameter, common_name, event_of, is_known, parameter
from lartpc.simulation.batching import Batching


@dataclasses.dataclass(frozen=True, eq=False)
class ParameterUnknowns:
    """Parameters of charge, response and electronics as `Unknowns`; n of them, arrays in the order of `names`.

    `apply` puts their values into the vector `base` of a simulation's parameters, at `slots`.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    start: np.ndarray  # (n,)
    bounds: np.ndarray  # (n, 2)
    scale: np.ndarray  # (n,) of their changes: the nominal values, or where these are 0, half of the ranges
    reach: np.ndarray  # (n,) the width of the ranges
    nominal: np.ndarray  # (n,)
    slots: np.ndarray  # (n,) int64, of the vector
    base: np.ndarray  # (n_values,) float64
    constraints: tuple[Constraint, ...] = ()

    def apply(self, values: np.ndarray) -> np.ndarray:
        """The vector of the chain's parameters (n_values,) float64, with the unknowns at `values` (n,)."""
        vector = self.base.copy()
        vector[self.slots] = values
        return vector

    def size(self, values: np.ndarray) -> np.ndarray:
        """What changes of `values` (n,) are relative to: themselves, or the scale of those that are 0 nominally."""
        return np.where(self.nominal == 0.0, self.scale, np.abs(values))


def unknowns_of(
    simulation: Batching,
    names: Sequence[str],
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    constraints: Sequence[Constraint] = (),
) -> ParameterUnknowns:
    """The parameters `names` as unknowns: from `start`, else the simulation's values, within `bounds`, else `TABLE`'s.

    `constraints`: what is known of them besides the target, for a likelihood or residuals.

    Raises InputError: unknown or repeated name, one that nothing depends on, a start, bounds or a constraint of what is
    not among them, bounds that are not physical or not from low to high, a covariance that is none.
    """
    check_names(simulation, names)
    simulation = simulation.apart(names)
    start, bounds = start or {}, bounds or {}
    for what, given in (("start", start), ("bounds", bounds)):
        for name in given:
            if name not in names:
                raise InputError(f"{what}: {name} is not fitted, allowed are {', '.join(names)}")
    for one in constraints:
        one.check(names)
    values, limits = [], []
    known = simulation.parameters.as_dict()
    for name in names:
        low, high = bounds.get(name, parameter(name).bounds)
        for bound in bounds.get(name, ()):
            check_parameter(name, bound, f"bounds of {name}")
        if not low <= high:
            raise InputError(f"bounds of {name}: found {low:g} to {high:g}, allowed is from a lower to a higher value")
        values.append(start.get(name, float(known[name] or 0.0)))
        limits.append((low, high))
    rows = [parameter(name) for name in names]
    return ParameterUnknowns(
        names=tuple(names),
        units=tuple(row.unit for row in rows),
        start=np.array(values, dtype=np.float64),
        bounds=np.array(limits, dtype=np.float64).reshape(-1, 2),
        scale=np.array([row.scale for row in rows]),
        reach=np.array([row.range[1] - row.range[0] for row in rows]),
        nominal=np.array([row.nominal for row in rows]),
        slots=np.array([simulation.parameters.names.index(name) for name in names], dtype=np.int64),
        base=simulation.parameters.vector(np.float64),
        constraints=tuple(constraints),
    )


def as_unknowns(simulation: Batching, unknowns: Sequence[str] | ChainUnknowns) -> ChainUnknowns:
    """What is given as unknowns: names of parameters, as `unknowns_of` makes of them, or unknowns as they are."""
    return unknowns_of(simulation, unknowns) if isinstance(unknowns, Sequence) else unknowns


def check_start(unknowns: Unknowns) -> None:
    """Raise InputError where a start is outside its bounds."""
    for name, value, (low, high) in zip(unknowns.names, unknowns.start, unknowns.bounds, strict=True):
        if not low <= value <= high:
            raise InputError(f"start of {name}: found {value:g}, allowed is {low:g} to {high:g}")


def check_names(simulation: Batching, names: Sequence[str]) -> None:
    """Raise InputError where `names` cannot be fitted."""
    if not names:
        raise InputError(f"fit: no parameter is named, allowed are {', '.join(simulation.acting())}")
    for name in names:
        if not is_known(name):
            raise InputError(f"fit: parameter {name} is not known, nearest is {nearest(name, TABLE)}")
    simulation = simulation.apart(names)
    acting, single = simulation.acting(), simulation.parameters.modules
    for name in names:
        own = [other for other in single if other != name and common_name(other) == name]
        if own:
            of = "modules" if event_of(own[0]) is None else "events"
            raise InputError(f"fit: {name} is that of all {of}, but {', '.join(own)} are of single ones: fit these")
        if name not in acting:
            raise InputError(
                f"fit: nothing depends on {name} with recombination {simulation.recombination}, vdrift "
                f"{simulation.parameters.vdrift or 'linked to the field'} and a {simulation.readout.name} response; "
                f"allowed are {', '.join(acting)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"fit: a parameter is named twice in {', '.join(names)}")


def per_module(names: Sequence[str], single: Sequence[str], n_modules: int) -> tuple[str, ...]:
    """`names` with those in `single` replaced by one a module: eField by eField.0, eField.1 ...

    Raises InputError for one that modules do not have, or that is not among `names`.
    """
    return _one_each("per-module", names, single, SINGLE, [str(module) for module in range(n_modules)])


def per_event(names: Sequence[str], single: Sequence[str], events: np.ndarray) -> tuple[str, ...]:
    """`names` with those in `single` replaced by one for each of `events`, ids: t0_offset by t0_offset.event3 ...

    Raises InputError for one that events do not have, or that is not among `names`.
    """
    return _one_each("per-event", names, single, OF_EVENTS, [f"event{event}" for event in events.tolist()])


def _one_each(
    option: str, names: Sequence[str], single: Sequence[str], allowed: Sequence[str], each: Sequence[str]
) -> tuple[str, ...]:
    """`names` with those in `single`, which are `allowed`, replaced by one for `each`."""
    for name in single:
        if name not in allowed:
            raise InputError(f"{option} {name}: allowed are {', '.join(allowed)}")
        if name not in names:
            raise InputError(f"{option} {name}: is not fitted")
    return tuple(one for name in names for one in ([f"{name}.{of}" for of in each] if name in single else [name]))


def check_events(names: Sequence[str], events: np.ndarray) -> None:
    """Raise InputError where one of `names` is of an event that is not among `events`, ids."""
    here = set(events.tolist())
    for name in names:
        event = event_of(name)
        if event is not None and event not in here:
            raise InputError(
                f"fit: {name}: the segments have no event {event}, allowed are their {len(events)} events from "
                f"{events.min()} to {events.max()}"
            )
