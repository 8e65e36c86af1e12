"""Gradients by the fields and lifetimes of modules."""

import dataclasses

import numpy as np
import pytest
from modules import OWN, TRUTH, TWO_BY_TWO, tracks

from lartpc.fit.unknowns import unknowns_of
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.simulation.simulation import Simulation


@pytest.mark.slow
@pytest.mark.parametrize("names", [("eField.0", "lifetime.2"), ("eField.2", "lifetime.1"), ("eField", "lifetime")])
def test_gradients_by_values_of_modules(names, one_thread):
    """Against central differences to 1e-5, Taylor slope 2; the common ones of modules 1 to 3 where 0 has its own."""
    parameters = (
        TRUTH if "." in names[0] else TRUTH.replace(eField=0.5, lifetime=2e3, **{"eField.0": 0.49, "lifetime.0": 1e3})
    )
    simulation = Simulation(TWO_BY_TWO, parameters, dtype=np.float64, settings=SMOOTH)
    report = gradcheck(simulation, tracks(TWO_BY_TWO, length=4), names)
    assert report.hits > 30 and {row.parameter for row in report.rows} == set(names)
    assert report.passed, [row for row in report.rows if not row.passed]


def test_hits_come_earlier_with_more_field_in_their_own_module():
    segments = tracks(TWO_BY_TWO)
    simulation = Simulation(TWO_BY_TWO, TRUTH, dtype=np.float64)
    trace = Trace(simulation, simulation.batch(segments))
    used = np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]
    module = TWO_BY_TWO.module[TWO_BY_TWO.locate(trace.waveforms.windows.pixel)[0]]
    for m in range(4):
        here = used & (module == m)[:, None]
        found = trace.backward(time=here.astype(np.float64) / here.sum()).parameters
        assert found[f"eField.{m}"] < -50.0  # of a drift of some 30 to 150 us, with d(ln v)/d(ln E) near 0.6
        others = [found[name] for name in OWN if not name.endswith(f".{m}")]
        assert not np.any(others) and found["eField"] == found["lifetime"] == 0.0
        found = trace.backward(charge=here.astype(np.float64)).parameters
        assert found[f"lifetime.{m}"] > 0.0 and found[f"eField.{m}"] > 0.0


def test_the_gradient_of_a_common_value_is_the_sum_over_the_modules():
    segments = tracks(TWO_BY_TWO)
    common = Simulation(TWO_BY_TWO, dtype=np.float64)
    found = []
    for simulation in (common, common.apart(OWN)):
        trace = Trace(simulation, simulation.batch(segments))
        found.append(trace.backward(current=trace.waveforms.current).parameters)
    for name in ("eField", "lifetime"):
        assert sum(found[1][f"{name}.{m}"] for m in range(4)) == pytest.approx(found[0][name], rel=1e-12)
    for name in ("Ab", "long_diff", "temperature"):
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["likelihood", "matched"])
def test_derivatives_of_a_fit_by_values_of_modules(kind, one_thread):
    """The Jacobian of all residuals, by the adjoints pixel by pixel, against differences."""
    segments = tracks(TWO_BY_TWO, length=3)
    hits = Simulation(TWO_BY_TWO, TRUTH)(segments).hits
    simulation = Simulation(TWO_BY_TWO, TRUTH, dtype=np.float64, settings=SMOOTH)
    names = ("eField.1", "lifetime.2", "kb")
    objective = Objective(
        kind, simulation, simulation.batches(segments), TargetHits(hits, TWO_BY_TWO), unknowns_of(simulation, names)
    )
    vector = TRUTH.vector(np.float64)
    linear = objective.at(vector)
    assert linear.hits > 30 and (np.abs(linear.jacobian).max(axis=0) > 0.0).all()
    for k, name in enumerate(names):
        h = 1e-8 * TRUTH.value(name)
        ends = []
        for sign in (1.0, -1.0):
            moved = vector.copy()
            moved[TRUTH.names.index(name)] += sign * h
            ends.append(objective.at(moved).residual)
        difference = (ends[0] - ends[1]) / (2.0 * h)
        scale = np.abs(difference).max()
        # a read that is just about to move to another tick has a kink there
        off = np.abs(linear.jacobian[:, k] - difference) > 1e-5 * scale
        assert off.mean() < 0.02, (name, off.sum())


def test_gradients_of_events_by_values_of_modules():
    """Of each event, the gradient of a common value is the sum of those of the modules; each module counts."""
    segments = tracks(TWO_BY_TWO, length=3)
    segments = dataclasses.replace(segments, event_id=np.arange(len(segments)) % 2)
    target = TargetHits(Simulation(TWO_BY_TWO, TRUTH)(segments).hits, TWO_BY_TWO)
    common, found = Simulation(TWO_BY_TWO, dtype=np.float64), []
    for simulation, names in ((common, ("eField", "lifetime", "kb")), (common.apart(OWN), (*OWN, "kb"))):
        objective = Objective("mmd", simulation, simulation.batches(segments), target, unknowns_of(simulation, names))
        found.append(objective.at(simulation.parameters.vector(np.float64)).gradients)
    assert len(found[0]) > 1 and np.abs(found[1]).max(axis=0).all()
    fields, lifetimes, kb = np.split(found[1], [4, 8], axis=1)
    sums = np.stack((fields.sum(axis=1), lifetimes.sum(axis=1), kb[:, 0]), axis=1)
    np.testing.assert_allclose(sums, found[0], rtol=1e-9)
