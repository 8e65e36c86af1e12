"""Points in space to chains of straight pieces: what lies together, along its longest path, then what branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.signal import savgol_filter
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree
from scipy.spatial import cKDTree

from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.wiremodel import Sources
from lartpc.reconstruction.wireseeds import Points

LINK = 7.0  # pitches between points of one chain
BESIDE = 4.0  # pitches from a chain within which points are its own
FEWEST = 3  # points of a chain
NEIGHBOURS = 5  # pieces, itself in the middle, that tell the direction of one
SMOOTHED = 9  # points along a chain through which a straight line tells a place


class Pieces(NamedTuple):
    """Straight pieces of one length (n,), those of a chain one after the other; simulation frame."""

    middle: np.ndarray  # (n, 3) [cm]
    direction: np.ndarray  # (n, 3), of length 1
    dE: np.ndarray  # (n,) [MeV]
    chain: np.ndarray  # (n,) int64, ascending
    length: float  # [cm]
    dEdx: float  # [MeV/cm], by which all recombine
    t0: float  # [us]

    def sources(self) -> Sources:
        """As deposits."""
        half = 0.5 * self.length * self.direction
        return Sources(self.middle - half, self.middle + half, self.dE, np.full(len(self.dE), self.dEdx), self.t0)

    def select(self, rows: slice | np.ndarray) -> Pieces:
        """Some of them."""
        columns = {name: getattr(self, name)[rows] for name in ("middle", "direction", "dE", "chain")}
        return self._replace(**columns)

    def moved(self, change: np.ndarray) -> Pieces:
        """By x, y, z [cm] and log(dE) of each piece (n, 4)."""
        return self._replace(middle=self.middle + change[:, :3], dE=self.dE * np.exp(change[:, 3]))

    def turned(self) -> Pieces:
        """Each along the straight line through it and its neighbours; a chain of one as it is."""
        direction = self.direction.copy()
        for k in np.unique(self.chain):
            own = np.flatnonzero(self.chain == k)
            if len(own) > 1:
                window = min(NEIGHBOURS, len(own) - 1 + len(own) % 2)
                middle = self.middle[own]
                along = savgol_filter(middle, window, 1, deriv=1, axis=0) if window > 1 else np.diff(middle, axis=0)
                direction[own] = along / np.linalg.norm(along, axis=1)[:, None]
        return self._replace(direction=direction)


def pieces_of(points: Points, pitch: float, length: float, dEdx: float, t0: float) -> Pieces:
    """Pieces of `length` [cm] along all chains, with the energy that `dEdx` [MeV/cm] leaves. pitch: of wires [cm]."""
    parts: list[tuple[np.ndarray, ...]] = [(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, dtype=np.int64))]
    for number, own in enumerate(_chains(points.place, pitch)):
        window = min(SMOOTHED, len(own) - 1 + len(own) % 2)
        line = savgol_filter(points.place[own], window, 1, axis=0) if window > 1 else points.place[own]
        along = path_length(line)
        ends = np.minimum(points.dE[own[[0, -1]]] / np.median(points.dE[own]), 1.0)
        before, after = (ends - 0.5) * along[-1] / (len(own) - 1)  # beyond the peaks at the ends there is charge
        n = max(1, round((along[-1] + before + after) / length))
        at = 0.5 * (along[-1] + after - before) + length * (np.arange(n) - 0.5 * (n - 1))
        behind, places, ahead = (_interpolated(at + by, along, line) for by in (-0.1, 0.0, 0.1))
        direction = (ahead - behind) / np.linalg.norm(ahead - behind, axis=1)[:, None]
        parts.append((places, direction, np.full(n, number)))
    middle, direction, chain = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pieces(middle, direction, np.full(len(chain), dEdx * length), chain, length, dEdx, t0)


def _interpolated(at: np.ndarray, along: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (n, 3) linear between points, and straight on beyond both ends."""
    k = np.clip(np.searchsorted(along, at) - 1, 0, len(along) - 2)
    slope = (values[k + 1] - values[k]) / np.maximum(along[k + 1] - along[k], 1e-6)[:, None]
    result: np.ndarray = values[k] + (at - along[k])[:, None] * slope
    return result


def _chains(place: np.ndarray, pitch: float) -> Iterator[np.ndarray]:
    """Rows of points along each chain, from one end to the other."""
    left = np.arange(len(place))
    while len(left) >= FEWEST:
        tree = _tree(place[left], LINK * pitch)
        n, label = connected_components(tree, directed=False)
        size = np.bincount(label, minlength=n)
        if size.max() < FEWEST:
            return
        own = np.flatnonzero(label == np.argmax(size))
        path = _longest(tree[own][:, own])
        chain = left[own[path]]
        if len(chain) >= FEWEST:
            yield chain
        apart = cKDTree(place[chain]).query(place[left])[0]
        left = left[apart > BESIDE * pitch]


def _tree(place: np.ndarray, link: float) -> csr_array:
    """The shortest tree that joins points no further apart than `link`."""
    pairs = cKDTree(place).query_pairs(link, output_type="ndarray")
    distance = np.maximum(np.linalg.norm(place[pairs[:, 0]] - place[pairs[:, 1]], axis=1), 1e-6)
    graph = coo_array((distance, (pairs[:, 0], pairs[:, 1])), shape=(len(place),) * 2).tocsr()
    tree = minimum_spanning_tree(graph)
    return csr_array(tree + tree.T)


def _longest(tree: csr_array) -> np.ndarray:
    """Rows along the longest path of a tree."""
    start = int(np.argmax(dijkstra(tree, indices=0)))
    distance, before = dijkstra(tree, indices=start, return_predecessors=True)
    path = [int(np.argmax(distance))]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return np.array(path)
