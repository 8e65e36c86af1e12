"""Where TPCs share space: what of each collects charge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lartpc.exceptions import InputError

TOUCHING = 1e-3  # by which TPCs may overlap: rounding of their positions [cm]
SHALLOW = 0.1  # of the drift length: up to which an overlap along it is one of anodes that are a little too far out


class Volumes(NamedTuple):
    """Ranges along the drift axis, one or more a TPC, by TPC (n_volumes,); across it they are as wide as their TPC."""

    tpc: np.ndarray  # int64
    low: np.ndarray  # [cm]
    high: np.ndarray  # [cm]


def volumes_of(tpcs: Mapping[str, np.ndarray]) -> Volumes:
    """What each TPC collects charge from: where two overlap what is nearer to its own anode, else all of it.

    `tpcs`: arrays of `Detector` by name, of TPCs that `check_apart` lets pass.
    """
    z = np.stack((tpcs["z_anode"], tpcs["z_cathode"]))
    kept = [[(float(low), float(high))] for low, high in np.sort(z, axis=0).T]
    anode = tpcs["z_anode"]
    for i, j, *_ in _overlaps(tpcs):
        first, second = (i, j) if anode[i] < anode[j] else (j, i)
        low, high = max(z[:, i].min(), z[:, j].min()), min(z[:, i].max(), z[:, j].max())
        middle = float(np.clip(0.5 * (anode[i] + anode[j]), low, high))
        kept[first] = [part for own in kept[first] for part in _without(own, middle, float(high))]
        kept[second] = [part for own in kept[second] for part in _without(own, float(low), middle)]
    rows = [(v, *part) for v, parts in enumerate(kept) for part in parts]
    tpc, low, high = zip(*rows, strict=True)
    return Volumes(np.array(tpc, dtype=np.int64), np.array(low), np.array(high))


def check_apart(path: str | os.PathLike, tpcs: Mapping[str, np.ndarray]) -> str | None:
    """What is to be said of TPCs that overlap by a little along the drift, face to face; None where none do.

    Raises InputError where TPCs overlap otherwise: both would collect the charge of what they share.
    """
    found = _overlaps(tpcs)
    for i, j, shared, deep in found:
        length = abs(tpcs["z_cathode"][i] - tpcs["z_anode"][i])
        across = max(abs(tpcs[name][i] - tpcs[name][j]) for name in ("x_lo", "x_hi", "y_lo", "y_hi"))
        facing = across < min(tpcs["pitch"][i], tpcs["pitch"][j]) and tpcs["z_anode"][i] != tpcs["z_anode"][j]
        if not facing or deep > SHALLOW * length:
            raise InputError(
                f"{path}: tpc_offsets or tpc_centers: TPCs {i} and {j} overlap by {shared:g} cm, allowed are TPCs apart"
            )
    if not found:
        return None
    i, j, _, deep = found[0]
    others = f" and {len(found) - 1} other pairs" if len(found) > 1 else ""
    return f"{path}: TPCs {i} and {j}{others} overlap by {deep:.3g} cm; a deposit there belongs to the nearer anode"


def _overlaps(tpcs: Mapping[str, np.ndarray]) -> list[tuple[int, int, float, float]]:
    """Pairs of TPCs that share space, by how much along the axis where they do the least, and along the drift [cm]."""
    z = np.stack((tpcs["z_anode"], tpcs["z_cathode"]))
    low = np.stack((tpcs["x_lo"], tpcs["y_lo"], z.min(axis=0)), axis=1)
    high = np.stack((tpcs["x_hi"], tpcs["y_hi"], z.max(axis=0)), axis=1)
    along = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    shared, deep = along.min(axis=2), along[..., 2]
    first, second = np.nonzero(np.triu(shared, 1) > TOUCHING)
    return [
        (i, j, float(shared[i, j]), float(deep[i, j])) for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]


def _without(part: tuple[float, float], low: float, high: float) -> list[tuple[float, float]]:
    """What is left of a range without low to high."""
    ranges = ((part[0], min(part[1], low)), (max(part[0], high), part[1]))
    return [(a, b) for a, b in ranges if a < b]
