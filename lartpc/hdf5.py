"""HDF5 files: reading what users hand in, writing new ones; one clear line for whatever goes wrong."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from .errors import InputError
from .output import new_file


def open_hdf5(path: str | os.PathLike) -> h5py.File:
    """An HDF5 file open for reading. Raises InputError: missing, a folder, not readable, no HDF5, truncated."""
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file")
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder, allowed is an HDF5 file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read: permission denied")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not an HDF5 file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: HDF5 file is truncated or damaged: {_one_line(error)}") from None


def read_table(file: h5py.File, *names: str) -> np.ndarray:
    """The compound dataset under the first of `names` that exists, as a structured array of shape (n,).

    Raises InputError naming what the file has instead, or the type of what is no table, or that it is damaged.
    """
    path = file.filename
    try:
        name = next((name for name in names if name in file), None)
        if name is None:
            found = ", ".join(sorted(file)) or "nothing"
            raise InputError(f"{path}: no dataset {' or '.join(map(repr, names))}, found {found}")
        dataset = file[name]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.names is None or dataset.ndim != 1:
            kind = f"an array of {dataset.dtype}" if isinstance(dataset, h5py.Dataset) else "a group"
            raise InputError(f"{path}: {name!r} is {kind}, allowed is a table with named fields")
        return dataset[()]
    except (OSError, RuntimeError, KeyError) as error:  # what h5py raises for a damaged object
        raise InputError(f"{path}: HDF5 file is truncated or damaged: {_one_line(error)}") from None


@contextlib.contextmanager
def new_hdf5(path: str | os.PathLike, overwrite: bool = False) -> Iterator[h5py.File]:
    """A new HDF5 file, under its name only when the block ended well. Raises InputError as `output.new_file` does."""
    with new_file(path, overwrite) as temporary, filled_hdf5(temporary) as file:
        yield file


@contextlib.contextmanager
def filled_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """An HDF5 file to write, in place of what is there; any failure to write is raised when the block ends."""
    with _Sink(path, "w+") as sink:
        try:
            with h5py.File(sink, "w") as file:
                yield file
        finally:
            if sink.failure is not None:
                raise sink.failure


class _Sink(io.FileIO):
    """A file that keeps its first failure to itself: told of a full disk, HDF5 may crash the process on closing."""

    failure: BaseException | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        rest = view
        while self.failure is None and len(rest):
            try:
                rest = rest[super().write(rest) :]
            except BaseException as error:  # an interrupt too
                self.failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except BaseException as error:
            self.failure = self.failure or error
            return size or 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
