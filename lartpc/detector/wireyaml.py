"""The YAML of a wire detector."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lartpc.checks import as_number, short
from lartpc.detector.cage import Cage, CagePlane
from lartpc.detector.noisefile import read_noise
from lartpc.detector.waveforms import KINDS as AMPLIFIERS
from lartpc.detector.waveforms import Adc, Charges, Electronics, NoiseModel
from lartpc.detector.wirechecks import MOST_WIRES, check_planes
from lartpc.detector.wireplanes import Anode, Plane, boxes
from lartpc.exceptions import InputError
from lartpc.files import yamlfile
from lartpc.parameters import Parameters

KEYS = ("name", "anodes", "planes", "readout", "field_response", "electronics", "adc", "noise", "parameters")
KINDS = ("induction", "collection")
FEWEST, MOST = 2, 4  # planes
FARTHEST = 1e4  # [cm]
TICKS = 2, 100_000
LONGEST = 60  # characters of a name


def is_wires(path: str | os.PathLike) -> bool:
    """Whether a YAML file is of a wire detector, by any key that others have not. InputError where it is no YAML."""
    content = yamlfile.read_yaml(path)
    return isinstance(content, dict) and any(key in content for key in ("anodes", "planes", "field_response"))


def read_wires(path: str | os.PathLike) -> dict[str, Any]:
    """What the YAML at `path` says: fields of `WireDetector`, but `anodes` and `kinds` for its geometry.

    `others` as `other_responses` takes them.

    Raises InputError, one line: what is no YAML, unknown and missing keys, wrong types, values that are not physical.
    """
    content = yamlfile.read_mapping(path, KEYS)
    kinds = tuple(_plane(path, k, one) for k, one in enumerate(_list(path, "planes", content, FEWEST, MOST)))
    if [kind.kind for kind in kinds] != [KINDS[0]] * (len(kinds) - 1) + [KINDS[1]]:
        raise InputError(f"{path}: planes: allowed is one for collection, the last, after those for induction")
    anodes = tuple(_anode(path, k, one) for k, one in enumerate(_list(path, "anodes", content, 1, 1000)))
    if any(kind.wrap for kind in kinds) and len(anodes) % 2:
        raise InputError(f"{path}: anodes: found {len(anodes)}, allowed where wires are wrapped is an even number")
    check_planes(path, anodes, kinds)
    readout = _mapping(path, "readout", content, ("tick", "ticks", "first_tick"))
    ticks = yamlfile.integer(path, "readout: ticks", readout["ticks"], *TICKS)
    cage = _cage(path, content, kinds)
    shortest = min(abs(anode.z_anode - anode.z_cathode) for anode in anodes)
    if cage.height >= shortest:
        raise InputError(
            f"{path}: field_response: height: found {cage.height:g}, allowed is below the drift, {shortest:g} [cm]"
        )
    values = content.get("parameters", {})
    if not isinstance(values, dict):
        raise InputError(f"{path}: parameters: found {short(values)}, allowed is a mapping of names to values")
    return {
        "name": _name(path, "name", content.get("name", os.path.basename(path))),
        "anodes": anodes,
        "kinds": kinds,
        "tick": yamlfile.number(path, "readout: tick", readout["tick"], 1e-2, 10.0, "us"),
        "n_ticks": ticks,
        "first_tick": yamlfile.integer(path, "readout: first_tick", readout["first_tick"], -ticks, ticks),
        "cage": cage,
        "others": _others(path, content["field_response"], [kind.name for kind in kinds]),
        "electronics": _electronics(path, content),
        "adc": _adc(path, content, len(kinds)),
        "noise": _noise(path, content, len(kinds)),
        "parameters": _parameters(path, values, len(boxes(anodes, kinds)), cage.field),
    }


def _list(
    path: str | os.PathLike, key: str, content: Mapping[str, Any], least: int, most: int, of: str = ""
) -> list[Any]:
    """content[key], a list of so many; `of`: what messages say before the key."""
    found = content.get(key)
    if not isinstance(found, list) or not least <= len(found) <= most:
        many = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(f"{path}: {of}{key}: found {short(found)}, allowed is a list of {many}")
    return found


def _name(path: str | os.PathLike, key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= LONGEST:
        raise InputError(f"{path}: {key}: found {short(value)}, allowed is a text of 1 to {LONGEST} characters")
    if not str(value).isprintable():
        raise InputError(f"{path}: {key}: found {short(value)}, allowed is a text of one line")
    return str(value)


def _mapping(
    path: str | os.PathLike, key: str, content: Any, needed: Collection[str], also: Collection[str] = ()
) -> dict[str, Any]:
    """content[key], a mapping with all keys of `needed` and none but those and `also`."""
    found = content.get(key) if isinstance(content, dict) else content
    if not isinstance(found, dict):
        raise InputError(f"{path}: {key}: found {short(found)}, allowed is a mapping of {', '.join(needed)}")
    yamlfile.check_keys(f"{path}: {key}", found, (*needed, *also))
    for name in needed:
        if name not in found:
            raise InputError(f"{path}: {key}: {name} is missing, found are {', '.join(map(str, found)) or 'none'}")
    return found


def _range(path: str | os.PathLike, key: str, value: Any) -> tuple[float, float]:
    low, high = yamlfile.vector(path, key, value, 2, FARTHEST, "cm")
    if low >= high:
        raise InputError(f"{path}: {key}: found {short(value)}, allowed is a lower edge and a higher one [cm]")
    return low, high


def _anode(path: str | os.PathLike, k: int, content: Any) -> Anode:
    """In the simulation frame, whose x is z of files and whose z is x of files."""
    key = f"anodes[{k}]"
    found = _mapping(path, key, {key: content}, ("anode", "cathode", "y", "z"))
    anode, cathode = (
        yamlfile.number(path, f"{key}: {name}", found[name], -FARTHEST, FARTHEST, "cm") for name in ("anode", "cathode")
    )
    if abs(anode - cathode) < 1.0:
        raise InputError(f"{path}: {key}: found {abs(anode - cathode):g} cm to the cathode, allowed is 1 cm or more")
    return Anode(anode, cathode, _range(path, f"{key}: z", found["z"]), _range(path, f"{key}: y", found["y"]))


def _plane(path: str | os.PathLike, k: int, content: Any) -> Plane:
    key = f"planes[{k}]"
    found = _mapping(path, key, {key: content}, ("name", "kind", "angle", "pitch"), ("wires", "split", "wrap"))
    if found["kind"] not in KINDS:
        raise InputError(f"{path}: {key}: kind: found {short(found['kind'])}, allowed is {' or '.join(KINDS)}")
    whole = {
        name: yamlfile.integer(path, f"{key}: {name}", found[name], 1, MOST_WIRES)
        for name in ("wires", "split", "wrap")
        if name in found
    }
    if "wrap" in whole and len(whole) > 1:
        raise InputError(f"{path}: {key}: allowed with wrap is neither wires nor split, which follow from it")
    return Plane(
        _name(path, f"{key}: name", found["name"]),
        found["kind"],
        yamlfile.number(path, f"{key}: angle", found["angle"], -90.0, 90.0, "deg"),
        yamlfile.number(path, f"{key}: pitch", found["pitch"], 0.01, 10.0, "cm"),
        **whole,
    )


def _cage(path: str | os.PathLike, content: dict[str, Any], kinds: tuple[Plane, ...]) -> Cage:
    key = "field_response"
    numbers = {
        "field": (1e-3, 10.0, "kV/cm"),
        "height": (0.5, 100.0, "cm"),
        "radius": (1e-4, 0.1, "cm"),
        "ground": (0.01, 100.0, "cm"),
    }
    found = _mapping(path, key, content, (*numbers, "planes"), ("others",))
    values = {name: yamlfile.number(path, f"{key}: {name}", found[name], *row) for name, row in numbers.items()}
    planes = []
    for k, one in enumerate(_list(path, "planes", found, FEWEST, MOST + 1, f"{key}: ")):
        of = f"{key}: planes[{k}]"
        row = _mapping(path, of, {of: one}, ("distance", "pitch", "bias"), ("read",))
        if not isinstance(row.get("read", True), bool):
            raise InputError(f"{path}: {of}: read: found {short(row['read'])}, allowed is true or false")
        planes.append(
            CagePlane(
                yamlfile.number(path, f"{of}: distance", row["distance"], 0.0, values["height"], "cm"),
                yamlfile.number(path, f"{of}: pitch", row["pitch"], 0.01, 10.0, "cm"),
                yamlfile.number(path, f"{of}: bias", row["bias"], -1e5, 1e5, "V"),
                row.get("read", True),
            )
        )
    read = sum(plane.read for plane in planes)
    if read != len(kinds):
        raise InputError(
            f"{path}: {key}: planes: found {read} that are read, allowed are those of planes: {len(kinds)}"
        )
    cage = Cage(tuple(planes), **values)
    cage.check(f"{path}: {key}")
    return cage


def _others(path: str | os.PathLike, content: dict[str, Any], names: Sequence[str]) -> list[tuple[str, int, Any]]:
    """Files of other field responses, whose names are relative to the YAML's, index of the plane, and its wires."""
    key, result = "field_response: others", []
    for k, one in enumerate(_list(path, "others", content, 1, 1000, "field_response: ") if "others" in content else []):
        of = f"{key}[{k}]"
        row = _mapping(path, of, {of: one}, ("file", "plane", "wires"))
        if not isinstance(row["file"], str):
            raise InputError(f"{path}: {of}: file: found {short(row['file'])}, allowed is the name of a file")
        plane = str(row["plane"])
        if plane not in names:
            raise InputError(f"{path}: {of}: plane: found {short(row['plane'])}, allowed is {' or '.join(names)}")
        file = os.path.join(os.path.dirname(path), row["file"])
        result.append((file, names.index(plane), row["wires"]))
    return result


def _electronics(path: str | os.PathLike, content: dict[str, Any]) -> Electronics:
    key = "electronics"
    found = _mapping(path, key, content, ("kind", "gain", "shaping"), ("postgain", "rc"))
    if found["kind"] not in AMPLIFIERS:
        raise InputError(f"{path}: {key}: kind: found {short(found['kind'])}, allowed is {' or '.join(AMPLIFIERS)}")
    rc = found.get("rc", [])
    if not isinstance(rc, list) or len(rc) > 2:
        raise InputError(f"{path}: {key}: rc: found {short(rc)}, allowed is a list of up to two time constants [us]")
    return Electronics(
        found["kind"],
        yamlfile.number(path, f"{key}: gain", found["gain"], 1e-3, 1e3, "mV/fC"),
        yamlfile.number(path, f"{key}: shaping", found["shaping"], 0.1, 20.0, "us"),
        yamlfile.number(path, f"{key}: postgain", found.get("postgain", 1.0), 1e-3, 1e3),
        tuple(yamlfile.number(path, f"{key}: rc", one, 1.0, 1e9, "us") for one in rc),
    )


def _adc(path: str | os.PathLike, content: dict[str, Any], n_planes: int) -> Adc:
    found = _mapping(path, "adc", content, ("bits", "low", "high", "baseline"))
    low, high = (yamlfile.number(path, f"adc: {name}", found[name], -1e5, 1e5, "mV") for name in ("low", "high"))
    if low >= high:
        raise InputError(f"{path}: adc: found low {low:g} and high {high:g}, allowed is a high above low [mV]")
    baseline = yamlfile.vector(path, "adc: baseline", found["baseline"], n_planes, 1e5, "mV")
    if not all(low <= one <= high for one in baseline):
        raise InputError(
            f"{path}: adc: baseline: found {short(baseline)}, allowed are numbers from low to high, "
            f"{low:g} to {high:g} [mV]"
        )
    return Adc(yamlfile.integer(path, "adc: bits", found["bits"], 1, 15), low, high, tuple(baseline))


def _noise(path: str | os.PathLike, content: dict[str, Any], n_planes: int) -> NoiseModel:
    """Noise of the planes: equivalent noise charges, or the spectra in a file, whose name is relative to the YAML's."""
    key = "noise"
    found = _mapping(path, key, content, (), ("charge", "spectra", "coherent", "group"))
    if ("charge" in found) == ("spectra" in found):
        raise InputError(f"{path}: {key}: found {short(', '.join(map(str, found)))}, allowed is one of charge, spectra")
    coherent = yamlfile.vector(path, f"{key}: coherent", found.get("coherent", [0.0] * n_planes), n_planes, 1e6, "e")
    if min(coherent) < 0.0:
        raise InputError(f"{path}: {key}: coherent: found {short(coherent)}, allowed are charges from 0 on [e]")
    group = yamlfile.integer(path, f"{key}: group", found.get("group", 1), 1, MOST_WIRES)
    if "spectra" in found:
        if not isinstance(found["spectra"], str):
            raise InputError(f"{path}: {key}: spectra: found {short(found['spectra'])}, allowed is the name of a file")
        spectra = read_noise(os.path.join(os.path.dirname(path), found["spectra"]), n_planes)
        return NoiseModel(spectra, tuple(coherent), group)
    return NoiseModel(_charges(path, f"{key}: charge", found["charge"], n_planes), tuple(coherent), group)


def _charges(path: str | os.PathLike, key: str, content: Any, n_planes: int) -> tuple[Charges, ...]:
    """Equivalent noise charges of the planes, each a charge or pairs of wire length and charge."""
    planes = []
    for k, one in enumerate(_list(path, key, {key: content}, n_planes, n_planes)):
        pairs = [[0.0, one]] if as_number(one) is not None else one
        if not isinstance(pairs, list) or not pairs:
            raise InputError(
                f"{path}: {key}[{k}]: found {short(one)}, allowed is a charge [e] or a list of [length, charge]"
            )
        rows = [yamlfile.vector(path, f"{key}[{k}]", pair, 2, 1e6, "cm, e") for pair in pairs]
        length, charge = zip(*rows, strict=True)
        if sorted(set(length)) != list(length) or min(charge) < 0.0:
            raise InputError(
                f"{path}: {key}[{k}]: found {short(one)}, allowed are rising lengths [cm], charges from 0 on [e]"
            )
        planes.append(Charges(length, charge))
    return tuple(planes)


def _parameters(path: str | os.PathLike, values: dict[Any, Any], n_tpcs: int, field: float) -> Parameters:
    """Those of the YAML, whose field is that of the response."""
    try:
        made = Parameters().replace(**{"eField": field} | {str(name): value for name, value in values.items()})
        made.check_single(module=1, tpc=n_tpcs, pixel=0)
    except InputError as error:
        raise InputError(f"{path}: parameters: {error}") from None
    if made.eField != field:
        raise InputError(
            f"{path}: parameters: eField: found {made.eField:g}, allowed is that of field_response: field, {field:g} "
            "[kV/cm], as without it"
        )
    for name in ("gain", "shaping"):
        if name in values:
            raise InputError(f"{path}: parameters: {name}: found {values[name]}, allowed is that of electronics alone")
    return made
