"""Wire planes as electrostatics needs them: places, biases and the drift field."""

from __future__ import annotations

import os
from typing import NamedTuple

from lartpc.exceptions import InputError


class CagePlane(NamedTuple):
    """A plane of parallel wires."""

    distance: float  # of the plane from the collection wires, towards the drift [cm]: 0 of these
    pitch: float  # [cm]
    bias: float  # [V]
    read: bool = True  # False: a grid plane, which no channel reads


class Cage(NamedTuple):
    """The planes that electrons pass before they are collected, above a grounded plane."""

    planes: tuple[CagePlane, ...]  # in the order in which electrons pass them; the last one collects
    field: float  # drift field [kV/cm]
    height: float  # above the collection wires where paths begin [cm]
    radius: float  # of the wires [cm]
    ground: float  # distance of the grounded plane behind the collection wires [cm]

    def check(self, where: str | os.PathLike) -> None:
        """Raise InputError, beginning with `where`, unless planes are of one pitch, in order, and the last is at 0 and
        read."""
        distances = [plane.distance for plane in self.planes]
        if not distances or distances[-1] != 0.0 or distances != sorted(set(distances), reverse=True):
            raise InputError(
                f"{where}: distance: found {distances}, allowed is a falling order that ends at 0, collection"
            )
        if not self.planes[-1].read:
            raise InputError(f"{where}: read: found False of the last plane, which collects, allowed is True")
        pitches = [plane.pitch for plane in self.planes]
        if len(set(pitches)) > 1:
            raise InputError(f"{where}: pitch: found {pitches} [cm], allowed is one pitch: all wires are parallel here")
        if not distances[0] + 2.0 * pitches[0] <= self.height:
            raise InputError(
                f"{where}: height: found {self.height:g}, allowed is {distances[0] + 2.0 * pitches[0]:g} or more [cm], "
                "two pitches above the first plane"
            )
        if not 0.0 < self.radius <= 0.1 * pitches[0] or not self.ground > self.radius or not self.field > 0.0:
            raise InputError(
                f"{where}: found radius {self.radius:g} and ground {self.ground:g} [cm], field {self.field:g} "
                "[kV/cm], allowed are a radius up to a tenth of the pitch, a ground beyond it, a field above 0"
            )
