"""Fits to hits with noise hits among them, and of pixels with a dead time, that is known and that is not."""

import json

import numpy as np
import pytest
from commands import lartpc_command, refusal, succeeds
from helpers import make_segments

from lartpc.detector.detector import Detector
from lartpc.fit.calibrate import calibrate
from lartpc.fit.compare import compare
from lartpc.fit.target import Target
from lartpc.formats.edepsim import from_table, write_segments
from lartpc.generator.generate import generate
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
TRUTH = Parameters(Ab=0.82, lifetime=1800.0)
FIT = ("Ab", "eField", "lifetime")
DEAD = Detector.module0().with_dead_time(2.0)


def steep(events=6, parts=25):
    """Muons nearly along the drift, an event each: several hits a pixel."""
    rng = np.random.default_rng(0)
    start = np.column_stack((rng.uniform(-25, 25, events), rng.uniform(-70, 30, events), rng.uniform(2, 4, events)))
    way = np.column_stack((rng.uniform(2, 5, events), rng.uniform(-5, 5, events), np.full(events, 22.0)))
    points = start[:, None] + way[:, None] * (np.arange(parts + 1) / parts)[None, :, None]
    energy = np.repeat(2.1 / parts * np.linalg.norm(way, axis=1), parts)
    ends = points[:, :-1].reshape(-1, 3), points[:, 1:].reshape(-1, 3)
    return make_segments(*ends, dE=energy, event_id=np.repeat(np.arange(events), parts))


@pytest.fixture(scope="module")
def muons():
    return from_table(generate("muons", Detector.module0(), events=1, seed=1), "muons")


@pytest.fixture(scope="module")
def segments():
    return steep()


@pytest.fixture(scope="module")
def dead(segments):
    """Hits of pixels with a dead time."""
    return Simulation(DEAD, TRUTH, noise=True, seed=1)(segments).hits


def pulls(result):
    return (result.values - result.truth) / result.errors


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("share", [0.01, 0.02])
def test_noise_hits_are_left_out(muons, share, rounded):
    clean = Simulation(parameters=TRUTH, noise=True, seed=2)(muons).summary.hits
    rate = share * clean / (78400 * 191.4e-6)
    made = Simulation(parameters=TRUTH, noise=True, seed=2, noise_hits=rate)(muons)
    assert abs(made.summary.noise_hits - share * clean) < 3.0 * np.sqrt(share * clean)
    result = calibrate(Simulation(), muons, Target(made.hits, truth=TRUTH, rounded=rounded), FIT)
    assert result.good, result.reasons
    assert result.verdicts[0].cleaning.noise == made.summary.noise_hits
    assert f"{made.summary.noise_hits} hits without charge" in str(result)
    assert (np.abs(pulls(result)) < 3.0).all()


def test_charge_counts_in_a_dead_time(segments, dead):
    hits = Simulation(parameters=TRUTH, noise=True, seed=1)(segments).hits
    assert len(dead) < 0.85 * len(hits)
    assert dead.charge.sum() == pytest.approx(hits.charge.sum(), rel=0.05)
    same = (np.diff(dead.pixel_id) == 0) & (np.diff(dead.event_id) == 0)
    assert np.diff(dead.t)[same].min() == pytest.approx(1.8 + 2.0, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
def test_a_dead_time_that_is_known(segments, dead, rounded):
    result = calibrate(Simulation(DEAD), segments, Target(dead, truth=TRUTH, rounded=rounded), FIT)
    assert result.good, result.reasons
    assert (np.abs(pulls(result)) < 3.0).all()


@pytest.mark.slow
def test_a_dead_time_that_is_not_known_shows(segments, dead):
    """At the true parameters, of hits that are all that there is."""
    verdict = compare(Simulation(parameters=TRUTH), segments, dead)
    assert not verdict.describes
    assert compare(Simulation(DEAD, TRUTH), segments, dead).describes


@pytest.mark.slow
def test_the_file_says_what_the_fit_must_know(tmp_path):
    files = tmp_path / "in.h5", tmp_path / "hits.h5"
    write_segments(files[0], steep(3))
    model = ("--dead-time", 2)
    succeeds("simulate", files[0], "-o", files[1], "--seed", 1, "--noise-hits", 0.05, *model)
    fit = ("calibrate", *files, "--fit", "Ab,lifetime", "-o", tmp_path / "fit")
    told = f"{files[1]}: was simulated with adc_busy_delay 20, the fit takes 0: allowed is the same, or --trust-me"
    assert refusal(*fit) == f"lartpc: {told} adc_busy_delay\n"
    done = lartpc_command(*fit, *model)
    assert done.exit_code == 0, done.output
    content = json.loads((tmp_path / "fit" / "fit.json").read_text())
    for name, truth in (("Ab", 0.8), ("lifetime", 2200.0)):
        row = content["parameters"][name]
        assert abs(row["value"] - truth) < 3.0 * row["error"]
    run = ("compare", *files, "--fit", tmp_path / "fit" / "fit.json", "-o", tmp_path / "verdict", "--overwrite")
    assert [lartpc_command(*run, *more).exit_code for more in ((), model)] == [1, 0]
    scan = ("scan", *files, "--over", "eField=0.499:0.501", "--points", "2")
    assert refusal(*scan, "-o", tmp_path / "a") == f"lartpc: {told} adc_busy_delay\n"
    both = (("a", ("--trust-me", "adc_busy_delay")), ("b", model))
    losses = [lartpc_command(*scan, *more, "-o", tmp_path / name) for name, more in both]
    assert losses[0].exit_code == losses[1].exit_code == 0 and losses[0].stdout != losses[1].stdout
