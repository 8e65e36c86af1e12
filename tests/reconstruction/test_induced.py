"""Hits beside the charge: whose they are, and that they are of its track."""

import numpy as np
import pytest

from lartpc import Detector, Hits, Simulation, generate
from lartpc.formats.edepsim import from_table
from lartpc.generator.stopping import PARTICLES
from lartpc.reconstruction.branches import find_branches
from lartpc.reconstruction.candidates import STOPPING, Candidate, Measured
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.induced import owners, with_beside
from lartpc.reconstruction.reconstruct import KNOWN, candidates_in


def line_of_hits(detector, n=10):
    """Charge along a row of pixels of TPC 1, and 9 us before it less on the row above; another hit far off in time."""
    pixel = detector.first_pixel[1] + 40 + np.arange(n) + detector.n_x[1] * 100
    pixel = np.concatenate((pixel, pixel + detector.n_x[1], pixel[:1] + 2 * detector.n_x[1]))
    tpc, ix, iy, x, y = detector.locate(pixel)
    time = np.concatenate((np.linspace(100.0, 104.0, n), np.linspace(91.0, 95.0, n), [60.0]))
    charge = np.concatenate((np.full(n, 5e4), np.full(n, 9e3), [9e3])).astype(np.float32)
    zero = np.zeros(len(pixel), dtype=np.int64)
    return Hits(zero, pixel, tpc, ix, iy, zero, x, y, detector.z_anode[tpc], time, charge, charge)


def test_a_hit_beside_more_charge_is_of_that():
    detector = Detector.module0()
    hits = line_of_hits(detector)
    found = owners(hits, detector)
    np.testing.assert_array_equal(found[:10], np.arange(10))
    assert np.all((found[10:20] >= 0) & (found[10:20] < 10))
    assert np.all(np.abs(hits.ix[found[10:20]] - hits.ix[10:20]) <= 1)
    assert found[20] == 20


def test_a_candidate_has_the_hits_beside_its_own_and_no_others():
    detector = Detector.module0()
    hits = line_of_hits(detector)
    owner = owners(hits, detector)
    main = np.unique(owner)
    one = Candidate(0, np.arange(10), STOPPING, Measured(hits.select(main[:10]), np.array([7])), ())
    whole = with_beside(hits, one, main, owner)
    np.testing.assert_array_equal(whole.rows, np.arange(20))
    np.testing.assert_array_equal(whole.measured.masked, [7, hits.pixel_id[20]])
    assert len(whole.measured.hits) == 20


@pytest.mark.slow
def test_tracks_are_found_where_pixels_see_charge_over_their_neighbours():
    detector = Detector.module0()
    segments = from_table(generate("stopping-protons", detector, 1, 9), "protons")
    simulation = Simulation(detector, response="electrostatic", noise=True, seed=9)
    hits = simulation(segments).hits
    found, _ = candidates_in(simulation, hits, ("proton",), KNOWN)
    assert sum(one.kind == STOPPING for one in found) >= 3
    beside = [one for one in found if np.any(one.measured.hits.charge < 1e4)]
    assert len(beside) == len(found)
    points = positions(hits, detector, simulation.parameters)
    assert len(find_branches(hits, points, detector, [PARTICLES[2212]])[0]) < len(found)
