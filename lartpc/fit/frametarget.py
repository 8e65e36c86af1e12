"""The target of a fit with wires: the frames in a file, those of one event in memory at a time."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from lartpc.data.frames import Frame
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.files.hdf5 import open_hdf5
from lartpc.fit.agreement import check_agreement
from lartpc.formats.attrs import parameters_of
from lartpc.formats.frames import FrameFile
from lartpc.formats.hitfile import read_attrs
from lartpc.formats.sensorframes import SensorFrames
from lartpc.parameters import is_known
from lartpc.simulation.wires import WireSimulation, with_amplifier
from lartpc.wires.digitize import count, undigitize

MODEL = ("detector", "recombination", "response")  # what is compared besides what is told of the wires, and parameters
SAME = 1e-3  # of a tick: times that are so close are the same
LOOKED_AT = 64  # ticks of a frame, by which its baselines are checked
OFF_BASELINE = 0.05  # of the ADC's range: how far the median of a plane may be from the baseline


@dataclasses.dataclass
class LeftOut:
    """Regions of channels and time of which `FrameTarget.read` gave nothing, by the reason."""

    missing: int = 0  # of channels that the event's frames do not have
    constant: int = 0  # of channels whose samples are all the same
    saturated: int = 0  # with a sample at an end of the ADC's range

    def __str__(self) -> str:
        told = {"of channels without samples": self.missing, "of channels that are constant": self.constant}
        told |= {"saturated": self.saturated}
        return ", ".join(f"{n} {what}" for what, n in told.items() if n)


def frames_of(path: str | os.PathLike, detector: WireDetector, tag: str | None) -> FrameFile | SensorFrames:
    """The frames of a file, Wire-Cell's or of JAXTPC's sensors. Raises InputError as these do."""
    with open_hdf5(path) as file:
        if "config" not in file:
            return FrameFile(path, tag)
    if tag is not None:
        raise InputError(f"{path}: is a sensor file, whose frames have no tag; found --tag {tag}")
    return SensorFrames(path, detector)


class FrameTarget:
    """Frames of a file, ours or another's, to compare a simulation with, and what is known of how they came about.

    Samples are counts of the ADC, whole or not, about the detector's baselines. `tag`: of the frames, None where the
    file has those of one. `trusted` names what the file may say otherwise of its simulation than a fit takes.

    `settings`: what the file says of its simulation, `truth` the parameters, None where it does not. `left_out` counts.

    Raises InputError as `frames_of` does, and for attributes that are damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        detector: WireDetector,
        tag: str | None = None,
        trusted: Sequence[str] = (),
    ) -> None:
        self.source, self.detector, self.trusted = os.fspath(path), detector, trusted
        self.frames = frames_of(path, detector, tag)
        self.settings = read_attrs(path)
        self.truth = None
        if "parameters" in self.settings:
            self.truth = with_amplifier(parameters_of(path, self.settings), detector.electronics)
        self.left_out = LeftOut()
        self._off = np.isin(np.arange(detector.n_channels), detector.unread)
        self._event: int | None = None
        self._held: list[Frame] = []
        self._at = np.zeros((0, 2), dtype=np.int64)

    def check(self, simulation: WireSimulation, fitted: Sequence[str]) -> None:
        """Raise InputError as `check_agreement` does, and where what is `trusted` is nothing that it compares."""
        known = [*MODEL, *(name for name in self.detector.describe() if name != "name")]
        for name in self.trusted:
            if name not in known and not is_known(name):
                raise InputError(f"--trust-me {name}: is not known, allowed are {', '.join(known)} or a parameter")
        check_agreement(self, simulation, fitted)

    def read(self, event_id: int, channel: int, start: int, ticks: int) -> np.ndarray | None:
        """What a channel has above its baseline from tick `start` on (ticks,) float32 [mV].

        None where the channel is off, its frame lacks it, all its samples are the same, or one of these is at an end of
        the ADC's range. Ticks count from the event's time, as those of the detector do.

        Raises InputError: an event without frames, channels that the detector has not or twice, another tick, first
        tick or number of ticks, samples about other baselines, and as reading a frame does.
        """
        if event_id != self._event:
            self._hold(event_id)
        if self._off[channel]:
            return None
        frame, row = self._at[channel].tolist()
        if frame < 0:
            self.left_out.missing += 1
            return None
        samples = self._held[frame].samples[row]
        if samples.min() == samples.max():
            self.left_out.constant += 1
            return None
        first = start - self.detector.first_tick
        part = samples[first : first + ticks]
        if part.min() <= 0 or part.max() >= 2**self.detector.adc.bits - 1:
            self.left_out.saturated += 1
            return None
        result: np.ndarray = undigitize(part, self.detector.adc, int(self.detector.channel_kind[channel]))
        return result

    def _hold(self, event_id: int) -> None:
        """Take the frames of an event into memory, in place of those of another."""
        self._event, self._held = None, []
        if event_id not in self.frames.events:
            known = f"{self.frames.events.min()} to {self.frames.events.max()}"
            raise InputError(f"{self.source}: has no frames of event {event_id}, found {known}: see --events")
        self._at = np.full((self.detector.n_channels, 2), -1, dtype=np.int64)
        for k, frame in enumerate(self.frames.of_event(event_id)):
            self._check(frame)
            twice = frame.channels[self._at[frame.channels, 0] >= 0]
            if len(twice):
                raise InputError(f"{self._where(frame)}: channel {twice[0]} is in another frame, too; allowed is once")
            self._at[frame.channels, 0] = k
            self._at[frame.channels, 1] = np.arange(len(frame))
            self._held.append(frame)
        self._event = event_id

    def _where(self, frame: Frame) -> str:
        return f"{self.source}: event {frame.event_id}, frame of anode {frame.anode}"

    def _check(self, frame: Frame) -> None:
        """Raise InputError where a frame is not one that the detector would give."""
        d, where = self.detector, self._where(frame)
        d.check_channels(where, frame.channels)
        if abs(frame.tick - d.tick) > SAME * d.tick:
            raise InputError(f"{where}: a sample each {frame.tick:g} us, allowed is the tick of {d.name}: {d.tick:g}")
        ticks = frame.samples.shape[1]
        if ticks != d.n_ticks:
            raise InputError(f"{where}: {ticks} ticks, allowed are as many as {d.name} reads: {d.n_ticks}")
        begin = d.first_tick * d.tick
        if abs(frame.time - begin) > SAME * d.tick:
            raise InputError(f"{where}: begins at {frame.time:g} us, allowed is where {d.name} does: {begin:g}")
        self._check_baselines(frame, where)

    def _check_baselines(self, frame: Frame, where: str) -> None:
        d = self.detector
        step, kinds = count(d.adc), d.channel_kind[frame.channels]
        sparse = frame.samples[:, :: max(1, d.n_ticks // LOOKED_AT)]
        for kind in np.unique(kinds).tolist():
            expected = (d.adc.baseline[kind] - d.adc.low) / step
            found = float(np.median(sparse[kinds == kind]))
            if abs(found - expected) > OFF_BASELINE * 2**d.adc.bits:
                raise InputError(
                    f"{where}: samples of plane {d.kinds[kind].name} are about {found:g}, allowed are counts about its "
                    f"baseline, {expected:.1f}"
                )
