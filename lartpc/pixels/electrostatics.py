"""Electrostatics of square pads that fill the plane: the weighting potential. With gaps: `gaps`."""

from __future__ import annotations

from typing import Any

import numpy as np

_IMAGES = 10


def weighting_potential(x: Any, y: Any, z: Any, pitch: float, height: float) -> np.ndarray:
    """Weighting potential at (x, y) from the centre of a square pad and z over it, 0 <= z <= height [cm].

    One pad at potential 1 in a grounded plane, another grounded plane at `height`: images of the pad alone,
    phi(z) = sum over n of phi_pad(z + 2 n height),  phi_pad = 1/(2 pi) sum +-atan(X Y/(z sqrt(X^2 + Y^2 + z^2)))
    over the pad's corners (X, Y), a solid angle, odd in z. The sum's remainder is taken as linear in z, so that the
    potential is exactly 0 at `height`.
    """
    x, y, z = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x, y, z)))
    result = _pad_potential(x, y, z, pitch)
    top = _pad_potential(x, y, np.full(z.shape, height), pitch)
    for n in range(1, _IMAGES + 1):
        for sign in (1.0, -1.0):
            result = result + sign * _pad_potential(x, y, 2.0 * n * height + sign * z, pitch)
            top = top + sign * _pad_potential(x, y, (2.0 * n + sign) * height, pitch)
    return result - top * z / height


def _pad_potential(x: np.ndarray, y: np.ndarray, z: Any, pitch: float) -> np.ndarray:
    total = np.zeros(())
    z = np.maximum(z, 1e-12)
    for X, sign_x in ((x + 0.5 * pitch, 1.0), (x - 0.5 * pitch, -1.0)):
        for Y, sign_y in ((y + 0.5 * pitch, 1.0), (y - 0.5 * pitch, -1.0)):
            total = total + sign_x * sign_y * np.arctan(X * Y / (z * np.sqrt(X * X + Y * Y + z * z)))
    return total / (2.0 * np.pi)


class Straight:
    """Electrons that drift straight down, at one velocity [cm/us], to pads without gaps."""

    def __init__(self, pitch: float, height: float, bins: int, velocity: float) -> None:
        self.pitch, self.height, self.bins, self.velocity = pitch, height, bins, velocity
        self.last = height / velocity  # [us] at which the last has arrived

    def potential(self, i: np.ndarray, j: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Of electrons from the middle of bins (i, j) (n,) at times [us] (m,) after they passed the height: (n, m)."""
        z = np.clip(self.height - self.velocity * time, 0.0, self.height)
        x, y = ((bin[:, None] + 0.5) * self.pitch / self.bins for bin in (i, j))
        return weighting_potential(x, y, z, self.pitch, self.height)
