"""HDF5 files: reading what users hand in, writing new ones; one clear line for whatever goes wrong."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from lartpc.exceptions import InputError
from lartpc.files.atomic import new_file, write_errors
from lartpc.files.regular import check_regular

_FAILURES = (OSError, RuntimeError, KeyError, TypeError, ValueError)  # of h5py, where an object is damaged
BLOCK = 16384  # rows of a table that are read or copied together


def fields_of(dtype: np.dtype) -> tuple[str, ...]:
    """The names of the fields of a table, none where it is none."""
    return dtype.names or ()


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """An HDF5 file open for reading. Raises InputError: missing, a folder or device, not readable, no HDF5,
    truncated; and for whatever h5py raises in the block, as of an object that is damaged.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file")
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder, allowed is an HDF5 file")
    check_regular(path)
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read: permission denied")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not an HDF5 file")
    with _damaged(path):
        file = h5py.File(path, "r")
    with file:
        try:
            check_links(path, file)
            yield file
        except _FAILURES as failure:
            if not _of_h5py(failure):
                raise
            raise _reason(path, failure) from None


def open_table(file: h5py.File, *names: str) -> h5py.Dataset:
    """The compound dataset of shape (n,) under the first of `names` that exists.

    Raises InputError naming what the file has instead, or the type of what is no table, or that it is damaged.
    """
    return _open_rows(file, names, lambda dtype: dtype.names is not None, "a table with named fields")


def read_attributes(of: h5py.File | h5py.Dataset) -> dict[str, Any]:
    """All attributes of a file or dataset by name. InputError: damaged, or of a type that h5py does not know."""
    with _damaged(of.file.filename):
        return dict(of.attrs.items())


def read_rows(dataset: h5py.Dataset, start: int = 0, end: int | None = None) -> np.ndarray:
    """Rows `start` to `end` (excluded; None: all). Raises InputError where they are damaged."""
    with _damaged(dataset.file.filename):
        return dataset[start:end]


def read_table(file: h5py.File, *names: str) -> np.ndarray:
    """All rows of `open_table`; raises as it does."""
    return read_rows(open_table(file, *names))


def read_column(file: h5py.File, name: str) -> np.ndarray:
    """The numbers (n,) of a dataset; raises as `open_table` does."""
    return read_rows(_open_rows(file, (name,), lambda dtype: dtype.kind in "iuf", "a column of numbers"))


def open_array(group: h5py.Group, name: str, ndim: int, fits: Callable[[np.dtype], bool], allowed: str) -> h5py.Dataset:
    """The dataset of `ndim` axes and a type that `fits` in a group of a file; raises as `open_table` does."""
    return _open_rows(group, (name,), fits, allowed, ndim)


def read_array(file: h5py.File, name: str, kinds: str) -> np.ndarray:
    """A dataset (n, ...) of one of these kinds of types, as NumPy names them; raises as `open_table` does."""
    with _damaged(file.filename):
        if name not in file:
            raise InputError(f"{file.filename}: no dataset {name!r}, found {', '.join(sorted(file)) or 'nothing'}")
        dataset = file[name]
        if not isinstance(dataset, h5py.Dataset) or dataset.ndim == 0 or dataset.dtype.kind not in kinds:
            kind = f"{dataset.ndim}-dimensional, of {dataset.dtype}" if isinstance(dataset, h5py.Dataset) else "a group"
            raise InputError(f"{file.filename}: {name!r} is {kind}, allowed is an array of the kind that was written")
        check_stored(file.filename, name, dataset)
        return dataset[()]


def _open_rows(
    group: h5py.Group, names: Sequence[str], fits: Callable[[np.dtype], bool], allowed: str, ndim: int = 1
) -> h5py.Dataset:
    """The dataset of so many axes and a type that `fits` under the first of `names` that exists."""
    path = group.file.filename
    with _damaged(path):
        inside = group.name.strip("/")
        full = [f"{inside}/{name}" if inside else name for name in names]
        name = next((name for name in names if name in group), None)
        if name is None:
            found = ", ".join(sorted(group)) or "nothing"
            raise InputError(f"{path}: no dataset {' or '.join(map(repr, full))}, found {found}")
        dataset, shown = group[name], full[names.index(name)]
        if not isinstance(dataset, h5py.Dataset) or not fits(dataset.dtype) or dataset.ndim != ndim:
            axes = f"of {dataset.ndim} axes " if isinstance(dataset, h5py.Dataset) and dataset.ndim != ndim else ""
            kind = f"an array {axes}of {dataset.dtype}" if isinstance(dataset, h5py.Dataset) else "a group"
            raise InputError(f"{path}: {shown!r} is {kind}, allowed is {allowed}")
        check_stored(path, shown, dataset)
        return dataset


def check_stored(path: str | os.PathLike, name: str, dataset: h5py.Dataset) -> None:
    """Raise InputError where rows cannot be had: HDF5 gives zeros for those of missing files, or never written.

    Of a table of which a part alone was written there may be any number of rows, far more than there is memory.
    """
    properties = dataset.id.get_create_plist()
    for k in range(properties.get_nfilters()):
        code, _, _, called = properties.get_filter(k)
        if not h5py.h5z.filter_avail(code):
            called = called.decode(errors="replace") or "without a name"
            raise InputError(
                f"{path}: {name!r} is compressed by the HDF5 filter {code} ({called}), which is not installed: "
                "HDF5_PLUGIN_PATH says where it is, the package hdf5plugin has many"
            )
    folder = os.path.dirname(os.path.abspath(path))
    elsewhere = [source.file_name for source in dataset.virtual_sources()] if dataset.is_virtual else []
    elsewhere += [os.fsdecode(source[0]) for source in dataset.external or ()]
    for file in elsewhere:
        if file != "." and not os.path.exists(os.path.join(folder, file)):
            raise InputError(f"{path}: {name!r} has its rows in {file}, which does not exist")
        if file != ".":
            check_regular(os.path.join(folder, file))
    if dataset.size and not elsewhere and dataset.id.get_storage_size() == 0:
        raise InputError(f"{path}: {name!r} has {len(dataset)} rows that were never written")
    if dataset.chunks and not elsewhere:
        chunks = math.prod(-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True))
        if dataset.id.get_num_chunks() < chunks:
            raise InputError(f"{path}: {name!r} has {len(dataset)} rows, of which some were never written")


def check_links(path: str | os.PathLike, group: h5py.Group) -> None:
    """Raise InputError where what a group of the file has is in something that is no file, which HDF5 would wait for.

    `open_hdf5` has looked at those of the file itself.
    """
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            check_regular(os.path.join(os.path.dirname(os.path.abspath(path)), link.filename))


@contextlib.contextmanager
def _damaged(path: str | os.PathLike) -> Iterator[None]:
    """Raise InputError, naming `path`, for what h5py raises in the block for a damaged object."""
    try:
        yield
    except InputError:
        raise
    except _FAILURES as failure:
        raise _reason(path, failure) from None


def _of_h5py(failure: BaseException) -> bool:
    """Whether it was h5py that raised."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("h5py")


def _reason(path: str | os.PathLike, failure: BaseException) -> InputError:
    """What h5py's failure means."""
    message = " ".join(str(failure).split())
    if "unable to lock file" in message:
        free = "HDF5_USE_FILE_LOCKING=FALSE reads it all the same"
        return InputError(f"{path}: is open in another program, which has locked it; {free}")
    return InputError(f"{path}: HDF5 file is truncated or damaged: {message}")


class NewFile(h5py.File):
    """An HDF5 file that is being written."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__(sink, "w")
        self._sink = sink

    def check(self) -> None:
        """Raise what writing has failed with until now: InputError, or an interrupt."""
        self._sink.check()

    def growing(
        self, name: str, dtype: Any, chunk: int = 2**16, compression: str | None = None, shuffle: bool = False
    ) -> h5py.Dataset:
        """A new dataset without rows, for `append`; HDF5 keeps a list of all its chunks [bytes] in memory.

        Numbers of one kind are packed better, and faster, where their bytes are sorted before (`shuffle`).
        """
        rows = max(1, chunk // np.dtype(dtype).itemsize)
        packed = {"compression": compression, "shuffle": shuffle}
        return self.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(rows,), track_times=False, **packed)


def append(dataset: h5py.Dataset, rows: np.ndarray) -> None:
    """Add rows at the end of a growing dataset."""
    n = len(dataset)
    dataset.resize(n + len(rows), axis=0)
    dataset[n:] = rows


def write_rows(dataset: h5py.Dataset, index: np.ndarray, rows: np.ndarray) -> None:
    """Write `rows` to the rows `index` (ascending) of a dataset; block by block, so that it is fast in any case."""
    for k in np.unique(index // BLOCK):
        chosen = index // BLOCK == k
        at, part = index[chosen], rows[chosen]
        first, end = at[0], at[-1] + 1
        if len(at) < end - first:
            between = part
            part = dataset[first:end]
            part[at - first] = between
        dataset[first:end] = part


@contextlib.contextmanager
def new_hdf5(path: str | os.PathLike, overwrite: bool = False) -> Iterator[NewFile]:
    """A new HDF5 file, under its name only when the block ended well. Raises InputError as `atomic.new_file` does."""
    with new_hdf5s([path], overwrite) as (file,):
        yield file


@contextlib.contextmanager
def new_hdf5s(paths: Sequence[str | os.PathLike], overwrite: bool = False) -> Iterator[list[NewFile]]:
    """Several at once: none has its name before all are complete."""
    with contextlib.ExitStack() as stack:
        temporary = [stack.enter_context(new_file(path, overwrite)) for path in paths]
        yield [stack.enter_context(_filled(*names)) for names in zip(temporary, paths, strict=True)]


@contextlib.contextmanager
def _filled(temporary: str | os.PathLike, path: str | os.PathLike) -> Iterator[NewFile]:
    with _Sink(temporary, path) as sink:
        try:
            with NewFile(sink) as file:
                yield file
        finally:
            sink.check()


class _Sink(io.FileIO):
    """A file that keeps its first failure to itself: told of a full disk, HDF5 may crash the process on closing."""

    def __init__(self, temporary: str | os.PathLike, path: str | os.PathLike) -> None:
        super().__init__(temporary, "w+")
        self.path = path
        self.failure: BaseException | None = None

    def check(self) -> None:
        if self.failure is not None:
            with write_errors(self.path):
                raise self.failure

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        rest = view
        while self.failure is None and len(rest):
            try:
                rest = rest[super().write(rest) :]
            except BaseException as failure:  # an interrupt too
                self.failure = failure
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except BaseException as failure:
            self.failure = self.failure or failure
            return size or 0
