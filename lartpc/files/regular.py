"""Files that users hand in are files: devices and pipes may have no end, or never begin."""

from __future__ import annotations

import os
import stat

from lartpc.exceptions import InputError

MOST = 2**28  # [bytes] of a text
BLOCK = 2**20  # [bytes] that are read at once, as many as are asked for are set aside


def check_regular(path: str | os.PathLike) -> None:
    """Raise InputError for a device, pipe or socket; what else is no file is found where it is opened."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a device, pipe or socket, allowed is a file")


def read_text(path: str | os.PathLike) -> bytes:
    """The content of a file of text.

    Raises InputError for what is no file, cannot be read, or has more than `MOST` bytes.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            content = b""
            while len(content) <= MOST and (block := file.read(BLOCK)):
                content += block
    except OSError as failure:
        raise InputError(f"{path}: cannot be read: {failure.strerror}") from None
    if len(content) > MOST:
        raise InputError(f"{path}: has more than {MOST / 2**20:g} MB, allowed is less in a file of text")
    return content
