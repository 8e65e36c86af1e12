"""Recombination that depends on the angle between track and field (ellipsoidal modified Box)."""

import json

import numpy as np
import pytest
from commands import succeeds
from helpers import make_segments
from samples import SPECIAL, generated, special
from traces import smooth

from lartpc.fit.calibrate import calibrate
from lartpc.fit.target import Target
from lartpc.gradients.gradcheck import gradcheck
from lartpc.gradients.trace import Trace
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

OWN = ("alpha_emb", "beta_90", "R_anisotropy")


def electrons(segments, dtype=np.float64, recombination="ellipsoid", **values):
    """Electrons of each segment [e]."""
    simulation = Simulation(parameters=Parameters(**values), recombination=recombination, dtype=dtype)
    steps = simulation.waveforms(simulation.batch(segments), simulation.vector()).steps
    return np.bincount(steps.segment, steps.electrons, len(segments))


def pointing(angle, turn, dEdx=3.0, length=0.4):
    """Segments of 1 MeV in module0 at `angle` to the drift axis and turned about it, both in degrees."""
    angle, turn, dEdx = np.broadcast_arrays(*np.atleast_1d(angle, turn, dEdx))
    phi, psi = np.radians(angle), np.radians(turn)
    along = np.stack((np.sin(phi) * np.cos(psi), np.sin(phi) * np.sin(psi), np.cos(phi)), axis=1)
    return make_segments(np.full((len(phi), 3), (3.0, 5.0, 12.0)), (3.0, 5.0, 12.0) + length * along, dEdx=dEdx)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", [{}, {"alpha_emb": 0.95, "beta_90": 0.21, "R_anisotropy": 1.4, "eField": 0.46}])
def test_formula(values, dtype):
    """ICARUS, JINST 20 (2025) P01033: by the angle itself, not by its cosine."""
    rng = np.random.default_rng(0)
    angle, dEdx = rng.uniform(0.0, 180.0, 40), rng.uniform(1.5, 30.0, 40)
    p, phi = Parameters(**values), np.radians(angle)
    beta = p.beta_90 / np.hypot(np.sin(phi), np.cos(phi) / p.R_anisotropy)
    xi = beta * dEdx / (p.lArDensity * p.eField)
    expected = p.MeVToElectrons * np.log(p.alpha_emb + xi) / xi
    found = electrons(pointing(angle, rng.uniform(0.0, 360.0, 40), dEdx), dtype, **values)
    np.testing.assert_allclose(found, expected, rtol=2e-5 if dtype == np.float32 else 1e-12)


def test_more_recombine_along_the_field_and_more_so_where_the_track_is_dense():
    """By hand: R = 0.6686 and 0.6796 at 2.1 MeV/cm, 0.2863 and 0.3246 at 20 MeV/cm."""
    R = electrons(pointing([0.0, 90.0, 0.0, 90.0], 0.0, [2.1, 2.1, 20.0, 20.0])) / 42370
    np.testing.assert_allclose(R, [0.6686, 0.6796, 0.2863, 0.3246], rtol=3e-4)


def test_across_the_field_and_without_anisotropy_it_is_the_box():
    box = {"recombination": "box", "alpha": 0.904, "beta": 0.204}
    across = pointing(90.0, np.arange(0.0, 360.0, 30.0), 8.0)
    np.testing.assert_allclose(electrons(across), electrons(across, **box), rtol=1e-12)
    every = pointing(np.arange(0.0, 181.0, 15.0), 40.0, 8.0)
    np.testing.assert_allclose(electrons(every, R_anisotropy=1.0), electrons(every, **box), rtol=1e-12)
    assert (electrons(every)[:6] < electrons(every, **box)[:6]).all()
    point = make_segments((3.0, 5.0, 12.0), (3.0, 5.0, 12.0), dEdx=8.0)
    assert electrons(point) == electrons(point, **box)


def test_the_angle_has_no_sign_and_the_axis_no_side():
    both = pointing([30.0, 150.0, 30.0], [0.0, 0.0, 77.0], 8.0)
    np.testing.assert_allclose(electrons(both), electrons(both)[0], rtol=1e-12)


# --- gradients

COLUMNS = ("start", "end", "dE", "dEdx")


def loss(trace):
    return np.sum(trace.waveforms.current**2) / 1e6


def gradient(trace):
    return trace.backward(current=2e-6 * trace.waveforms.current)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["generated", *(name for name in SPECIAL if name != "zero length")])
@pytest.mark.parametrize("column", COLUMNS)
def test_gradient_by_segments(name, column, one_thread):
    """Central difference, and slope of the Taylor remainder, along a random direction of all segments together."""
    segments = generated(3) if name == "generated" else make_segments(*SPECIAL[name], dE=3.0, dEdx=4.0, t0=0.73)
    simulation = smooth(recombination="ellipsoid")
    batch = simulation.batch(segments)
    values = getattr(batch, column)
    direction = np.random.default_rng(0).normal(size=values.shape)

    def at(h):
        return loss(Trace(simulation, batch._replace(**{column: values + h * direction})))

    trace = Trace(simulation, batch)
    slope = np.sum(getattr(gradient(trace), column) * direction)
    assert (at(1e-6) - at(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-5)
    # Of positions the steps are so small that no number of steps changes.
    steps = 10.0 ** -np.arange(5.0, 6.1, 0.25) * (1.0 if column in ("start", "end") else 1e3)
    remainder = np.array([abs(at(h) - loss(trace) - h * slope) for h in steps])
    assert np.median(np.diff(np.log(remainder)) / np.diff(np.log(steps))) == pytest.approx(2.0, abs=0.1)


def test_a_segment_of_no_length_has_the_gradient_of_the_box():
    """It is perpendicular whichever way it is moved."""
    simulation = smooth(recombination="ellipsoid")
    batch = simulation.batch(special())
    point = (batch.start == batch.end).all(axis=1)
    assert np.count_nonzero(point) == 1
    box = smooth(recombination="box", parameters=Parameters(alpha=0.904, beta=0.204))
    found, expected = (gradient(Trace(s, batch.select(point))) for s in (simulation, box))
    for name in COLUMNS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    assert found.parameters["R_anisotropy"] == 0.0 != found.parameters["beta_90"]


@pytest.mark.slow
def test_gradient_by_parameters(one_thread):
    names = (*OWN, "eField", "lArDensity")
    report = gradcheck(smooth(recombination="ellipsoid"), generated(3), names)
    assert report.passed and {row.parameter for row in report.rows} == set(names)
    assert all(row.adjoint != 0.0 for row in report.rows)


# --- fits and the command line


@pytest.mark.slow
def test_closure():
    """A fit of the three to hits without noise finds them."""
    truth = Parameters(alpha_emb=0.92, beta_90=0.212, R_anisotropy=1.35)
    segments = generated(40, events=2)
    simulation = Simulation(parameters=truth, recombination="ellipsoid")
    target = Target(simulation(segments).hits, noise=False, truth=truth)
    fit = calibrate(Simulation(recombination="ellipsoid"), segments, target, OWN)
    assert fit.converged
    np.testing.assert_allclose(fit.values, fit.truth, rtol=2e-4)


@pytest.mark.slow
def test_commands(tmp_path, compiled):
    segments, hits = tmp_path / "s.h5", tmp_path / "h.h5"
    succeeds("generate", "mixed", "-o", segments, "--events", 1)
    model = ("--recombination", "ellipsoid")
    succeeds("simulate", segments, "-o", hits, *model, "--noise")
    succeeds("gradcheck", *model, "--fit", "R_anisotropy,beta_90")
    told = succeeds("errors", segments, *model, "--fit", "beta_90,R_anisotropy")
    assert "R_anisotropy" in told
    succeeds("calibrate", segments, hits, "-o", tmp_path / "fit", *model, "--fit", "beta_90,R_anisotropy")
    fit = json.loads((tmp_path / "fit" / "fit.json").read_text())["parameters"]
    for name, value in (("beta_90", 0.204), ("R_anisotropy", 1.25)):
        assert abs(fit[name]["value"] - value) < 5.0 * fit[name]["error"] < 0.2 * value


def test_little_dEdx_is_taken_for_1_MeV_per_cm():
    angle = np.array([0.0, 45.0, 90.0])
    at_one = electrons(pointing(angle, 0.0, 1.0))
    for dEdx in (0.0, 0.5):
        np.testing.assert_array_equal(electrons(pointing(angle, 0.0, dEdx)), at_one)
    assert (electrons(pointing(angle, 0.0, 1.5)) > at_one).all()
