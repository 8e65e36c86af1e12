"""Checks of single values that many rooms share."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from lartpc.exceptions import InputError


def as_number(value: Any) -> float | None:
    """`value` as a float, None where it is no number.

    Numeric strings count, because YAML 1.1 reads `5.0e3` (no sign in the exponent) as a string. Booleans do not.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def nearest(name: Any, known: Iterable[str]) -> str:
    """The name of `known` that resembles `name` most, whatever the case of its letters."""
    lowered = {k.lower(): k for k in sorted(known)}
    return lowered[difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.0)[0]]


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise InputError where `value` is not among `allowed`."""
    if value not in allowed:
        raise InputError(f"{name}: found {value!r}, allowed is {' or '.join(allowed)}")
