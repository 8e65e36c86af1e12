"""Stopping tracks found among hits: alone, from a vertex backwards, and beside others."""

import numpy as np
import pytest

from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.formats.edepsim import read_segments
from lartpc.generator.stopping import PARTICLES, range_table
from lartpc.reconstruction.branches import UNUSED, find_branches
from lartpc.reconstruction.candidates import STOPPING, Candidate, CutFlow, measured
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.hypotheses import Found, without_doubles
from lartpc.reconstruction.likelihood import Near
from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.selection import chosen, still_good
from lartpc.reconstruction.singles import Fitted
from lartpc.reconstruction.track import CUT_LENGTH, Track
from lartpc.simulation.simulation import Simulation

PROTON = PARTICLES[2212]
STOP, VERTEX = np.array([0.0, -20.0, 12.0]), np.array([5.0, -17.0, 14.0])
AT_REST, FAST = 3e5, 6e4  # [e/cm] of a proton in its last 2 cm, and of a muon


@pytest.fixture(scope="module")
def detector():
    return Detector.module0()


def hits_of(detector, lines, tpc=1):
    """Hits, one a pixel and line, of an event with straight lines (from, to, [e/cm] at the first 2 cm, and after)."""
    columns = []
    low, pitch = np.array([detector.x_lo[tpc], detector.y_lo[tpc]]), detector.pitch[tpc]
    for begin, end, first, after in lines:
        length = np.linalg.norm(end - begin)
        s = np.arange(0.005, length, 0.01)
        points = begin + s[:, None] / length * (end - begin)
        ix, iy = np.floor((points[:, :2] - low) / pitch).astype(int).T
        pixel = detector.first_pixel[tpc] + ix + detector.n_x[tpc] * iy
        charge = np.where(s < 2.0, first, after) * 0.01
        ids, place = np.unique(pixel, return_inverse=True)
        total = np.bincount(place, charge)
        columns.append(
            (ids[total > 5e3], total[total > 5e3], (np.bincount(place, charge * points[:, 2]) / total)[total > 5e3])
        )
    pixel, charge, z = (np.concatenate(column) for column in zip(*columns, strict=True))
    _, ix, iy, x, y = detector.locate(pixel)
    n = len(pixel)
    t = np.abs(z - detector.z_anode[tpc]) / 0.16
    hits = Hits(
        np.full(n, 3), pixel, np.full(n, tpc), ix, iy, np.zeros(n, int), x, y, np.full(n, 30.0), t, charge, charge
    )
    return hits, np.stack((x, y, z), axis=1), np.repeat(np.arange(len(lines)), [len(column[0]) for column in columns])


def found_in(detector, lines):
    hits, points, line = hits_of(detector, lines)
    found, flow = find_branches(hits, points, detector, [PROTON, PARTICLES[13]])
    assert flow.cuts[-1][1] == len(found)
    return found, hits, points, line


def test_track_alone_is_found_whole(detector):
    found, hits, *_ = found_in(detector, [(STOP, VERTEX, AT_REST, FAST)])
    (one,) = found
    assert np.array_equal(np.sort(one.rows), np.arange(len(hits))) and len(one.measured.masked) == 0
    assert [seed.name for seed in one.seeds] == ["proton", "muon"] and one.event == 3
    for seed in one.seeds:
        assert seed.cut == (False, False)
        assert np.linalg.norm(seed.points[0] - STOP) < 0.4 and np.linalg.norm(seed.points[-1] - VERTEX) < 0.4


def test_ends_with_enough_charge_are_both_tried(detector):
    found, *_ = found_in(detector, [(STOP, VERTEX, AT_REST, AT_REST)])
    ends = [one.seeds[0].points[0] for one in found]
    assert len(found) == 2 and np.linalg.norm(ends[0] - ends[1]) > 5.0


def test_track_from_a_vertex_is_cut_and_masked(detector):
    away = [np.array([12.0, -21.0, 16.0]), np.array([9.0, -8.0, 10.0])]
    lines = [(STOP, VERTEX, AT_REST, FAST), *((VERTEX, end, FAST, FAST) for end in away)]
    found, hits, points, line = found_in(detector, lines)
    (one,) = found
    assert np.all(line[one.rows] == 0)
    length, whole = path_length(one.seeds[0].points)[-1], np.linalg.norm(VERTEX - STOP)
    assert one.seeds[0].cut == (False, True) and whole - 3.0 < length < whole
    masked = np.isin(hits.pixel_id, one.measured.masked)
    assert masked[line > 0].all()
    used = one.rows[~masked[one.rows]]
    along = (points[used] - STOP) @ (VERTEX - STOP) / whole
    assert len(used) >= 7 and along.max() < length - UNUSED + 0.3
    # Nor is anything used of pixels without a hit near the cut.
    end = one.seeds[0].points[-1]
    at = detector.first_pixel[1] + int((end[0] - detector.x_lo[1]) / detector.pitch[1])
    at += detector.n_x[1] * int((end[1] - detector.y_lo[1]) / detector.pitch[1])
    assert at in one.measured.masked and at + 1 in one.measured.masked


def test_track_beside_another_is_refused(detector):
    aside = np.array([0.0, 0.0, 1.1])
    found, *_ = found_in(detector, [(STOP, VERTEX, AT_REST, FAST), (STOP + aside, VERTEX + aside, AT_REST, FAST)])
    assert not found


def test_stop_at_a_border_is_refused(detector):
    stop = np.array([detector.x_hi[1] - 0.5, -20.0, 12.0])
    found, *_ = found_in(detector, [(stop, stop - VERTEX + STOP, AT_REST, FAST)])
    assert not found


def test_mask_of_all_pixels_is_refused(detector):
    hits, *_ = hits_of(detector, [(STOP, VERTEX, AT_REST, FAST)])
    rows = np.arange(len(hits))
    assert np.array_equal(measured(hits, rows, hits.pixel_id[:3]).masked, hits.pixel_id[:3])
    with pytest.raises(ValueError, match=f"all pixels of the {len(hits)} hits of a track are masked"):
        measured(hits, rows, hits.pixel_id)


def test_length_of_a_cut_track_has_a_prior():
    points = np.linspace(STOP, VERTEX, 50)
    length = np.linalg.norm(VERTEX - STOP)
    free, eta = Track.through(points, PROTON)
    held, same = Track.through(points, PROTON, cut=(False, True))
    assert np.array_equal(eta, same)
    eta[5] += 0.03
    (value, gradient, curvature), (more, steeper, curved) = free.prior(eta), held.prior(eta)
    assert more - value == pytest.approx((eta[5] - length) ** 2 / CUT_LENGTH**2 / 2)
    assert steeper[5] - gradient[5] == pytest.approx((eta[5] - length) / CUT_LENGTH**2)
    assert curved[5] - curvature[5] == pytest.approx(CUT_LENGTH**-2)


def fitted(rows, value=-80.0, residual=0.5, g=0.0):
    """A proton through hits at `rows`, with F, residuals and energy losses of one size each."""
    track, eta = Track.through(np.linspace(STOP, VERTEX, 50), PROTON)
    eta[-track.steps :] = g
    none, one, m = np.zeros(0), np.eye(track.size), len(rows)
    jacobian = np.zeros((2 * m, track.size))
    jacobian[:m, 0] = 1.0  # takes half of the squares
    near = Near(value, np.full(2 * m, residual), np.zeros(track.size), one, none, none, none, m, 0, jacobian, none)
    return Found(Candidate(3, np.array(rows), STOPPING, None, ()), "proton", Fitted(track, eta, near), {})


def test_the_better_of_two_ends_is_kept():
    other = fitted(range(20, 30))
    better, worse, nested = fitted(range(10), -90.0), fitted(range(1, 11), -70.0), fitted(range(6), -40.0)
    assert without_doubles([worse, nested, other, better]) == [2, 3]
    touching = fitted(range(7, 17), -60.0)
    assert without_doubles([touching, better]) == [0, 1]


def test_what_does_not_have_its_range_is_not_chosen():
    good, strained, bad = fitted(range(10)), fitted(range(10), g=1.5), fitted(range(10), residual=1.45)
    assert good.strain == pytest.approx(0.25, abs=0.05) and bad.strain == pytest.approx(2.1, abs=0.05)
    assert strained.strain > 2.0
    kept, flow = chosen([strained, good, bad, good, good], ["proton"], CutFlow())
    assert kept == [1, 3, 4] and flow.cuts[-1][1] == 3
    assert np.array_equal(still_good(*ended(good, bad, strained)), [True, False, False])


def test_where_parameters_are_off_all_tracks_are_strained_alike():
    """They are chosen, but for those that are much worse, and judged where the parameters are fitted."""
    strained, worse = fitted(range(10), g=2.0), fitted(range(10), g=4.0)
    assert strained.strain > 4.0 and worse.strain > 2.5 * strained.strain
    kept, _ = chosen([strained, worse, strained, strained], ["proton"], CutFlow())
    assert kept == [0, 2, 3]
    assert not still_good(*ended(strained)).any()


def ended(*found):
    """Candidates and fitted tracks."""
    return [one.candidate for one in found], [one.fitted for one in found]


@pytest.mark.slow
def test_protons_of_interactions(reference, detector):
    segments = read_segments(reference / "data" / "mixed-particles.edep.h5")
    segments = segments.select(np.isin(segments.event_id, np.unique(segments.event_id)[:10]))
    hits = Simulation(detector, detector.parameters, noise=True, seed=1)(segments).hits
    points = positions(hits, detector, detector.parameters)
    found, _ = find_branches(hits, points, detector, [PROTON])
    right = 0
    for stop in stops(segments):
        right += any(np.linalg.norm(one.seeds[0].points[0] - stop) < 0.7 for one in found)
    assert right >= 7 and right >= 0.5 * len(found)


def stops(segments):
    """Where protons of 2 cm or more stop at rest: their last 2 cm have the energy of that range."""
    rest = range_table(PROTON.mass).kinetic(np.array([2.0 * 1.39]))[0]
    for event, track in np.unique(
        np.stack((segments.event_id, segments.traj_id), axis=1)[segments.pdg_id == 2212], axis=0
    ):
        own = segments.select((segments.event_id == event) & (segments.traj_id == track))
        end, start = ([getattr(own, f"{axis}_{side}") for axis in "xyz"] for side in ("end", "start"))
        steps = np.linalg.norm(np.array(end) - np.array(start), axis=0)[::-1]
        left = np.interp(2.0, np.append(0, np.cumsum(steps)), np.append(0, np.cumsum(own.dE[::-1])))
        if steps.sum() > 2.0 and 0.97 < left / rest < 1.04:
            yield np.array([axis[-1] for axis in end])
