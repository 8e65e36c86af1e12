"""What proto_nd_flow's charge event building demands of a file of packets, and makes of it.

Written after its `raw_event_generator.py` (class version 0.3.0) and `raw_event_builder.py` with the settings of
`RawEventGenerator.yaml`, as they were run on such files; see docs/packets.md.
"""

import h5py
import numpy as np

PERIOD, WINDOW, TRIGGER_GROUP = 10_000_000, 2000, 1
OFF_BEAM_WINDOW, OFF_BEAM_THRESHOLD = 910, 10


def raw_events(path):
    """Of each trigger the rows of its packets; raises AssertionError or KeyError where flow would fail."""
    with h5py.File(path) as file:
        packets, assigned = file["packets"][()], file["mc_packets_assn"][()]
        segments, trajectories, vertices = (file[name][()] for name in ("segments", "trajectories", "vertices"))
        interactions = file["mc_hdr"][()] if "mc_hdr" in file else vertices
        stack = file["mc_stack"][()] if "mc_stack" in file else None
    _check_truth(segments, trajectories, interactions, vertices, stack)
    assert len(assigned) == len(packets)
    kept = np.isin(packets["packet_type"], (4, 6, 7)) | ((packets["packet_type"] == 0) & (packets["valid_parity"] == 1))
    assert packets["packet_type"][kept][0] == 4  # the time of the packets before the first is not known
    rows = np.flatnonzero(kept & (packets["packet_type"] != 4))
    time = _times(packets[rows])
    triggers = np.flatnonzero((packets["packet_type"][rows] == 7) & (packets["io_group"][rows] == TRIGGER_GROUP))
    own = (packets["packet_type"][rows] == 7) & (packets["io_group"][rows] == TRIGGER_GROUP)
    usable = (time % PERIOD != 0) | own  # a reset looks like that
    events = [np.flatnonzero((time >= t) & (time <= t + WINDOW) & usable) for t in time[triggers]]
    used = np.zeros(len(rows), dtype=bool)
    for event in events:
        used[event] = True
    _check_rest(time[~used])
    known = {segment: row for row, segment in enumerate(segments["segment_id"].tolist())}
    assert len(known) == len(segments)
    for event in events:
        truth = assigned[rows[event]]
        of = (truth["segment_ids"] != -1) & (truth["fraction"] != 0.0)
        assert all(segment in known for segment in truth["segment_ids"][of].tolist())
    return [rows[event] for event in events]


def _check_truth(segments, trajectories, interactions, vertices, stack):
    """Every segment has one interaction, which it shares with a trajectory of the same number."""
    vertex = "file_vertex_id" if "file_vertex_id" in vertices.dtype.names else "vertex_id"
    trajectory = "file_traj_id" if "file_traj_id" in trajectories.dtype.names else "traj_id"
    if stack is not None:
        stack[vertex]
        stack[trajectory if trajectory in stack.dtype.names else "traj_id"]
    number, count = np.unique(interactions[vertex], return_counts=True)
    assert (count == 1).all()
    assert np.isin(segments[vertex], number).all() and np.isin(segments[vertex], trajectories[vertex]).all()
    pairs = set(zip(trajectories[vertex].tolist(), trajectories[trajectory].tolist(), strict=True))
    assert set(zip(segments[vertex].tolist(), segments[trajectory].tolist(), strict=True)) <= pairs


def _times(packets):
    """Ticks since the first reset: each sync of an io_group counts for one, whatever its time."""
    sync = (packets["packet_type"] == 6) & (packets["trigger_type"] == 83)
    time = (packets["timestamp"].astype(np.int64)) % 2**31
    for group in np.unique(packets["io_group"]):
        own = packets["io_group"] == group
        before = np.cumsum(sync[own]) - sync[own]
        time[own] += PERIOD * before
    return time


def _check_rest(time):
    """Events of packets outside every window of a trigger; the builder fails where the first of these begins one."""
    if not len(time):
        return
    low, high = time.min() - 1, time.max() + 1
    count, _ = np.histogram(time, np.linspace(low, high, max(int((high - low) // OFF_BEAM_WINDOW), 2)))
    if (count > OFF_BEAM_THRESHOLD).any():
        assert np.flatnonzero(count > OFF_BEAM_THRESHOLD)[0] > 1
