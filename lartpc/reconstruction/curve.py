"""A smooth curve through the hits of a cluster."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DEGREES = ((3.0, 1), (8.0, 2), (np.inf, 3))  # length [cm] up to which a polynomial of that degree is fitted
SAMPLES = 201


class Curve(NamedTuple):
    """A smooth line through hits."""

    points: np.ndarray  # (SAMPLES, 3) [cm]
    length: float  # [cm]
    rms: float  # of the hits about it [cm]

    @property
    def cosine(self) -> float:
        """|cos| of the angle between the line of its ends and the drift."""
        along = self.points[-1] - self.points[0]
        return float(abs(along[2]) / max(np.linalg.norm(along), 1e-12))


def curve(points: np.ndarray, charge: np.ndarray) -> Curve:
    """Through hits at `points` (n, 3) [cm] of some `charge` (n,) [e]: a polynomial along their principal axis."""
    weight = charge / charge.sum()
    centre = weight @ points
    spread = points - centre
    axis = np.linalg.eigh(spread.T @ (weight[:, None] * spread))[1][:, -1]
    s = spread @ axis
    low, high = s.min(), s.max()
    degree = next(degree for longest, degree in DEGREES if high - low < longest)
    degree = min(degree, len(np.unique(s)) - 1)
    root = np.sqrt(weight)[:, None]
    scale = max(high - low, 1e-6)
    basis = np.vander((s - low) / scale, degree + 1)
    coefficients = np.linalg.lstsq(root * basis, root * points, rcond=None)[0]
    sampled = np.vander(np.linspace(0.0, 1.0, SAMPLES), degree + 1) @ coefficients
    length = float(np.linalg.norm(np.diff(sampled, axis=0), axis=1).sum())
    rms = float(np.sqrt(np.sum(weight * np.sum((points - basis @ coefficients) ** 2, axis=1))))
    return Curve(sampled, length, rms)
