"""Values of single pixels, thresholds, gains or pedestals, as larnd-sim's npz files hold them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lartpc.exceptions import InputError
from lartpc.files.npz import load_arrays

PIXEL_VALUES = {"thresholds": "e", "gains": "mV/e", "pedestals": "mV"}  # with their units
# What can be such a value: below are volts and kiloelectrons, above DAC settings and uV.
RANGES = {"e": (100.0, np.inf), "mV/e": (1e-4, 1.0), "mV": (10.0, 1e5)}
COULOMB = 1.602176634e-19  # that one electron is
LARGEST_CHARGE = 1e-9  # [C] of larnd-sim's thresholds
LARGEST = 1e30  # value that is kept, so that single precision holds it
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


def with_values(table: PixelValues, pixel: np.ndarray, value: float | np.ndarray) -> PixelValues:
    """The table with one `value`, or one for each (n,), for the pixels of these ids, ascending (n,)."""
    kept = ~np.isin(table[0], pixel)
    keys = np.concatenate((table[0][kept], pixel))
    values = np.concatenate((table[1][kept], np.full(len(pixel), value)))
    order = np.argsort(keys, kind="stable")
    return PixelValues(keys[order], values[order], table[2])


def unreachable(table: PixelValues) -> np.ndarray:
    """Ids of the pixels whose threshold is `NEVER`, ascending."""
    return table.keys[table.values >= NEVER]


def read_pixel_values(
    path: str | os.PathLike,
    unit: str = "e",
    pixels_of: Callable[[np.ndarray], np.ndarray] | None = None,
    ids_of: Callable[[np.ndarray], np.ndarray] | None = None,
) -> PixelValues:
    """Thresholds [e], gains [mV/e] or pedestals [mV] of pixels, in the `unit` that an error names.

    The file is larnd-sim's npz with `keys` (n,), pixel ids, or (n, 4), channels as io_group, io_channel, chip_id,
    channel_id; `values`, `default`. Thresholds below 1e-9 are charges in Coulomb, as larnd-sim's own files have them.
    `pixels_of` gives the pixels (n,) of channels (n, 4), -1 where there is none, `ids_of` our pixel ids of the file's.

    InputError, one line: not an npz file, a field missing, lengths that differ, a pixel id negative, not whole or given
    twice, channels without `pixels_of` or none with a pixel, a value that is not above 0, or that cannot be in `unit`.
    """
    content = load_arrays(path, "an npz file", "one with keys, values, default")
    for name in ("keys", "values", "default"):
        if name not in content:
            raise InputError(f"{path}: field {name!r} is missing, found are {', '.join(content) or 'none'}")
        if content[name].dtype.kind not in "iuf":
            raise InputError(f"{path}: {name}: found type {content[name].dtype}, allowed are numbers")
    keys, values = content["keys"], content["values"].ravel().astype(np.float64)
    by_channel = keys.ndim == 2 and keys.shape[1] == 4
    keys = keys if by_channel else keys.ravel()
    if len(keys) != len(values):
        raise InputError(f"{path}: found {len(keys)} keys and {len(values)} values, allowed is one value a key")
    if content["default"].size != 1:
        raise InputError(f"{path}: default: found {content['default'].size} values, allowed is one")
    default = float(content["default"].ravel()[0])
    if (
        not np.isfinite(keys).all()
        or (keys < 0).any()
        or (keys != np.floor(keys)).any()
        or (keys.astype(np.float64) >= 2.0**63).any()
    ):
        what = "channel" if by_channel else "pixel id"
        raise InputError(f"{path}: keys: found a {what} that is negative or not whole, allowed are numbers from 0")
    for name, column in (("values", values), ("default", np.array([default]))):
        wrong = ~(np.isfinite(column) & (column > 0))
        if wrong.any():
            raise InputError(f"{path}: {name}: found {column[wrong][0]:g}, allowed are finite values above 0 [{unit}]")
    keys = keys.astype(np.int64)
    if by_channel:
        if pixels_of is None:
            raise InputError(f"{path}: keys of channels: needs --detector FILE and --layout FILE")
        pixel = pixels_of(keys)
        keys, values = pixel[pixel >= 0], values[pixel >= 0]
        if len(pixel) and not len(keys):
            raise InputError(f"{path}: keys: found no channel that reads a pixel, allowed are those of the layout")
    elif ids_of is not None:
        keys = ids_of(keys)
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    twice = keys[1:][np.diff(keys) == 0]
    if twice.size:
        raise InputError(f"{path}: keys: found pixel {twice[0]} twice, allowed is one value a pixel")
    return PixelValues(keys, *_in_unit(path, unit, values, default))


def _in_unit(path: str | os.PathLike, unit: str, values: np.ndarray, default: float) -> tuple[np.ndarray, float]:
    """Values and default in electrons where they are thresholds in Coulomb; InputError where they are not in `unit`."""
    every = np.append(values, default)
    if unit == "e" and every.max() < LARGEST_CHARGE:
        every = every / COULOMB
    low, high = RANGES[unit]
    wrong = (every < low) | (every > high)
    if wrong.any():
        allowed = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"
        also = ", or all in C" if unit == "e" else ""
        found = np.append(values, default)[wrong][0]
        raise InputError(f"{path}: values: found {found:g}, allowed are {allowed} [{unit}]{also}")
    every = np.minimum(every, LARGEST)
    return every[:-1], float(every[-1])
