"""What a target's file says of its simulation, next to that of the fit: no residual can tell some of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from lartpc.checks import short
from lartpc.exceptions import InputError
from lartpc.parameters import LINKED, TABLE, Parameters, common_name
from lartpc.simulation.simulation import Simulation
from lartpc.simulation.wires import WireSimulation

CLOSE = 1e-6  # relative difference up to which numbers are the same: files hold some in single precision
# Of the detector, and not compared: a parameter, what `Target.check` compares, and what changes no hit.
ELSEWHERE = ("buffer_risetime", "max_hits", "packet_version")
DESCRIBED = ("readout", "geometry")  # groups of the detector's own values in a file


class Told(Protocol):
    """A target, of hits or of frames, as far as its file tells of its simulation."""

    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def truth(self) -> Parameters | None: ...
    @property
    def source(self) -> str: ...
    @property
    def trusted(self) -> Sequence[str]: ...


def check_agreement(target: Told, simulation: Simulation | WireSimulation, fitted: Sequence[str]) -> None:
    """Raise InputError where the target was simulated with another model than `simulation`, but for what is `fitted`.

    Compared is all that the target's `settings` say: recombination, response, the fixed parameters that act, the
    detector's readout and geometry, of wires all that is told of them. `target.trusted` names what may differ.
    """
    for name, found, taken in differences(target, simulation, fitted):
        if name not in target.trusted:
            raise InputError(
                f"{target.source}: was simulated with {name} {found}, the fit takes {taken}: allowed is the same, or "
                f"--trust-me {name}"
            )


def doubts(target: Told, simulation: Simulation | WireSimulation) -> list[str]:
    """Lines on how the target was simulated otherwise than by `simulation`, but for values of parameters."""
    return [
        f"{target.source}: was simulated with {name} {found}, compared is {taken}"
        for name, found, taken in differences(target, simulation, tuple(TABLE))
    ]


def differences(
    target: Told, simulation: Simulation | WireSimulation, fitted: Sequence[str]
) -> Iterator[tuple[str, Any, Any]]:
    """Name, value in the target's file and value of the fit, of what differs."""
    settings = target.settings
    recombination = settings.get("recombination", simulation.recombination)
    if recombination != simulation.recombination:
        yield "recombination", recombination, simulation.recombination
    if isinstance(simulation, WireSimulation):
        yield from differences_of_wires(settings, simulation)
    else:
        taken = simulation.response if isinstance(simulation.response, str) else "a table"
        response = settings.get("response", taken)
        if (response == "parametric") != (taken == "parametric"):
            yield "response", response, taken
    common = {common_name(name) for name in fitted}
    if target.truth is not None and recombination == simulation.recombination:
        names: Iterable[str] = dict.fromkeys((*simulation.acting(), *target.truth.modules, *LINKED))
        for name in names:
            values = target.truth.value(name), simulation.parameters.value(name)
            if common_name(name) not in common and not same(*values):
                yield name, *values
    own = {field.name: getattr(simulation.detector, field.name) for field in dataclasses.fields(simulation.detector)}
    for group in DESCRIBED:
        for name, value in (settings.get(group) or {}).items():
            if name in own and name not in ELSEWHERE and not same(value, own[name]):
                yield name, value if np.ndim(value) == 0 else "of other values", own[name]


def differences_of_wires(settings: Mapping[str, Any], simulation: WireSimulation) -> Iterator[tuple[str, Any, Any]]:
    """The same of the detector and the response of its planes, as far as a file of frames tells of them."""
    detector, own = settings.get("detector", simulation.detector.name), simulation.detector.describe()
    if detector != own["name"]:
        yield "detector", detector, own["name"]
    wires, response = (
        told if isinstance(told, Mapping) else {} for told in (settings.get("wires"), settings.get("field_response"))
    )
    for name, value in own.items():
        if name != "name" and name in wires and not same(wires[name], value):
            yield name, short(wires[name]), short(value)
    taken = simulation.describe_response()
    response = {"others": [], **response} if response else {}  # files of before have one for all wires
    others = [name for name in taken if name in response and not same(response[name], taken[name])]
    if others:
        yield "response", f"of {others[0]} {short(response[others[0]])}", f"one of {short(taken[others[0]])}"


def same(a: Any, b: Any) -> bool:
    """Whether two values, numbers or arrays of them, or mappings or lists of such, are the same; nothing and 0 are."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(one, other) for one, other in zip(a, b, strict=True))
    if isinstance(a, str) or isinstance(b, str):
        return bool(a == b)
    try:
        a, b = (np.asarray(0.0 if value is None else value, dtype=np.float64) for value in (a, b))
    except (TypeError, ValueError, OverflowError):  # no numbers
        return False
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=CLOSE, atol=0.0))
