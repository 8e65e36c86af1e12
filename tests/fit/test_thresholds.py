"""Thresholds of single pixels, estimated from hits."""

import dataclasses

import numpy as np
import pytest
from samples import protons

from lartpc.data.selection import Cuts, lengths, selected
from lartpc.detector.detector import Detector
from lartpc.detector.digitization import charge_of
from lartpc.detector.pixelvalues import PixelValues, read_pixel_values, values_of
from lartpc.exceptions import InputError
from lartpc.files.npz import load_arrays
from lartpc.fit.calibrate import SIX, calibrate
from lartpc.fit.jointly import Combined, calibrate_with_thresholds
from lartpc.fit.optimizers import GaussNewton
from lartpc.fit.stage import Stage
from lartpc.fit.target import Target
from lartpc.fit.thresholds import check_ids, estimate_thresholds, population_of, with_detector, with_table
from lartpc.fit.unknowns import unknowns_of
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.goodness.cleaning import Cleaning
from lartpc.losses import thresholds as terms
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
NONE = np.zeros(0, dtype=np.int64)


def spread_out(share, seed):
    """Thresholds of all pixels of module0, each off by about this share of 7000 e."""
    ids = np.arange(Detector.module0().n_pixels)
    return PixelValues(ids, 7000.0 * np.random.default_rng(seed).normal(1.0, share, len(ids)), 7000.0)


def hits_with(table, segments, seed, **options):
    return Simulation(thresholds=table, noise=True, seed=seed, **options)(segments).hits


@pytest.mark.parametrize("spread", [0.0, 500.0])
def test_population_of_parabolas(spread):
    """Of pixels that are known with different errors, or not at all: mean and spread within three errors."""
    rng = np.random.default_rng(7)
    error = rng.choice([100.0, 400.0, 1500.0], 4000)
    measured = rng.normal(120.0, np.hypot(spread, error))
    curvature = np.append(1.0 / error**2, np.zeros(50))
    slope = curvature * np.append(0.0 - measured, np.zeros(50))  # at 0
    mean, found = population_of(np.zeros(len(slope)), slope, curvature)
    weight = 1.0 / (error**2 + spread**2)
    assert abs(mean - 120.0) < 3.0 / np.sqrt(weight.sum())
    assert abs(found**2 - spread**2) < 3.0 * np.sqrt(2.0 / np.sum(weight**2))


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_slopes_are_those_of_the_likelihood(rounded, monkeypatch):
    """Summed over the pixels, with the charges of all reads: its derivative by threshold_offset, there and elsewhere.

    Without the counts that hold a threshold, whose edge the likelihood puts there.
    """
    monkeypatch.setattr(terms, "SURE", -np.inf)
    segments, simulation = protons(2), Simulation()
    detector = simulation.detector
    hits = hits_with(spread_out(0.1, 1), segments, 1)
    _, low, high = charge_of(hits.adc, detector, hits.pixel_id)
    hits = hits.select((high < 6500.0) | (low > 8500.0)) if rounded else hits
    target = TargetHits(hits, detector, rounded)
    batches = simulation.batches(segments, whole=False)
    found = terms.join_terms([terms.threshold_terms(simulation, b, simulation.vector(), target) for b in batches])
    unknowns = unknowns_of(simulation, ("threshold_offset",))
    objective = Objective("likelihood", simulation, batches, target, unknowns)
    for shift in (0.0, 300.0, -700.0):
        expected = objective(np.array([shift])).gradient[0]
        assert found.slope(np.full(len(found.pixel), shift)).sum() == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_estimates_of_thresholds_that_differ(rounded, tmp_path):
    segments, table = protons(10), spread_out(0.1, 3)
    found = estimate_thresholds(Simulation(), segments, Target(hits_with(table, segments, 1), rounded=rounded))
    true = values_of(table, found.pixel)
    assert abs(found.spread - 700.0) < 3.0 * found.spread_error < 300.0
    pulls = (found.values - true) / found.errors
    for chosen in (found.informed, ~found.informed):
        n = int(chosen.sum())
        assert n > 100
        assert abs(pulls[chosen].mean()) < 3.5 / np.sqrt(n)
        assert abs(pulls[chosen].std() - 1.0) < 3.5 / np.sqrt(2 * n)
    own = found.informed
    assert np.corrcoef(found.values[own], true[own])[0, 1] > (0.6 if rounded else 0.75)
    assert found.errors[own].mean() < 0.75 * found.spread
    found.write(tmp_path / "thresholds.npz", Detector.module0())
    read = read_pixel_values(tmp_path / "thresholds.npz")
    np.testing.assert_array_equal(read.keys, found.pixel)
    np.testing.assert_allclose(read.values, found.values)
    assert read.default == pytest.approx(7000.0 + found.mean)
    assert load_arrays(tmp_path / "thresholds.npz", "an npz", "one")["errors"].shape == found.errors.shape


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_thresholds_that_are_all_the_same(rounded):
    """The spread is compatible with 0, and the mean is what they have in common."""
    segments, alike = protons(10), PixelValues(NONE, np.zeros(0), 7300.0)
    found = estimate_thresholds(Simulation(), segments, Target(hits_with(alike, segments, 2), rounded=rounded))
    assert found.spread < 3.0 * found.spread_error < 600.0
    assert abs(found.mean - 300.0) < 3.5 * found.mean_error < 300.0


@pytest.mark.slow
def test_given_thresholds_are_what_estimates_are_added_to():
    """And threshold_offset comes on top; a pixel that is off stays so, and has no estimate."""
    segments, table = protons(6), spread_out(0.1, 3)
    parameters = Simulation().parameters.replace(threshold_offset=400.0)
    hits = hits_with(table, segments, 1, parameters=parameters)
    off = np.unique(hits.pixel_id)[:2]
    simulation = Simulation(parameters=parameters, thresholds=table).without_pixels(off)
    found = estimate_thresholds(simulation, segments, hits)
    assert abs(found.mean) < 3.5 * found.mean_error and found.spread < 3.0 * found.spread_error
    assert not np.isin(off, found.table.keys).any()
    np.testing.assert_array_equal(found.applied(simulation.detector).unread, off)
    elsewhere = np.setdiff1d(table.keys, np.union1d(found.pixel, off))[:5]
    np.testing.assert_allclose(values_of(found.table, elsewhere), values_of(table, elsewhere) + found.mean)


def aim(segments, seed, rounded=False):
    hits = hits_with(spread_out(0.1, 100 + seed), segments, seed)
    return Target(hits, rounded=rounded, truth=Simulation().parameters)


@pytest.mark.slow
def test_with_thresholds_the_model_describes_the_target():
    """While with the same threshold for all pixels it does not."""
    segments = protons(5)
    plain = calibrate(Simulation(), segments, aim(segments, 0))
    assert not plain.good
    result, _ = calibrate_with_thresholds(Simulation(), segments, aim(segments, 0))
    assert result.good, str(result)
    assert result.mean_square == pytest.approx(1.0, abs=0.25)
    assert (result.errors > 1.05 * plain.errors).all()


@pytest.mark.slow
def test_six_parameters_and_thresholds_have_right_pulls():
    """Where Newton's method ends, on 100 cm of mixed particles."""
    every = from_table(generate("mixed", Detector.module0(), 40, 0), "generated")
    every = every.select(selected(every, Cuts()))
    segments = every.select(np.cumsum(lengths(every)) < 100.0)
    truth = Parameters(Ab=0.82, kb=0.055, eField=0.49, lifetime=1500.0, long_diff=5e-6, tran_diff=9.5e-6)
    true = np.array([truth.value(name) for name in SIX])
    simulation = with_detector(Simulation(), with_table(Detector.module0())).apart(SIX)
    pulls = []
    for seed in range(1, 16):
        hits = hits_with(spread_out(0.1, seed + 10), segments, seed, parameters=truth)
        fitted = unknowns_of(simulation, SIX), "likelihood", GaussNewton(), list
        joint = Combined(Stage(simulation, segments, Target(hits), *fitted), Cleaning())
        values = true
        for _ in range(3):
            found = joint.at(values, joint.thresholds(values))
            values = values + found.step
        pulls.append((values - true) / np.sqrt(np.diag(found.covariance)))
    mean, width = np.mean(pulls, axis=0), np.std(pulls, axis=0, ddof=1)
    assert (np.abs(mean) < 3.0 / np.sqrt(15)).all(), mean
    assert (np.abs(width - 1.0) < 3.0 / np.sqrt(30)).all(), width


@pytest.mark.slow
def test_parameters_and_thresholds_of_ticks_and_counts():
    segments = protons(5)
    result, found = calibrate_with_thresholds(Simulation(), segments, aim(segments, 0, rounded=True))
    assert result.good, str(result)
    assert (np.abs(result.values - result.truth) < 4.0 * result.errors).all(), str(result)
    assert abs(found.spread - 700.0) < 4.0 * found.spread_error


def test_refusals():
    simulation, segments = Simulation(), protons(1)
    hits = hits_with(spread_out(0.1, 1), segments, 1)
    with pytest.raises(InputError, match="thresholds: the target has no noise, allowed is one with noise"):
        estimate_thresholds(simulation, segments, Target(hits, noise=False))
    with pytest.raises(InputError, match="has hits of event 5, which the segments do not have"):
        estimate_thresholds(simulation, segments, dataclasses.replace(hits, event_id=hits.event_id * 0 + 5))
    with pytest.raises(InputError, match="threshold_offset: is what estimated thresholds have in common"):
        calibrate_with_thresholds(simulation, segments, hits, ("Ab", "threshold_offset.tpc1"))
    with pytest.raises(InputError, match="pixel ids of detector 2x2 are ambiguous in files"):
        check_ids(Detector.built_in("2x2"), None)
    check_ids(with_table(Detector.module0()), None)
