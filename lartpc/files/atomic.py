"""Output files appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lartpc.exceptions import InputError


@contextlib.contextmanager
def new_file(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes that name when the block ends without an exception.

    On any exception, an interrupt too, the temporary file is removed and what was at `path` before is left alone.
    Raises InputError where the path exists (without `overwrite`), is a folder or device, its folder does not exist or
    is not writable, and for any failure to write, as on a full disk.
    """
    final = Path(path)
    if final.exists() and not final.is_file():
        raise InputError(f"{path}: is a folder or device, a file name is needed")
    if final.exists() and not overwrite:
        raise InputError(f"{path}: exists already, it is replaced only with --overwrite (overwrite=True)")
    if not final.parent.is_dir():
        raise InputError(f"{path}: folder {final.parent} does not exist")
    temporary = final.parent / f".{final.name}.{os.getpid()}.part"
    try:
        with write_errors(path):
            temporary.touch()
            yield temporary
            os.replace(temporary, final)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def check_apart(outputs: Sequence[str | os.PathLike], source: str | os.PathLike) -> None:
    """Raise InputError where one of the `outputs` is the file `source` that is read, or another output."""
    for path in outputs:
        if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
            raise InputError(f"{path}: is the input, another name is needed for the output")
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise InputError(f"{outputs[-1]}: is named for two outputs, another name is needed")


@contextlib.contextmanager
def write_errors(path: str | os.PathLike) -> Iterator[None]:
    """Raise InputError, naming `path`, for any failure to write in the block."""
    try:
        yield
    except (OSError, RuntimeError) as failure:  # HDF5 reports a write that fails on closing as a RuntimeError
        number = _number_of(failure)
        if number is None and not isinstance(failure, OSError):
            raise
        reason = os.strerror(number) if number else " ".join(str(failure).split())
        raise InputError(f"{path}: cannot be written: {reason}") from None


def _number_of(failure: OSError | RuntimeError) -> int | None:
    found = re.search(r"errno = (\d+)", str(failure))
    return int(found[1]) if found else getattr(failure, "errno", None)
