"""Files of segments read some events at a time."""

import h5py
import numpy as np
import pytest
from commands import lartpc_command, refuses
from helpers import make_segments
from streams import EVENTS, ORDERS

from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.edepsim import file_table, read_segments
from lartpc.formats.eventfile import EventFile
from lartpc.formats.hitfile import read_hits
from lartpc.simulation.simulation import Simulation


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("most", [1, 60, 100, 1000])
def test_parts_are_whole_events_by_ascending_id(folder, monkeypatch, name, most):
    monkeypatch.setattr(hdf5, "BLOCK", 16)
    whole, file = read_segments(folder / f"{name}.h5"), EventFile(folder / f"{name}.h5", most=most)
    parts = [file.read(k) for k in range(len(file))]
    assert len(parts) == {1: 6, 60: 3, 100: 2, 1000: 1}[most]
    events = [part.events.tolist() for part, _ in parts]
    assert sum(events, []) == sorted(EVENTS)
    for part, index in parts:
        assert (np.diff(index) > 0).all()
        for column in ("event_id", "segment_id", "x_start", "t0", "raw"):
            np.testing.assert_array_equal(getattr(part, column), getattr(whole, column)[index], column)
        assert len(part) == np.isin(whole.event_id, part.events).sum()
    assert [len(part) for part in file] == [len(part) for part, _ in parts]


def test_rows_are_numbered_as_in_the_file(folder, tmp_path, monkeypatch):
    """Old files have no segment_id, and a wrong value is named by its row."""
    monkeypatch.setattr(hdf5, "BLOCK", 16)
    with h5py.File(folder / "mixed up.h5") as file:
        raw = file["segments"][()]
    names = [n for n in raw.dtype.names if n != "segment_id"]
    old = np.zeros(len(raw), dtype=[(n, raw.dtype[n]) for n in names])
    for n in names:
        old[n] = raw[n]
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["tracks"] = old
    for part in EventFile(tmp_path / "old.h5", most=60):
        for k in range(len(part)):
            assert old["x_start"][part.segment_id[k]] == part.z_start[k]
    old["dE"][77] = -1.0
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file["tracks"][...] = old
    with pytest.raises(InputError, match="segments row 77: dE is -1, allowed is"):
        EventFile(tmp_path / "old.h5")


def test_little_more_than_each_row_once_is_read(folder, monkeypatch):
    """Where events are together, in any order of ids."""
    monkeypatch.setattr(hdf5, "BLOCK", 8)
    for name, most in (("together", 1), ("ascending", 60)):
        file = EventFile(folder / f"{name}.h5", most=most)
        read = []
        original = hdf5.read_rows
        monkeypatch.setattr(hdf5, "read_rows", lambda *a, original=original, read=read: read.append(1) or original(*a))
        assert sum(map(len, file)) == 180
        monkeypatch.setattr(hdf5, "read_rows", original)
        assert 180 / 8 <= len(read) <= 180 / 8 + 2 * len(file)


def test_hits_in_parts_are_those_of_all_segments_at_once(folder):
    simulation = Simulation(noise=True, seed=4)
    whole = simulation(read_segments(folder / "mixed up.h5")).hits
    parts = [simulation(part).hits for part in EventFile(folder / "mixed up.h5", most=60)]
    for name, column in vars(whole).items():
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), column, name)


def test_no_event_at_all(tmp_path):
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["segments"] = file_table(make_segments(np.zeros((0, 3)), np.zeros((0, 3))))
    assert len(EventFile(tmp_path / "none.h5")) == EventFile(tmp_path / "none.h5").n_segments == 0
    with pytest.raises(InputError, match="none.h5: no event in 3:4, found no event at all"):
        EventFile(tmp_path / "none.h5", range(3, 4))
    assert lartpc_command("simulate", tmp_path / "none.h5", "-o", tmp_path / "h.h5").exit_code == 0
    assert len(read_hits(tmp_path / "h.h5")) == 0


@pytest.mark.parametrize("field", ["event_id", "vertex_id", "file_traj_id"])
@pytest.mark.parametrize("kind", ["S5", "f4", ("i8", (2,))])
def test_ids_of_particles_that_are_none(tmp_path, kind, field):
    kinds = {"event_id": "u4"} | {field: kind}
    trajectories = np.zeros(
        2, dtype=[(name, *one) if isinstance(one, tuple) else (name, one) for name, one in kinds.items()]
    )
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["segments"] = file_table(make_segments(np.zeros((2, 3)), np.ones((2, 3))))
        file["trajectories"] = trajectories
    with hdf5.new_hdf5(tmp_path / "out.h5") as out, pytest.raises(InputError) as failure:
        EventFile(tmp_path / "in.h5", range(0, 1)).copy_tables(out)
    assert f"in.h5: trajectories field {field!r}: found 1 axes of " in str(failure.value)
    line = refuses(tmp_path, "simulate", *[tmp_path / "in.h5"] * 2, "-o", tmp_path / "h.h5")
    assert f"in.h5: trajectories field {field!r}: found 1 axes of " in line
