"""Curves in space as points: nodes of tracks on them."""

import numpy as np

FEWEST = 11  # steps of the shortest track
SHORTEST = 0.03  # [cm]
OF_RANGE = 0.3  # step over residual range


def step_fractions(length, rho, longest):
    """Fractions f (n + 1,) of the length, from 0 at the end to 1, where a track's nodes are.

    Steps are 0.3 times the residual range rho + s, not below 0.03 cm and not above `longest`; 11 at least. All are
    then scaled by the same factor, so that f depends on their number and rho alone. length, rho, longest [cm].
    """
    nodes = [0.0]
    while nodes[-1] < length * (1 - 1e-9) or len(nodes) <= FEWEST:
        nodes.append(nodes[-1] + np.clip(OF_RANGE * (max(rho, 0.0) + nodes[-1]), SHORTEST, longest))
    return np.array(nodes) / nodes[-1]


def path_length(points):
    """Length from the first of the points (n, 3) to each, (n,), in their unit."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def at_fractions(points, fractions):
    """Points (m, 3) of a polyline (n, 3) at fractions (m,) of its length."""
    along = path_length(points)
    return np.stack([np.interp(fractions * along[-1], along, points[:, axis]) for axis in range(3)], axis=1)


def frame_along(direction):
    """Three unit vectors at right angles, rows (3, 3), the first along `direction` (3,)."""
    first = direction / np.linalg.norm(direction)
    second = np.cross(first, np.eye(3)[np.argmin(np.abs(first))])
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)])
