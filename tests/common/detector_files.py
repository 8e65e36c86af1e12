"""Small files of a detector, and how they are refused."""

import os

import pytest

from lartpc.exceptions import InputError

needs_reference = pytest.mark.skipif("LARTPC_REFERENCE_DATA" not in os.environ, reason="LARTPC_REFERENCE_DATA not set")


def small_layout(three_indices=False):
    """Two facing anodes of 2 x 1 tiles of 3 x 2 pixels of 4 mm, 200 mm apart."""
    tiles = {1: (-100.0, 1, -6.0), 2: (-100.0, 1, 6.0), 3: (100.0, -1, -6.0), 4: (100.0, -1, 6.0)}
    anode = {1: 1, 2: 1, 3: 2, 4: 2}
    return {
        "pixel_pitch": 4.0,
        "chip_channel_to_position": {11000 + 3 * iy + ix: [ix, iy] for ix in range(3) for iy in range(2)},
        "tile_positions": {tile: [drift, 10.0, z] for tile, (drift, _, z) in tiles.items()},
        "tile_orientations": {tile: [direction, 1, 1] for tile, (_, direction, _) in tiles.items()},
        "tile_indeces": {tile: [1, anode[tile], tile] if three_indices else [anode[tile], tile] for tile in tiles},
        "tile_chip_to_io": {1: {11: 1001}},
        "tile_layout_version": "2.4.0",
        "multitile_layout_version": "2.4.16",
        "tpc_centers": {1: [0, 0, 0], 2: [0, 0, 0]},
    }


def small_detector(**values):
    return {"tpc_offsets": [[0, 0, 0]], "drift_length": 9.5, **values}


def refused(load, *arguments, **keywords):
    with pytest.raises(InputError) as failure:
        load(*arguments, **keywords)
    message = str(failure.value)
    assert "\n" not in message
    assert ".yaml: " in message
    return message
