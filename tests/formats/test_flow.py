"""Packets as proto_nd_flow's charge event building takes them, from inputs of every generation."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from commands import program, succeeds
from flow import raw_events
from layouts import tracks

from lartpc.formats.edepsim import file_table, write_segments
from lartpc.formats.particles import TRAJECTORY, VERTEX

OLD = {"event_id": "eventID", "file_traj_id": "trackID", "pdg_id": "pdgId"}
OLDEST = ["z_start", "y_start", "x_start", "z_end", "y_end", "x_end", "dE", "dEdx", "t"]


def old_table(table, names=OLDEST):
    """The columns of an old file: other names of ids, the time of the deposit in t."""
    made = np.zeros(len(table), [(OLD[name], table.dtype[name]) for name in OLD] + [(name, "f4") for name in names])
    for name in made.dtype.names:
        made[name] = table["t0" if name == "t" else {old: now for now, old in OLD.items()}.get(name, name)]
    return made


def shared_vertices(table):
    """Vertices that are numbered in each event by itself, and no number for the file."""
    fields = [(name, table.dtype[name]) for name in table.dtype.names if name != "file_vertex_id"]
    made = np.zeros(len(table), fields)
    for name in made.dtype.names:
        made[name] = table[name]
    made["vertex_id"] = table["file_traj_id"] % 2
    return made


def particles(table):
    """Trajectories and vertices, as edep-sim writes them, of a table of segments."""
    first = np.unique(table["file_traj_id"], return_index=True)[1]
    trajectories, vertices = np.zeros(len(first), TRAJECTORY), np.zeros(2, VERTEX)
    for name in ("event_id", "vertex_id", "file_vertex_id", "traj_id", "file_traj_id"):
        trajectories[name] = table[name][first]
    for name in ("event_id", "vertex_id", "file_vertex_id"):
        vertices[name] = [0, 1]
    return {"trajectories": trajectories, "vertices": vertices}


def inputs():
    """Name to the tables of a file of two events of three tracks."""
    table = file_table(tracks(2, t0=[3e5, 1.5e6]))
    old = old_table(table)
    renamed = {"trajectories": np.zeros(6, [("eventID", "u4"), ("trackID", "i4"), ("parentID", "i4")])}
    renamed["trajectories"]["eventID"] = np.repeat([0, 1], 3)
    renamed["trajectories"]["trackID"] = 100 + np.arange(6)
    header = {"mc_hdr": np.array([(0, 0), (1, 1)], [("event_id", "u4"), ("vertex_id", "u8")])}
    stack = {"mc_stack": np.array([(0, 0, 100)], [("event_id", "u4"), ("vertex_id", "u8"), ("traj_id", "i4")])}
    return {
        "generated": {"segments": table},
        "now": {"segments": table, **particles(table)},
        "with interactions": {"segments": table, **particles(table), **header, **stack},
        "empty particles": {"segments": table, "trajectories": np.zeros(0, TRAJECTORY)},
        "vertices alone": {"segments": table, "vertices": particles(table)["vertices"]},
        "vertices of each event": {"segments": shared_vertices(table)},
        "old": {"tracks": old},
        "old with trajectories": {"segments": old, **renamed},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", list(inputs()))
@pytest.mark.parametrize("detector", ["module0", "2x2"])
def test_every_event_of_any_input_is_built(compiled, tmp_path, name, detector):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for key, table in inputs()[name].items():
            if detector == "2x2" and key in ("segments", "tracks"):
                table["x_start"] += 33.5
                table["x_end"] += 33.5
                table["z_start"] += 33.5
                table["z_end"] += 33.5
            file[key] = table
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5", "--detector", detector]
    succeeds("simulate", tmp_path / "in.h5", *outputs)
    events = raw_events(tmp_path / "p.h5")
    with h5py.File(tmp_path / "p.h5") as file:
        kind, event = file["packets"]["packet_type"], file["mc_packets_assn"]["event_ids"][:, 0]
        names = file["segments"].dtype.names
        assert len(file["vertices"]) == (4 if name == "vertices of each event" else 2)
        assert len(file["trajectories"]) == 6
    assert len(events) == 2 and not set(names) & set(OLD.values())
    for k, rows in enumerate(events):
        data = rows[kind[rows] == 0]
        assert (event[data] == k).all() and len(data) == ((kind == 0) & (event == k)).sum() > 30


def test_hits_before_the_first_deposit_do_not_come_before_the_trigger(compiled, tmp_path):
    """More than ten of these are an event of their own to flow, whose builder then fails."""
    segments = tracks(2)
    near = 30.38  # of the anode at 30.431
    segments.z_start[:], segments.z_end[:] = near, near - 0.01
    write_segments(tmp_path / "s.h5", segments)
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    succeeds("simulate", tmp_path / "s.h5", *outputs)
    with h5py.File(tmp_path / "h.h5") as file:
        hits = file["hits"][()]
    early = hits["t"] < 0.0
    assert early[hits["event_id"] == 0].sum() > 10
    events = raw_events(tmp_path / "p.h5")
    with h5py.File(tmp_path / "p.h5") as file:
        kind, packets = file["packets"]["packet_type"], file["packets"][()]
    assert [int((kind[rows] == 0).sum()) for rows in events] == np.bincount(hits["event_id"]).tolist()
    trigger = packets[kind == 7]
    later = trigger["receipt_timestamp"].astype(int) - trigger["timestamp"].astype(int)
    assert later.min() > 5  # ticks to the first deposit


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_the_program_of_the_page_reads_packets_with_h5py_alone(compiled, tmp_path, version):
    page = Path(__file__).resolve().parents[2] / "docs" / "packets.md"
    (script,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    write_segments(tmp_path / "s.h5", tracks(2, t0=[3e5, 1.5e6]))
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "packets.h5", "--packet-version", version]
    succeeds("simulate", tmp_path / "s.h5", *outputs)
    printed = program(tmp_path, script).stdout.splitlines()
    with h5py.File(tmp_path / "h.h5") as file:
        hits = file["hits"][()]
    assert printed[-1] == f"{len(hits)} packets of data"
    first = hits[np.argmin(np.ceil(hits["t"] / 0.1))]
    time = f"{0.1 * np.ceil(first['t'] / 0.1):.1f}"
    assert re.match(rf"event 0: channel \d+-\d+-\d+-\d+, {time} us, \d+ counts, \d+$", printed[0])
    assert all(re.match(r"event 0: .*, \d+$", line) for line in printed[:5])
