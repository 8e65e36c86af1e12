"""Charge without a track model: derivatives of F, charge and place of blobs, and the command."""

import functools

import h5py
import numpy as np
import pytest
from commands import refusal, succeeds

from lartpc import Detector, Simulation, generate
from lartpc.data.hits import Hits
from lartpc.exceptions import InputError
from lartpc.formats.edepsim import from_table, read_segments, write_segments
from lartpc.reconstruction.blobs import blobs_of, reconstruct_voxels
from lartpc.reconstruction.voxelfit import VoxelLikelihood, blocks_of, prior_of
from lartpc.reconstruction.voxels import ASIDE, make_voxels
from tests.reconstruction.test_likelihood import by_differences

NONE = np.zeros(0, dtype=np.int64)


def row_of_hits(n, charge=2e4):
    """Hits on a row of n pixels of module0."""
    detector = Detector.module0()
    pixel = 30 + detector.n_x[0] * 40 + np.arange(n)
    tpc, ix, iy, x, y = detector.locate(pixel)
    zero = np.zeros(n)
    columns = {"event_id": np.full(n, 3), "pixel_id": pixel, "tpc": tpc, "ix": ix, "iy": iy, "x": x, "y": y}
    columns |= {"hit": np.zeros(n, dtype=np.int64), "z_anode": detector.z_anode[tpc], "t": 60.0 + 0.5 * np.arange(n)}
    return Hits(**columns, charge=np.full(n, charge, dtype=np.float32), adc=zero)


def voxels_of(hits, detector=None):
    detector = detector or Detector.module0()
    return make_voxels(hits, detector, detector.parameters, "birks", 2.1, NONE)


@functools.cache
def electrons():
    """Segments of two electrons, and their noisy hits."""
    detector = Detector.module0()
    segments = from_table(generate("electrons", detector, 1, 3), "electrons")
    segments = segments.select(segments.traj_id < np.unique(segments.traj_id)[2])
    return segments, Simulation(detector, noise=True, seed=3)(segments).hits


def test_voxels_of_a_row():
    hits = row_of_hits(4)
    voxels = voxels_of(hits)
    assert voxels.n_hits == 4 and {*voxels.blob} == {0} == {*voxels.block} and {*voxels.event} == {3}
    assert len(voxels.edges) == 3
    # After each hit one, above and below one each, and one at either end.
    assert len(voxels.mean) == 4 + 2 * 4 + 2
    assert len({*voxels.pixel}) == 4 + 10
    off = np.abs(voxels.middle[:4, 0] - hits.x)
    np.testing.assert_allclose(off, ASIDE * Detector.module0().pitch[0])
    charge = np.exp(voxels.start) * voxels.per_MeV * voxels.survival
    np.testing.assert_allclose(charge[:4], hits.charge, rtol=1e-6)


def test_pixels_that_nothing_reads_have_no_voxel():
    hits, detector = row_of_hits(4), Detector.module0()
    dead = hits.pixel_id[:1] - 1
    voxels = make_voxels(hits, detector, detector.parameters, "birks", 2.1, dead)
    assert len(voxels.mean) == len(voxels_of(hits).mean) - 1 and dead[0] not in voxels.pixel


def test_the_prior():
    voxels = voxels_of(row_of_hits(4))
    rng = np.random.default_rng(0)
    eta = np.concatenate((voxels.start, np.zeros(8))) + 0.1 * rng.normal(size=len(voxels.pixel) + 8)
    _, slope, curvature = prior_of(voxels, eta)
    expected = by_differences(lambda at: prior_of(voxels, at)[0], eta, np.full(len(eta), 1e-4))
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-6)
    bent = by_differences(lambda at: prior_of(voxels, at)[1] @ eta, eta, np.full(len(eta), 1e-4))
    np.testing.assert_allclose(curvature @ eta, bent, rtol=1e-6, atol=1e-6)


def test_refusals():
    with pytest.raises(InputError, match="^dEdx: found -1 MeV/cm, allowed is above 0"):
        reconstruct_voxels(Simulation(), row_of_hits(2), dEdx=-1.0)
    with pytest.raises(InputError, match="^recombination: found 'ellipsoid', but voxels have no angle"):
        reconstruct_voxels(Simulation(recombination="ellipsoid"), row_of_hits(2))


@pytest.mark.parametrize(
    "options, told",
    [
        (("--voxels", "--particle", "proton"), "--particle: found with --voxels, allowed is without it"),
        (("--voxels", "--t0-width", "1"), "--t0-width: found with --voxels"),
        (("--dEdx", "2"), "--dEdx: found without --voxels, allowed is with it"),
    ],
)
def test_options_that_contradict(tmp_path, options, told):
    assert told in refusal("reconstruct", tmp_path / "a.h5", "-o", tmp_path / "b.h5", *options)


@pytest.mark.slow
def test_the_gradient_is_that_of_the_value():
    simulation = Simulation(dtype=np.float64)
    hits = row_of_hits(3)
    block = blocks_of(voxels_of(hits), hits)[0]
    likelihood = VoxelLikelihood(simulation, simulation.parameters.vector(np.float64), [block], False)
    eta = block.start + 0.05 * np.random.default_rng(1).normal(size=len(block.start))
    near = likelihood.at([eta], [0])[0]
    expected = by_differences(lambda at: likelihood.at([at], [0])[0].value, eta, np.full(len(eta), 1e-4))
    np.testing.assert_allclose(near.gradient, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_electrons(tmp_path):
    """Charge and place of two electrons, from hits with noise, and what the command makes of them."""
    segments, hits = electrons()
    made = reconstruct_voxels(Simulation(), hits)
    blobs = blobs_of(made, Simulation(), hits, hits, {})
    table = blobs.table
    assert table["converged"].all() and (blobs.of_hits >= 0).all()
    freed = segments.dE / 23.6e-6 * 0.8 / (1 + 0.0486 * segments.dEdx / (0.5 * 1.38))
    assert table["charge"].sum() == pytest.approx(freed.sum(), rel=0.06)
    assert (table["charge_error"] < 0.05 * table["charge"])[table["pixels"] >= 10].all()
    total = table["charge"].sum()
    for axis in "xyz":
        # The file's x is the drift axis of segments as they are here.
        own = {"x": "z", "y": "y", "z": "x"}[axis]
        middle = 0.5 * (vars(segments)[f"{own}_start"] + vars(segments)[f"{own}_end"])
        assert np.sum(table[axis] * table["charge"]) / total == pytest.approx(middle @ freed / freed.sum(), abs=0.1)
    write_segments(tmp_path / "true.h5", segments)
    succeeds("simulate", tmp_path / "true.h5", "-o", tmp_path / "hits.h5", "--seed", "3")
    printed = succeeds("reconstruct", tmp_path / "hits.h5", "-o", tmp_path / "blobs.h5", "--voxels")
    assert f"{len(table)} blobs" in printed
    with h5py.File(tmp_path / "blobs.h5") as file:
        assert len(file["voxels"]) == len(file["segments"]) == len(read_segments(tmp_path / "blobs.h5"))
        np.testing.assert_allclose(file["blobs"]["charge"], table["charge"], rtol=0.01)
