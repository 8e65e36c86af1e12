"""Tile layouts of pixel anodes: larnd-sim's pixel-layout YAML, and regular ones."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from lartpc.checks import short
from lartpc.exceptions import InputError
from lartpc.files import yamlfile

KNOWN_KEYS = (
    "chip_channel_to_position",
    "drift_length",
    "multitile_layout_version",
    "pixel_pitch",
    "tile_chip_to_io",
    "tile_indeces",
    "tile_layout_version",
    "tile_orientations",
    "tile_positions",
    "tpc_centers",
)
_REQUIRED_KEYS = ("chip_channel_to_position", "pixel_pitch", "tile_indeces", "tile_orientations", "tile_positions")
_MM = 0.1  # [cm]
_MOST_PIXELS = 1000  # of a tile along an axis


_OFF_GRID = 0.25  # of a pitch: by which tiles may lie off where they touch; files round their positions


class Anode(NamedTuple):
    """One pixel plane, relative to its module's centre, in the simulation frame (z is the drift axis) [cm]."""

    module: int  # counted from 0
    x_lo: float
    x_hi: float
    y_lo: float
    y_hi: float
    z: float
    drift: int  # +1 or -1: the direction from the anode to the cathode
    n_x: int
    n_y: int
    pitch: float
    tiles: tuple[tuple[Any, ...], ...] = ()  # columns along x of tiles along y, by their numbers in the file


class Layout(NamedTuple):
    """The anodes that a layout file describes, in its order; `drift_length` [cm] is None where the file has none."""

    anodes: tuple[Anode, ...]
    drift_length: float | None


def tiled_layout(
    drift: float, y: tuple[float, ...], z: tuple[float, ...], pitch: float, tile_pixels: tuple[int, int]
) -> Layout:
    """One module: two anodes at -drift and +drift with tiles around every (y, z), all [mm] in the frame of files."""
    anodes = tuple(
        _anode(0, np.array([(at, yy, zz) for yy in y for zz in z]), direction, pitch * _MM, tile_pixels)
        for at, direction in ((-drift, 1), (drift, -1))
    )
    return Layout(anodes, None)


def read_layout(path: str | os.PathLike) -> Layout:
    """Read a larnd-sim pixel-layout YAML file, with the errors of `layout_of`."""
    return layout_of(path, yamlfile.read_mapping(path, KNOWN_KEYS))


def layout_of(path: str | os.PathLike, content: dict[str, Any]) -> Layout:
    """The layout that the `content` of the larnd-sim pixel-layout YAML file at `path` describes.

    A tile of n_x by n_y pixels is centred on its position; a plane's border is that of its outermost tiles, as in
    larnd-sim's `consts/detector.py`. Raises InputError with one line for whatever is missing or inconsistent.
    """
    for key in _REQUIRED_KEYS:
        if key not in content:
            raise InputError(f"{path}: key {key!r} is missing, found are {', '.join(map(str, content))}")
        if key != "pixel_pitch" and not (isinstance(content[key], dict) and content[key]):
            raise InputError(
                f"{path}: {key}: found {short(content[key])}, allowed is a mapping with at least one entry"
            )
    pitch = yamlfile.number(path, "pixel_pitch", content["pixel_pitch"], 0.1, 100.0, "mm") * _MM
    tile_pixels = _tile_pixels(path, content["chip_channel_to_position"])
    anodes = []
    planes = _planes(path, content["tile_indeces"])
    modules = sorted({plane[:-1] for plane in planes})
    for plane in sorted(planes):
        positions, directions = [], set()
        for tile in planes[plane]:
            for key in ("tile_positions", "tile_orientations"):
                if tile not in content[key]:
                    raise InputError(f"{path}: {key}: tile {tile} is missing, tile_indeces names it")
            positions.append(
                yamlfile.vector(path, f"tile_positions[{tile}]", content["tile_positions"][tile], 3, 1e5, "mm")
            )
            key = f"tile_orientations[{tile}]"
            directions.add(yamlfile.vector(path, key, content["tile_orientations"][tile], 3, 1.0, "+1 or -1")[0])
        tiles = np.array(positions)
        if directions not in ({1.0}, {-1.0}):
            found = ", ".join(f"{d:g}" for d in sorted(directions))
            raise InputError(
                f"{path}: tile_orientations: anode {plane[-1]} has drift directions {found}, allowed is one, +1 or -1"
            )
        if np.ptp(tiles[:, 0]) > 0:
            raise InputError(f"{path}: tile_positions: the tiles of anode {plane[-1]} differ in their drift coordinate")
        anode = _anode(modules.index(plane[:-1]), tiles, int(directions.pop()), pitch, tile_pixels)
        if anode.n_x * anode.n_y != len(tiles) * tile_pixels[0] * tile_pixels[1]:
            raise InputError(
                f"{path}: tile_positions: the {len(tiles)} tiles of anode {plane[-1]} form no full rectangle"
            )
        _check_touching(path, plane[-1], anode, tiles, tile_pixels)
        anodes.append(anode._replace(tiles=_columns(planes[plane], tiles)))
    drift_length = content.get("drift_length")
    if drift_length is not None:
        drift_length = yamlfile.number(path, "drift_length", drift_length, 1.0, 1e5, "mm") * _MM
    return Layout(tuple(anodes), drift_length)


def _anode(module: int, tiles: np.ndarray, drift: int, pitch: float, tile_pixels: tuple[int, int]) -> Anode:
    """The plane of `tiles`, rows (drift, y, z) [mm] in the file's frame: its z is the simulation's x."""
    half_x, half_y = 0.5 * pitch * tile_pixels[0], 0.5 * pitch * tile_pixels[1]
    z, y, x = tiles.T * _MM
    return Anode(
        module=module,
        x_lo=float(x.min() - half_x),
        x_hi=float(x.max() + half_x),
        y_lo=float(y.min() - half_y),
        y_hi=float(y.max() + half_y),
        z=float(z[0]),
        drift=drift,
        n_x=len(np.unique(x)) * tile_pixels[0],
        n_y=len(np.unique(y)) * tile_pixels[1],
        pitch=pitch,
    )


def _check_touching(
    path: str | os.PathLike, number: int, anode: Anode, tiles: np.ndarray, tile_pixels: tuple[int, int]
) -> None:
    """Raise InputError where tiles (n, 3) of an anode leave gaps or overlap: pixels are counted as if they touched."""
    names = ("y", "z")
    for axis, low, n in ((1, anode.y_lo, tile_pixels[1]), (2, anode.x_lo, tile_pixels[0])):
        centre = np.unique(tiles[:, axis]) * _MM
        touching = low + (np.arange(len(centre)) + 0.5) * n * anode.pitch
        if np.abs(centre - touching).max() > _OFF_GRID * anode.pitch:
            found = float(np.diff(centre)[np.argmax(np.abs(np.diff(centre) - n * anode.pitch))])
            raise InputError(
                f"{path}: tile_positions: tiles of anode {number} are {found / _MM:g} mm apart along {names[axis - 1]} "
                f"and {n * anode.pitch / _MM:g} mm wide, allowed are tiles that touch"
            )


def _columns(numbers: list[Any], tiles: np.ndarray) -> tuple[tuple[Any, ...], ...]:
    """The numbers of an anode's tiles (n, 3), in columns along the file's z of tiles along its y, both ascending."""
    order = np.lexsort((tiles[:, 1], tiles[:, 2]))
    rows = len(np.unique(tiles[:, 1]))
    return tuple(tuple(numbers[k] for k in order[i : i + rows]) for i in range(0, len(order), rows))


def _tile_pixels(path: str | os.PathLike, positions: dict[Any, Any]) -> tuple[int, int]:
    for key, pair in positions.items():
        whole = isinstance(pair, list) and len(pair) == 2 and all(type(index) is int for index in pair)
        if not whole or not all(0 <= index < _MOST_PIXELS for index in pair):
            raise InputError(
                f"{path}: chip_channel_to_position: allowed are pairs of pixel indices [ix, iy], from 0 to "
                f"{_MOST_PIXELS - 1}, found {short(pair)} for {short(key)}"
            )
    n_x, n_y = (1 + max(pair[k] for pair in positions.values()) for k in range(2))
    return n_x, n_y


def _planes(path: str | os.PathLike, indices: dict[Any, Any]) -> dict[tuple[int, ...], list[Any]]:
    """The tiles of each plane. An entry is [anode, tile], in older files [module, anode, tile]."""
    planes: dict[tuple[int, ...], list[Any]] = {}
    for tile, index in indices.items():
        if not isinstance(index, list) or len(index) not in (2, 3):
            raise InputError(
                f"{path}: tile_indeces[{tile}]: found {short(index)}, allowed is [anode, tile] or [module, anode, tile]"
            )
        plane = tuple(yamlfile.integer(path, f"tile_indeces[{tile}]", i, 0, 100_000) for i in index[:-1])
        planes.setdefault(plane, []).append(tile)
    return planes
