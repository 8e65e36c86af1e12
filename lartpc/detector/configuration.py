"""larnd-sim's named configurations: which files describe a detector, its layouts and its responses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from lartpc.checks import short
from lartpc.detector.builtin import BUILT_IN
from lartpc.exceptions import InputError
from lartpc.files import yamlfile

# Where the files of a key are, next to the configuration's folder, in larnd-sim's own tree.
_FOLDERS = {
    "DET_PROPERTIES": "detector_properties",
    "PIXEL_LAYOUT": "pixel_layouts",
    "RESPONSE": "bin",
    "SIM_PROPERTIES": "simulation_properties",
}
_REQUIRED = ("DET_PROPERTIES", "PIXEL_LAYOUT")
_KNOWN = frozenset((*_FOLDERS, "PIXEL_LAYOUT_ID", "RESPONSE_ID", "MOD2MOD_VARIATION"))
_EVENTS = ("event_id", "eventID")  # what may tell events apart
_TABLES = ("segments", "tracks")


class Configuration(NamedTuple):
    """Files of a configuration; `layouts` and `responses`: one for all modules, or one each."""

    detector: str  # of larnd-sim's YAML, or the name of a built-in detector
    layouts: tuple[str, ...] = ()
    responses: tuple[str, ...] = ()  # none: as it is by default
    max_hits: int | None = None  # of a pixel in an event; None: no limit
    notes: tuple[str, ...] = ()  # what is to be said of it, a line each


def read_configuration(text: str) -> Configuration:
    """The configuration that `text` names: FILE:NAME, FILE that holds only one, or the name of a built-in detector.

    Files are looked for beside FILE, then in the folders of larnd-sim. The table of a response may be missing, it is
    asked for when it is needed; so may what describes the simulation, which the notes say. Keys of light, and others
    that are not known, are passed over, which the notes say, too. Raises InputError, one line: no such file or name, a
    file that is no list of configurations, keys or files missing, numbers of layouts or responses that there are not.
    """
    if text in BUILT_IN and not os.path.exists(text):
        return Configuration(text)
    path, colon, name = (text, "", "") if os.path.exists(text) else text.rpartition(":")
    if not os.path.isfile(path):
        known = ", ".join(BUILT_IN)
        raise InputError(
            f"--config {text}: no such file, allowed is FILE:NAME of larnd-sim's configurations, or {known}"
        )
    content = yamlfile.read_yaml(path)
    where, chosen = _choose(path, name, content)
    for key in _REQUIRED:
        if key not in chosen:
            raise InputError(f"{where}: key {key!r} is missing, a configuration needs it")
    found = {key: _files(where, key, chosen[key], path) for key in _FOLDERS if key in chosen}
    absent = [file for key in _REQUIRED for file in dict.fromkeys(found[key]) if not os.path.isfile(file)]
    if absent:
        names = ", ".join(os.path.basename(file) for file in absent)
        raise InputError(f"{where}: names {short(names)}, not found in {os.path.dirname(path) or '.'}")
    if len(found["DET_PROPERTIES"]) > 1:
        raise InputError(f"{where}: DET_PROPERTIES: found {len(found['DET_PROPERTIES'])} files, allowed is one")
    others = ", ".join(sorted(str(key) for key in chosen if key not in _KNOWN))
    notes = [f"{where}: not used: {others}"] if others else []
    max_hits = None
    for file in found.get("SIM_PROPERTIES", ())[:1]:
        if os.path.isfile(file):
            max_hits, told = _simulation(file)
            notes += told
        else:
            notes.append(f"{where}: SIM_PROPERTIES {os.path.basename(file)} is not there, and left out")
    layouts, responses = (_of_modules(where, key, chosen, found.get(key, ())) for key in ("PIXEL_LAYOUT", "RESPONSE"))
    return Configuration(found["DET_PROPERTIES"][0], layouts, responses, max_hits, tuple(notes))


def _choose(path: str, name: str, content: Any) -> tuple[str, dict[str, Any]]:
    """What messages call a configuration, and its keys."""
    if isinstance(content, dict) and not name and "DET_PROPERTIES" in content:
        return path, content
    if not isinstance(content, dict) or not content or not all(isinstance(one, dict) for one in content.values()):
        raise InputError(
            f"{path}: holds no configurations, allowed are mappings with DET_PROPERTIES, PIXEL_LAYOUT, ..."
        )
    names = ", ".join(map(str, content))
    names = names if len(names) < 150 else names[:147] + "..."
    if not name and len(content) > 1:
        raise InputError(f"{path}: found {len(content)} configurations, allowed is FILE:NAME with one of {names}")
    name = name or next(iter(content))
    if name not in content:
        raise InputError(f"{path}: has no configuration {short(name)}, allowed is one of {names}")
    return f"{path}:{name}", content[name]


def _files(where: str, key: str, value: Any, path: str) -> tuple[str, ...]:
    """The files that a key names: beside the configuration, or in larnd-sim's folder for them."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{where}: {key}: found {short(value)}, allowed are names of files")
    return tuple(next(_places(key, name, os.path.dirname(path))) for name in names)


def _places(key: str, name: str, folder: str) -> Iterator[str]:
    """Where a file is, if it is anywhere; then where it should be."""
    beside = os.path.join(folder, name)
    for place in (beside, os.path.join(folder, os.pardir, _FOLDERS[key], name)):
        if os.path.isfile(place):
            yield place
    yield beside


def _of_modules(where: str, key: str, chosen: dict[str, Any], files: tuple[str, ...]) -> tuple[str, ...]:
    """One file for all modules, or one each by KEY_ID where modules vary; without variation the first, as larnd-sim."""
    numbers = chosen.get(f"{key}_ID")
    if not files or not chosen.get("MOD2MOD_VARIATION", numbers is not None):
        return files[:1]
    if numbers is None:
        return files if len(set(files)) > 1 else files[:1]
    if not isinstance(numbers, list) or not numbers:
        raise InputError(f"{where}: {key}_ID: found {short(numbers)}, allowed is a list of one number a module")
    places = [yamlfile.integer(where, f"{key}_ID", number, 0, len(files) - 1) for number in numbers]
    of_modules = tuple(files[place] for place in places)
    return of_modules if len(set(of_modules)) > 1 else of_modules[:1]


def _simulation(path: str) -> tuple[int | None, list[str]]:
    """The most hits of a pixel by larnd-sim's simulation properties, and what is otherwise here than they say."""
    content = yamlfile.read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a YAML mapping of keys to values")
    told = [
        f"{path}: {key}: found {short(content[key])}, taken is {allowed[0]}"
        for key, allowed in (("event_separator", _EVENTS), ("tracks_dset_name", _TABLES))
        if content.get(key, allowed[0]) not in allowed
    ]
    most = content.get("max_adc_values")
    return None if most is None else yamlfile.integer(path, "max_adc_values", most, 1, 10**6), told
