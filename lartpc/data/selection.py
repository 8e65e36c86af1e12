"""Cuts on tracks and batches of tracks, as in the paper's calibration (sections III B and IV B)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lartpc.data.segments import Segments
from lartpc.exceptions import InputError


class Cuts(NamedTuple):
    """The paper's selection; lengths [cm], z along the drift from the middle of the detector."""

    max_cos: float = 0.966  # tracks closer to the drift direction than this are left out
    min_abs_z: float = 15.0  # segments whose centre is nearer to the cathode are left out
    max_abs_z: float = 28.0  # tracks with a segment whose centre is nearer to an anode are left out
    min_track: float = 2.0  # shorter tracks are left out
    min_dx: float = 0.01  # shorter segments are left out


def lengths(segments: Segments) -> np.ndarray:
    """Length of each segment [cm], (n,)."""
    s = segments
    return np.sqrt((s.x_end - s.x_start) ** 2 + (s.y_end - s.y_start) ** 2 + (s.z_end - s.z_start) ** 2)


def tracks(segments: Segments) -> np.ndarray:
    """A number for each track, from 0, (n,): segments of one event with the same traj_id."""
    _, track = np.unique(np.stack((segments.event_id, segments.traj_id)), axis=1, return_inverse=True)
    return track.ravel()


def first_events(segments: Segments, most: int) -> Segments:
    """The first events with up to `most` segments in all; of the first event, where it has more, as many segments."""
    event, count = np.unique(segments.event_id, return_counts=True)
    whole = event[np.cumsum(count) <= most]
    if len(whole):
        return segments.select(np.isin(segments.event_id, whole))
    return segments.select(np.flatnonzero(segments.event_id == event[:1])[:most])


def separate_tracks(segments: Segments) -> Segments:
    """Every track as an event of its own."""
    return dataclasses.replace(segments, event_id=tracks(segments).astype(np.int64))


def length_batches(segments: Segments, length: float, seed: int) -> list[np.ndarray]:
    """Indices of segments in batches of whole events, shuffled with `seed` and filled until they have `length` [cm].

    The last batch may be shorter. What must stay together is an event: see `separate_tracks`.
    """
    events, event = np.unique(segments.event_id, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(events))
    ends = np.cumsum(np.bincount(event, lengths(segments), minlength=len(events))[order])
    batch = np.empty(len(events), dtype=np.int64)
    number, filled = 0, 0.0
    for k, end in enumerate(ends):
        batch[order[k]] = number
        if end - filled >= length:
            number, filled = number + 1, end
    return [np.flatnonzero(batch[event] == k) for k in range(batch.max() + 1)]


def cut(segments: Segments, changes: Mapping[str, float]) -> Segments:
    """The segments that pass the paper's selection, with some of its `Cuts` changed. Raises InputError: not a cut."""
    for name in changes:
        if name not in Cuts._fields:
            raise InputError(f"cut {name}: is not known, allowed are {', '.join(Cuts._fields)}")
    return segments.select(selected(segments, Cuts(**changes)))


def selected(segments: Segments, cuts: Cuts) -> np.ndarray:
    """Which segments pass, (n,) bool.

    A track is all segments of an event with the same traj_id; its direction goes from the start of its first segment
    in the file to the end of its last, its length is the sum of all.
    """
    s = segments
    if len(s) == 0:
        return np.zeros(0, dtype=bool)
    dx = lengths(s)
    track = tracks(s)
    rows = np.arange(len(s))
    first, last = np.full(track.max() + 1, len(s)), np.zeros(track.max() + 1, dtype=np.int64)
    np.minimum.at(first, track, rows)
    np.maximum.at(last, track, rows)
    ends = [getattr(s, f"{axis}_end")[last] - getattr(s, f"{axis}_start")[first] for axis in "xyz"]
    cos = np.abs(ends[2]) / np.maximum(np.sqrt(sum(d**2 for d in ends)), 1e-9)
    z = np.abs(0.5 * (s.z_start + s.z_end))
    near_anode = np.zeros(len(first), dtype=bool)
    np.logical_or.at(near_anode, track, z > cuts.max_abs_z)
    good_track = (cos < cuts.max_cos) & ~near_anode & (np.bincount(track, dx) > cuts.min_track)
    return good_track[track] & (dx > cuts.min_dx) & (z > cuts.min_abs_z)
