"""Field responses from electrostatics of thin wires in two dimensions.

All wires are parallel lines of charge, at the same places across the wires in every plane, as responses that are made
with Garfield have them. x [cm] is across the wires, from one of them; y [cm] is the distance from the collection wires,
towards the drift. A grounded plane lies at y = -g.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.charge.velocity import velocity_of
from lartpc.detector.cage import Cage
from lartpc.exceptions import InputError
from lartpc.wires.fieldresponse import FieldResponse, collected, with_charge

WIRES = 24  # on each side of the one whose weighting potential it is
TOP = 2.0  # times the cage's height is where the second grounded plane of weighting potentials lies
STEP = 0.1  # of the distance to the nearest wire that a path takes at once, at most
LATE = 2.0  # times the straight drift after which a path has been caught
FAR = 300.0  # sinh and cosh of what is larger are the same to the bit


@one_blas_thread
def wire_response(
    cage: Cage, temperature: float, sampling: float = 0.1, bins: int = 10, reach: int = 10
) -> FieldResponse:
    """The field response of a cage in argon of a temperature [K]; samples [us], bins a pitch, wires on each side.

    Electrons follow the drift field from the middles of bins to a collection wire, at the velocity that the mobility of
    Li et al. has at the field where they are. By Ramo's theorem current = d phi_w/dt, with the weighting potential
    phi_w of the wire, so that sample k is its difference over the sample; at the end it is exactly 1 on the wire that
    collects and 0 on others. What was induced before the electron came to the cage's height is spread over all samples.
    Raises InputError: a cage that is not one of planes of one pitch in order, an odd number of bins, or biases by which
    not all electrons end on collection wires.
    """
    if bins < 2 or bins % 2:
        raise InputError(f"bins: found {bins}, allowed is an even number of bins a pitch: no path begins over a wire")
    cage.check("field_response")
    pitch = cage.planes[-1].pitch
    start = (np.arange(bins // 2) + 0.5) * pitch / bins
    paths = follow(cage, start, temperature, sampling)
    lost = float(np.mean(paths.plane != len(cage.planes) - 1))
    if lost:
        biases = ", ".join(f"{plane.bias:g}" for plane in cage.planes)
        raise InputError(
            f"field_response: bias: found {biases} [V] at {cage.field:g} kV/cm, by which {100.0 * lost:.0f} % of the "
            "electrons do not end on collection wires, allowed are biases by which all do"
        )
    weighting = Weighting(cage)
    offsets = (np.arange((2 * reach + 1) * bins) + 0.5) / bins - reach - 0.5
    charge = collected(len(weighting.charges), offsets)
    after = paths.edges[None] >= paths.end[:, None]
    currents = np.empty((*charge.shape, len(paths.edges) - 1))
    for wire in range(2 * reach + 1):
        rows = wire * bins + bins // 2 + np.arange(bins // 2)
        potential = weighting(paths.x + (wire - reach) * pitch, paths.y)
        potential = np.where(after, charge[:, rows, None], potential)
        currents[:, rows] = np.diff(potential, axis=-1) / sampling
        currents[:, len(offsets) - 1 - rows] = currents[:, rows]  # mirrored, to the bit
    made = FieldResponse(
        tuple(with_charge(*of_plane, sampling) for of_plane in zip(currents, charge, strict=True)),
        tuple(plane.pitch for plane in cage.planes if plane.read),
        sampling,
        cage.height,
        float(velocity_of(np.array(cage.field), temperature)),
        bins,
    )
    made.check("field_response")
    return made


class Grids:
    """The drift field: grids of line charges at the planes, mirrored in the grounded plane, and a uniform field.

    phi = -E0 (y + g) + sum over planes k of q_k phi_k, with a = 2 pi/pitch and
    phi_k = -1/2 log((cosh a(y - y_k) - cos a x)/(cosh a(y + y_k + 2g) - cos a x)).
    A grid and its image have no field above them, so that far away it is E0. Charges q_k [V] are those with which the
    potential, averaged around wires of the radius, is the bias.
    """

    def __init__(self, cage: Cage) -> None:
        self.a = 2.0 * math.pi / cage.planes[-1].pitch
        self.place, bias = (np.array([getattr(plane, name) for plane in cage.planes]) for name in ("distance", "bias"))
        self.ground, self.uniform = cage.ground, 1000.0 * cage.field  # [cm], [V/cm]
        direct, image = self._of_wires(np.zeros(()), self.place)
        np.fill_diagonal(direct, 0.5 * (self.a * cage.radius) ** 2)
        matrix = -0.5 * np.log(direct / image)
        self.charges = np.linalg.solve(matrix, bias + self.uniform * (self.place + self.ground))

    def _of_wires(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """cosh - cos of the planes (..., n_planes) and of their images."""
        cosine = np.cos(self.a * x)[..., None]
        up, down = self._from_planes(y)
        return np.cosh(up) - cosine, np.cosh(down) - cosine

    def _from_planes(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """a (y - y_k) and a (y + y_k + 2g), bounded."""
        up, down = y[..., None] - self.place, y[..., None] + self.place + 2.0 * self.ground
        return np.clip(self.a * up, -FAR, FAR), np.clip(self.a * down, -FAR, FAR)

    def potential(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """phi [V] at places of one shape."""
        direct, image = self._of_wires(x, y)
        return -0.5 * np.log(direct / image) @ self.charges - self.uniform * (y + self.ground)

    def slope(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """How phi grows with x and y (2, n) [V/cm], at places (n,): electrons drift that way."""
        direct, image = self._of_wires(x, y)
        up, down = self._from_planes(y)
        along_x = -0.5 * self.a * np.sin(self.a * x) * ((1.0 / direct - 1.0 / image) @ self.charges)
        along_y = -0.5 * self.a * ((np.sinh(up) / direct - np.sinh(down) / image) @ self.charges)
        return np.array([along_x, along_y - self.uniform])


class Weighting:
    """Weighting potentials of a wire of each plane that is read: 1 on it, 0 on all others.

    Of `WIRES` wires on each side in each plane, between grounded planes at y = -g and H: of two wires, b = pi/(H + g),
    1/2 log((cosh b(x - x') - cos b(y + y' + 2g))/(cosh b(x - x') - cos b(y - y'))).
    """

    def __init__(self, cage: Cage) -> None:
        number = np.arange(-WIRES, WIRES + 1)
        self.x = np.tile(number * cage.planes[-1].pitch, len(cage.planes))
        self.y = np.repeat([plane.distance for plane in cage.planes], len(number))
        self.b, self.ground = math.pi / (TOP * cage.height + cage.ground), cage.ground
        direct, image = self._of_wires(self.x, self.y)
        np.fill_diagonal(direct, 0.5 * (self.b * cage.radius) ** 2)
        wanted = [k * len(number) + WIRES for k, plane in enumerate(cage.planes) if plane.read]
        self.charges = np.linalg.solve(0.5 * np.log(image / direct), np.eye(len(self.x))[:, wanted]).T

    def _of_wires(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cosh = np.cosh(self.b * (x[..., None] - self.x))
        image = np.cos(self.b * (y[..., None] + self.y + 2.0 * self.ground))
        return cosh - np.cos(self.b * (y[..., None] - self.y)), cosh - image

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """At places of one shape, (n_read, ...); x from the wire."""
        direct, image = self._of_wires(x, y)
        return np.moveaxis(0.5 * np.log(image / direct) @ self.charges.T, -1, 0)


class Paths(NamedTuple):
    """Electrons at the edges of samples, and where they ended."""

    edges: np.ndarray  # (n_edges,) [us]
    x: np.ndarray  # (n, n_edges) [cm], where it ended from there on
    y: np.ndarray
    end: np.ndarray  # (n,) [us]
    plane: np.ndarray  # (n,) on whose wires it ended, in the order of the cage, -1: on none


def follow(cage: Cage, start: np.ndarray, temperature: float, sampling: float) -> Paths:
    """Electrons from x `start` (n,) [cm] at the cage's height to a wire, by Runge-Kutta of fourth order.

    Steps end at the edges of samples and are short near wires. A path ends within the radius of a wire, at the grounded
    plane or after `LATE` times as long as without wires.
    """
    grids, place = Grids(cage), np.array([plane.distance for plane in cage.planes])
    pitch = cage.planes[-1].pitch

    def velocity(at: np.ndarray) -> np.ndarray:
        slope = grids.slope(*at)
        size = np.hypot(*slope)
        return slope * (velocity_of(size / 1000.0, temperature) / size)

    at = np.array([start, np.full(len(start), cage.height)])
    latest = LATE * (cage.height + cage.ground) / float(velocity_of(np.array(cage.field), temperature))
    time, edge = np.zeros(len(start)), np.ones(len(start), dtype=np.int64)
    kept = np.full((math.ceil(latest / sampling) + 1, *at.shape), np.nan)
    kept[0] = at
    plane, moving = np.full(len(start), -1), np.ones(len(start), dtype=bool)
    while moving.any():
        now = at[:, moving]
        first = velocity(now)
        to_wire = np.hypot(now[0] - pitch * np.round(now[0] / pitch), now[1] - place[:, None])
        to_edge = edge[moving] * sampling - time[moving]
        near = STEP * to_wire.min(axis=0) / np.hypot(*first)
        step = np.minimum(near, to_edge)
        second = velocity(now + 0.5 * step * first)
        third = velocity(now + 0.5 * step * second)
        fourth = velocity(now + step * third)
        now = now + step / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)
        at[:, moving] = now
        at_edge = near >= to_edge
        time[moving] = np.where(at_edge, edge[moving] * sampling, time[moving] + step)
        there = np.flatnonzero(moving)[at_edge]
        kept[edge[there], :, there] = at[:, there].T
        edge[there] += 1
        to_wire = np.hypot(now[0] - pitch * np.round(now[0] / pitch), now[1] - place[:, None])
        hit = to_wire.min(axis=0) <= cage.radius
        plane[np.flatnonzero(moving)[hit]] = to_wire.argmin(axis=0)[hit]
        moving[moving] = ~hit & (now[1] > -cage.ground) & (edge[moving] < len(kept))
    n_edges = math.ceil(float(time.max()) / sampling) + 1
    x, y = (np.where(np.isnan(kept[:n_edges, k]), at[k], kept[:n_edges, k]).T for k in range(2))
    return Paths(np.arange(n_edges) * sampling, x, y, time, plane)
