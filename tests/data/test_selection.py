"""The paper's cuts, each on a track made to fail it alone."""

import dataclasses

import numpy as np
import pytest
from helpers import make_segments

from lartpc.data.selection import Cuts, length_batches, lengths, selected, separate_tracks
from lartpc.formats.edepsim import read_segments


def track(start, direction, n=10, step=0.3):
    """n segments of `step` [cm] along a direction."""
    unit = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    edges = np.asarray(start) + step * np.arange(n + 1)[:, None] * unit
    return edges[:-1], edges[1:]


def tracks(*ends, event_id=0):
    """Tracks with traj_id 0, 1, ... of an event each or all of one."""
    starts, stops = (np.concatenate(part) for part in zip(*ends, strict=True))
    number = np.repeat(np.arange(len(ends)), [len(start) for start, _ in ends])
    segments = make_segments(starts, stops, event_id=event_id)
    return dataclasses.replace(segments, traj_id=number), number


def passed(*ends):
    """Whether all, none (True, False) or how many of the segments of each track pass."""
    segments, number = tracks(*ends)
    kept = selected(segments, Cuts())
    counts = [int(np.sum(kept[number == k])) for k in range(len(ends))]
    return [c in (len(s),) if c in (0, len(s)) else c for c, (s, _) in zip(counts, ends, strict=True)]


def test_each_cut_alone():
    good = track((0, 0, 20), (1, 0, 0))
    steep = track((0, 0, 20), (0.1, 0, 1))
    short = track((0, 0, 20), (1, 0, 0), n=6)  # 1.8 cm
    beyond = track((0, 0, 27), (1, 0, 0.5))  # ends at z = 28.3
    assert passed(good, steep, short, beyond) == [True, False, False, False]
    mirrored = (tuple(-part for part in ends) for ends in (good, steep, short, beyond))
    assert passed(*mirrored) == [
        True,
        False,
        False,
        False,
    ]


def test_limits():
    def at(cos):
        return track((0, 0, 20), (np.sqrt(1 - cos**2), 0, cos))

    assert passed(at(0.965), at(0.967), at(-0.965), at(-0.967)) == [True, False, True, False]
    assert passed(track((0, 0, 20), (0, 1, 0), n=7), track((0, 0, 20), (0, 1, 0), n=6)) == [True, False]


def test_near_the_cathode_segments_are_left_out_near_an_anode_tracks():
    ends = track((0, 0, 14), (1, 0, 0.5))  # z from 14 to 15.34
    middle = 0.5 * (ends[0] + ends[1])[:, 2]
    assert passed(ends) == [int(np.sum(middle > 15.0))]
    assert 0 < np.sum(middle > 15.0) < 10


def test_tiny_segments_are_left_out_and_count_in_the_length():
    start, end = track((0, 0, 20), (1, 0, 0), n=8)
    start = np.concatenate((start, end[-1:]))
    end = np.concatenate((end, end[-1:] + (0.009, 0.0, 0.0)))
    assert passed((start, end)) == [8]


def test_the_same_traj_id_in_another_event_is_another_track():
    """Two halves of 1.8 cm make a track of 3.6 cm in one event, in two events both are too short."""
    first, second = track((0, 0, 20), (1, 0, 0), n=6), track((1.8, 0, 20), (1, 0, 0), n=6)
    both = tuple(np.concatenate(parts) for parts in zip(first, second, strict=True))
    one, _ = tracks(both)
    assert selected(one, Cuts()).all()
    two, _ = tracks(both, event_id=np.repeat([3, 8], 6))
    assert not selected(two, Cuts()).any()


def test_direction_is_from_first_to_last_row_even_if_rows_are_mixed():
    """Two tracks in alternating rows: as if they were apart."""
    good, steep = track((0, 0, 20), (1, 0, 0)), track((0, 5, 20), (0.1, 0, 1))
    segments, number = tracks(good, steep)
    order = np.argsort(np.tile(np.arange(10), 2), kind="stable")
    kept = selected(segments.select(order), Cuts())
    np.testing.assert_array_equal(kept, number[order] == 0)


def test_points_and_nothing():
    point, _ = tracks((np.array([[0.0, 0.0, 20.0]]), np.array([[0.0, 0.0, 20.0]])))
    assert not selected(point, Cuts()).any()
    assert len(selected(point.select(np.zeros(0, dtype=int)), Cuts())) == 0


# --- batches


def straight(sizes):
    """An event for each number of segments, of 0.3 cm each, with ids that are neither in order nor without gaps."""
    parts = [track((0, k, 20), (1, 0, 0), n=n) for k, n in enumerate(sizes)]
    ids = 100 - 7 * np.arange(len(sizes))
    segments, _ = tracks(*parts, event_id=np.repeat(ids, sizes))
    return segments


def test_batches_hold_each_segment_once_and_whole_events():
    sizes = np.random.default_rng(0).integers(1, 40, size=60)
    segments = straight(sizes)
    batches = length_batches(segments, 20.0, seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(len(segments)))
    events = [np.unique(segments.event_id[rows]) for rows in batches]
    assert len(np.concatenate(events)) == len(sizes)
    # filled until they have the length: without its last event none but the last of all would have it
    total = [lengths(segments)[rows].sum() for rows in batches]
    assert min(total[:-1]) >= 20.0 - 1e-6 and max(total) < 20.0 + 0.3 * sizes.max()
    assert len(batches) > 10


def test_batches_are_shuffled_by_their_seed_alone():
    segments = straight(np.full(40, 10))
    first = length_batches(segments, 6.0, seed=1)
    assert [len(rows) for rows in first] == [20] * 20
    for a, b in zip(first, length_batches(segments, 6.0, seed=1), strict=True):
        np.testing.assert_array_equal(a, b)
    pairs = [
        {frozenset(segments.event_id[rows].tolist()) for rows in length_batches(segments, 6.0, seed)} for seed in (1, 2)
    ]
    assert pairs[0] != pairs[1]
    order = np.unique(segments.event_id)
    assert pairs[0] != {frozenset(pair.tolist()) for pair in order.reshape(20, 2)}


def test_a_batch_longer_than_everything_holds_everything():
    segments = straight([3, 4, 5])
    (rows,) = length_batches(segments, 1e9, seed=0)
    np.testing.assert_array_equal(rows, np.arange(12))


def test_an_event_longer_than_a_batch_is_one():
    batches = length_batches(straight([50, 50, 50]), 1.0, seed=0)
    assert [len(rows) for rows in batches] == [50] * 3


def test_separate_tracks_are_events_of_their_own():
    """Tracks of the same traj_id in two events are two; nothing else changes, and batches then split events."""
    one, number = tracks(*(track((0, k, 20), (1, 0, 0)) for k in range(4)), event_id=np.repeat([9, 3], 20))
    one = dataclasses.replace(one, traj_id=number % 2)
    apart = separate_tracks(one)
    assert len(np.unique(apart.event_id)) == 4
    for k in range(4):
        assert len(np.unique(apart.event_id[number == k])) == 1
    np.testing.assert_array_equal(apart.traj_id, one.traj_id)
    np.testing.assert_array_equal(apart.x_start, one.x_start)
    assert [len(rows) for rows in length_batches(apart, 3.0, seed=0)] == [10] * 4
    assert [len(rows) for rows in length_batches(one, 3.0, seed=0)] == [20] * 2


# --- the paper's sample


@pytest.mark.slow
def test_the_mixed_sample(reference):
    """As counted in the paper's own selection of the file."""
    segments = read_segments(reference / "data/mixed-particles.edep.h5")
    kept = segments.select(selected(segments, Cuts()))
    assert len(kept) == 5216
    assert np.sum(lengths(kept), dtype=np.float64) == pytest.approx(7610.6, abs=0.05)
    whole = segments.select(selected(segments, Cuts(min_abs_z=0.0)))  # with all segments of the tracks that pass
    assert len(np.unique(np.stack((whole.event_id, whole.traj_id)), axis=1).T) == 1299
