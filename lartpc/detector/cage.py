"""Wire planes as electrostatics needs them: places, biases and the drift field."""

from __future__ import annotations

from typing import NamedTuple


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
