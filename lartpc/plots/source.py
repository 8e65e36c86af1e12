"""What an event display is drawn from: a file of hits or of packets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from lartpc.data.hits import Hits, WaveformTable
from lartpc.data.segments import Segments
from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.files import hdf5
from lartpc.formats.attrs import check_pixels, read_detector
from lartpc.formats.edepsim import no_segments, read_segments
from lartpc.formats.hitfile import read_hits, read_waveforms
from lartpc.formats.packetfile import has_packets, read_packets


class Source(NamedTuple):
    """Hits with what belongs to them; without segments where the file has none."""

    hits: Hits
    segments: Segments
    detector: Detector
    waveforms: WaveformTable | None
    threshold: float | None  # [e], None where single pixels have their own


def read_source(
    path: str | os.PathLike,
    detector: Detector | None = None,
    detector_yaml: str | os.PathLike = "",
    layout_yaml: Sequence[str | os.PathLike] = (),
) -> Source:
    """Read hits, or packets as the hits that they tell, of the `detector` that was loaded with these files.

    Without a `detector` it is that which the file's attributes describe; packets then have to be those of a built-in
    one. Raises InputError: no HDF5 file, neither hits nor packets in it, no detector.
    """
    packets = has_packets(path)
    hits = None if packets else read_hits(path)
    with hdf5.open_hdf5(path) as file:
        bare = "segments" not in file
    segments = no_segments(path) if bare else read_segments(path)
    if detector is None:
        detector, threshold = read_detector(path)
    else:
        threshold = detector.threshold if detector.thresholds is None else None
    if hits is not None:
        check_pixels(path, hits, detector)
        return Source(hits, segments, detector, read_waveforms(path), threshold)
    channels = Channels.load(detector, detector_yaml, layout_yaml)
    return Source(read_packets(path, segments, channels, detector), segments, detector, None, threshold)
