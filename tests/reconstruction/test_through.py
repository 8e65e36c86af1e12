"""Fast muons through a TPC: found, with a factor of their losses; and a lifetime by hand from charge per length."""

import numpy as np
import pytest

from lartpc import Detector, Simulation
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.generator.stopping import PARTICLES
from lartpc.reconstruction.candidates import THROUGH
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.crossing import nearest
from lartpc.reconstruction.fast import FastTrack
from lartpc.reconstruction.layout import LENGTH, RHO
from lartpc.reconstruction.lifetime import Cells, interval, plain_fit, truncated_mean
from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.through import RANGE, SHORTEST, STEEPEST, find_through, goes_through, straight_line

MUON = PARTICLES[13]
DETECTOR = Detector.module0()


def sample(kind, seed):
    segments = from_table(generate(kind, DETECTOR, 1, seed), kind)
    return segments, Simulation(DETECTOR, noise=True, seed=seed)(segments).hits


def found_in(hits):
    return find_through(hits, positions(hits, DETECTOR, DETECTOR.parameters), DETECTOR, [MUON])


def pieces(segments):
    """The nodes (n, 3) [cm] of each muon of the generator in each TPC."""
    for track in np.unique(segments.traj_id):
        for side in (-1, 1):
            own = (segments.traj_id == track) & (side * (segments.z_start + segments.z_end) > 0)
            if own.sum() > 1:
                start, end = (
                    np.stack([getattr(segments, axis + side)[own] for axis in "xyz"], axis=1)
                    for side in ("_start", "_end")
                )
                yield np.concatenate((start, end[-1:]))


@pytest.mark.slow
def test_cosmic_muons_are_found():
    segments, hits = sample("cosmics", 21)
    candidates, flow = found_in(hits)
    assert len(candidates) == flow.cuts[-1][1] > 0
    lines = list(pieces(segments))
    off = np.array([[nearest(one.seeds[0].points[3:-3], line)[0].max() for line in lines] for one in candidates])
    assert np.all(off.min(axis=1) < 0.25)
    of_line = off.argmin(axis=1).tolist()
    assert len(set(of_line)) == len(candidates)
    chords = [line[-1] - line[0] for line in lines]
    clear = [
        k
        for k, chord in enumerate(chords)
        if path_length(lines[k])[-1] > 1.5 * SHORTEST and abs(chord[2]) < 0.95 * STEEPEST * np.linalg.norm(chord)
    ]
    assert len(clear) >= 6 and len(set(clear) & set(of_line)) >= 0.8 * len(clear)
    for one in candidates:
        assert one.kind == THROUGH and one.measured.broad and one.seeds[0].fast
        assert len(np.unique(hits.tpc[one.rows])) == 1
        assert set(one.measured.masked) >= set(hits.pixel_id[hits.event_id == one.event]) - set(hits.pixel_id[one.rows])


@pytest.mark.slow
def test_stopping_tracks_are_none():
    assert (
        len(found_in(sample("stopping-protons", 4)[1])[0]) <= 1
    )  # a proton whose ends are near borders; its losses tell


def test_none_without_hits():
    hits = Simulation(DETECTOR)(from_table(generate("muons", DETECTOR, 1, 1), "muons")).hits.select(np.zeros(0, int))
    assert find_through(hits, np.zeros((0, 3)), DETECTOR, [MUON])[0] == []


def test_straight_line_in_spite_of_what_is_beside_it():
    rng = np.random.default_rng(1)
    along = np.linspace(0, 40, 90)
    direction = np.array([0.6, 0.0, 0.8])
    points = along[:, None] * direction + 0.1 * rng.standard_normal((90, 3))
    points[::9, 1] += 4.0
    line, near = straight_line(points)
    assert abs(line.direction @ direction) > 0.9999
    assert near.sum() == 80 and not near[::9].any()
    assert line.length == pytest.approx(40, abs=1)


def test_ends_at_the_borders():
    x, y = (DETECTOR.x_lo[0], DETECTOR.x_hi[0]), float(DETECTOR.y_lo[0] + 20)
    z = float(DETECTOR.z_anode[0] + DETECTOR.z_cathode[0]) / 2
    through, stops = ([[x[0] + 0.3, y, z], [end, y, z]] for end in (x[1] - 0.3, x[1] - 8))
    assert goes_through(np.array(through), DETECTOR, 0)
    assert not goes_through(np.array(stops), DETECTOR, 0)


def test_a_factor_of_all_losses():
    line = np.stack([np.linspace(0, 30, 60), np.zeros(60), np.zeros(60)], axis=1)
    track, eta = FastTrack.through(line, MUON, rho=RANGE, longest=0.5)
    mean, slopes = track.mean_losses(eta)
    assert mean.sum() / 30 == pytest.approx(2.44, abs=0.02)  # [MeV/cm] of a muon of some GeV
    for column, place in enumerate((LENGTH, RHO)):
        high, low = eta.copy(), eta.copy()
        high[place], low[place] = eta[place] + 1e-3, eta[place] - 1e-3
        assert (track.mean_losses(high)[0] - track.mean_losses(low)[0]) / 2e-3 == pytest.approx(
            slopes[:, column], rel=1e-5
        )
    eta[RHO] *= 1.04
    assert track.mean_losses(eta)[0] == pytest.approx(np.exp(0.04) * mean)
    value, _, _ = track.prior(eta)
    assert value - track.prior(np.where(np.arange(len(eta)) == RHO, RANGE.centre, eta))[0] == pytest.approx(0.5)


def test_truncated_mean_and_its_error():
    rng = np.random.default_rng(3)
    told = np.array([truncated_mean(rng.standard_normal(60)) for _ in range(3000)])
    assert told[:, 1].mean() == pytest.approx(told[:, 0].std(), rel=0.1)
    assert truncated_mean(np.arange(10.0)) == (pytest.approx(3.5), pytest.approx(1.0, rel=0.2))


def test_lifetime_by_hand():
    rng = np.random.default_rng(5)
    pulls = []
    for _ in range(200):
        time = rng.uniform(0, 190, 300)
        plain = plain_fit(Cells(time, 5e4 * np.exp(-time / 1500) * rng.lognormal(0.0, 0.12, 300)))
        pulls.append((plain.inverse - 1 / 1500) / plain.inverse_error)
    assert abs(np.mean(pulls)) < 0.25 and 0.8 < np.std(pulls) < 1.25
    assert plain_fit(Cells(time[:12], time[:12])) is None


def test_interval_of_a_lifetime():
    low, high = interval(1 / 1500, 1e-4)
    assert 1500 - low < high - 1500
    assert 1 / low - 1 / 1500 == pytest.approx(1 / 1500 - 1 / high) == pytest.approx(1e-4)
    assert interval(1e-4, 2e-4) == (pytest.approx(1 / 3e-4), np.inf)
