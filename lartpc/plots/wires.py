"""What pictures of wires are drawn from: frames by the planes of their detector, and one channel with its truth."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lartpc.data.frames import Frame
from lartpc.detector.wires import BUILT_IN, WireDetector
from lartpc.exceptions import InputError
from lartpc.formats.frames import FrameFile
from lartpc.formats.hitfile import read_attrs
from lartpc.formats.waveforms import read_channel
from lartpc.plots.frames import PlaneImage
from lartpc.wires.digitize import count
from lartpc.wires.electronics import continued


class Channel(NamedTuple):
    """The waveform of one channel in an event."""

    title: str
    samples: np.ndarray  # (n_ticks,) with their baseline
    tick: float  # [us]
    time: float  # of the first sample [us]
    truth: np.ndarray | None  # (n_ticks,) without noise, above the baseline, in the samples' unit; None: not known


def detector_of_frames(path: str | os.PathLike) -> WireDetector | None:
    """The built-in detector of wires that a file's attributes describe, None where it is another or none is told.

    Raises InputError: no HDF5 file, attributes that are damaged.
    """
    attrs = read_attrs(path)
    if attrs.get("detector") not in BUILT_IN:
        return None
    detector = WireDetector.built_in(attrs["detector"])
    return detector if attrs.get("wires") == json.loads(json.dumps(detector.describe())) else None


def check_detector(path: str | os.PathLike, detector: WireDetector) -> None:
    """Raise InputError where a file's attributes say that its frames are of another detector, or are damaged."""
    found = read_attrs(path).get("detector", detector.name)
    if found != detector.name:
        raise InputError(f"{path}: frames of detector {found}, allowed are those of {detector.name}")


def of_planes(path: str | os.PathLike, frames: Iterable[Frame], detector: WireDetector) -> list[PlaneImage]:
    """The planes of each frame of a file, in the order in which electrons pass them.

    Wires count from the plane's first channel.

    Raises InputError where a frame has a channel that the detector has not.
    """
    planes = []
    for frame in frames:
        detector.check_channels(f"event {frame.event_id}, frame of anode {frame.anode}", frame.channels)
        kinds = detector.channel_kind[frame.channels]
        for k, kind in enumerate(detector.kinds):
            rows = np.flatnonzero(kinds == k)
            channels = frame.channels[rows]
            wires = channels - first_channels(detector, channels)
            name = f"anode {frame.anode}, plane {kind.name}"
            planes.append(PlaneImage(name, wires, frame.samples[rows], frame.tick, kind.kind, frame.time))
    return planes


def first_channels(detector: WireDetector, channels: np.ndarray) -> np.ndarray:
    """The first channel of the plane that each channel is of, one of those of an anode (n,)."""
    plane = detector.channel_anode * len(detector.kinds) + detector.channel_kind
    _, first, of = np.unique(plane, return_index=True, return_inverse=True)
    result: np.ndarray = first[of.reshape(-1)][channels]
    return result


def channel_of(frames: FrameFile, event: int, channel: int, detector: WireDetector | None) -> Channel:
    """The samples of a channel in one of the file's events, and where the detector is known what /waveforms have of it.

    Raises InputError where no frame of the event has the channel, and as reading a frame or waveforms does.
    """
    for frame in frames.of_event(event):
        found = np.flatnonzero(frame.channels == channel)
        if len(found):
            break
    else:
        raise InputError(f"{frames.path}: event {event} has no channel {channel}")
    samples = frame.samples[found[0]]
    title = f"event {event}, anode {frame.anode}, channel {channel}"
    if detector is None:
        return Channel(title, samples, frame.tick, frame.time, None)
    detector.check_channels(f"event {event}, frame of anode {frame.anode}", frame.channels)
    wire = channel - int(first_channels(detector, np.array([channel]))[0])
    title = f"{title}: wire {wire} of plane {detector.kinds[detector.channel_kind[channel]].name}"
    return Channel(title, samples, frame.tick, frame.time, truth_of(frames.path, event, channel, frame, detector))


def truth_of(
    path: str | os.PathLike, event: int, channel: int, frame: Frame, detector: WireDetector
) -> np.ndarray | None:
    """What /waveforms have of a channel at the ticks of its frame (n_ticks,) [ADC], None where the file has none.

    Between windows it is what high passes give of those before.
    """
    windows = read_channel(path, event, channel)
    if windows is None:
        return None
    n = frame.samples.shape[1]
    begin = round(frame.time / frame.tick) - n  # as long before the frame as it is, what comes there is seen in it
    truth, seen = np.zeros(2 * n), np.zeros(2 * n, dtype=bool)
    for k in range(len(windows)):
        first, offset = int(windows.start_tick[k]) - begin, int(windows.offset[k])
        low, high = max(first, 0), min(first + int(windows.ticks[k]), 2 * n)
        if low < high:
            truth[low:high] = windows.samples[offset + low - first : offset + high - first]
            seen[low:high] = True
    scale = 1.0 / count(detector.adc) if windows.samples.dtype.kind == "f" else 1.0
    return scale * continued(truth, seen, detector.electronics, detector.tick)[n:]
