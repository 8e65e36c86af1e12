"""Wire-Cell's HDF5 frames: all samples of the channels of an event, `/<event>/frame_<tag><anode>`.

Beside each lie `channels_<tag><anode>`, the ids of its rows, and `tickinfo_<tag><anode>` = [time, tick, tbin]: the time
of the frame and between samples [ns], and which tick of the frame its first column is. `HDF5FrameTap` of Wire-Cell
Toolkit writes them so (hio/src/HDF5FrameTap.cxx); the number at the end of the tag is that of the anode by custom.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import h5py
import numpy as np

from lartpc.data.frames import Frame
from lartpc.exceptions import InputError
from lartpc.files import hdf5

_EVENT = re.compile(r"0|-?[1-9][0-9]{0,18}")
_EVENTS = range(-(2**63), 2**63)
_FRAME = re.compile(r"frame_(.*?)([0-9]{0,9})")
_US = 1e3  # in Wire-Cell's unit, ns
_CHUNK = 2**20  # [bytes] that are packed together
_MOST = 2**30  # samples of a frame
_TICKS = (1e-3, 1e9)  # between which the time between samples is [ns]
_LATEST = 1e19  # time of a frame [ns]; dates since 1970 are 2e18
_TYPES = (np.dtype(np.int16), np.dtype(np.float32))
_LARGEST = 2**31 - 1  # id of a channel, or number of a tick, in Wire-Cell


def write_frame(file: hdf5.NewFile, frame: Frame) -> None:
    """Write `/<event>/frame_raw<anode>` with its channels and times to a new file, packed.

    Raises InputError where the frame is none: its ids of channels not those of its rows, twice, or too large for
    Wire-Cell's int32, its samples of another type or not finite. Raises also what writing has failed with.
    """
    where = f"event {frame.event_id}, anode {frame.anode}"
    _check_samples(where, frame.channels, frame.samples)
    _check_ids(where, frame.channels)
    group, tag = file.require_group(str(frame.event_id)), f"raw{frame.anode}"
    n, ticks = frame.samples.shape
    rows = min(n, max(1, _CHUNK // (ticks * frame.samples.itemsize)))
    packed = {"chunks": (rows, ticks), "compression": "gzip", "compression_opts": 1, "shuffle": True}
    group.create_dataset(f"frame_{tag}", data=frame.samples, track_times=False, **packed)
    group.create_dataset(f"channels_{tag}", data=frame.channels.astype(np.int32), track_times=False)
    time = (frame.time - frame.first_tick * frame.tick) * _US
    times = np.array([time, frame.tick * _US, frame.first_tick], dtype=np.float64)
    group.create_dataset(f"tickinfo_{tag}", data=times, track_times=False)
    file.check()


def has_frames(path: str | os.PathLike) -> bool:
    """Whether a file has frames. Raises InputError: no HDF5 file, one that is damaged."""
    with hdf5.open_hdf5(path) as file:
        return bool(frames_in(file))


def frames_in(file: h5py.File) -> dict[str, dict[int, dict[int, str]]]:
    """The names of the frames in a file by tag, event and anode, in the file's order.

    Raises InputError where two are of the same, which `frame_raw0` and `frame_raw00` would be.
    """
    found: dict[str, dict[int, dict[int, str]]] = {}
    for event in filter(_EVENT.fullmatch, file):
        group = file[event]
        if not isinstance(group, h5py.Group) or int(event) not in _EVENTS:
            continue
        hdf5.check_links(file.filename, group)
        for name in group:
            match = _FRAME.fullmatch(name)
            if match:
                tag, anode = match[1], int(match[2] or 0)
                of_event = found.setdefault(tag, {}).setdefault(int(event), {})
                if anode in of_event:
                    both = f"{of_event[anode]!r} and {name!r}"
                    raise InputError(f"{file.filename}: found {both} in {event!r}, allowed is one of a tag and anode")
                of_event[anode] = name
    return found


class FrameFile:
    """The frames of one tag in a file, ours or another's, one in memory at a time.

    Iterating gives `Frame`s by ascending event and anode. Raises InputError on making it: no HDF5 file, no frames of
    the tag, several tags and none named; on reading: a frame without ids of its channels or times, of other shapes or
    types, not finite, truncated.
    """

    def __init__(self, path: str | os.PathLike, tag: str | None = None) -> None:
        self.path = os.fspath(path)
        with hdf5.open_hdf5(path) as file:
            found = frames_in(file)
            inside = ", ".join(sorted(file)[:9]) or "nothing"
        if not found:
            raise InputError(f"{path}: no frames, '/<event>/frame_<tag>', found {inside}")
        tags = ", ".join(map(repr, sorted(found)))
        if tag is None and len(found) > 1:
            raise InputError(f"{path}: frames of the tags {tags}, one of them has to be chosen")
        if tag is not None and tag not in found:
            raise InputError(f"{path}: no frames of the tag {tag!r}, found {tags}")
        self.tag = next(iter(found)) if tag is None else tag
        self._names = found[self.tag]
        self.events = np.array(sorted(self._names), dtype=np.int64)

    def __iter__(self) -> Iterator[Frame]:
        for event in self.events.tolist():
            yield from self.of_event(event)

    def of_event(self, event: int) -> Iterator[Frame]:
        """The frames of one of `events` by ascending anode. Raises as reading does."""
        for anode, name in sorted(self._names[event].items()):
            yield self._frame(event, anode, name)

    def _frame(self, event: int, anode: int, name: str) -> Frame:
        with hdf5.open_hdf5(self.path) as file:
            group, of = file[str(event)], name.removeprefix("frame_")
            where = f"{self.path}: '{event}/{name}'"
            allowed = "samples of int16 or float32, channels x ticks"
            dataset = hdf5.open_array(group, name, 2, lambda kind: kind.newbyteorder("=") in _TYPES, allowed)
            if not 0 < dataset.size <= _MOST:
                raise InputError(f"{where} is of shape {dataset.shape}, allowed are 1 to {_MOST} samples")
            column = hdf5.open_array(group, f"channels_{of}", 1, lambda kind: kind.kind in "iu", "ids of channels")
            if len(column) != len(dataset):
                told = f"'{event}/channels_{of}' of {len(column)} channels"
                raise InputError(f"{where} has {len(dataset)} rows, {told}: allowed are as many")
            times = hdf5.open_array(group, f"tickinfo_{of}", 1, lambda kind: kind.kind in "iuf", "[time, tick, tbin]")
            time, tick, first = self._times(times, f"{self.path}: '{event}/tickinfo_{of}'")
            channels = column[()]
            _check_ids(where, channels)
            channels = channels.astype(np.int64)
            samples = dataset[()].astype(dataset.dtype.newbyteorder("="), copy=False)
        _check_samples(where, channels, samples)
        return Frame(event, anode, channels, samples, (time + first * tick) / _US, tick / _US, first)

    @staticmethod
    def _times(dataset: h5py.Dataset, where: str) -> tuple[float, float, int]:
        if dataset.shape != (3,):
            raise InputError(f"{where} is of shape {dataset.shape}, allowed are three numbers [time, tick, tbin]")
        time, tick, first = dataset[()].astype(np.float64).tolist()
        if not abs(time) <= _LATEST:
            raise InputError(f"{where}: time is {time:g} ns, allowed are finite numbers up to {_LATEST:g}")
        if not _TICKS[0] <= tick <= _TICKS[1]:
            raise InputError(f"{where}: tick is {tick:g} ns, allowed are {_TICKS[0]:g} to {_TICKS[1]:g} ns")
        if not abs(first) <= _LARGEST or first != int(first):
            raise InputError(f"{where}: tbin is {first:g}, allowed are whole numbers up to {_LARGEST}")
        return time, tick, int(first)


def _check_ids(where: str, channels: np.ndarray) -> None:
    """Raise InputError, saying `where`, for an id of channels (n,) that Wire-Cell's int32 has no room for."""
    for found in (channels.min(), channels.max()):
        if not -_LARGEST <= found <= _LARGEST:
            raise InputError(f"{where}: found channel {found}, allowed are ids up to {_LARGEST}")


def _check_samples(where: str, channels: np.ndarray, samples: np.ndarray) -> None:
    """Raise InputError, saying `where`, for samples (n, n_ticks) that are none of these channels (n,)."""
    if samples.dtype not in _TYPES or samples.ndim != 2 or not samples.size or len(channels) != len(samples):
        found = f"{len(channels)} channels and samples {samples.shape} of {samples.dtype}"
        raise InputError(f"{where}: found {found}, allowed are samples of each channel, int16 or float32")
    ids, counts = np.unique(channels, return_counts=True)
    if counts.max() > 1:
        raise InputError(f"{where}: channel {ids[np.argmax(counts)]} is there {counts.max()} times, allowed is once")
    if samples.dtype.kind == "f" and not (np.isfinite(samples.min()) and np.isfinite(samples.max())):
        row = int(np.argmin(np.isfinite(samples).all(axis=1)))
        raise InputError(f"{where}: channel {channels[row]} has a sample that is not finite, allowed are finite ones")
