"""JSON files, compressed by bzip2 or not."""

from __future__ import annotations

import bz2
import json
import os
from typing import Any

from lartpc.exceptions import InputError
from lartpc.files.regular import MOST, read_text


def read_json(path: str | os.PathLike) -> Any:
    """What a JSON file holds; one that begins as bzip2 does is unpacked.

    Raises InputError as `read_text`, for what cannot be unpacked or is no JSON, and for more than `MOST` bytes of text.
    """
    content = read_text(path)
    if content.startswith(b"BZh"):
        content = _unpacked(path, content)
    try:
        return json.loads(content)
    except RecursionError:
        raise InputError(f"{path}: not a JSON file: too many levels of brackets") from None
    except json.JSONDecodeError as failure:
        raise InputError(f"{path}: not a JSON file: line {failure.lineno}: {failure.msg}") from None
    except ValueError as failure:  # no text, or numbers of thousands of digits
        raise InputError(f"{path}: not a JSON file: {type(failure).__name__}") from None


def _unpacked(path: str | os.PathLike, content: bytes) -> bytes:
    """What is in a file of bzip2, which may stand for far more than can be held."""
    unpack = bz2.BZ2Decompressor()
    try:
        text = unpack.decompress(content, MOST + 1)
    except (OSError, ValueError):
        raise InputError(f"{path}: not a file of bzip2, which it begins like") from None
    if len(text) > MOST:
        raise InputError(f"{path}: unpacks to more than {MOST / 2**20:g} MB, allowed is less in a file of text")
    if not unpack.eof:
        raise InputError(f"{path}: ends within a block of bzip2, allowed is a whole file")
    return text
