"""Sparse waveforms of wires in an HDF5 file, and which segments they come from."""

from __future__ import annotations

import os

import h5py
import numpy as np

from lartpc.data.frames import Waveforms, WindowTruth
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.hitfile import check_windows, columns_of, table_of

_WINDOW = np.dtype([("event_id", "i8"), ("channel", "i8"), ("start_tick", "i8"), ("offset", "i8"), ("ticks", "i4")])
_TRUTH = np.dtype([("window", "i8"), ("segment", "i8"), ("charge", "f4")])
_TYPES = (np.dtype(np.int16), np.dtype(np.float32))
_SAMPLES = "waveforms/samples"


class WaveformWriter:
    """Writes `/waveforms` of a new file, packed, some events at a time, and `/waveforms_segments` where it has truth.

    `samples` is the type of the samples: int16 [ADC] or float32 [mV].
    """

    def __init__(self, file: hdf5.NewFile, samples: np.dtype, truth: bool) -> None:
        self.file = file
        self.windows = file.growing("waveforms/windows", _WINDOW, compression="gzip", shuffle=True)
        self.samples = file.growing("waveforms/samples", samples, chunk=2**19, compression="gzip", shuffle=True)
        if truth:
            self.truth = file.growing("waveforms_segments", _TRUTH, compression="gzip", shuffle=True)

    def append(self, waveforms: Waveforms, truth: WindowTruth | None = None) -> None:
        """Write the windows of events that follow those before, in their order, and what they come from.

        Windows of `truth` are rows of `waveforms`, segments those of the file. Raises what writing has failed with.
        """
        if truth is not None:
            rows = table_of(truth, _TRUTH)
            rows["window"] += len(self.windows)
            hdf5.append(self.truth, rows)
        windows = table_of(waveforms, _WINDOW)
        windows["offset"] += len(self.samples)
        hdf5.append(self.windows, windows)
        hdf5.append(self.samples, waveforms.samples)
        self.file.check()


def read_waveforms(path: str | os.PathLike) -> Waveforms | None:
    """Read `/waveforms` of wires, None where the file has none.

    Raises InputError: no HDF5 file, windows that are no part of the samples, samples of another type or not finite.
    """
    with hdf5.open_hdf5(path) as file:
        if "waveforms" not in file:
            return None
        windows, dataset = _open(path, file)
        samples = hdf5.read_rows(dataset)
    _check_finite(path, samples)
    return Waveforms(**windows, samples=samples)


def read_channel(path: str | os.PathLike, event: int, channel: int) -> Waveforms | None:
    """Of `/waveforms` the windows of one channel in one event, and no other's samples; None where the file has none.

    Raises InputError as `read_waveforms` does.
    """
    with hdf5.open_hdf5(path) as file:
        if "waveforms" not in file:
            return None
        windows, samples = _open(path, file)
        own = (windows["event_id"] == event) & (windows["channel"] == channel)
        rows = {name: column[own] for name, column in windows.items()}
        ends = rows["offset"] + rows["ticks"]
        parts = [hdf5.read_rows(samples, *ends) for ends in zip(rows["offset"].tolist(), ends.tolist(), strict=True)]
        found = np.concatenate([np.zeros(0, samples.dtype), *parts])
    _check_finite(path, found)
    ticks = rows["ticks"].astype(np.int64)
    return Waveforms(**{**rows, "offset": np.cumsum(ticks) - ticks}, samples=found)


def _open(path: str | os.PathLike, file: h5py.File) -> tuple[dict[str, np.ndarray], h5py.Dataset]:
    """The columns of `/waveforms/windows`, and the samples that they are parts of."""
    windows = columns_of(path, "waveforms/windows", hdf5.read_table(file, "waveforms/windows"), _WINDOW)
    samples = hdf5.open_array(file, _SAMPLES, 1, lambda kind: kind in _TYPES, "int16 or float32")
    check_windows(path, windows, len(samples), _SAMPLES)
    return windows, samples


def _check_finite(path: str | os.PathLike, samples: np.ndarray) -> None:
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise InputError(f"{path}: {_SAMPLES}: found a number that is not finite, allowed are finite ones")


def read_truth(path: str | os.PathLike) -> WindowTruth | None:
    """Read `/waveforms_segments`, None where the file has none.

    Raises InputError: no HDF5 file, a row of no window or of no segment of the file.
    """
    with hdf5.open_hdf5(path) as file:
        if "waveforms_segments" not in file:
            return None
        columns = columns_of(path, "waveforms_segments", hdf5.read_table(file, "waveforms_segments"), _TRUTH)
        rows = {"window": len(hdf5.open_table(file, "waveforms/windows"))}
        rows["segment"] = len(hdf5.open_table(file, "segments"))
    for name, n in rows.items():
        wrong = (columns[name] < 0) | (columns[name] >= n)
        if wrong.any():
            row = int(np.argmax(wrong))
            found = f"{name} is {columns[name][row]}, allowed are rows of {n}"
            raise InputError(f"{path}: waveforms_segments row {row}: {found}")
    return WindowTruth(**columns)
