"""Files of values of pixels for a detector: one for all, or one for each module, by larnd-sim's ids or by channel."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lartpc.detector.pixelvalues import PixelValues, read_pixel_values
from lartpc.exceptions import InputError

if TYPE_CHECKING:
    from lartpc.detector.detector import Detector


def read_files(
    paths: Sequence[str | os.PathLike],
    unit: str,
    detector: Detector,
    pixels_of: Callable[[np.ndarray], np.ndarray] | None,
) -> PixelValues:
    """The values in `unit` of one file, or of one for each module of `detector`, see `Detector.with_pixel_values`."""
    if len(paths) not in (1, detector.n_modules):
        found = f"found {len(paths)} files for {detector.n_modules} modules"
        raise InputError(f"{paths[-1]}: {found}, allowed is one file, or one a module")
    if len(paths) == 1:
        return read_pixel_values(paths[0], unit, pixels_of, functools.partial(_of_all, paths[0], detector))
    keys, values, default = [], [], 0.0
    for module, path in enumerate(paths):
        ids_of = functools.partial(_of_module, path, detector, module)
        table = read_pixel_values(path, unit, pixels_of, ids_of)
        of_module = np.concatenate([_pixels(detector, v) for v in np.flatnonzero(detector.module == module).tolist()])
        if len(others := np.setdiff1d(table.keys, of_module)):
            raise InputError(f"{path}: keys: found pixel {others[0]}, allowed are those of module {module}")
        keys.append(of_module)
        value = np.full(len(of_module), table.default)
        value[np.searchsorted(of_module, table.keys)] = table.values
        values.append(value)
        default = table.default
    return PixelValues(np.concatenate(keys), np.concatenate(values), default)


def _pixels(detector: Detector, v: int) -> np.ndarray:
    """Ids of the pixels of TPC v."""
    return detector.first_pixel[v] + np.arange(detector.n_x[v] * detector.n_y[v])


def _of_all(path: str | os.PathLike, detector: Detector, key: np.ndarray) -> np.ndarray:
    """The pixels of larnd-sim's ids `key` (n,) in a file for all modules."""
    if len(key) and np.ptp(detector.n_x * detector.n_y):
        raise InputError(
            f"{path}: keys: found pixel ids, which larnd-sim counts by the size of each module's own planes, so that "
            f"in detector {detector.name} they are ambiguous; allowed are channels, or one file a module"
        )
    _check(path, key, np.arange(len(detector.module)), detector.n_pixels // len(detector.module), detector)
    return key


def _of_module(path: str | os.PathLike, detector: Detector, module: int, key: np.ndarray) -> np.ndarray:
    """The same in the file of one module: TPCs count on through all modules, pixels by this module's planes."""
    tpcs = np.flatnonzero(detector.module == module)
    size = int(detector.n_x[tpcs[0]] * detector.n_y[tpcs[0]])
    _check(path, key, tpcs, size, detector)
    return detector.first_pixel[key // size] + key % size


def _check(path: str | os.PathLike, key: np.ndarray, tpcs: np.ndarray, size: int, detector: Detector) -> None:
    """Raise InputError where ids are not of pixels of these TPCs, of `size` pixels each."""
    low, high = int(tpcs[0]) * size, (int(tpcs[-1]) + 1) * size
    wrong = (key < low) | (key >= high)
    if wrong.any():
        found, of = int(key[wrong].max()), "those of detector " + detector.name
        of = of if len(tpcs) == len(detector.module) else f"those of module {detector.module[tpcs[0]]}"
        raise InputError(f"{path}: keys: found pixel {found}, allowed are {low} to {high - 1}, {of}")
