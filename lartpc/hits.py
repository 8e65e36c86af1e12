"""Hits and waveforms, and the HDF5 file that holds them with the segments they came from."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from . import __version__, hdf5
from .errors import InputError
from .segments import Segments, file_table

_HIT = np.dtype(
    [
        ("event_id", "i8"),
        ("pixel_id", "i8"),
        ("tpc", "i2"),
        ("ix", "i4"),
        ("iy", "i4"),
        ("hit", "i2"),
        ("x", "f8"),
        ("y", "f8"),
        ("z_anode", "f8"),
        ("t", "f8"),
        ("charge", "f4"),
        ("adc", "f4"),
    ]
)
_WINDOW = np.dtype([("event_id", "i8"), ("pixel_id", "i8"), ("start_tick", "i8"), ("offset", "i8"), ("ticks", "i4")])
_COPIED = ("trajectories", "vertices", "mc_hdr", "mc_stack")


@dataclasses.dataclass
class Hits:
    """Hits, columns of shape (n,), one row a hit, in files ordered by (event_id, pixel_id, hit).

    Pixel centres are in the simulation frame (z is the drift axis). See `Detector` for pixel ids.
    """

    event_id: np.ndarray  # int64
    pixel_id: np.ndarray  # int64
    tpc: np.ndarray
    ix: np.ndarray
    iy: np.ndarray
    hit: np.ndarray  # 0 for the first of its pixel and event
    x: np.ndarray  # centre of the pixel [cm]
    y: np.ndarray  # [cm]
    z_anode: np.ndarray  # [cm]
    t: np.ndarray  # time of the threshold crossing, float64 [us]
    charge: np.ndarray  # [e]
    adc: np.ndarray  # [ADC counts]

    def __len__(self) -> int:
        return len(self.event_id)


@dataclasses.dataclass
class Waveforms:
    """Currents of the pixels that have any, sparse: one window a pixel and event.

    Window i holds `current[offset[i] : offset[i] + ticks[i]]` [e/us]; its tick k is at time
    (start_tick[i] + k) * tick, with the detector's `tick` [us].
    """

    event_id: np.ndarray  # (n,) int64
    pixel_id: np.ndarray  # (n,) int64
    start_tick: np.ndarray  # (n,) int64
    offset: np.ndarray  # (n,) int64
    ticks: np.ndarray  # (n,) int32
    current: np.ndarray  # (sum of ticks,) float32 [e/us]

    def __len__(self) -> int:
        return len(self.event_id)


def write_hits(
    path: str | os.PathLike,
    hits: Hits,
    segments: Segments,
    attrs: Mapping[str, Any],
    overwrite: bool = False,
    waveforms: Waveforms | None = None,
) -> None:
    """Write `/hits`, `/segments`, what else the segments' file holds of the event's truth, and `/waveforms` if given.

    `attrs` (parameters, detector, seed ...) become attributes of the file, mappings and lists as JSON, with the
    version of lartpc. Nothing depends on time or place: the same input gives the same bytes. Raises InputError where
    the file exists (without `overwrite`) or cannot be written.
    """
    table = _table(hits, _HIT)
    table = table[np.lexsort((table["hit"], table["pixel_id"], table["event_id"]))]
    with hdf5.new_hdf5(path, overwrite) as file:
        file.create_dataset("hits", data=table, track_times=False)
        raw = segments.raw if segments.raw is not None else file_table(segments)
        file.create_dataset("segments", data=raw, track_times=False).attrs["zbeam"] = True
        copy_truth(segments, file)
        if waveforms is not None:
            windows = _table(waveforms, _WINDOW)
            file.create_dataset("waveforms/windows", data=windows, track_times=False)
            current = np.asarray(waveforms.current, dtype=np.float32)
            file.create_dataset("waveforms/current", data=current, track_times=False)
        write_attrs(file, attrs)


def copy_truth(segments: Segments, file: h5py.File) -> None:
    """Copy what the file of `segments` holds of the event's truth."""
    if segments.source is not None:
        with hdf5.open_hdf5(segments.source) as source:
            for name in _COPIED:
                if name in source:
                    source.copy(name, file)


def write_attrs(file: h5py.File, attrs: Mapping[str, Any]) -> None:
    """Write `attrs` and the version of lartpc as attributes of the file, mappings and lists as JSON."""
    for name, value in {**attrs, "lartpc_version": __version__}.items():
        structured = value is None or isinstance(value, Mapping | list | tuple)
        file.attrs[name] = json.dumps(value, sort_keys=True) if structured else value


def read_hits(path: str | os.PathLike) -> Hits:
    """Read `/hits`. Raises InputError: no HDF5 file, or no hits of lartpc in it."""
    with hdf5.open_hdf5(path) as file:
        return Hits(**_columns(path, "hits", hdf5.read_table(file, "hits"), _HIT))


def read_waveforms(path: str | os.PathLike) -> Waveforms | None:
    """Read `/waveforms`, None where the file has none. Raises InputError: no HDF5 file, or not lartpc's waveforms."""
    with hdf5.open_hdf5(path) as file:
        if "waveforms" not in file:
            return None
        windows = _columns(path, "waveforms/windows", hdf5.read_table(file, "waveforms/windows"), _WINDOW)
        if "waveforms/current" not in file:
            raise InputError(f"{path}: no dataset 'waveforms/current', found {', '.join(file['waveforms'])}")
        return Waveforms(**windows, current=file["waveforms/current"][()])


def read_attrs(path: str | os.PathLike) -> dict[str, Any]:
    """The attributes that `write_hits` was given, and `lartpc_version`. Raises InputError: no HDF5 file."""
    with hdf5.open_hdf5(path) as file:
        attrs = {name: file.attrs[name] for name in file.attrs}
    return {name: _plain(value) for name, value in attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str) and (value[:1] in ("{", "[") or value == "null"):
        return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value


def _table(columns: Any, dtype: np.dtype) -> np.ndarray:
    table = np.zeros(len(columns), dtype=dtype)
    for name in dtype.names:
        table[name] = getattr(columns, name)
    return table


def _columns(path: str | os.PathLike, what: str, table: np.ndarray, dtype: np.dtype) -> dict[str, np.ndarray]:
    for name in dtype.names:
        if name not in table.dtype.names:
            raise InputError(f"{path}: {what} have no field {name!r}, found {', '.join(table.dtype.names)}")
    return {name: table[name].astype(dtype[name]) for name in dtype.names}
