"""Planes of wires in front of anodes: where their wires lie and which channel reads each, from pitch, angle and box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

CELL = 0.5  # [cm] of the squares by which places across the drift are told; a sum of powers of 2, so that it is exact


class Anode(NamedTuple):
    """Where electrons drift to, and from where, in the simulation frame (z is the drift axis) [cm]."""

    z_anode: float  # of the collection wires
    z_cathode: float
    x: tuple[float, float]
    y: tuple[float, float]


class Plane(NamedTuple):
    """A plane of wires of each anode; the first of each two anodes back to back where wires are wrapped around both."""

    name: str
    kind: str  # 'induction' or 'collection'
    angle: float  # of the wires from the y axis towards x [deg]
    pitch: float  # [cm]
    wires: int | None = None  # centred on the anode; None: as many as cross it
    split: int = 1  # parts of the anode along x, each with wires of its own
    wrap: int | None = None  # channels, each of which reads what lies on its wire all around two anodes


class WirePlanes(NamedTuple):
    """Planes of wires of every TPC, `per_tpc` of each one after the other; columns (n_planes,).

    The place of a point across the wires is x cos(angle) - y sin(angle) [cm]; wire w lies at origin + w pitch, and is
    read by channel first_channel + (start + step w) mod wrap.
    """

    per_tpc: int
    tpc: np.ndarray  # int64
    anode: np.ndarray  # int64, or assembly of two where wires are wrapped
    kind: np.ndarray  # int64, which of the planes that electrons pass
    angle: np.ndarray  # [rad]
    pitch: np.ndarray  # [cm]
    origin: np.ndarray  # [cm]
    wires: np.ndarray  # int64
    first_channel: np.ndarray  # int64
    start: np.ndarray  # int64
    step: np.ndarray  # int64, +1 or -1
    wrap: np.ndarray  # int64

    @property
    def across(self) -> np.ndarray:
        """Unit vectors (n_planes, 2) across the wires of each, in x and y."""
        return np.stack((np.cos(self.angle), -np.sin(self.angle)), axis=1)


class _Row(NamedTuple):
    """One of `WirePlanes`."""

    tpc: int
    anode: int
    kind: int
    angle: float
    pitch: float
    origin: float
    wires: int
    first_channel: int
    start: int
    step: int
    wrap: int


def boxes(anodes: Sequence[Anode], planes: Sequence[Plane]) -> list[Anode]:
    """The TPCs: the anodes, cut along x into as many parts as some plane has."""
    parts = max(plane.split for plane in planes)
    return [part for anode in anodes for part in _cut(anode, parts)]


def lay_wires(anodes: Sequence[Anode], planes: Sequence[Plane]) -> WirePlanes:
    """The wires of all TPCs, and their channels: those of an anode plane by plane, or of two where planes are wrapped.

    Wires that are wrapped go on behind the edge of their anode: in x, told from its lower edge, they repeat each 2 X,
    X = wrap pitch/(2 cos(angle)) being as wide as the anodes are.
    """
    parts, wrapped = max(plane.split for plane in planes), any(plane.wrap for plane in planes)
    rows: list[list[_Row]] = [[] for _ in range(parts * len(anodes))]
    channel = 0
    sides = 2 if wrapped else 1
    for number in range(len(anodes) // sides):
        group = range(number * sides, (number + 1) * sides)
        for kind, plane in enumerate(planes):
            for side, a in enumerate(group):
                if plane.wrap:
                    angle, pitch, origin, wires, start, step = _wrapped(plane, anodes[a], side)
                    of_channels = (channel, start, step, plane.wrap)
                    rows[parts * a].append(_Row(parts * a, number, kind, angle, pitch, origin, wires, *of_channels))
                    continue
                for p, part in enumerate(_cut(anodes[a], plane.split)):
                    angle, pitch, origin, wires = _centred(plane, part)
                    same = parts // plane.split  # TPCs before this part of the anode
                    for tpc in range(parts * a + p * same, parts * a + (p + 1) * same):
                        rows[tpc].append(_Row(tpc, number, kind, angle, pitch, origin, wires, channel, 0, 1, wires))
                    channel += wires
            channel += plane.wrap or 0
    columns = zip(*(row for of_tpc in rows for row in of_tpc), strict=True)
    return WirePlanes(len(planes), *(np.array(column) for column in columns))


def _cut(anode: Anode, parts: int) -> list[Anode]:
    edges = np.linspace(*anode.x, parts + 1).tolist()
    return [anode._replace(x=edge) for edge in zip(edges[:-1], edges[1:], strict=True)]


def wires_across(plane: Plane, anode: Anode) -> float:
    """How many pitches there are across a part of an anode."""
    angle, part = math.radians(plane.angle), _cut(anode, plane.split)[0]
    across = (part.x[1] - part.x[0]) * abs(math.cos(angle)) + (part.y[1] - part.y[0]) * abs(math.sin(angle))
    return across / plane.pitch


def _centred(plane: Plane, anode: Anode) -> tuple[float, float, float, int]:
    """Angle [rad], pitch and origin [cm] and number of wires, centred on a part of an anode."""
    angle = math.radians(plane.angle)
    cos, sin = math.cos(angle), math.sin(angle)
    whole = plane._replace(split=1)
    wires = int(wires_across(whole, anode) + 1e-9) if plane.wires is None else plane.wires
    middle = 0.5 * (sum(anode.x) * cos - sum(anode.y) * sin)
    return angle, plane.pitch, middle - 0.5 * (wires - 1) * plane.pitch, wires


def _wrapped(plane: Plane, anode: Anode, side: int) -> tuple[float, float, float, int, int, int]:
    """Angle [rad], pitch and origin [cm], number of wires, start and step, of one of two sides.

    On the first side wire k of all around lies at (k + 1/2) pitch from the anode's edge, across the wires at mid
    height. Seen through the anode the other side's wires lean the other way, and their numbers fall with x.
    """
    assert plane.wrap is not None
    angle = math.radians(plane.angle if side == 0 else -plane.angle)
    cos, sin = math.cos(angle), math.sin(angle)
    beyond = 0.5 * (anode.y[1] - anode.y[0]) * abs(sin)
    lowest = math.ceil(-beyond / plane.pitch - 0.5)
    wires = math.floor(((anode.x[1] - anode.x[0]) * cos + beyond) / plane.pitch - 0.5) - lowest + 1
    edge = anode.x[0] * cos - 0.5 * sum(anode.y) * sin
    start = lowest if side == 0 else plane.wrap - 1 - lowest
    return angle, plane.pitch, edge + (lowest + 0.5) * plane.pitch, wires, start % plane.wrap, 1 - 2 * side


def channels_of(planes: WirePlanes, plane: np.ndarray, wire: np.ndarray) -> np.ndarray:
    """The channels that read wires of planes, rows of `planes`, (n,) int64 each."""
    p = planes
    return channel_at(wire, p.first_channel[plane], p.start[plane], p.step[plane], p.wrap[plane])


def channel_at(wire: Any, first_channel: Any, start: Any, step: Any, wrap: Any) -> Any:
    """The channels that read wires, from what `WirePlanes` has of each one's plane, (n,) int64 each; on any device."""
    return first_channel + (start + step * wire) % wrap


def lengths_of_channels(planes: WirePlanes, tpcs: dict[str, np.ndarray]) -> np.ndarray:
    """Length of the wires that each channel reads, in all TPCs together (n_channels,) [cm].

    `tpcs`: x_lo, x_hi, y_lo, y_hi of TPCs (n_tpcs,).
    """
    total = np.zeros(int((planes.first_channel + planes.wrap).max()))
    for p in range(len(planes.tpc)):
        wire = np.arange(planes.wires[p])
        box = [(tpcs[f"{axis}_lo"][planes.tpc[p]], tpcs[f"{axis}_hi"][planes.tpc[p]]) for axis in "xy"]
        at = planes.origin[p] + wire * planes.pitch[p]
        np.add.at(total, channels_of(planes, np.full(len(wire), p), wire), _chords(at, planes.angle[p], *box))
    return total


def _chords(at: np.ndarray, angle: float, x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
    """How much of lines at places `at` across them lies in a rectangle [cm]; 0 of those beside it."""
    low, high = np.full(len(at), -np.inf), np.full(len(at), np.inf)
    for along, start, (least, most) in (
        (math.sin(angle), at * math.cos(angle), x),
        (math.cos(angle), -at * math.sin(angle), y),
    ):
        if abs(along) < 1e-12:
            outside = (start < least) | (start > most)
            high = np.where(outside, -np.inf, high)
            continue
        ends = np.sort(np.stack(((least - start) / along, (most - start) / along)), axis=0)
        low, high = np.maximum(low, ends[0]), np.minimum(high, ends[1])
    return np.maximum(high - low, 0.0)
