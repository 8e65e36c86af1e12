"""Where the TPCs of a detector are, from the anodes of its layouts and the positions of its modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.detector.layout import Anode, Layout


def place_modules(
    layouts: tuple[Layout, ...], offsets: Sequence[Sequence[float]]
) -> list[tuple[int, Anode, Sequence[float]]]:
    """A layout at each offset; what it calls modules are counted through."""
    placed, n_modules = [], 0
    for i, offset in enumerate(offsets):
        anodes = layouts[i % len(layouts)].anodes
        placed += [(n_modules + anode.module, anode, offset) for anode in anodes]
        n_modules += 1 + max(anode.module for anode in anodes)
    return placed


def geometry_of(placed: list[tuple[int, Anode, Sequence[float]]], drift_length: float) -> dict[str, Any]:
    anodes = [anode for _, anode, _ in placed]
    x, y, z = np.array([offset for _, _, offset in placed], dtype=np.float64).T
    z_anode = z + np.array([anode.z for anode in anodes])
    n_x = np.array([anode.n_x for anode in anodes], dtype=np.int64)
    n_y = np.array([anode.n_y for anode in anodes], dtype=np.int64)
    return {
        "x_lo": x + np.array([anode.x_lo for anode in anodes]),
        "x_hi": x + np.array([anode.x_hi for anode in anodes]),
        "y_lo": y + np.array([anode.y_lo for anode in anodes]),
        "y_hi": y + np.array([anode.y_hi for anode in anodes]),
        "z_anode": z_anode,
        "z_cathode": z_anode + drift_length * np.array([anode.drift for anode in anodes]),
        "pitch": np.array([anode.pitch for anode in anodes]),
        "n_x": n_x,
        "n_y": n_y,
        "first_pixel": np.cumsum(n_x * n_y) - n_x * n_y,
        "module": np.array([module for module, _, _ in placed], dtype=np.int64),
    }
