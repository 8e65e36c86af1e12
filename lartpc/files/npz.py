"""Arrays in npz and npy files."""

from __future__ import annotations

import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib

import numpy as np

from lartpc.exceptions import InputError
from lartpc.files.regular import check_regular

# What readers of zip files and of NumPy's headers, which are Python, raise of damaged ones.
_PYTHON = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, SyntaxError, RuntimeError)
_FAILURES = (*_PYTHON, struct.error, tokenize.TokenError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)


def load_arrays(path: str | os.PathLike, kind: str, allowed: str, alone: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz, or that of an npy under the name `alone` (None: none is allowed).

    Raises InputError where it cannot be read, or is not the `kind` of file that is `allowed`.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if alone is not None and isinstance(loaded, np.ndarray):
                return {alone: loaded}
            return {name: loaded[name] for name in loaded.files}
    except OSError as failure:
        raise InputError(f"{path}: cannot be read: {failure.strerror or f'not {kind}'}") from None
    except MemoryError:
        raise InputError(f"{path}: has an array that does not fit into memory, allowed is {allowed}") from None
    except _FAILURES:
        raise InputError(f"{path}: not {kind} of numbers, allowed is {allowed}") from None


def positive_number(path: str | os.PathLike, content: dict[str, np.ndarray], name: str) -> float:
    """A field that must be one number above 0."""
    if name not in content:
        raise InputError(f"{path}: field {name!r} is missing, found are {', '.join(content)}")
    value = content[name]
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise InputError(f"{path}: {name}: found {value.size} values of type {value.dtype}, allowed is one number")
    number = float(value.ravel()[0])
    if not math.isfinite(number) or number <= 0.0:
        raise InputError(f"{path}: {name}: found {number:g}, allowed is a number above 0")
    return number
