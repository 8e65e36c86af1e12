"""Reads that are vetoed between measured hits, whose resets the likelihood must know of."""

import numpy as np
import pytest
from helpers import make_segments
from pulls import assert_pulls_are_right
from trigger_runs import FIRST, HOLD, TICK, run

from lartpc.detector.detector import Detector
from lartpc.fit.calibrate import SIX, calibrate
from lartpc.fit.closure import closure
from lartpc.fit.target import Target
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.kernels.losses.reset_odds import reset_odds
from lartpc.losses.charges import lost_to_vetoes, make_charges
from lartpc.losses.probability import log_no_hit
from lartpc.losses.target import TargetHits
from lartpc.simulation.simulation import Simulation

AWAY = {"Ab": 0.82, "kb": 0.052, "eField": 0.51, "lifetime": 1500.0, "long_diff": 5e-6, "tran_diff": 7.5e-6}
S_R, S_U, THRESHOLD = 900.0, 500.0, 7000.0


def deposits(seed=1, n=12, box=4.0):
    """Large deposits of 1 cm close to each other: what one induces on a pixel comes before what another brings it."""
    rng = np.random.default_rng(seed)
    sides = (rng.uniform(-box / 2, box / 2, n) + 10.0 for _ in "xy")
    start = np.column_stack((*sides, rng.uniform(3.0, 28.0, n)))
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    dE = rng.uniform(3.0, 12.0, n)
    return make_segments(start, start + direction, dE=dE, dEdx=dE, t0=0.0, event_id=np.zeros(n, dtype=np.int64))


def muons(length, seed=3):
    """The first `length` cm of muons."""
    segments = from_table(generate("muons", Detector.module0(), events=8, seed=seed), "generated")
    sides = (getattr(segments, f"{k}_end") - getattr(segments, f"{k}_start") for k in "xyz")
    return segments.select(np.cumsum(np.sqrt(sum(side**2 for side in sides))) < length)


def test_without_noise_charges_reach_the_threshold_at_the_hits():
    simulation = Simulation(response="electrostatic")
    segments = deposits()
    batch = simulation.batch(segments)
    waveforms = simulation.waveforms(batch, simulation.vector())
    pixels = simulation.pixels(waveforms)
    target = TargetHits(simulation(segments).hits, simulation.detector).align(waveforms.windows, batch, np.float32)
    before = make_charges(waveforms, target, simulation.detector)[0]
    lost = lost_to_vetoes(waveforms, target, before, pixels.threshold, simulation.detector)
    used = np.arange(before.shape[1]) < target.count[:, None]
    off = (before - pixels.threshold[:, None])[used]
    assert np.abs(off).max() > 3000.0
    assert np.abs(off - lost[used]).max() < 5.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "segments", [deposits(), deposits(seed=0, box=2.0), muons(150.0)], ids=["near", "dense", "muons"]
)
def test_closure_without_noise(segments):
    start = Simulation(response="electrostatic")
    segments, target = closure(start, segments, start.parameters.replace(**AWAY), noise=False)
    result = calibrate(start, segments, target, SIX)
    assert result.converged
    np.testing.assert_allclose(result.values, result.truth, rtol=1e-4)


# --- with noise, on a current that rises, falls below 0 and rises again

LENGTH = 160


def current():
    """[e/us] of ticks: 9,000 e that go again, and 11,000 e that stay."""
    t = np.arange(LENGTH) + 0.5
    rise, fall, late = (np.exp(-0.5 * ((t - at) / 6.0) ** 2) for at in (25.0, 45.0, 110.0))
    return (9000.0 * (rise - fall) + 11000.0 * late) / (6.0 * np.sqrt(2.0 * np.pi) * TICK)


def odds(target, wave=None):
    """Outputs of `reset_odds` for pixels of a current, each with these hits: (tick, fraction) or none."""
    n, samples = len(target), LENGTH * len(target)
    arrays = {
        "waveform": np.tile(current() if wave is None else wave, n),
        "pixel": np.arange(n),
        "sample": LENGTH * np.arange(n),
        "pixel_window": np.arange(n + 1),
        "window_first": LENGTH * np.arange(n + 1),
        "window_tick": np.full(n, FIRST),
        "target_count": np.array([len(hits) for hits in target]),
        "target_tick": np.array([[hits[0][0] if hits else 0] for hits in target]),
        "target_fraction": np.array([[hits[0][1] if hits else 0.0] for hits in target]),
        "threshold": np.full(n, THRESHOLD),
        "tick": TICK,
        "hold_ticks": HOLD,
        "reset_cycles": 0,
        "reset_noise": S_R,
        "uncorrelated_noise": S_U,
    }
    outputs = {name: np.zeros((n, 1)) for name in ("lost", "excess")}
    outputs["log_silence"] = np.zeros(n)
    reset_odds(n, **arrays, **outputs, total=np.zeros(samples), weight=np.zeros(samples))
    return outputs


def test_odds_by_throwing_noise():
    """How often the trigger has no hit, and what charge brings its late hits, most of them after a vetoed read."""
    n = 20_000
    count, _, _, valid, tick, fraction = run(
        np.tile(current(), (n, 1)), np.full(n, THRESHOLD), np.float64, noise=(S_R, S_U, 0.0)
    )
    hit = (valid == 1) & (np.arange(valid.shape[1]) < count[:, None])
    silence = np.exp(odds([[]])["log_silence"][0])
    assert 0.2 < silence < 0.3
    assert np.mean(~hit.any(axis=1)) == pytest.approx(silence, abs=5.0 * np.sqrt(silence * (1.0 - silence) / n))

    rows = np.flatnonzero(hit.any(axis=1))
    at = hit[rows].argmax(axis=1)
    rows, at = rows[tick[rows, at] > FIRST + 90], at[tick[rows, at] > FIRST + 90]
    tick, fraction = tick[rows, at], fraction[rows, at]
    assert len(rows) > 1000
    charge = np.concatenate(([0.0], np.cumsum(current()) * TICK))
    z = (THRESHOLD - np.interp(tick - FIRST + fraction, np.arange(LENGTH + 1), charge)) / S_R
    found = odds([[hit] for hit in zip(tick, fraction, strict=True)])
    assert np.mean(z) < -2.0
    mean = z + found["lost"][:, 0] / S_R
    assert np.mean(mean) == pytest.approx(0.0, abs=0.2)
    assert np.std(mean) < 0.5 < np.std(z)
    assert np.isfinite(found["excess"]).all()


def silence_of(fall):
    """log of the probability of no hit where 9,000 e arrive and `fall` of it goes again, and P0 of 9,000 e."""
    t = np.arange(LENGTH) + 0.5
    rise, back = (np.exp(-0.5 * ((t - at) / 6.0) ** 2) for at in (25.0, 45.0))
    wave = (9000.0 * rise - fall * back) / (6.0 * np.sqrt(2.0 * np.pi) * TICK)
    return odds([[]], wave)["log_silence"][0], log_no_hit(np.array([THRESHOLD - wave.sum() * TICK]), S_R, S_U)[0][0]


def test_odds_go_to_those_of_charge_that_stays():
    """Falls that are rounding change nothing, and there is no step up to those that are all of the charge."""
    found, plain = silence_of(0.0)
    assert plain < -3.0
    assert found == pytest.approx(plain, abs=1e-6)
    assert silence_of(3.0)[0] == pytest.approx(plain, abs=1e-2)
    falls = np.geomspace(1.0, 9000.0, 200)
    values = np.array([silence_of(fall)[0] for fall in falls])
    assert values[-1] > -0.1
    assert np.abs(np.diff(values)).max() < 0.1


@pytest.mark.slow
def test_pulls_with_large_deposits():
    """Where vetoed reads reset pixels, errors of fits are those that the noise makes.

    That fits are not biased is for `test_closure_without_noise`: next to these errors biases are small.
    """
    segments = deposits()
    start = Simulation(response="electrostatic")
    truth = start.parameters.replace(**AWAY)

    def fit(seed):
        hits = Simulation(response="electrostatic", parameters=truth, noise=True, seed=seed)(segments).hits
        return calibrate(start, segments, Target(hits, truth=truth), SIX)

    assert_pulls_are_right(fit, repetitions=8)
