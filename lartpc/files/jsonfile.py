"""JSON files, also compressed with bzip2."""

from __future__ import annotations

import bz2
import json
import os
from typing import Any

from lartpc.exceptions import InputError
from lartpc.files.regular import MOST, read_text

COMPRESSED = b"BZh"  # what a bzip2 file begins with


def read_json(path: str | os.PathLike) -> Any:
    """What a JSON file holds. InputError: as `read_text`, no JSON, more than `regular.MOST` bytes uncompressed."""
    content = read_text(path)
    if content.startswith(COMPRESSED):
        unpacking = bz2.BZ2Decompressor()
        try:
            content = unpacking.decompress(content, MOST)
        except (OSError, ValueError):
            raise InputError(f"{path}: damaged, allowed is a JSON file or one compressed with bzip2") from None
        if not unpacking.eof:
            raise InputError(
                f"{path}: cut short or has more than {MOST / 2**20:g} MB, allowed is a whole, smaller file"
            )
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as failure:
        reason = (
            str(failure).partition("\n")[0] if isinstance(failure, json.JSONDecodeError) else "no text, or too deep"
        )
        raise InputError(f"{path}: not a JSON file: {reason}") from None
