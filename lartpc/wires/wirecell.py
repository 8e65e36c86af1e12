"""Reader of the field responses of Wire-Cell: JSON of what Garfield computed, in its units mm, ns and e."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from lartpc.checks import as_number, short
from lartpc.exceptions import InputError
from lartpc.files.jsonfile import read_json
from lartpc.wires.fieldresponse import FieldResponse, collected, with_charge

PLANES = 3
PERIOD = 100.0  # [ns] of samples, to 1e-3
BINS = 10  # a pitch, of what is made of the impacts
NEAR = 1e-3  # pitches by which a path may be off its place
MOST_WIRES = 1000  # from a wire to a path
LARGEST = 1e3  # current [e/ns]
OFF = 0.2  # by which an electron's charge on a wire may differ from 1 or 0 before it is made exact


def read_wirecell(path: str | os.PathLike) -> FieldResponse:
    """Read a field response of Wire-Cell, `*.json.bz2` or `*.json`.

    FieldResponse {axis, origin [mm], tstart [ns], period [ns], speed [mm/ns], planes}; PlaneResponse {planeid,
    location [mm], pitch [mm], paths}; PathResponse {pitchpos [mm], wirepos [mm], current.array.elements [e/ns]}.
    The charge of an electron is negative there: currents change sign, times 1000 they are in 1/us. Paths begin on one
    side of each wire, from 0 to half a pitch; the other side is that of the mirrored wire. The two electrons that begin
    half a pitch from a wire, one on each side, end on different wires: bins of a pitch are linear between the paths of
    one wire, never between those of two.

    The charge is made exact: currents of a wire that collects are multiplied, to others the same is added in all
    samples.

    Raises InputError, one line: not JSON, a key missing or no number, not three planes, other samples than of 100 ns
    from 0, paths that are not as above, or charges that are more than 0.2 from 1 on the last plane and 0 elsewhere.
    """
    content = read_json(path)
    response = _key(path, "", content, "FieldResponse") if isinstance(content, dict) else None
    if response is None:
        raise InputError(f"{path}: found {short(content)}, allowed is a mapping with FieldResponse")
    top = {key: _number(path, "FieldResponse", response, key) for key in ("origin", "tstart", "period", "speed")}
    if abs(top["period"] / PERIOD - 1.0) > 1e-3:
        raise InputError(f"{path}: period: found {top['period']:g}, allowed is {PERIOD:g} [ns]")
    if top["tstart"] != 0.0:
        raise InputError(f"{path}: tstart: found {top['tstart']:g}, allowed is 0 [ns]")
    numbered = list(_planes(path, response))
    numbers = sorted(number for number, _ in numbered)
    if numbers != list(range(PLANES)):
        raise InputError(f"{path}: planeid: found {short(numbers)}, allowed are {list(range(PLANES))}, each once")
    planes = dict(numbered)
    height = 0.1 * (top["origin"] - _number(path, "plane 2", planes[2], "location"))
    if not height > 0.0 or not top["speed"] > 0.0:
        raise InputError(
            f"{path}: origin, speed: found {top['origin']:g} mm and {top['speed']:g} mm/ns, allowed is an origin "
            "beyond the location of plane 2, and a speed above 0"
        )
    sampling = 1e-3 * top["period"]
    pitch = tuple(_number(path, f"plane {k}", planes[k], "pitch") for k in range(PLANES))
    currents = [_on_bins(path, f"plane {k}", planes[k], pitch[k]) for k in range(PLANES)]
    made = FieldResponse(tuple(currents), tuple(0.1 * p for p in pitch), sampling, height, 100.0 * top["speed"], BINS)
    if len({len(current) for current in currents}) == 1:
        wanted = collected(PLANES, made.offsets)
        off = np.abs(made.charge - wanted)
        if not off.max() <= OFF:
            k, i = np.unravel_index(off.argmax(), off.shape)
            raise InputError(
                f"{path}: plane {k}: found a charge of {made.charge[k, i]:.3g} for an electron at {made.offsets[i]:g} "
                f"pitches, allowed is {wanted[k, i]:g} within {OFF:g}: minus the sum of currents [e/ns] times period"
            )
        exact = (_exact(*of_plane, sampling) for of_plane in zip(currents, wanted, strict=True))
        made = FieldResponse(tuple(exact), made.pitch, sampling, height, made.vdrift, BINS)
    made.check(path)
    return made


def _exact(current: np.ndarray, charge: np.ndarray, sampling: float) -> np.ndarray:
    found = current.sum(axis=1) * sampling
    factor = np.where(charge != 0.0, charge / np.where(charge != 0.0, found, 1.0), 1.0)
    return with_charge(current * factor[:, None], charge, sampling)


def _on_bins(path: str | os.PathLike, where: str, plane: Any, pitch: float) -> np.ndarray:
    """Currents [1/us] of the middles of bins ((2 reach + 1) BINS, n_samples)."""
    if not pitch > 0.0:
        raise InputError(f"{path}: {where}: pitch: found {pitch:g}, allowed is a number above 0 [mm]")
    place, current = _paths(path, where, plane)
    if np.abs(place).max() > MOST_WIRES * pitch:
        raise InputError(
            f"{path}: {where}: pitchpos: found a path {np.abs(place).max():g} mm from the wire, allowed are up to "
            f"{MOST_WIRES} pitches of {pitch:g} mm"
        )
    place = place / pitch
    # The wire that an electron at half a pitch belongs to is on the same side for all.
    for nearest, side in ((np.ceil(place - NEAR), -1.0), (np.floor(place + NEAR), 1.0)):
        impact = side * (place - nearest)
        if impact.max() <= 0.5 + NEAR:
            break
    wire = nearest.astype(np.int64)
    reach = int(np.abs(wire).max())
    order = np.lexsort((impact, wire))
    impacts = len(order) // (2 * reach + 1)
    impact, wire = impact[order], wire[order]
    expected = np.tile(impact[:impacts], 2 * reach + 1)
    whole = (
        impacts > 1
        and np.array_equal(wire, np.repeat(np.arange(-reach, reach + 1), impacts))
        and np.abs(impact - expected).max() <= NEAR
        and abs(impact[0]) <= NEAR
        and abs(impact[impacts - 1] - 0.5) <= NEAR
        and np.diff(impact[:impacts]).min() > NEAR
    )
    if not whole:
        raise InputError(
            f"{path}: {where}: paths: found {len(order)}, {impact.min():.3g} to {impact.max():.3g} pitches from wires "
            f"{wire.min()} to {wire.max()}, allowed are the same from 0 to 0.5 for each of as many wires on both sides"
        )
    by_wire = current[order].reshape(2 * reach + 1, impacts, -1)
    middle = (np.arange(BINS // 2) + 0.5) / BINS
    right = np.clip(np.searchsorted(impact[:impacts], middle), 1, impacts - 1)
    part = ((middle - impact[right - 1]) / (impact[right] - impact[right - 1]))[:, None]
    half = (1.0 - part) * by_wire[:, right - 1] + part * by_wire[:, right]  # from the wire to its border
    # towards `side` as it is; the other half is that of the wire on the other side, mirrored
    halves = (half[:, ::-1], half[::-1]) if side < 0.0 else (half[::-1, ::-1], half)
    return np.concatenate(halves, axis=1).reshape(-1, current.shape[1])


def _planes(path: str | os.PathLike, response: Any) -> Iterator[tuple[int, Any]]:
    for k, one in enumerate(_list(path, "FieldResponse", response, "planes")):
        plane = _key(path, f"planes[{k}]", one, "PlaneResponse")
        number = _number(path, f"planes[{k}]", plane, "planeid")
        if number != int(number):
            raise InputError(f"{path}: planes[{k}]: planeid: found {number:g}, allowed is a whole number")
        yield int(number), plane


def _paths(path: str | os.PathLike, where: str, plane: Any) -> tuple[np.ndarray, np.ndarray]:
    """Places from the wire (n,) [mm] and currents (n, samples) [1/us] of electrons."""
    places: list[float] = []
    currents: list[np.ndarray] = []
    for k, one in enumerate(_list(path, where, plane, "paths")):
        here = f"{where}: paths[{k}]"
        response = _key(path, here, one, "PathResponse")
        places.append(_number(path, here, response, "pitchpos") - _number(path, here, response, "wirepos"))
        array = _key(path, here, _key(path, here, response, "current"), "array")
        elements = _list(path, here, array, "elements")
        try:
            current = np.array(elements, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            current = np.full(1, np.nan)
        if current.ndim != 1 or not np.abs(current).max() <= LARGEST or len(current) != len((currents or [current])[0]):
            raise InputError(
                f"{path}: {here}: elements: found {short(elements)}, allowed are as many numbers in each path, up to "
                f"{LARGEST:g} in size [e/ns]"
            )
        currents.append(-1e3 * current)
    return np.array(places), np.array(currents)


def _key(path: str | os.PathLike, where: str, content: Any, key: str) -> Any:
    if not isinstance(content, dict) or key not in content:
        found = ", ".join(content) if isinstance(content, dict) else short(content)
        raise InputError(f"{path}: {where}{': ' if where else ''}{key} is missing, found are {found[:60] or 'none'}")
    return content[key]


def _number(path: str | os.PathLike, where: str, content: Any, key: str) -> float:
    value = _key(path, where, content, key)
    number = as_number(value)
    if number is None or not np.isfinite(number):
        raise InputError(f"{path}: {where}: {key}: found {short(value)}, allowed is a number")
    return number


def _list(path: str | os.PathLike, where: str, content: Any, key: str) -> list[Any]:
    value = _key(path, where, content, key)
    if not isinstance(value, list) or not value:
        raise InputError(f"{path}: {where}: {key}: found {short(value)}, allowed is a list")
    return value
