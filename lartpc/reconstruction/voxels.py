"""Charge without a track model: short segments on the pixels that have hits and beside them, for showers and vertices.

Each hit has a voxel, a pixel wide, where its charge was, whose charge, place along the drift and length there are
free. So has what may lie below the threshold, but for the length and place: after the last hit of a pixel, and on the
silent pixels beside it. Unknowns eta: log(dE) of each of n voxels, and of those of the h hits the shifts along the
drift s [cm] and the logs l of the lengths over those that they begin with, of which the prior is

-log p = sum_hits (s^2/(2 w_z^2) + l^2/(2 w_l^2)) + sum_edges log(q_i/q_j)^2/(2 w^2)
         + sum_silent (q/lambda - log(q/lambda))

with the charge q of a voxel at the anode. The last is -log of p(log q) for an exponential density of q with the mean
lambda: it pulls towards 0 as an L1 norm does, and its most probable log q is that of the mean, so that sums of many are
right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from lartpc.charge.freed import freed_per_MeV
from lartpc.charge.velocity import drift_velocities
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.kernels.runtime.slots import LIFETIME
from lartpc.parameters import Parameters
from lartpc.reconstruction.cluster import clusters, positions

# Means of the charge at the anode of what has no hit, over the threshold: measured on generated electrons, muons, pions
# and protons in module0. By the number of hit pixels at its sides, and whether one is at a corner.
BETWEEN, BEYOND, ALONG = 0.24, 0.14, 0.025  # two sides or more; one, as where a track ends; one and a corner
AFTER = ((0.2, 0.015), (0.3, 0.1), (np.inf, 0.3))  # after a pixel's only hit: rise to its neighbours up to which [cm]
AGAIN = 0.05  # after the last of several
RISEN = 0.5  # length of a first hit's charge along the drift, over the furthest way there to a neighbour
SIDE = 0.7  # w: spread of log(q) from a pixel to the next, measured likewise
SHIFT, STRETCH = 0.15, 0.5  # w_z [cm], w_l
LONGEST, TAIL, SHORTEST = 0.6, 0.3, 0.04  # along the drift [cm]: of charge that goes on, what is left after it, a hit
NEAR = 0.6  # [cm] along the drift up to which voxels are next to each other
ASIDE = 0.22  # [pitches] from the middle of a pixel to a voxel: charge there arrives as it does on average above it


class Voxels(NamedTuple):
    """n voxels, of which the first h are those of the hits, in their order."""

    pixel: np.ndarray  # (n,) id
    event: np.ndarray  # (n,)
    blob: np.ndarray  # (n,) that it is part of, from 0
    block: np.ndarray  # (n,) from 0: no pixel sees two blocks
    middle: np.ndarray  # (n, 3) [cm]
    half: np.ndarray  # (n, 3) from the middle to the end [cm]
    away: np.ndarray  # (n,) sign of the way from the anode along z
    per_MeV: np.ndarray  # (n,) electrons freed per dE [1/MeV]
    survival: np.ndarray  # (n,) of these at the anode
    mean: np.ndarray  # (n - h,) lambda [e]
    edges: np.ndarray  # (m, 2) of the hits' voxels that are next to each other
    start: np.ndarray  # (n,) log(dE) where a fit begins
    dEdx: float  # [MeV/cm]

    @property
    def n_hits(self) -> int:
        return len(self.pixel) - len(self.mean)

    def segments(self, eta: np.ndarray) -> tuple[np.ndarray, ...]:
        """Start, end (n, 3), dE, dEdx, time (n,) of each."""
        n, h, middle, half = len(self.pixel), self.n_hits, self.middle.copy(), self.half.copy()
        middle[:h, 2] += eta[n : n + h]
        half[:h, 2] *= np.exp(eta[n + h :])
        return middle - half, middle + half, np.exp(eta[:n]), np.full(n, self.dEdx), np.zeros(n)

    def select(self, rows: np.ndarray) -> Voxels:
        """Some blocks' (indices of voxels, ascending)."""
        h, place = self.n_hits, np.full(len(self.pixel), -1)
        place[rows] = np.arange(len(rows))
        edges = place[self.edges]
        columns = {name: column[rows] for name, column in self._asdict().items() if name in PER_VOXEL}
        return self._replace(**columns, mean=self.mean[rows[rows >= h] - h], edges=edges[(edges >= 0).all(axis=1)])


PER_VOXEL = ("pixel", "event", "blob", "block", "middle", "half", "away", "per_MeV", "survival", "start")


def make_voxels(
    hits: Hits, detector: Detector, parameters: Parameters, model: str, dEdx: float, unread: np.ndarray
) -> Voxels:
    """The voxels of hits. `unread`: ids of pixels of which nothing is known, whose charge is left out."""
    points = positions(hits, detector, parameters)
    blob = clusters(hits, points, detector)
    velocity = drift_velocities(detector, parameters)[detector.module]
    before, last = gaps(hits)
    first, edges = np.isinf(before), edges_of(hits, points, blob, detector)
    rise = rises(hits, points, edges)
    length = np.clip(np.where(first, RISEN * rise, velocity[hits.tpc] * before), SHORTEST, LONGEST)
    hold = velocity[hits.tpc] * detector.hold_ticks * detector.tick
    threshold = detector.of_pixels("threshold", hits.pixel_id)
    passed = np.clip(threshold / np.maximum(hits.charge, 1.0), 0.0, 1.0)  # of a first hit's charge at its crossing
    ahead = np.where(first, (0.5 - passed) * length, hold - 0.5 * length)
    sides = beside(hits, blob, hits.t, detector, unread)
    pixel = np.concatenate((hits.pixel_id, hits.pixel_id[last], sides.pixel))
    n, (tpc, column, row, x, y) = len(pixel), detector.locate(pixel)
    away = np.sign(detector.z_cathode - detector.z_anode)[tpc]
    of = np.concatenate((np.arange(len(hits)), last, sides.hit))  # the hit that a voxel is at
    z = points[of, 2] + away * np.concatenate((ahead, hold[last] + 0.5 * TAIL, ahead[sides.hit]))
    long = np.concatenate((length, np.full(n - len(hits), TAIL)))
    aside = ASIDE * detector.pitch[tpc]
    # To either side, so that along any line of pixels it is to none on average.
    x, y = (at + np.where(k % 4 < 2, aside, -aside) for at, k in ((x, column + 2 * row), (y, row + 2 * column)))
    table, module = parameters.table(detector.n_modules), detector.module[tpc]
    drift = np.abs(z - detector.z_anode[tpc]) / velocity[tpc]
    survival = np.exp(-drift / table[module, LIFETIME])
    per_MeV = freed_per_MeV(dEdx, table, model)[module]
    after = np.select([rise[last] < limit for limit, _ in AFTER], [mean for _, mean in AFTER])
    mean = np.concatenate((np.where(first[last], after, AGAIN), sides.mean))
    mean = mean * detector.of_pixels("threshold", pixel[len(hits) :])
    charge = np.concatenate((np.maximum(hits.charge, 1.0), mean))
    event = hits.event_id[of]
    return Voxels(
        pixel=pixel,
        event=event,
        blob=blob[of],
        block=blocks(event, pixel, detector),
        middle=np.stack((x, y, z), axis=1),
        half=np.stack((np.zeros(n), np.zeros(n), 0.5 * long), axis=1),
        away=away,
        per_MeV=per_MeV,
        survival=survival,
        mean=mean,
        edges=edges,
        start=np.log(charge / (per_MeV * survival)),
        dEdx=dEdx,
    )


def gaps(hits: Hits) -> tuple[np.ndarray, np.ndarray]:
    """Time since the last hit of the pixel (n,) [us], infinite of the first; indices of the last of each."""
    order = np.lexsort((hits.t, hits.pixel_id, hits.event_id))
    same = np.diff(hits.pixel_id[order]) == 0
    same &= np.diff(hits.event_id[order]) == 0
    gap = np.full(len(hits), np.inf)
    gap[order[1:][same]] = np.diff(hits.t[order])[same]
    return gap, order[np.append(~same, True)]


class Beside(NamedTuple):
    """Silent pixels beside hits (n,)."""

    pixel: np.ndarray
    hit: np.ndarray  # one of those at its sides
    mean: np.ndarray  # of its charge, over the threshold


def beside(hits: Hits, blob: np.ndarray, time: np.ndarray, detector: Detector, unread: np.ndarray) -> Beside:
    """The silent pixels at the sides of those with hits, one for each blob."""
    keys, first = np.unique(np.stack((blob, hits.pixel_id)), axis=1, return_index=True)
    tpc, column, row, *_ = detector.locate(keys[1])
    found = []
    for right in (-1, 0, 1):
        for up in (-1, 0, 1):
            x, y = column + right, row + up
            inside = (x >= 0) & (x < detector.n_x[tpc]) & (y >= 0) & (y < detector.n_y[tpc])
            pixel = detector.first_pixel[tpc] + y * detector.n_x[tpc] + x
            kind = np.full(len(pixel), abs(right) + abs(up))
            found.append(np.stack((keys[0], pixel, first, kind))[:, inside & (kind > 0)])
    of_blob, pixel, hit, kind = np.concatenate(found, axis=1)
    _, place = np.unique(np.stack((of_blob, pixel)), axis=1, return_inverse=True)
    place = place.ravel()
    sides, corners = np.bincount(place, kind == 1), np.bincount(place, kind == 2)
    # In the middle, in time, of the hits at its sides.
    at = np.flatnonzero(kind == 1)
    at = at[np.lexsort((time[hit[at]], place[at]))]
    start = np.searchsorted(place[at], np.arange(len(sides)))
    at = at[(start + (sides.astype(np.int64) - 1) // 2)[sides > 0]]
    n, k = sides[place[at]], corners[place[at]]
    mean = np.where(n > 1, BETWEEN, np.where(k > 0, ALONG, BEYOND))
    event, pixel = hits.event_id[hit[at]], pixel[at]
    most = detector.n_pixels
    used = np.isin(event * most + pixel, hits.event_id * most + hits.pixel_id) | np.isin(pixel, unread)
    return Beside(pixel[~used], hit[at][~used], mean[~used])


def blocks(event: np.ndarray, pixel: np.ndarray, detector: Detector) -> np.ndarray:
    """The block of each voxel (n,): linked where their pixels touch."""
    tpc, column, row, *_ = detector.locate(pixel)
    _, number = np.unique(event, return_inverse=True)
    apart = 2.0 * (detector.n_pixels + 2)
    place = np.stack((column, row, apart * (number.ravel() * len(detector.n_x) + tpc)), axis=1).astype(np.float64)
    pairs = cKDTree(place).query_pairs(1.5, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(place),) * 2)
    return connected_components(graph, directed=False)[1]


def rises(hits: Hits, points: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The furthest way along the drift to a neighbour on another pixel (n,) [cm], 0 without one."""
    i, j = edges[hits.pixel_id[edges[:, 0]] != hits.pixel_id[edges[:, 1]]].T
    way = np.abs(points[i, 2] - points[j, 2])
    rise = np.zeros(len(hits))
    np.maximum.at(rise, i, way)
    np.maximum.at(rise, j, way)
    return rise


def edges_of(hits: Hits, points: np.ndarray, blob: np.ndarray, detector: Detector) -> np.ndarray:
    """Pairs of hits (m, 2) of a blob on the same pixel, or side by side, next to each other along the drift."""
    pitch = detector.pitch[hits.tpc]
    far = 1e3 * (1 + np.ptp(points, axis=0).max(initial=0.0))
    place = np.stack((points[:, 0] / pitch, points[:, 1] / pitch, points[:, 2] / NEAR, far * blob), axis=1)
    pairs = cKDTree(place).query_pairs(1.01, p=np.inf, output_type="ndarray")
    off = np.abs(place[pairs[:, 0], :2] - place[pairs[:, 1], :2]).sum(axis=1)
    return pairs[(off < 1.5) & (hits.tpc[pairs[:, 0]] == hits.tpc[pairs[:, 1]])]
