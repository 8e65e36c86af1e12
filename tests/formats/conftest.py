"""What the tests of several formats start from."""

import functools

import h5py
import layouts
import numpy as np
import pytest
from commands import succeeds
from layouts import NOW, OLD, tracks
from packet_files import options
from streams import EVENTS, ORDERS

from lartpc.files import hdf5
from lartpc.formats.edepsim import file_table, write_segments
from lartpc.formats.eventfile import EventFile


@pytest.fixture(scope="module", params=[NOW, OLD])
def described(request, tmp_path_factory, compiled):
    """A detector with its channels and the names of their files."""
    folder = tmp_path_factory.mktemp("layouts")
    return *layouts.load(folder, request.param), *layouts.write(folder, request.param)


@pytest.fixture(scope="module")
def written(described, tmp_path_factory):
    """The command's files of hits and packets, and the segments: two noisy events."""
    folder = tmp_path_factory.mktemp("written")
    write_segments(folder / "segments.h5", tracks())
    succeeds(
        "simulate", folder / "segments.h5", "-o", folder / "h.h5", "--packets", folder / "p.h5", *options(described)
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six events of three tracks each in files of three orders, and the names of a detector and its layout."""
    folder = tmp_path_factory.mktemp("streaming")
    segments = layouts.tracks(len(EVENTS), t0=3e5 * np.arange(len(EVENTS)))
    segments.event_id = np.array(EVENTS)[segments.event_id]
    raw = file_table(segments)
    trajectories = np.zeros(12, dtype=[("eventID", "u4"), ("traj_id", "u4")])
    trajectories["eventID"], trajectories["traj_id"] = np.repeat(EVENTS, 2), np.arange(12)
    orders = np.arange(len(raw)), np.argsort(raw["event_id"], kind="stable"), np.random.default_rng(0).permutation(180)
    for name, order in zip(ORDERS, orders, strict=True):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["segments"], file["trajectories"], file["mc_hdr"] = raw[order], trajectories, np.arange(3)
    layouts.write(folder, layouts.NOW)
    return folder


@pytest.fixture
def parts_of(monkeypatch):
    """Makes the command read parts of up to so many segments, in blocks of 16 rows."""

    def parts_of(most):
        monkeypatch.setattr("lartpc.formats.eventfile.EventFile", functools.partial(EventFile, most=most))
        monkeypatch.setattr(hdf5, "BLOCK", 16)

    return parts_of


@pytest.fixture
def store(tmp_path):
    """Store datasets by name in a new HDF5 file, and give its path."""

    def store(name="in.h5", **datasets):
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in datasets.items():
                file.create_dataset(key, data=value)
        return tmp_path / name

    return store
