"""Tables of segments of every generation of files, hits and waveforms, and what refuses a file."""

import dataclasses

import numpy as np
import pytest

from lartpc.data.hits import Hits, WaveformTable
from lartpc.exceptions import InputError

COORDINATES = ["x_start", "y_start", "z_start", "x_end", "y_end", "z_end"]
NOW = [("event_id", "u4"), ("segment_id", "u4"), ("traj_id", "u4"), ("pdg_id", "i4"), ("t0", "f8"), ("t", "f4")]
BEAM = [("event_id", "u4"), ("segment_id", "u4"), ("traj_id", "u4"), ("pdg_id", "i4"), ("t0", "f8"), ("t", "f8")]
OLD = [("eventID", "u4"), ("trackID", "u4"), ("pdgId", "i4"), ("t", "f4")]
ROWS = 5


def table(names, width="f4", reverse=False, rows=ROWS):
    """A table of segments; column k of the sorted float columns holds k + row / 10, so that each value is its own."""
    fields = [*names, *((name, width) for name in [*COORDINATES, "dE", "dEdx"])]
    raw = np.zeros(rows, dtype=fields[::-1] if reverse else fields)
    for k, name in enumerate(sorted([*COORDINATES, "dE", "dEdx"])):
        raw[name] = k + np.arange(rows) / 10
    for name in raw.dtype.names:
        if name in ("event_id", "eventID"):
            raw[name] = np.arange(rows) % 2 + 7  # not contiguous
        elif name in ("segment_id", "traj_id", "trackID"):
            raw[name] = np.arange(rows) + 100
        elif name in ("pdg_id", "pdgId"):
            raw[name] = -13
        elif name == "t0":
            raw[name] = 1.2e9 + np.arange(rows)
        elif name == "t":
            raw[name] = np.arange(rows) + 0.5
    return raw


def some_hits(n=4):
    rng = np.random.default_rng(1)
    columns = {field.name: rng.integers(0, 100, n) for field in dataclasses.fields(Hits)}
    return Hits(**{**columns, "t": rng.random(n) + 1e9, "charge": rng.random(n, dtype=np.float32) * 1e5})


def some_waveforms():
    return WaveformTable(
        event_id=np.array([0, 2**40]),
        pixel_id=np.array([5, 6]),
        start_tick=np.array([-3, 10**10]),
        offset=np.array([0, 2]),
        ticks=np.array([2, 3]),
        current=np.arange(5.0),
    )


def refused(function, *arguments, **keywords):
    with pytest.raises(InputError) as failure:
        function(*arguments, **keywords)
    assert "\n" not in str(failure.value)
    return str(failure.value)
