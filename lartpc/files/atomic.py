"""Output files appear complete or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from lartpc.exceptions import InputError

_HERE = re.sub(r"[^A-Za-z0-9.]", "", socket.gethostname())  # folders may be shared by machines


@contextlib.contextmanager
def new_file(path: str | os.PathLike, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes that name when the block ends without an exception.

    On any exception, an interrupt too, the temporary file is removed and what was at `path` before is left alone; what
    a process left that was killed is removed by the next one with this output. A symbolic link is written through.
    Raises InputError where the path exists (without `overwrite`; also where another process made it meanwhile), is a
    folder or device, its folder does not exist or is not writable, and for any failure to write, as on a full disk.
    """
    final = Path(os.path.realpath(path))
    if (final.exists() or final.is_symlink()) and not final.is_file():
        raise InputError(f"{path}: is a folder or device, a file name is needed")
    if final.exists() and not overwrite:
        raise _exists(path)
    if not final.parent.is_dir():
        raise InputError(f"{path}: folder {final.parent} does not exist")
    remove_left(final)
    temporary = final.parent / f".{final.name}.{_HERE}-{os.getpid()}.part"
    try:
        with write_errors(path):
            temporary.touch()
            yield temporary
            if overwrite:
                os.replace(temporary, final)
            else:
                _put(temporary, final, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _exists(path: str | os.PathLike) -> InputError:
    return InputError(f"{path}: exists already, it is replaced only with --overwrite (overwrite=True)")


def _put(temporary: Path, final: Path, path: str | os.PathLike) -> None:
    """Give a file its final name unless there is one of that name now."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without links
        if final.exists():
            raise _exists(path) from None
        os.replace(temporary, final)


def remove_left(final: Path) -> None:
    """Remove what processes of this machine that are no more left unfinished of a file."""
    if os.name != "posix":  # elsewhere a process cannot be asked for without harm
        return
    for left in final.parent.glob(f".{glob.escape(final.name)}.{glob.escape(_HERE)}-*.part"):
        number = left.name.removesuffix(".part").rpartition("-")[2]
        if number.isdecimal() and not _lives(int(number)):
            with contextlib.suppress(OSError):
                left.unlink()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


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
