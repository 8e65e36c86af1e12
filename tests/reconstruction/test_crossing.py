"""Tracks through a cathode: found, followed, and what they say of the drift velocity and the field."""

import numpy as np
import pytest

from lartpc import Detector, Simulation
from lartpc.blas import one_blas_thread
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.generator.samples import back_to_back
from lartpc.generator.stopping import PARTICLES
from lartpc.reconstruction.candidates import CROSSING, CutFlow
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.crossing import SHORTEST, find_crossing, nearest, prefit
from lartpc.reconstruction.joint import DECREMENT, JointFit
from lartpc.reconstruction.layout import FIRST, LENGTH
from lartpc.reconstruction.likelihood import TrackLikelihood
from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.reconstruct import reconstruct
from lartpc.reconstruction.selection import AFTER, chosen, still_good
from lartpc.reconstruction.track import CUT, CUT_LENGTH, Track
from lartpc.reconstruction.velocity import change_of_velocity, straight_field

MUON = PARTICLES[13]
DETECTOR = Detector.module0()
FIELD = 0.495  # [kV/cm] in truth; it is 0.5 as far as is known


def sample(kind, seed):
    """Segments of an event and its hits, with noise."""
    segments = from_table(generate(kind, DETECTOR, 1, seed), kind)
    truth = DETECTOR.parameters.replace(eField=FIELD)
    return segments, Simulation(DETECTOR, truth, noise=True, seed=seed)(segments).hits


@pytest.fixture(scope="module")
def muons():
    return sample("crossing-muons", 3)


def found_in(hits, parameters=DETECTOR.parameters):
    return find_crossing(hits, positions(hits, DETECTOR, parameters), DETECTOR, [MUON])


def lines_of(segments):
    """The nodes (n, 3) [cm] of each true track."""
    for track in np.unique(segments.traj_id):
        rows = np.flatnonzero(segments.traj_id == track)
        start, end = (
            np.stack([getattr(segments, axis + side)[rows] for axis in "xyz"], axis=1) for side in ("_start", "_end")
        )
        yield np.concatenate((start, end[-1:]))


def on_both_sides(line):
    """Length [cm] of the shorter part of a track on either side of z = 0; 0 of one along the cathode."""
    middle = np.diff(line, axis=0)
    if abs(line[-1, 2] - line[0, 2]) < 0.1 * path_length(line)[-1]:
        return 0.0
    length, low = np.linalg.norm(middle, axis=1), line[1:, 2] < 0
    return min(length[low].sum(), length[~low].sum())


def test_pairs_of_tpcs():
    assert back_to_back(DETECTOR).tolist() == [[0, 1]]


@pytest.mark.slow
def test_all_muons_are_found_and_followed_though_the_velocity_is_off(muons):
    segments, hits = muons
    candidates, flow = found_in(hits)
    lines = [line for line in lines_of(segments) if on_both_sides(line) > 0]
    off = np.array([[nearest(one.seeds[0].points, line)[0].max() for line in lines] for one in candidates])
    assert np.all(off.min(axis=1) < 0.15)  # [cm], at a field 1 % off
    of_line = off.argmin(axis=1)
    assert len(set(of_line)) == len(candidates) == flow.cuts[-1][1]
    long = [k for k, line in enumerate(lines) if on_both_sides(line) > 2 * SHORTEST]
    assert len(long) >= 7
    assert set(long) <= set(of_line)
    for one in candidates:
        assert one.kind == CROSSING
        assert set(one.measured.masked) >= set(hits.pixel_id) - set(hits.pixel_id[one.rows])


@pytest.mark.slow
def test_none_among_stopping_protons():
    _, hits = sample("stopping-protons", 4)
    assert found_in(hits)[0] == []


@pytest.mark.slow
def test_none_without_hits(muons):
    hits = muons[1]
    none = hits.select(np.zeros(0, dtype=np.int64))
    assert find_crossing(none, np.zeros((0, 3)), DETECTOR, [MUON])[0] == []


@pytest.mark.slow
@pytest.mark.parametrize("field", [0.49, 0.5, 0.505])
def test_field_at_which_tracks_are_straight(muons, field):
    hits, parameters = muons[1], DETECTOR.parameters.replace(eField=field)
    assert abs(straight_field(hits, DETECTOR, parameters) / FIELD - 1) < 0.002


@pytest.mark.slow
def test_no_track_says_nothing_of_the_velocity(muons):
    change = change_of_velocity(muons[1], [], DETECTOR, DETECTOR.parameters)
    assert change.value == 0 and change.tracks == 0 and change.error == np.inf


def test_line_nearest_to_points_with_some_beside_it():
    s = np.linspace(0, 20, 60)
    points = np.stack([s, 0.3 * s, -0.5 * s], axis=1)
    drift = np.zeros_like(points)
    drift[:, 2] = 30.0 - np.abs(s - 10)
    rng = np.random.default_rng(2)
    hits = points - 0.01 * drift + 0.1 * rng.standard_normal(points.shape)
    hits[::12, 1] += 4.0
    begun = points[[0, 30, 59]] + [[0.0, 0.3, -0.3], [0.0, 0.2, 0.1], [0.0, 0.3, 0.2]]
    nodes, faster, error = prefit(hits, begun, MUON, drift)
    assert nearest(nodes[3:-3], points[[0, -1]])[0].max() < 0.15
    assert abs(faster - 0.01) < 3 * error < 0.05


def test_ends_that_go_on_are_held():
    line = np.stack([np.linspace(0, 20, 50), np.zeros(50), np.zeros(50)], axis=1)
    track, eta = Track.through(line, MUON, cut=(True, True))
    free, _ = Track.through(line, MUON)
    for place, width in ((0, CUT), (LENGTH, CUT_LENGTH)):
        moved = eta.copy()
        moved[place] += 2.0 * width
        value, slope, curvature = track.prior(moved)
        assert value - free.prior(moved)[0] == pytest.approx(2.0)
        assert slope[place] == pytest.approx(2.0 / width)
        assert curvature[place] == pytest.approx(width**-2)
        assert free.prior(moved)[2][place] == 0


def test_ends_that_go_on_are_not_held_along_the_drift():
    """A place there is a time and a velocity, which no end may tell; but a track along the drift has no other."""
    for direction, axis in (([1.0, 0.5, 3.0], 0), ([0.3, -1.0, 2.0], 1), ([0.01, 0.0, 1.0], 2)):
        line = np.linspace(0.0, 10.0, 50)[:, None] * np.array(direction) / np.linalg.norm(direction)
        track, eta = Track.through(line, MUON, cut=(True, True))
        assert np.flatnonzero(track.prior(eta)[2][:3]).tolist() == [axis]


def test_losses_are_where_the_fit_begins():
    line = np.stack([np.linspace(0, 20, 50), np.zeros(50), np.zeros(50)], axis=1)
    losses = np.where(np.abs(line[:, 0] - 12) < 1, 3.0, 1.0)
    track, eta = Track.through(line, MUON, losses=losses)
    usual, zero = Track.through(line, MUON)
    ratio = track.segments(eta).dE / usual.segments(zero).dE
    middle = (track.nodes(eta)[1:, 0] + track.nodes(eta)[:-1, 0]) / 2
    assert np.allclose(ratio[np.abs(middle - 12) < 0.5], 3.0, rtol=0.06)
    assert np.allclose(ratio[middle < 10], 1.0)
    assert np.array_equal(eta[:FIRST], zero[:FIRST])


@pytest.fixture(scope="module")
def fit_of(muons):
    """Fits the field and the tracks that `choose` keeps of those found at `start`: field, its error, tracks."""
    target = Target.of(muons[1])

    @one_blas_thread
    def fit(choose, start):
        simulation = Simulation(DETECTOR, DETECTOR.parameters.replace(eField=start))
        found = reconstruct(simulation, target, ("proton",)).found
        tracks = choose([found[k] for k in chosen(found, ("proton",), CutFlow())[0]])
        unknowns = unknowns_of(simulation, ["eField"])
        measured = [one.candidate.measured for one in tracks]
        likelihood = TrackLikelihood(simulation.apart(["eField"]), measured, unknowns.slots)
        joint = JointFit([likelihood], RunUnknowns.of(unknowns), [one.fitted.track for one in tracks])
        state, reduced = joint.run(joint.state(unknowns.start, [one.fitted.eta for one in tracks]))
        assert reduced.decrement < DECREMENT
        return float(state.theta[0]), float(reduced.information[0, 0] ** -0.5), tracks, state.near

    return fit


def judged(tracks, near):
    """Candidates and fitted tracks where the fit ended."""
    ended = [one.fitted._replace(near=there) for one, there in zip(tracks, near, strict=True)]
    return [one.candidate for one in tracks], ended


@pytest.mark.slow
def test_field_of_crossing_tracks(fit_of, muons):
    field, error, tracks, near = fit_of(lambda tracks: tracks, straight_field(muons[1], DETECTOR, DETECTOR.parameters))
    assert len(tracks) >= 7
    assert still_good(*judged(tracks, near)).sum() >= len(tracks) - 1
    assert abs(field - FIELD) < 3 * error
    assert error / FIELD < 6e-4 / np.sqrt(len(tracks))


@pytest.mark.slow
def test_bad_track_moves_the_field_unless_it_is_cut(fit_of):
    """One side of a track shifted by 5 mm along the drift, as of another track."""

    def with_bad(tracks):
        first = tracks[0].candidate.measured
        hits = first.hits
        shifted = hits.select(np.arange(len(hits)))
        shifted.t[shifted.tpc == 0] += 3.0
        bad = tracks[0].candidate._replace(measured=first._replace(hits=shifted))
        return [tracks[0]._replace(candidate=bad), *tracks[1:3]]

    field, error, tracks, near = fit_of(with_bad, FIELD)
    assert abs(field - FIELD) > 5 * error
    assert not still_good(*judged(tracks, near))[0]
    assert near[0].goodness > AFTER[CROSSING]
    good = still_good(*judged(tracks, near))
    field, error, *_ = fit_of(lambda tracks: [one for one, kept in zip(tracks[:3], good, strict=True) if kept], FIELD)
    assert abs(field - FIELD) < 3 * error
