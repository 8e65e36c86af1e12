"""The built-in detectors: tiles, modules and electronics of module0, 2x2 and ND-LAr, as larnd-sim's files have them."""

from __future__ import annotations

from typing import Any, NamedTuple

from lartpc.detector.layout import Layout, tiled_layout


class Geometry(NamedTuple):
    """Modules of two anodes each, whose cathode is between them."""

    layouts: tuple[Layout, ...]  # one for all modules, or one each
    offsets: tuple[tuple[float, float, float], ...]  # centre of each module, x, y, z [cm] in the simulation frame
    drift_length: float  # from an anode to its cathode [cm]
    electronics: dict[str, Any]  # fields of `Detector` that differ from module0's


def module0() -> Geometry:
    """Layout 2.2.16: 2 anodes of 2 x 4 tiles of 70 x 70 pixels."""
    tiles = tiled_layout(304.31, (465.2, 155.2, -155.2, -465.2), (-155.2, 155.2), 4.434, (70, 70))
    return Geometry((tiles,), ((0.0, -21.8236, 0.0),), 30.27225, {})


def two_by_two() -> Geometry:
    """Four modules, layout 2.4.16; the third has 80 x 80 smaller pixels a tile, layout 2.5.16."""
    centres = (465.57, 155.19, -155.19, -465.57), (-155.19, 155.19)
    wide, fine = tiled_layout(304.31, *centres, 4.434, (70, 70)), tiled_layout(305.8975, *centres, 3.88, (80, 80))
    offsets = tuple((x, 0.0, z) for z in (33.5, -33.5) for x in (33.5, -33.5))
    electronics = {"threshold": 5000.0, "gain": 4.522e-3, "v_cm": 478.1, "v_ref": 1568.0}
    return Geometry((wide, wide, fine, wide), offsets, 30.27225, electronics)


def ndlar() -> Geometry:
    """Seven by five modules in the hall, layout 3.0.40: 2 anodes of 2 x 10 tiles of 128 x 80 pixels."""
    tiles = tiled_layout(504.0, tuple(1348.0 - 304.0 * k for k in range(10)), (-243.2, 243.2), 3.8, (128, 80))
    offsets = tuple((462.36 + 101.42 * i, 5.387, 102.1 * k) for k in range(-3, 4) for i in range(5))
    return Geometry((tiles,), offsets, 50.4, {"threshold": 5000.0, "v_cm": 478.0, "v_ref": 1568.0})


BUILT_IN = {"module0": module0, "2x2": two_by_two, "ndlar": ndlar}
