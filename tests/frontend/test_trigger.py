import json

import numpy as np
import pytest
from checks import RANDOM, assert_agree, check
from trigger_runs import BLOCK, EVENT, FIRST, HOLD, SEED, TICK, draws, run

from lartpc.formats.edepsim import read_segments
from lartpc.kernels.runtime.random import FURTHEST, draw, draw_tick
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

FRONT_ENDS = {
    "reset": {"reset_cycles": 3},
    "busy": {"adc_busy_delay": 9},
    "discriminator": {"discriminator_noise": 650.0},
    "all": {"reset_cycles": 1, "adc_busy_delay": 9, "discriminator_noise": 650.0},
    "periodic": {"periodic_reset_cycles": 64},
    "all, often": {"reset_cycles": 1, "adc_busy_delay": 25, "discriminator_noise": 650.0, "periodic_reset_cycles": 16},
}


def slow_reads(current, threshold, max_hits, draws, tick=TICK, hold=HOLD, reset_cycles=0, busy=0):
    """Times and charges of the reads of one pixel, from the cumulative charge Q(t) of the whole waveform."""
    Q = np.concatenate(([0.0], np.cumsum(current * tick)))
    t = tick * (FIRST - 1 + np.arange(len(Q)))
    times, charges = [], []
    last, free = t[0], t[0]  # end of the last reset, and from when the threshold can be crossed
    for reset, readout in draws[:max_hits]:
        target = np.interp(last, t, Q) + threshold - reset
        if target > Q[-1]:
            break
        k = np.searchsorted(Q, target)
        waits = np.interp(free, t, Q) >= target
        crossing = free if waits else np.interp(target, Q[k - 1 : k + 1], t[k - 1 : k + 1])
        end = crossing + hold * tick
        times.append(crossing)
        charges.append(np.interp(end, t, Q) - np.interp(last, t, Q) + reset + readout)
        last = end + reset_cycles * tick
        free = last + busy * tick * (charges[-1] >= threshold)
    return np.array(times), np.array(charges)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [(0.0, 0.0), (900.0, 500.0), (900.0, 4000.0)])
@pytest.mark.parametrize("max_hits, reset_cycles, busy", [(3, 0, 0), (7, 0, 0), (7, 3, 0), (7, 0, 9), (7, 1, 25)])
def test_reads_are_those_of_the_cumulative_charge(dense, noise, max_hits, reset_cycles, busy):
    threshold = np.random.default_rng(2).uniform(1e3, 3e4, len(dense))
    front_end = {"reset_cycles": reset_cycles, "busy": busy}
    count, time, charge, valid, tick, fraction = run(
        dense, threshold, np.float64, max_hits, noise=(*noise, 0.0), **front_end
    )
    vetoed = 0
    for i, row in enumerate(dense):
        times, charges = slow_reads(row, threshold[i], max_hits, draws(i, noise, max_hits), **front_end)
        n = len(times)
        assert count[i] == n
        np.testing.assert_allclose(time[i, :n], times, rtol=0, atol=1e-9)
        np.testing.assert_allclose(charge[i, :n], charges, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(valid[i, :n], charges >= threshold[i])
        np.testing.assert_allclose((tick - 1 + fraction)[i, :n] * TICK, times, rtol=0, atol=1e-9)
        vetoed += (charges < threshold[i]).sum()
    assert (count == max_hits).sum() > 10 and (count < max_hits).sum() > 10
    assert (vetoed > 50) == (noise[1] == 4000)


def slow_noisy_reads(current, threshold, max_hits, draws, pixel, sigma, reset_cycles, busy):
    """Times, charges and whether they are valid, with a threshold for each tick of the blocks with current."""
    Q = np.concatenate(([0.0], np.cumsum(current * TICK)))
    t = np.arange(len(Q)) + FIRST - 1.0  # [ticks]
    full = np.repeat(current.reshape(-1, BLOCK).any(axis=1), BLOCK)
    noise = [np.multiply(draw_tick(SEED, EVENT, pixel, k, 1.0), sigma) for k in range(FIRST, FIRST + len(Q) + 200)]
    limits = [threshold + (noise[k][0] if full[k] else 0.0) for k in range(len(current))]
    found = []
    last, free = t[0], t[0]
    for reset, readout in draws[:max_hits]:
        start = reset - np.interp(last, t, Q)  # level less cumulative charge
        for k in range(len(current) + 1):
            low, high = t[k], t[k + 1] if k < len(current) else np.inf
            if high <= free:
                continue
            low = max(low, free)
            limit = limits[k] if k < len(current) else threshold
            at_low, at_high = (start + np.interp(at, t, Q) for at in (low, high))
            if at_low >= limit or at_high >= limit:
                break
        else:
            break
        crossing = low if at_low >= limit else low + (high - low) * (limit - at_low) / (at_high - at_low)
        end = crossing + HOLD
        charge = start + np.interp(end, t, Q) + readout
        tick = k if k < len(current) else int(np.floor(low)) + 1 - FIRST  # the one that begins where it crosses at once
        valid = charge >= threshold + noise[tick + HOLD][1]
        found.append((crossing * TICK, charge, valid))
        last = end + reset_cycles
        free = last + busy * valid
    return found


@pytest.mark.slow
@pytest.mark.parametrize("reset_cycles, busy", [(0, 0), (1, 9)])
def test_noise_of_the_discriminator(dense, reset_cycles, busy):
    """A threshold for each tick; where there is no current, the one of the pixel."""
    noise = (900.0, 500.0, 1500.0)
    some, threshold = dense[:60], np.full(60, 8e3)
    front_end = {"reset_cycles": reset_cycles, "busy": busy}
    count, time, charge, valid, *_ = run(some, threshold, np.float64, 7, noise=noise, **front_end)
    without = run(some, threshold, np.float64, 7, noise=(*noise[:2], 0.0), **front_end)
    vetoed, below = 0, 0
    for i, row in enumerate(some):
        found = slow_noisy_reads(row, 8e3, 7, draws(i, noise[:2], 7), i, noise[2], reset_cycles, busy)
        assert count[i] == len(found)
        if found:
            times, charges, good = zip(*found, strict=True)
            np.testing.assert_allclose(time[i, : len(found)], times, rtol=0, atol=1e-9)
            np.testing.assert_allclose(charge[i, : len(found)], charges, rtol=0, atol=1e-5)
            np.testing.assert_array_equal(valid[i, : len(found)], good)
            vetoed += np.sum(~np.array(good))
            below += np.sum(np.array(good) & (np.array(charges) < 8e3))
    assert vetoed > 5 and below > 2
    first = (count > 0) & (without[0] > 0)
    # Of many comparisons the lowest threshold counts: noise makes hits earlier.
    assert np.mean(time[first, 0] < without[1][first, 0]) > 0.6


def test_noise_of_ticks():
    """Standard normal, none further than the bound below which none is drawn, and other than that of the reads."""
    values = np.array([draw_tick(SEED, EVENT, 7, k, 1.0) for k in range(-2000, 2000)])
    assert np.abs(values.mean(axis=0)).max() < 0.06 and np.abs(values.std(axis=0) - 1.0).max() < 0.05
    assert np.abs(np.corrcoef(values.T)[0, 1]) < 0.06
    assert np.sqrt(-2.0 * np.log(2.0**-25)) < FURTHEST
    reads = np.array([draw(SEED, EVENT, 7, k, 1.0) for k in range(2000)])
    assert np.abs(np.corrcoef(reads[:, 0], values[2000:, 0])[0, 1]) < 0.08


def test_single_precision_agrees(dense):
    threshold = np.full(len(dense), 7e3)
    count, time, charge, *_ = run(dense, threshold, np.float64)
    count32, time32, charge32, *_ = run(dense, threshold, np.float32)
    same = count == count32
    assert same.mean() > 0.99
    np.testing.assert_allclose(time32[same], time[same], rtol=0, atol=5e-3)
    np.testing.assert_allclose(charge32[same], charge[same], rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_crossing_at_a_tick_belongs_to_that_tick(dtype):
    """1000 e a tick; threshold 3000 e is reached at the end of the third tick, read 2 ticks later, and so on."""
    dense = np.full((1, 2 * BLOCK), 8000.0)
    count, time, charge, valid, tick, fraction = run(dense, np.array([3000.0]), dtype, tick=0.125, hold=2)
    assert count[0] == 3
    assert time[0, :3].tolist() == [(FIRST + k) * 0.125 for k in (2, 7, 12)]
    assert charge[0, :3].tolist() == [5000.0, 5000.0, 5000.0]
    assert valid[0, :3].tolist() == [1, 1, 1]


def test_hold_goes_on_over_a_gap_and_past_the_end():
    dense = np.zeros((1, 6 * BLOCK))
    dense[0, 4], dense[0, 2 * BLOCK], dense[0, 5 * BLOCK + 7] = 5e4, 2e4, 8e4  # 5000, 2000 and 8000 e
    count, time, charge, *_ = run(dense, np.array([4000.0]), np.float64)
    assert count[0] == 2
    np.testing.assert_allclose(time[0, :2], TICK * (FIRST + np.array([3.8, 5 * BLOCK + 6.5])), rtol=0, atol=1e-12)
    np.testing.assert_allclose(charge[0, :2], [7000.0, 8000.0])


def test_noise_depends_on_seed_event_pixel_and_read_alone(dense):
    threshold, noise = np.full(len(dense), 7e3), (900.0, 500.0, 650.0)
    whole = run(dense, threshold, np.float32, noise=noise)
    again = run(dense[::-1], threshold, np.float32, noise=noise, ids=np.arange(len(dense))[::-1])
    for a, b in zip(whole, again, strict=True):
        np.testing.assert_array_equal(a, b[::-1])
    other = run(dense, threshold, np.float32, noise=noise, seed=SEED + 1)
    assert (other[2] != whole[2])[:, 0].mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("track", [0, 1])
def test_reference_hits(reference, track):
    content = json.loads((reference / "reference/hits.json").read_text())[track]
    arrays = np.load(reference / "reference/hits.npz")
    segments = read_segments(reference / "data/mixed-particles.edep.h5")
    of_track = (segments.event_id == content["eventID"]) & (segments.traj_id == content["trackID"])
    segments = segments.select(of_track)
    kept = [s["dE"] for s in content["segments"]]
    segments = segments.select(np.isin(segments.dE, np.array(kept, dtype=np.float32)))
    assert len(segments) == len(kept)
    hits = Simulation(parameters=Parameters(**content["theta"]))(segments).hits
    expected = arrays[f"hits_{track}"]
    pixel = arrays[f"pixels_{track}"][expected[:, 0].astype(int)]
    order = np.lexsort((expected[:, 1], pixel[:, 0], pixel[:, 1]))
    assert set(hits.tpc) == {content["plane"]}
    np.testing.assert_array_equal(np.stack((hits.ix, hits.iy), axis=1), pixel[order])
    np.testing.assert_allclose(hits.t, expected[order, 1], rtol=0, atol=5e-3)
    np.testing.assert_allclose(hits.charge, expected[order, 2], rtol=1e-3)


@pytest.mark.parametrize("front_end", FRONT_ENDS.values(), ids=FRONT_ENDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_inputs_of_a_front_end(front_end, seed):
    assert_agree(check("trigger", RANDOM["trigger"](np.random.default_rng(seed), **front_end)))
