"""Few segments of many tracks, for tests that differentiate the chain."""

import numpy as np
from helpers import make_segments

from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import from_table, read_segments
from lartpc.generator.generate import generate


def first_of_tracks(segments, n):
    """The first n segments of each track."""
    _, track = np.unique(np.stack((segments.event_id, segments.traj_id)), axis=1, return_inverse=True)
    track = track.ravel()
    earlier = [np.sum(track[:i] == t) for i, t in enumerate(track)]
    return segments.select(np.array(earlier) < n)


def off_borders(segments):
    """Those that neither start nor end at a border of module0's TPCs, where clipping has a kink."""
    d = Detector.module0()
    borders = {"x": (d.x_lo, d.x_hi), "y": (d.y_lo, d.y_hi), "z": (d.z_anode, d.z_cathode)}
    ends = [(getattr(segments, f"{axis}_{end}"), np.ravel(borders[axis])) for axis in "xyz" for end in ("start", "end")]
    distance = [np.abs(at[:, None] - border).min(axis=1) for at, border in ends]
    return segments.select(np.min(distance, axis=0) > 1e-3)


def generated(n, events=1, seed=0):
    """The first n segments of each of ten tracks an event: muons, pions and protons in module0."""
    table = generate("mixed", Detector.module0(), events=events, seed=seed)
    return off_borders(first_of_tracks(from_table(table, "generated"), n))


def real(reference, n, tracks):
    """The first n segments of the first `tracks` tracks above 2 cm of muons, pions and protons of the mixed file."""
    segments = read_segments(reference / "data/mixed-particles.edep.h5")
    segments = segments.select(segments.event_id == segments.events[0])
    length = np.sqrt(sum((vars(segments)[f"{k}_end"] - vars(segments)[f"{k}_start"]) ** 2 for k in "xyz"))
    of_track = np.bincount(segments.traj_id, length)[segments.traj_id]
    segments = segments.select((of_track > 2.0) & np.isin(np.abs(segments.pdg_id), (13, 211, 2212)) & (length > 0.01))
    found = segments.select(np.isin(segments.traj_id, np.unique(segments.traj_id)[:tracks]))
    return off_borders(first_of_tracks(found, n))


# start, end [cm] in module0, whose planes lie at z = -30.431 and 30.431 with the cathode at z = 0 between them
SPECIAL = {
    "crosses a pixel border": ((3.00, 5.00, 12.0), (3.60, 5.10, 12.3)),
    "along the drift": ((3.02, 5.03, 4.0), (3.02, 5.03, 4.6)),
    "zero length": ((3.02, 5.03, -9.0), (3.02, 5.03, -9.0)),
    "cut by the cathode": ((3.00, 5.00, -0.5), (3.20, 5.10, 0.7)),
    "cut by the side": ((30.8, 5.00, 10.0), (31.5, 5.20, 10.3)),
}


def special():
    """The segments of `SPECIAL`, of 3 MeV each: an event each."""
    start, end = zip(*SPECIAL.values(), strict=True)
    return make_segments(start, end, dE=3.0, dEdx=4.0, t0=0.73, event_id=np.arange(len(start)))


def protons(tracks, seed=1):
    """The first tracks of one event of stopping protons in module0, about 50 segments each."""
    segments = from_table(generate("stopping-protons", Detector.module0(), events=1, seed=seed), "generated")
    return segments.select(segments.traj_id < tracks)


def isolated(kind, events, seed, most_cos=0.8, margin=2.0):
    """Tracks of a generated sample that lie in one TPC of module0, off its borders [cm], and not along the drift."""
    detector = Detector.module0()
    segments = from_table(generate(kind, detector, events=events, seed=seed), "generated")
    low = np.stack((detector.x_lo, detector.y_lo, np.minimum(detector.z_anode, detector.z_cathode)), axis=1) + margin
    high = np.stack((detector.x_hi, detector.y_hi, np.maximum(detector.z_anode, detector.z_cathode)), axis=1) - margin
    kept = np.zeros(len(segments), dtype=bool)
    for rows in tracks_of(segments):
        track = segments.select(rows)
        ends = np.stack([getattr(track, f"{axis}_end") for axis in "xyz"], axis=1)
        begin = np.array([getattr(track, f"{axis}_start")[0] for axis in "xyz"])
        whole = np.concatenate([begin[None], ends])
        inside = np.any(np.all((whole[:, None] > low) & (whole[:, None] < high), axis=2).all(axis=0))
        along = ends[-1] - begin
        kept[rows] = inside and abs(along[2]) < most_cos * np.linalg.norm(along)
    return segments.select(kept)


def tracks_of(segments):
    """The rows of each track, in the order of events and tracks."""
    _, track = np.unique(np.stack((segments.event_id, segments.traj_id)), axis=1, return_inverse=True)
    return [np.flatnonzero(track.ravel() == k) for k in range(track.max(initial=-1) + 1)]
