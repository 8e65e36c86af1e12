"""Values of single pixels, thresholds, gains or pedestals, as larnd-sim's npz files hold them."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from lartpc.exceptions import InputError
from lartpc.files.npz import load_arrays

PIXEL_VALUES = {"thresholds": "e", "gains": "mV/e", "pedestals": "mV"}  # with their units
NEVER = 1e9  # threshold [e] of a pixel that no channel reads: that it has no hit says nothing


class PixelValues(NamedTuple):
    """Values of the pixels `keys`, and that of all others."""

    keys: np.ndarray  # (n,) int64 pixel ids, ascending
    values: np.ndarray  # (n,) float64
    default: float


def values_of(table: PixelValues, pixel: np.ndarray) -> np.ndarray:
    """The values (n,) of pixels by their ids (n,)."""
    keys, values, default = table
    if len(keys) == 0:
        return np.full(len(pixel), default)
    at = np.minimum(np.searchsorted(keys, pixel), len(keys) - 1)
    return np.where(keys[at] == pixel, values[at], default)


def with_values(table: PixelValues, pixel: np.ndarray, value: float) -> PixelValues:
    """The table with one `value` for the pixels of these ids, ascending (n,)."""
    kept = ~np.isin(table[0], pixel)
    keys = np.concatenate((table[0][kept], pixel))
    values = np.concatenate((table[1][kept], np.full(len(pixel), value)))
    order = np.argsort(keys, kind="stable")
    return PixelValues(keys[order], values[order], table[2])


def read_pixel_values(path: str | os.PathLike, unit: str = "e") -> PixelValues:
    """Thresholds [e], gains [mV/e] or pedestals [mV] of pixels, in the `unit` that an error names.

    The file is larnd-sim's npz with `keys` (pixel ids), `values`, `default`. InputError, one line: not an npz file, a
    field missing, lengths that differ, a pixel id negative, not whole or given twice, a value that is not above 0.
    """
    content = load_arrays(path, "an npz file", "one with keys, values, default")
    for name in ("keys", "values", "default"):
        if name not in content:
            raise InputError(f"{path}: field {name!r} is missing, found are {', '.join(content) or 'none'}")
        if content[name].dtype.kind not in "iuf":
            raise InputError(f"{path}: {name}: found type {content[name].dtype}, allowed are numbers")
    keys, values = content["keys"].ravel(), content["values"].ravel().astype(np.float64)
    if len(keys) != len(values):
        raise InputError(f"{path}: found {len(keys)} keys and {len(values)} values, allowed is one value a key")
    if content["default"].size != 1:
        raise InputError(f"{path}: default: found {content['default'].size} values, allowed is one")
    default = float(content["default"].ravel()[0])
    if not np.isfinite(keys).all() or (keys < 0).any() or (keys != np.floor(keys)).any() or (keys >= 2.0**63).any():
        raise InputError(f"{path}: keys: found a pixel id that is negative or not whole, allowed are ids from 0")
    for name, column in (("values", values), ("default", np.array([default]))):
        wrong = ~(np.isfinite(column) & (column > 0))
        if wrong.any():
            raise InputError(f"{path}: {name}: found {column[wrong][0]:g}, allowed are finite values above 0 [{unit}]")
    keys = keys.astype(np.int64)
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    twice = keys[1:][np.diff(keys) == 0]
    if twice.size:
        raise InputError(f"{path}: keys: found pixel {twice[0]} twice, allowed is one value a pixel")
    return PixelValues(keys, values, default)
