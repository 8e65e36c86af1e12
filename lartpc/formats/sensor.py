"""JAXTPC's sensor files: samples of wires beyond a threshold, by event, volume and plane, their places by differences.

`/event_<NNN>/volume_<v>/<U|V|Y>` has `delta_wire` and `delta_time` (int16), whose sums from the attributes `wire_start`
and `time_start` on are wire and tick of each of `values`: uint16 [ADC], or float32 [ADC] without the pedestal.
`/config` has the number of ticks, their length, `num_wires` and `pedestals` of each volume and plane (JAXTPC's
production/save.py and load.py, 2026-04-23).
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from lartpc.checks import short
from lartpc.data.frames import Frame, Waveforms
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.hitfile import attrs_of, write_attrs

PLANES = ("U", "V", "Y")  # as JAXTPC calls them
_EVENT = re.compile(r"event_[0-9]{1,18}")
_MOST = 10**7  # wires of a plane, or ticks
_STEP = np.iinfo(np.int16)
_DELTAS = {np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32)}
_VALUES = {np.dtype(np.uint16), np.dtype(np.float32)}


@dataclasses.dataclass
class SensorLayout:
    """The planes of a sensor file, as arrays (n_volumes, 3): channel = first_channel + wire."""

    n_ticks: int
    tick: float  # [us]
    wires: np.ndarray  # int64, 0 where a volume has no such plane
    first_channel: np.ndarray  # int64
    pedestals: np.ndarray | None  # int64 [ADC], None where samples are float32 without pedestal


class SensorWriter:
    """Writes a sensor file, some events at a time.

    `attrs` are more attributes of `/config`, of which JAXTPC's programs read `electrons_per_adc` and `velocity_cm_us`.
    Samples less than `threshold` [ADC] from the pedestal are left out, as there.
    """

    def __init__(
        self, file: hdf5.NewFile, layout: SensorLayout, threshold: float, attrs: Mapping[str, Any] | None = None
    ) -> None:
        self.file, self.layout, self.threshold = file, layout, threshold
        self._last: h5py.Group | None = None  # that of the frame before
        self.config = file.create_group("config")
        of_layout: dict[str, Any] = {
            "num_time_steps": layout.n_ticks,
            "time_step_us": layout.tick,
            "threshold_adc": threshold,
            "n_volumes": len(layout.wires),
            "readout_type": "wire",
            "include_digitize": layout.pedestals is not None,
            "file_index": 0,
            "global_event_offset": 0,
            "n_events": 0,
        }
        write_attrs(self.config, {**(attrs or {}), **of_layout})
        self.config.create_dataset("num_wires", data=layout.wires.astype(np.int32), track_times=False)
        if layout.pedestals is not None:
            self.config.create_dataset("pedestals", data=layout.pedestals.astype(np.int32), track_times=False)

    def append(self, event_id: int, waveforms: Waveforms) -> None:
        """Write the waveforms of one event, which follows those before.

        Raises InputError for a channel or tick that the layout has not, and for wires or ticks that are further apart
        than int16 can tell: in JAXTPC's own files such a step is silently another, and no sample may be put between,
        as each is one of the event. Raises also what writing has failed with.
        """
        layout = self.layout
        if (waveforms.samples.dtype.kind == "f") != (layout.pedestals is None):
            kind = waveforms.samples.dtype
            raise InputError(f"event {event_id}: found samples of {kind}, allowed are int16 with pedestals, or float32")
        group = self._event(event_id)
        length = waveforms.ticks.astype(np.int64)
        begin = np.repeat(np.cumsum(length) - length, length)
        within = np.arange(length.sum()) - begin
        values = waveforms.samples[np.repeat(waveforms.offset, length) + within]
        tick = np.repeat(waveforms.start_tick, length) + within
        channel = np.repeat(waveforms.channel, length)
        known = np.zeros(len(values), dtype=bool)
        for volume, plane in np.ndindex(layout.wires.shape):
            wire = channel - layout.first_channel[volume, plane]
            own = (wire >= 0) & (wire < layout.wires[volume, plane])
            known |= own
            pedestal = 0 if layout.pedestals is None else int(layout.pedestals[volume, plane])
            own &= np.abs(values.astype(np.float64) - pedestal) >= self.threshold
            if own.any():
                self._write(group, volume, plane, wire[own], tick[own], values[own])
        if not known.all():
            raise InputError(f"event {event_id}: found channel {channel[~known][0]}, allowed are those of the layout")
        self.file.check()

    def append_frame(self, frame: Frame) -> None:
        """Write a frame of whole counts; those of one event follow each other. Raises as `append`."""
        layout, event_id, known = self.layout, frame.event_id, 0
        if self._last is None or self._last.attrs["source_event_idx"] != event_id:
            self._last = self._event(event_id)
        for volume, plane in np.ndindex(layout.wires.shape):
            wire = frame.channels - layout.first_channel[volume, plane]
            rows = np.flatnonzero((wire >= 0) & (wire < layout.wires[volume, plane]))
            known += len(rows)
            pedestal = 0 if layout.pedestals is None else int(layout.pedestals[volume, plane])
            row, tick = np.nonzero(np.abs(frame.samples[rows].astype(np.int32) - pedestal) >= self.threshold)
            if len(row):
                self._write(self._last, volume, plane, wire[rows][row], tick, frame.samples[rows][row, tick])
        if known < len(frame.channels):
            raise InputError(f"event {event_id}: found channels of no plane, allowed are those of the layout")
        self.file.check()

    def _event(self, event_id: int) -> h5py.Group:
        """The group of the next event."""
        number = int(self.config.attrs["n_events"])
        self.config.attrs["n_events"] = number + 1
        group = self.file.create_group(f"event_{number:03d}")
        group.attrs["source_event_idx"], group.attrs["n_volumes"] = event_id, len(self.layout.wires)
        return group

    def _write(
        self, event: h5py.Group, volume: int, plane: int, wire: np.ndarray, tick: np.ndarray, values: np.ndarray
    ) -> None:
        """Samples of a plane of an event."""
        where = f"event {event.attrs['source_event_idx']}, volume {volume}, plane {PLANES[plane]}"
        group = event.create_group(f"volume_{volume}/{PLANES[plane]}")
        outside = (tick < 0) | (tick >= self.layout.n_ticks)
        if outside.any():
            raise InputError(f"{where}: found tick {tick[outside][0]}, allowed are 0 to {self.layout.n_ticks - 1}")
        order = np.lexsort((tick, wire))
        for name, place in (("wire", wire[order]), ("time", tick[order])):
            step = np.diff(place, prepend=place[0])
            if step.min() < _STEP.min or step.max() > _STEP.max:
                found = step[np.argmax(np.abs(step))]
                raise InputError(f"{where}: found a step of {found} in {name}, JAXTPC's int16 allows up to {_STEP.max}")
            group.attrs[f"{name}_start"] = place[0]
            group.create_dataset(f"delta_{name}", data=step.astype(np.int16), compression="gzip", track_times=False)
        pedestals = self.layout.pedestals
        kind = np.float32 if pedestals is None else np.uint16
        group.create_dataset("values", data=values[order].astype(kind), compression="gzip", track_times=False)
        group.attrs["n_pixels"] = len(values)
        if pedestals is not None:
            group.attrs["pedestal"] = int(pedestals[volume, plane])


class SensorFile:
    """The events of a sensor file, one in memory at a time: iterating gives the `Waveforms` of each by ascending id.

    Their samples are int16 [ADC] with the pedestal, or float32 [ADC] without; samples that the file leaves out are in
    no window. An event's id is `source_event_idx`. Channels count through the planes of volume 0, then 1, ... Raises
    InputError on making it: no HDF5 file, no `/config` of wires; on reading: wires or ticks that are not there, which
    is also what differences become that int16 had no room for, a sample twice, other types or numbers of rows.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        with hdf5.open_hdf5(path) as file:
            self.layout = self._layout(file)
            self._keys: dict[int, str] = {}
            for key in filter(_EVENT.fullmatch, file):
                event = self._whole(file[key], "source_event_idx", range(-(2**63), 2**63))
                if event in self._keys:
                    both = f"{self._keys[event]} and {key}"
                    raise InputError(f"{path}: found source_event_idx {event} of {both}, allowed is one of each")
                self._keys[event] = key
        self.events = np.array(sorted(self._keys), dtype=np.int64)

    def __iter__(self) -> Iterator[Waveforms]:
        for event in self.events.tolist():
            yield self.of_event(event)

    def of_event(self, event: int) -> Waveforms:
        """The waveforms of one of `events`. Raises as reading does."""
        places, samples = [np.zeros((2, 0), dtype=np.int64)], []
        for volume in range(len(self.layout.wires)):
            for plane, wire, tick, values in self.planes_of(event, volume):
                places.append(np.stack((wire + self.layout.first_channel[volume, plane], tick)))
                samples.append(values)
        channel, tick = np.concatenate(places, axis=1)
        kind = np.float32 if self.layout.pedestals is None else np.int16
        first = np.flatnonzero((np.diff(channel, prepend=-1) != 0) | (np.diff(tick, prepend=-2) != 1))
        return Waveforms(
            np.full(len(first), event, dtype=np.int64),
            channel[first],
            tick[first],
            first,
            np.diff(first, append=len(channel)).astype(np.int32),
            np.concatenate([np.zeros(0, dtype=kind), *samples]),
        )

    def planes_of(self, event: int, volume: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Plane, wire, tick and value (n,) each of the samples in a volume of one of `events`, by wire and tick."""
        with hdf5.open_hdf5(self.path) as file:
            group = file[self._keys[event]]
            hdf5.check_links(self.path, group)
            planes = group.get(f"volume_{volume}", {})
            if not isinstance(planes, dict):
                self._check_planes(planes)
            for plane, name in enumerate(PLANES):
                if name in planes and len(planes[name]):
                    yield plane, *self._plane(planes[name], self.layout.wires[volume, plane])

    def _layout(self, file: h5py.File) -> SensorLayout:
        if not isinstance(file.get("config"), h5py.Group):
            found = ", ".join(sorted(file)[:9]) or "nothing"
            raise InputError(f"{self.path}: no group 'config' of a sensor file, found {found}")
        config = file["config"]
        hdf5.check_links(self.path, config)
        attrs = attrs_of(self.path, config)
        if not isinstance(kind := attrs.get("readout_type", "wire"), str) or kind != "wire":
            raise InputError(f"{self.path}: config: readout_type is {_shown(kind)}, allowed is 'wire'")
        tick = attrs.get("time_step_us")
        if not isinstance(tick, float | int) or not 0 < tick < np.inf:
            raise InputError(f"{self.path}: config: time_step_us is {_shown(tick)}, allowed are positive numbers")
        threshold = attrs.get("threshold_adc", 0.0)
        if not isinstance(threshold, float | int) or not 0 <= threshold < np.inf:
            raise InputError(f"{self.path}: config: threshold_adc is {_shown(threshold)}, allowed are numbers from 0")
        self.threshold = float(threshold)
        n_ticks = self._whole(config, "num_time_steps", range(1, _MOST + 1))
        wires = self._of_planes(config, "num_wires", None)
        digitized = "pedestals" in config and attrs.get("include_digitize") is not False
        pedestals = self._of_planes(config, "pedestals", wires.shape) if digitized else None
        first = np.cumsum(wires).reshape(wires.shape) - wires
        return SensorLayout(n_ticks, float(tick), wires, first, pedestals)

    def _of_planes(self, config: h5py.Group, name: str, shape: tuple[int, ...] | None) -> np.ndarray:
        """Whole numbers of the planes of each volume, (n_volumes, 3)."""
        dataset = hdf5.open_array(config, name, 2, lambda dtype: dtype.kind in "iu", "whole numbers, volumes x planes")
        if dataset.shape != (shape or (len(dataset), len(PLANES))) or not 0 < len(dataset) <= 1000:
            allowed = f"volumes x {len(PLANES)}"
            raise InputError(f"{self.path}: config/{name} is of shape {dataset.shape}, allowed are {allowed}")
        found = dataset[()]
        if found.min() < 0 or found.max() > _MOST:
            wrong = found[(found < 0) | (found > _MOST)][0]
            raise InputError(f"{self.path}: config/{name}: found {wrong}, allowed are 0 to {_MOST}")
        return found.astype(np.int64)

    def _check_planes(self, group: Any) -> None:
        if not isinstance(group, h5py.Group):
            raise InputError(f"{self.path}: {group.name!r} is no group, allowed are planes {', '.join(PLANES)}")
        hdf5.check_links(self.path, group)
        other = [name for name in group if name not in PLANES]
        if other:
            raise InputError(f"{self.path}: {group.name!r} has {_shown(other[0])}, allowed are {', '.join(PLANES)}")

    def _plane(self, group: Any, wires: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Wires, ticks and values of a plane, (n,) each, by ascending wire and tick."""
        if not isinstance(group, h5py.Group):
            raise InputError(f"{self.path}: {group.name!r} is no group, allowed are the samples of a plane")
        hdf5.check_links(self.path, group)
        where = f"{self.path}: {group.name[1:]!r}"
        values = hdf5.open_array(group, "values", 1, _VALUES.__contains__, "uint16 or float32")
        if (values.dtype.kind == "f") != (self.layout.pedestals is None):
            allowed = "float32, as config has no pedestals" if self.layout.pedestals is None else "uint16"
            raise InputError(f"{where}: values are {values.dtype}, allowed are {allowed}")
        found = []
        for name, end in (("wire", wires), ("time", self.layout.n_ticks)):
            steps = hdf5.open_array(group, f"delta_{name}", 1, _DELTAS.__contains__, "whole numbers, int16")
            if len(steps) != len(values):
                told = f"{len(steps)} of delta_{name} and {len(values)} values"
                raise InputError(f"{where}: found {told}, allowed are as many")
            place = self._whole(group, f"{name}_start", range(end)) + np.cumsum(steps[()], dtype=np.int64)
            wrong = (place < 0) | (place >= end)
            if wrong.any():
                row = int(np.argmax(wrong))
                told = f"{name} {place[row]} in row {row}, allowed are 0 to {end - 1}"
                raise InputError(f"{where}: found {told}; steps beyond int16 are spoilt in such files")
            found.append(place)
        wire, tick = found
        order = np.lexsort((tick, wire))
        wire, tick, samples = wire[order], tick[order], values[()][order]
        twice = (np.diff(wire) == 0) & (np.diff(tick) == 0)
        if twice.any():
            row = int(np.argmax(twice))
            raise InputError(f"{where}: wire {wire[row]} has tick {tick[row]} twice, allowed is once")
        if not np.isfinite(samples).all():
            raise InputError(f"{where}: found a value that is not finite, allowed are finite ones")
        if samples.dtype.kind == "u" and len(samples) and samples.max() > np.iinfo(np.int16).max:
            raise InputError(f"{where}: found {samples.max()} ADC, allowed are up to {np.iinfo(np.int16).max}")
        return wire, tick, samples if samples.dtype.kind == "f" else samples.astype(np.int16)

    def _whole(self, of: Any, name: str, allowed: range) -> int:
        """A whole number among the attributes of a group."""
        if not isinstance(of, h5py.Group):
            raise InputError(f"{self.path}: {of.name!r} is no group, allowed are those of a sensor file")
        value = attrs_of(self.path, of).get(name)
        if not isinstance(value, int) or value not in allowed:
            told = f"allowed are whole numbers from {allowed.start} to {allowed.stop - 1}"
            raise InputError(f"{self.path}: {of.name[1:]!r}: {name} is {_shown(value)}, {told}")
        return value


def _shown(value: Any) -> str:
    return " ".join(short(value).split())
