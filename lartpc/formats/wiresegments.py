"""The HDF5 file of segments that were found in frames of wires: energy deposits as edep-sim's, their errors, events."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lartpc.data.segments import Segments
from lartpc.files import hdf5
from lartpc.formats.edepsim import file_table
from lartpc.formats.hitfile import write_attrs

SEGMENTS = np.dtype(
    [("event_id", "i8"), ("segment_id", "i8"), ("charge", "f8")]
    + [(f"{name}_error", "f8") for name in ("charge", "dE", "x", "y", "z")]
)
EVENTS = np.dtype(
    [("event_id", "i8"), ("found", "i4"), ("segments", "i4"), ("converged", "?"), ("good", "?")]
    + [("mean_square", "f8"), ("samples", "i8")]
)


class WireSegments(NamedTuple):
    """Segments of a file of frames (n,), in the order of events.

    In `events`, found are the segments before the fit: those of large events have none after it.
    """

    segments: Segments  # `traj_id` is the chain in its event
    table: np.ndarray  # (n,) as `SEGMENTS` has it: charge that escapes recombination [e], errors [e, MeV, cm]
    events: np.ndarray  # (n_events,) as `EVENTS` has it


def write_wire_segments(
    path: str | os.PathLike, made: WireSegments, attrs: Mapping[str, Any], overwrite: bool = False
) -> None:
    """Write `/segments`, which every command reads, `/segments_errors` and `/events`; `attrs`: how they were made.

    Raises InputError where the file exists (without `overwrite`) or cannot be written.
    """
    with hdf5.new_hdf5(path, overwrite) as file:
        file.create_dataset("segments", data=file_table(made.segments), track_times=False).attrs["zbeam"] = True
        file.create_dataset("segments_errors", data=made.table, track_times=False)
        write_attrs(file.create_dataset("events", data=made.events, track_times=False), attrs)
