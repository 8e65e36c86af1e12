"""Compiled kernels on disk, in a folder whose name holds a hash of all that they are made of."""

import functools
import hashlib
import os
import sys
from importlib.resources import files
from pathlib import Path

import numba


@functools.cache
def cache_directory():
    """The folder for compiled kernels, '' where none can be made. It need not be writable."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
        folder = base / "lartpc" / source_hash()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except RuntimeError:  # of Path.home()
        tell("no home folder to keep compiled kernels in (set XDG_CACHE_HOME): each process compiles its own")
        return ""
    except OSError as error:
        tell(f"compiled kernels cannot be kept: {error.filename}: {error.strerror}; each process compiles its own")
        return ""
    return str(folder)


def source_hash():
    """Of every source of kernels and adjoints, however deep, and of the compiler and the Python that read them."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.implementation.cache_tag}".encode())
    for package in ("lartpc.kernels", "lartpc.adjoint"):
        folder = files(package)
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package} {path.relative_to(folder).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def tell(line):
    """One line on stderr, once a process."""
    print(f"lartpc: {line}", file=sys.stderr)
