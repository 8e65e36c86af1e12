"""Checks of single values that many rooms share."""

from __future__ import annotations

import difflib
import numbers
import reprlib
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


class _Shorter(reprlib.Repr):
    """Three levels of a few elements each."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict, self.maxstring, self.maxother = 3, 4, 4, 60, 60

    def repr_int(self, value: int, level: int) -> str:
        return short(value)


_SHORTER = _Shorter()


def short(value: Any) -> str:
    """A value as a message shows it, in time and length that do not grow with it."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, list | tuple | dict):  # aliases may make it exponentially long
        value = _SHORTER.repr(value)
        return value if len(value) <= 60 else value[:57] + "..."
    text = repr(value[:60] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: Any, known: Iterable[str]) -> str:
    """The name of `known` that resembles `name` most, whatever the case of its letters."""
    lowered = {k.lower(): k for k in sorted(known)}
    return lowered[difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.0)[0]]


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise InputError where `value` is not among `allowed`."""
    if value not in allowed:
        raise InputError(f"{name}: found {short(value)}, allowed is {' or '.join(allowed)}")
