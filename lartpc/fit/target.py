"""The target of a fit or scan: hits, and what is known of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lartpc.data.hits import Hits
from lartpc.data.segments import Segments, within
from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PIXEL_VALUES
from lartpc.exceptions import InputError
from lartpc.formats.attrs import detector_of, parameters_of
from lartpc.formats.edepsim import no_segments
from lartpc.formats.frames import has_frames
from lartpc.formats.hitfile import read_attrs, read_hits, read_unread
from lartpc.formats.hits_of_packets import Received
from lartpc.formats.packetfile import has_packets, receive
from lartpc.goodness.cleaning import Cleaning, without_copies
from lartpc.parameters import Parameters


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """Hits to compare a simulation with, and what is known of how they came about.

    `Target(hits)` takes them as measured: with the detector's noise, times and charges as they are, every pixel read.
    """

    hits: Hits
    rounded: bool = False  # of times and charges no more is known than clock ticks and ADC counts
    noise: bool = True
    truth: Parameters | None = None  # that they were simulated with, where known
    unread: np.ndarray | Sequence[int] = ()  # ids of pixels that no channel reads, ascending; the others are read
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # what their file says of their simulation
    source: str = "target"  # the file; begins the messages
    trusted: Sequence[str] = ()  # what its file says otherwise of its simulation than the fit takes, knowingly
    received: Received | None = None  # what became of the packets that it was read from
    ignored: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))  # see `without`

    @staticmethod
    def of(hits: Hits | Target) -> Target:
        """Hits as a target."""
        return hits if isinstance(hits, Target) else Target(hits)

    @staticmethod
    def read(
        path: str | os.PathLike,
        segments: Segments | None = None,
        detector: Detector | None = None,
        detector_yaml: str | os.PathLike = "",
        layout_yaml: str | os.PathLike | Sequence[str | os.PathLike] = (),
        t0: str | None = None,
    ) -> Target:
        """The hits of a file that `lartpc simulate` or `write_hits` wrote, or of LArPix packets, which are rounded.

        Packets need the rest: the `segments` of all events, and the `detector`, with the files that it was loaded
        from if any. Without segments, as of data, each event begins with its trigger, at which its time is 0.
        `t0` is what their zero of time means, see `packet_events.zeros_of`; hits are at the times of the segments, so
        that it must be absolute or fit.

        Raises InputError: no such file, no hits in it, frames of wires, attributes that are damaged, packets without
        the detector, another `t0`, and as `receive` does.
        """
        if has_frames(path):
            raise InputError(f"{path}: has frames of wires, allowed with pixels are hits or packets: see --detector")
        rounded, received = has_packets(path), None
        if rounded:
            if detector is None:
                raise InputError(f"{path}: a file of packets: needs the segments and the detector, too")
            channels = Channels.load(detector, detector_yaml, layout_yaml)
            unread = channels.unread(detector)
            if segments is None:
                segments, t0 = no_segments(path), "trigger"
            hits, received = receive(path, segments, channels, detector, t0)
        else:
            if t0 not in (None, "absolute", "fit"):
                raise InputError(f"{path}: t0 {t0}: of hits, which are at the times of the segments, allowed is fit")
            hits, unread = read_hits(path), read_unread(path)
        settings = read_attrs(path)
        return Target(
            hits,
            rounded=rounded,
            noise=bool(settings.get("noise", True)),
            truth=parameters_of(path, settings) if "parameters" in settings else None,
            unread=unread,
            settings=settings,
            source=os.fspath(path),
            received=received,
        )

    @property
    def detector(self) -> Detector:
        """The detector that made the hits. Raises InputError where the file does not describe it."""
        return detector_of(self.source, self.settings)

    @property
    def loss(self) -> str:
        """The loss that suits it: the likelihood, or residuals where hits without noise are exact."""
        return "likelihood" if self.noise or self.rounded else "residuals"

    def of_events(self, events: range | None) -> Target:
        """The hits of a range of event ids, half-open as Python's; all where it is None."""
        if events is None:
            return self
        return dataclasses.replace(self, hits=self.hits.select(within(self.hits.event_id, events)))

    def without(self, cleaning: Cleaning) -> Target:
        """The target without what is to be left out: pixels as unread, single pixels of events as `ignored` (k, 2)."""
        unread = np.union1d(np.asarray(self.unread, dtype=np.int64), cleaning.pixels)
        hits = self.hits.select(~cleaning.wholly(self.hits.event_id, self.hits.pixel_id))
        return dataclasses.replace(self, hits=hits, unread=unread, ignored=cleaning.spots)

    def read_by(self, detector: Detector) -> tuple[Target, int]:
        """The target with the pixels that `detector` has no hits on as unread, too; and how many hits are on unread."""
        unread = np.union1d(np.asarray(self.unread, dtype=np.int64), detector.unread)
        lost = np.isin(self.hits.pixel_id, unread)
        hits = self.hits.select(~lost) if lost.any() else self.hits
        return dataclasses.replace(self, hits=hits, unread=unread), int(lost.sum())

    def usable(self, detector: Detector) -> tuple[Target, Cleaning]:
        """The target as a fit takes it: as `read_by` gives it and without copies of hits, and what is left out."""
        target, bad = self.read_by(detector)
        hits, twice = without_copies(target.hits)
        left_out = Cleaning(bad=bad, limited=target.at_limit(detector.max_hits), twice=twice)
        return dataclasses.replace(target, hits=hits), left_out

    def at_limit(self, max_hits: int | None) -> int:
        """Pixels of single events with `max_hits` hits or more."""
        if max_hits is None:
            return 0
        _, count = np.unique(np.stack((self.hits.event_id, self.hits.pixel_id)), axis=1, return_counts=True)
        return int(np.sum(count >= max_hits))

    def check(self, detector: Detector, segments: Segments) -> None:
        """Raise InputError where the hits are of another detector, or of other events than those of `segments`."""
        self.check_detector(detector)
        held = self.settings.get("events")
        if held is not None:
            missing = segments.events[~within(segments.events, range(*held))]
            if len(missing):
                raise InputError(
                    f"{self.source}: holds no hits of event {missing[0]}, allowed are segments of the events that it "
                    "has: see --events"
                )
        others = np.setdiff1d(self.hits.event_id, segments.event_id)
        if len(others):
            raise InputError(f"target: has hits of event {others[0]}, which the segments do not have")

    def check_detector(self, detector: Detector) -> None:
        """Raise InputError where the hits are of another detector."""
        made_by = self.settings.get("detector", detector.name)
        if made_by != detector.name:
            raise InputError(f"{self.source}: hits of detector {made_by}, allowed are those of {detector.name}")
        readout = self.settings.get("readout")
        made_with = readout.get("max_hits") if isinstance(readout, Mapping) else None
        if made_with != detector.max_hits and isinstance(made_with, int) and self.at_limit(made_with):
            raise InputError(f"{self.source}: has at most {made_with} hits a pixel, allowed is --max-hits {made_with}")
        for name in PIXEL_VALUES:
            if self.settings.get(name) == "pixels" and getattr(detector, name) is None:
                raise InputError(
                    f"{self.source}: hits with {name} of pixels, which the file does not hold and the detector "
                    f"needs: see --{name}"
                )
