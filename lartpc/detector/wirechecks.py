"""What is refused of anodes and planes of wires that do not go together."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from lartpc.detector.wireplanes import Anode, Plane, wires_across
from lartpc.exceptions import InputError

MOST_WIRES = 100_000  # of a plane
MOST_TPCS = 1000
TOUCHING = 0.01  # [cm] by which TPCs may lie in each other, as their numbers are rounded


def check_planes(path: str | os.PathLike, anodes: Sequence[Anode], planes: Sequence[Plane]) -> None:
    """Raise InputError, beginning with `path`, unless no TPC lies in another and the planes fit the anodes."""
    parts = max(plane.split for plane in planes)
    if parts * len(anodes) > MOST_TPCS:
        raise InputError(
            f"{path}: planes: split: found {parts} parts of {len(anodes)} anodes, allowed are {MOST_TPCS} TPCs"
        )
    for a, anode in enumerate(anodes):
        for b in range(a):
            if _overlap(anode, anodes[b]):
                raise InputError(f"{path}: anodes[{a}]: found within anodes[{b}], allowed are TPCs beside each other")
    names = [plane.name for plane in planes]
    for k, plane in enumerate(planes):
        where = f"{path}: planes[{k}]"
        if plane.name in names[:k]:
            raise InputError(f"{where}: name: found {plane.name!r} of two planes, allowed is a name for each")
        if parts % plane.split or (plane.wrap and parts > 1):
            raise InputError(
                f"{where}: split: found {plane.split} where another plane has {parts}, allowed are a part of that, "
                "and none where wires are wrapped"
            )
        for a, anode in enumerate(anodes):
            if plane.wrap:
                _check_wrapped(where, plane.wrap, plane, anode, a, anodes[a ^ 1])
            else:
                _check_wires(where, plane, anode, a)


def _overlap(one: Anode, other: Anode) -> bool:
    sides = zip((one.x, one.y, _drift(one)), (other.x, other.y, _drift(other)), strict=True)
    return all(min(a[1], b[1]) - max(a[0], b[0]) > TOUCHING for a, b in sides)


def _drift(anode: Anode) -> tuple[float, float]:
    return min(anode.z_anode, anode.z_cathode), max(anode.z_anode, anode.z_cathode)


def _check_wrapped(where: str, wrap: int, plane: Plane, anode: Anode, a: int, other: Anode) -> None:
    """A wire is back on its own side after twice the width of the anode, and sees the other side in between."""
    if (anode.x, anode.y) != (other.x, other.y) or (anode.z_anode > anode.z_cathode) == (
        other.z_anode > other.z_cathode
    ):
        raise InputError(
            f"{where}: wrap: found anodes[{a}] and anodes[{a ^ 1}] of other y, z or on one side, allowed are two back "
            "to back after one another"
        )
    around = 2.0 * (anode.x[1] - anode.x[0]) * math.cos(math.radians(plane.angle)) / plane.pitch
    if abs(wrap - around) > 0.5:
        raise InputError(
            f"{where}: wrap: found {wrap}, allowed are the wires around anodes[{a}]: {round(around)}, twice its width "
            "over the pitch along z"
        )


def _check_wires(where: str, plane: Plane, anode: Anode, a: int) -> None:
    across = wires_across(plane, anode)
    most = math.ceil(across) + 1
    if across < 1.0 or (plane.wires or 0) > most or most > MOST_WIRES:
        found = "as many as cross it" if plane.wires is None else plane.wires
        raise InputError(
            f"{where}: wires: found {found}, allowed are 1 to {min(most, MOST_WIRES)} at this angle and pitch: "
            f"{across:.1f} cross a part of anodes[{a}]"
        )
