"""JAXTPC's sensor files of a detector: its planes in them, and what is in such a file as frames."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from lartpc.data.frames import Frame
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.formats.sensor import PLANES, SensorFile, SensorLayout
from lartpc.wires.digitize import digitize

SAME = 1e-3  # of a tick: lengths of ticks that are so close are the same


def sensor_layout(detector: WireDetector) -> SensorLayout:
    """The planes of a detector: a volume is an anode, or assembly of two where wires are wrapped.

    Raises InputError for a detector that has not three planes, or whose channels of a plane do not follow each other.
    """
    d = detector
    if len(d.kinds) != len(PLANES):
        allowed = f"allowed in a sensor file are three, {', '.join(PLANES)}"
        raise InputError(f"detector {d.name}: has {len(d.kinds)} planes, {allowed}")
    shape = int(d.channel_anode.max()) + 1, len(PLANES)
    plane = d.channel_anode * shape[1] + d.channel_kind
    if (np.diff(plane) < 0).any():
        raise InputError(f"detector {d.name}: channels of sensor files follow each other by anode and plane")
    wires = np.bincount(plane, minlength=shape[0] * shape[1]).reshape(shape)
    baseline = digitize(np.zeros(len(PLANES)), d.adc, np.arange(len(PLANES)))
    first = np.cumsum(wires).reshape(shape) - wires
    return SensorLayout(d.n_ticks, d.tick, wires, first, np.tile(baseline.astype(np.int64), (shape[0], 1)))


class SensorFrames:
    """The events of a sensor file of a detector as frames: what `FrameFile` is of Wire-Cell's.

    A frame has all channels of a volume of which the event has samples. Raises InputError on making it, as `SensorFile`
    does, and for a file without events, of other planes, ticks or numbers of them than the detector has, without
    pedestals, or where samples are left out: nothing but a threshold is known of these.
    """

    tag = None

    def __init__(self, path: str | os.PathLike, detector: WireDetector) -> None:
        self.file, self.detector, own = SensorFile(path), detector, sensor_layout(detector)
        self.events, found = self.file.events, self.file.layout
        if not len(self.events):
            raise InputError(f"{path}: no events, '/event_<NNN>', found only config")
        if self.file.threshold != 0.0:
            raise InputError(
                f"{path}: config: threshold_adc is {self.file.threshold:g}, allowed for a fit is 0: all samples"
            )
        if found.pedestals is None:
            raise InputError(f"{path}: config: has no pedestals, allowed are counts with pedestals")
        if not np.array_equal(found.wires, own.wires):
            told = f"{found.wires.tolist()}, allowed are those of {detector.name}: {own.wires.tolist()}"
            raise InputError(f"{path}: config: num_wires is {told}")
        if found.n_ticks != own.n_ticks or abs(found.tick / own.tick - 1.0) > SAME:
            told = f"found {found.n_ticks} ticks of {found.tick:g} us, allowed are those of {detector.name}"
            raise InputError(f"{path}: config: {told}: {own.n_ticks} of {own.tick:g}")

    def of_event(self, event: int) -> Iterator[Frame]:
        """The frames of one of `events` by ascending volume. Raises as reading does, and where a sample is missing."""
        layout, d = self.file.layout, self.detector
        for volume, wires in enumerate(layout.wires):
            first, n = layout.first_channel[volume], int(wires.sum())
            samples = np.zeros((n, layout.n_ticks), dtype=np.int16)
            there = np.zeros((n, layout.n_ticks), dtype=bool)
            for plane, wire, tick, values in self.file.planes_of(event, volume):
                row = wire + first[plane] - first[0]
                samples[row, tick], there[row, tick] = values, True
            if not there.any():
                continue
            seen = np.flatnonzero(there.any(axis=1))
            if not there[seen].all():
                channel = first[0] + seen[~there[seen].all(axis=1)][0]
                raise InputError(f"{self.file.path}: event {event}: channel {channel} lacks samples, allowed are all")
            time = d.first_tick * d.tick
            yield Frame(event, volume, first[0] + seen, samples[seen], time, d.tick, d.first_tick)
