"""Wires with another field response than most of a detector: the files, and the channels."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from lartpc.checks import short
from lartpc.exceptions import InputError
from lartpc.files.yamlfile import integer


class OtherResponse(NamedTuple):
    """A file with a field response, and the channels whose wires have it."""

    file: str
    channels: np.ndarray  # (n,) int64, rising


def other_responses(
    path: str | os.PathLike, told: Iterable[tuple[str, int, Any]], channel_kind: np.ndarray
) -> tuple[OtherResponse, ...]:
    """The files of the YAML at `path`, each once, and the channels of each.

    told: file, kind of plane, and wires, a list of numbers and of [first, last]. They count the channels of that kind,
    through one anode after the other. channel_kind: (n_channels,). Raises InputError, one line: wires that are no such
    list or that the planes have not, and those that are there twice.
    """
    taken = np.full(len(channel_kind), -1)
    channels: dict[str, list[np.ndarray]] = {}
    for k, (file, kind, wires) in enumerate(told):
        key, own = f"field_response: others[{k}]: wires", np.flatnonzero(channel_kind == kind)
        if not isinstance(wires, list) or not wires:
            raise InputError(f"{path}: {key}: found {short(wires)}, allowed is a list of numbers, or [first, last]")
        for one in wires:
            ends = one if isinstance(one, list) and len(one) == 2 else (one, one)
            first, last = (integer(path, key, end, 0, len(own) - 1) for end in ends)
            if first > last:
                raise InputError(f"{path}: {key}: found {short(one)}, allowed is the first before the last")
            some = own[first : last + 1]
            twice = np.flatnonzero(taken[some] >= 0)
            if len(twice):
                also = f"in others[{taken[some[twice[0]]]}], too"
                raise InputError(f"{path}: {key}: found wire {first + twice[0]} {also}, allowed is one response a wire")
            taken[some] = k
            channels.setdefault(file, []).append(some)
    return tuple(OtherResponse(file, np.sort(np.concatenate(some))) for file, some in channels.items())


def as_ranges(numbers: np.ndarray) -> list[list[int]]:
    """Rising numbers (n,) as pairs of the first and the last of those that follow each other."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return [[int(part[0]), int(part[-1])] for part in parts]
