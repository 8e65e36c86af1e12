"""The channels of the built-in detectors' pixels: the natural numbering of LArPix tiles.

It is that of larnd-sim's layouts 2.4.16 and 2.5.16 (2x2) and 3.0.40 (ND-LAr). Module0 is taken to be wired as the
modules of the 2x2 are; in its own layouts some chips are read by other io_channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Channels of a chip on its pixels: columns from low x, rows from high y, as a tile lies that is not turned.
_CHIP_7 = (
    "3 2 1 63 62 61 60, 10 5 4 0 59 58 52, 13 12 11 49 50 51 53, 17 16 15 14 46 47 48, "
    "20 21 18 42 43 44 45, 19 26 27 32 36 37 41, 28 29 30 31 33 34 35"
)
_CHIP_8 = (
    "4 3 2 0 63 61 60 59, 5 7 6 1 62 56 57 58, 11 9 8 10 52 54 55 53, 15 13 12 14 48 50 51 49, "
    "19 17 18 16 44 46 45 47, 21 23 22 20 42 40 41 43, 26 25 24 30 33 39 38 37, 27 28 29 31 32 34 35 36"
)


class Wiring(NamedTuple):
    """How the anodes of a module are read: `anodes[layout]` (2, n_x, n_y, 4), and of each module its layout."""

    anodes: tuple[np.ndarray, ...]  # io_group (from 1 in each module), io_channel, chip_id, channel_id
    layout: tuple[int, ...]  # of each module, by its number
    groups: int  # io_groups of a module


def module0() -> Wiring:
    return Wiring((_small_module(_CHIP_7),), (0,), 2)


def two_by_two() -> Wiring:
    """The third module has chips of 8 x 8 pixels."""
    return Wiring((_small_module(_CHIP_7), _small_module(_CHIP_8)), (0, 0, 1, 0), 2)


def ndlar() -> Wiring:
    """20 tiles an anode, an io_group for each ten; chips are numbered down the columns of a tile."""
    chip = np.add.outer(10 + 10 * np.arange(16), 9 - np.arange(10))
    place = (chip - 10) % 10  # from the top
    left = np.searchsorted([3, 5, 7], place, side="right")
    right = np.searchsorted([2, 5, 8], place, side="right")
    tile = _tile(np.flip(_chip(_CHIP_8), axis=0), chip, 1 + np.where(np.arange(16)[:, None] < 8, left, right))

    def channels_of(anode: int, column: int, row: int) -> np.ndarray:
        k = 2 * row + column
        return _named(tile, 1 + 2 * anode + k // 10, 4 * (k % 10))

    return Wiring((_anodes(2, 10, channels_of),), (0,) * 35, 4)


WIRING = {"module0": module0, "2x2": two_by_two, "ndlar": ndlar}


def _small_module(numbers: str) -> np.ndarray:
    """Of the 2x2: 8 tiles an anode, each of which is turned against the one beside it; an io_group an anode."""
    chip = np.add.outer(11 + np.arange(10), 10 * (9 - np.arange(10)))
    tile = _tile(_chip(numbers), chip, 1 + (chip - 11) // 25)

    def channels_of(anode: int, column: int, row: int) -> np.ndarray:
        k = 2 * row + (column if anode == 0 else 1 - column)
        turned = tile if column == 0 else np.flip(tile, axis=0)
        return _named(turned if k % 2 else np.flip(turned, axis=1), 1 + anode, 4 * k)

    return _anodes(2, 4, channels_of)


def _chip(numbers: str) -> np.ndarray:
    """Channel numbers (columns, rows), both from the low end."""
    return np.array([[int(number) for number in row.split()] for row in numbers.split(",")]).T[:, ::-1]


def _tile(channel: np.ndarray, chip: np.ndarray, io_channel: np.ndarray) -> np.ndarray:
    """(n_x, n_y, 4) of a tile with `chip` and `io_channel` (chips across, chips up), its io_group 0."""
    n, m = channel.shape
    tile = np.zeros((chip.shape[0] * n, chip.shape[1] * m, 4), dtype=np.int64)
    tile[..., 1] = np.kron(io_channel, np.ones((n, m), dtype=np.int64))
    tile[..., 2] = np.kron(chip, np.ones((n, m), dtype=np.int64))
    tile[..., 3] = np.tile(channel, chip.shape)
    return tile


def _named(tile: np.ndarray, io_group: int, before: int) -> np.ndarray:
    """The tile in an io_group, of which its io_channels follow `before` others."""
    named = tile.copy()
    named[..., 0] = io_group
    named[..., 1] += before
    return named


def _anodes(columns: int, rows: int, channels_of: Callable[[int, int, int], np.ndarray]) -> np.ndarray:
    """(2, n_x, n_y, 4) of tiles in columns from low x and rows from high y."""
    return np.stack(
        [
            np.concatenate(
                [
                    np.concatenate([channels_of(anode, column, row) for row in range(rows)[::-1]], axis=1)
                    for column in range(columns)
                ]
            )
            for anode in (0, 1)
        ]
    )
