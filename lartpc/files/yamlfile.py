"""YAML files that users write: reading with one clear line for whatever is wrong with them."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import Any

import yaml

from lartpc.checks import as_number, nearest, short
from lartpc.exceptions import InputError
from lartpc.files.regular import read_text

MOST = 1_000_000  # values of a file
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SAFE):
    """What constructors of numbers, dates and truth values raise names the value and its place."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"found {short(node.value)}, which is no {kind}", node.start_mark
            ) from None


def read_yaml(path: str | os.PathLike) -> Any:
    """What a YAML file holds. InputError: as `read_text`, no YAML, a key that is there twice, aliases that stand for
    more than `MOST` values.
    """
    try:
        loader = _Loader(read_text(path))
        node = loader.get_single_node()
        _check_twice(node, set())
        content = None if node is None else loader.construct_document(node)
        number = _values(content, {})
    except (yaml.YAMLError, UnicodeError, RecursionError) as failure:
        mark = getattr(failure, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        told = [text for name in ("problem", "reason") if (text := getattr(failure, name, None))]
        raise InputError(f"{path}: not a YAML file{where}: {(told or [type(failure).__name__])[0]}") from None
    if number > MOST:
        raise InputError(f"{path}: stands for more than {MOST:g} values by its aliases, allowed are up to {MOST:g}")
    return content


def _check_twice(node: Any, known: set[int]) -> None:
    """Raise what tells of a key that a mapping has twice; `known`: nodes that were looked at."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in known:
        return
    known.add(id(node))
    keys = set()
    for part in node.value:
        key, value = part if isinstance(node, yaml.MappingNode) else (None, part)
        if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in keys:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {short(key.value)} is there twice", key.start_mark
            )
        if isinstance(key, yaml.ScalarNode):
            keys.add((key.tag, key.value))
        _check_twice(value, known)


def _values(content: Any, known: dict[int, float]) -> float:
    """How many values there are in a tree, those of an alias each time; `known`: of the trees that were counted."""
    if not isinstance(content, list | dict | set):
        return 1
    if id(content) not in known:
        known[id(content)] = math.inf  # while it is counted: what is in itself has no end
        parts = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(content)]


def read_mapping(path: str | os.PathLike, known: Collection[str]) -> dict[str, Any]:
    """The top-level mapping of a YAML file. InputError: as `read_yaml`, no mapping, a key not in `known`."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a YAML mapping of keys to values, found {_kind(content)}")
    check_keys(path, content, known)
    return content


def check_keys(what: str | os.PathLike, content: dict[str, Any], known: Collection[str]) -> None:
    """Raise InputError for a key that is not among `known`."""
    for key in content:
        if key not in known:
            raise InputError(f"{what}: key {short(key)} is not known, nearest is {nearest(str(key), known)!r}")


def number(path: str | os.PathLike, key: str, value: Any, low: float, high: float, unit: str = "") -> float:
    """`value` as a finite float in [low, high]; else InputError with file, key, what was found and what is allowed."""
    result = as_number(value)
    if result is None or not math.isfinite(result) or not low <= result <= high:
        bracket = f" [{unit}]" if unit else ""
        raise InputError(f"{path}: {key}: found {short(value)}, allowed is a number from {low:g} to {high:g}{bracket}")
    return result


def integer(path: str | os.PathLike, key: str, value: Any, low: int, high: int) -> int:
    """`value` as an int in [low, high]; else InputError with file, key, what was found and what is allowed."""
    result = as_number(value)
    if result is None or not low <= result <= high or result != int(result):
        raise InputError(f"{path}: {key}: found {short(value)}, allowed is a whole number from {low} to {high}")
    return int(result)


def vector(path: str | os.PathLike, key: str, value: Any, length: int, limit: float, unit: str) -> list[float]:
    """`value` as a list of `length` numbers of at most `limit` in size; else InputError."""
    if not isinstance(value, list) or len(value) != length:
        raise InputError(f"{path}: {key}: found {short(value)}, allowed is a list of {length} numbers [{unit}]")
    return [number(path, key, element, -limit, limit, unit) for element in value]


def _kind(value: Any) -> str:
    return {type(None): "nothing", list: "a list", str: "text"}.get(type(value), type(value).__name__)
