"""Simulations of several modules, each with a field and a lifetime of its own."""

import numpy as np
import pytest
from helpers import make_segments
from modules import OWN, TRUTH, TWO_BY_TWO, muons, of_module, tracks

from lartpc.charge.velocity import drift_velocities
from lartpc.exceptions import InputError
from lartpc.fit.unknowns import unknowns_of
from lartpc.formats.larndsim_columns import filled_segments
from lartpc.kernels.charge.drift import drift_velocity
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import COMMON, Parameters
from lartpc.settings import Settings
from lartpc.simulation.simulation import Simulation


@pytest.mark.slow
def test_a_segment_through_all_modules_is_cut_at_their_borders():
    """Along the drift axis through two modules of two TPCs: each has the fraction of the energy that is inside."""
    start, end = (33.5, 10.0, -80.0), (33.5, 10.0, 80.0)
    segments = make_segments(start, end, dE=160.0, dEdx=1.0)
    simulation = Simulation(TWO_BY_TWO, dtype=np.float64)
    steps = simulation.waveforms(simulation.batch(segments), simulation.vector()).steps
    electrons = np.bincount(steps.tpc, steps.electrons, 8)
    crossed = [0, 1, 4, 5]
    assert np.flatnonzero(electrons).tolist() == crossed
    np.testing.assert_allclose(electrons[crossed] / electrons.sum(), 0.25, rtol=1e-12)
    p, dE = Parameters(), 30.27225
    escaped = p.Ab / (1.0 + p.kb * 1.0 / (p.eField * p.lArDensity)) * dE * p.MeVToElectrons
    np.testing.assert_allclose(electrons[crossed], escaped, rtol=1e-12)


@pytest.mark.slow
def test_parts_of_an_event_are_the_same_bits_as_the_whole():
    segments = muons(TWO_BY_TWO, 1)
    segments = segments.select(np.arange(len(segments)) % 8 == 0)
    whole, parts = (
        Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=2, settings=Settings(steps_per_batch=n)) for n in (10**9, 1000)
    )
    chosen = parts.parts(parts.batch(segments))
    assert len(chosen) > 3
    assert sorted(v for _, part in chosen for v in part.wanted) == list(range(8))
    a, b = (simulation(segments, waveforms=True, attribution=True) for simulation in (whole, parts))
    for name in vars(a.hits):
        np.testing.assert_array_equal(getattr(a.hits, name), getattr(b.hits, name), err_msg=name)
    for name in vars(a.waveforms):
        np.testing.assert_array_equal(getattr(a.waveforms, name), getattr(b.waveforms, name), err_msg=name)
    for name, one, other in zip(a.attribution._fields, a.attribution, b.attribution, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    np.testing.assert_allclose(a.summary, b.summary, rtol=1e-12)
    assert a.summary[:3] == b.summary[:3] and 0 < a.summary.kept < len(segments)


@pytest.mark.slow
def test_a_likelihood_in_parts_is_that_of_the_whole():
    segments = tracks(TWO_BY_TWO)
    hits = Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=1)(segments).hits
    stray = hits.pixel_id.max() + 1000  # of a pixel that sees nothing
    hits = hits.select(np.append(np.arange(len(hits)), -1))
    hits.pixel_id[-1] = stray
    names = ("Ab", "eField.2", "lifetime.2")
    found = []
    for most in (10**9, 60):
        simulation = Simulation(TWO_BY_TWO, TRUTH, dtype=np.float64)
        batches = simulation.batches(segments, most, whole=False)
        objective = Objective(
            "likelihood", simulation, batches, TargetHits(hits, TWO_BY_TWO), unknowns_of(simulation, names)
        )
        found.append((len(batches), objective.at(TRUTH.vector(np.float64))))
    (one, whole), (several, parts) = found
    assert one == 1 and several > 3
    assert (whole.hits, whole.unmatched) == (parts.hits, parts.unmatched) == (len(hits) - 1, 1)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    np.testing.assert_allclose(parts.gradient, whole.gradient, rtol=1e-9)


# --- fields and lifetimes of modules


def test_each_module_is_simulated_with_its_own_values():
    """As a detector is that has them everywhere, to the bit."""
    segments = tracks(TWO_BY_TWO)
    hits = Simulation(TWO_BY_TWO, TRUTH, noise=True, seed=4)(segments).hits
    for m in range(4):
        alike = TRUTH.replace(eField=OWN[f"eField.{m}"], lifetime=OWN[f"lifetime.{m}"])
        assert alike.modules == {}
        expected = Simulation(TWO_BY_TWO, alike, noise=True, seed=4)(segments).hits
        found, expected = of_module(hits, TWO_BY_TWO, m), of_module(expected, TWO_BY_TWO, m)
        assert len(found) > 10
        for name, column in vars(found).items():
            np.testing.assert_array_equal(column, getattr(expected, name), err_msg=f"{name} of module {m}")


def test_filled_columns_are_by_the_velocity_of_the_module():
    segments = tracks(TWO_BY_TWO)
    result = Simulation(TWO_BY_TWO, TRUTH)(segments, attribution=True)
    table = filled_segments(segments, result.attribution, TWO_BY_TWO, TRUTH)
    middle = 0.5 * (segments.z_start + segments.z_end)
    distance = np.abs(middle - TWO_BY_TWO.z_anode[table["pixel_plane"]])
    v = np.array([drift_velocity(OWN[f"eField.{m}"], Parameters().table(1), 0) for m in range(4)])
    np.testing.assert_allclose(drift_velocities(TWO_BY_TWO, TRUTH), v, rtol=1e-12)
    np.testing.assert_allclose(table["t"], distance / v[TWO_BY_TWO.module[table["pixel_plane"]]], rtol=1e-5)


def test_modules_without_a_value_of_their_own_have_the_common_one():
    p = Parameters(lifetime=2000.0).replace(**{"lifetime.3": 1000.0, "eField.1": 0.48})
    assert p.names[len(COMMON) :] == ("eField.1", "lifetime.3")
    assert (p.value("lifetime.0"), p.value("lifetime.3"), p.value("eField.1")) == (2000.0, 1000.0, 0.48)
    table = p.table(4)
    np.testing.assert_array_equal(table[:, 3], [2000.0, 2000.0, 2000.0, 1000.0])
    np.testing.assert_array_equal(table[:, 2], [0.5, 0.48, 0.5, 0.5])
    assert p.replace(lifetime=1500.0).modules == {"eField.1": 0.48}
    assert p.replace(**p.as_dict()) == p
    assert p.apart(("lifetime.0", "Ab")).modules == {"eField.1": 0.48, "lifetime.0": 2000.0, "lifetime.3": 1000.0}
    acting = Simulation(TWO_BY_TWO, TRUTH).acting()
    assert "eField" not in acting and [name for name in acting if "." in name] == list(OWN)
    assert "eField" in Simulation(TWO_BY_TWO, p).acting()


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"eField.4": 0.5}, "parameter eField.4: the detector has no module 4, allowed are modules 0 to 3"),
        ({"lifetime.-1": 1e3}, "parameter lifetime.-1: not known, nearest is lifetime;"),
        ({"lifetime.x": 1e3}, "parameter lifetime.x: not known"),
        ({"lifetime.1": 1e3, "lifetime.01": 2e3}, "parameter lifetime.01: not known"),
        ({"lifetime." + 5000 * "9": 1e3}, "parameter lifetime.99999"),
        ({"kb.0": 0.05}, "parameter kb.0: not known, nearest is kb;"),
        ({"eField.0": 50.0}, "parameter eField.0: found 50.0, allowed is a number above 0 and up to 10 [kV/cm]"),
        ({"eField.0": None}, "parameter eField.0: found None"),
    ],
)
def test_wrong_values_of_modules_are_refused_in_one_line(values, what):
    with pytest.raises(InputError) as failure:
        Simulation(TWO_BY_TWO, Parameters().replace(**values))
    assert str(failure.value).startswith(what) and "\n" not in str(failure.value)
