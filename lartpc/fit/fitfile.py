"""What a fit.json says, for whoever goes on from there."""

from __future__ import annotations

import json
import os
from typing import Any

from lartpc.checks import as_number
from lartpc.exceptions import InputError
from lartpc.files.regular import read_text


def read_fit(path: str | os.PathLike, otherwise: str) -> tuple[dict[str, tuple[float, float | None]], dict[str, Any]]:
    """Value and error of each parameter, the error None where there is no number, and all that the file holds.

    Raises InputError as `read_text` does, and with the line `otherwise`: no JSON, or none with numbers as values of its
    parameters.
    """
    try:
        content = json.loads(read_text(path).decode())
        rows = {}
        for name, row in content["parameters"].items():
            value, error = as_number(row["value"]), as_number(row.get("error"))
            if value is None:
                raise InputError(otherwise)
            rows[name] = (value, error)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(otherwise) from None
    return rows, content
