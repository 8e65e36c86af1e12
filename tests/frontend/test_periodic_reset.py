"""Periodic resets of pixels that are not read, against their definition from the cumulative charge."""

import numpy as np
import pytest
from front_ends import end_on
from helpers import attributed, make_segments, one_tpc
from traces import smooth
from trigger_runs import BLOCK, EVENT, FIRST, HOLD, SEED, TICK, draws, run

from lartpc.exceptions import InputError
from lartpc.fit.compare import compare
from lartpc.fit.forecast import forecast
from lartpc.fit.target import Target
from lartpc.kernels.runtime.random import draw_reset, reset_phase
from lartpc.simulation.simulation import Simulation


def phases(n, cycles):
    return [int(reset_phase(SEED, EVENT, pixel, cycles)) for pixel in range(n)]


def slow_reads(current, threshold, max_hits, noises, pixel, sigma, cycles, reset_cycles, busy):
    """Times [us] and charges of the reads of one pixel."""
    Q = np.concatenate(([0.0], np.cumsum(current * TICK)))
    t = np.arange(len(Q)) + FIRST - 1.0  # [ticks]
    phase = int(reset_phase(SEED, EVENT, pixel, cycles))
    resets = [k for k in range(FIRST, FIRST + len(current) + 1) if (k - phase) % cycles == 0]
    found = []
    last = free = t[0]
    for reset, readout in noises[:max_hits]:
        level = reset - np.interp(last, t, Q)  # less the cumulative charge
        low, crossing = last, None
        for at in [*(k for k in resets if k - 1 >= np.ceil(last)), np.inf]:
            high = min(at - 1.0, t[-1])
            begin = max(low, free)
            if begin <= high and level + np.interp(begin, t, Q) >= threshold:
                crossing = begin
            elif begin < high and level + np.interp(high, t, Q) >= threshold:
                k = np.searchsorted(Q, threshold - level)
                crossing = np.interp(threshold - level, Q[k - 1 : k + 1], t[k - 1 : k + 1])
            if crossing is not None or at > t[-1]:
                break
            level = sigma * draw_reset(SEED, EVENT, pixel, at, 1.0) - np.interp(at, t, Q)
            low = float(at)
        if crossing is None:
            break
        end = crossing + HOLD
        charge = level + np.interp(end, t, Q) + readout
        found.append((crossing * TICK, charge))
        last = end + reset_cycles
        free = last + busy * (charge >= threshold)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("cycles, reset_cycles, busy", [(64, 0, 0), (16, 0, 0), (24, 1, 9), (16, 3, 40)])
def test_reads_begin_anew_after_each_reset(dense, cycles, reset_cycles, busy):
    some = dense[:120]
    threshold = np.random.default_rng(2).uniform(6e3, 3e4, len(some))  # further than the noise of a reset goes
    front_end = {"reset_cycles": reset_cycles, "busy": busy, "noise": (900.0, 500.0, 0.0)}
    count, time, charge, *_ = run(some, threshold, np.float64, 7, periodic=cycles, **front_end)
    without = run(some, threshold, np.float64, 7, **front_end)
    for i, row in enumerate(some):
        noises = draws(i, (900.0, 500.0), 7)
        found = slow_reads(row, threshold[i], 7, noises, i, 900.0, cycles, reset_cycles, busy)
        assert count[i] == len(found)
        np.testing.assert_allclose(time[i, : count[i]], [at for at, _ in found], rtol=0, atol=1e-9)
        np.testing.assert_allclose(charge[i, : count[i]], [q for _, q in found], rtol=0, atol=1e-5)
    assert count.sum() > 150 and count.sum() < without[0].sum()


def test_phases_are_even_and_of_pixel_and_event():
    found = np.array(phases(4000, 8))
    assert found.min() == 0 and found.max() == 7
    assert np.bincount(found).min() > 400
    assert [int(reset_phase(SEED, EVENT + 1, pixel, 8)) for pixel in range(50)] != phases(50, 8)
    noise = np.array([draw_reset(SEED, EVENT, 7, k, 1.0) for k in range(2000)])
    assert abs(noise.mean()) < 0.08 and abs(noise.std() - 1.0) < 0.06


def test_charge_of_a_slow_signal_is_lost():
    """At 1000 e/us 7000 e take 70 ticks: a pixel that resets every 64 never has a hit, one that does every 200 some."""
    slow = np.full((40, 50 * BLOCK), 1000.0)
    threshold = np.full(40, 7000.0)
    counts = {cycles: run(slow, threshold, np.float64, periodic=cycles)[0] for cycles in (0, 64, 200)}
    assert (counts[64] == 0).all()
    assert (counts[0] == 4).all()  # one each 70 and 18 ticks
    # between two resets, 199 ticks with charge: two hits; the first and last stretch may have one more
    assert ((counts[200] >= 3) & (counts[200] <= 5)).all()


def test_a_hold_is_not_cut_short():
    """The charge of a hit is whole, whenever the reset would have come."""
    fast = np.zeros((64, 4 * BLOCK))
    fast[:, 10:30] = 5e4  # 5000 e a tick for 20 ticks
    count, _, charge, *_ = run(fast, np.full(64, 7e3), np.float64, periodic=32)
    assert (count >= 1).all()
    lost = np.array([(p - FIRST) % 32 for p in phases(64, 32)]) - 10  # tick of signal that resets
    whole = (lost < 0) | (lost > 1)  # of the crossing in the second tick of signal
    assert 0 < (~whole).sum() < 20
    np.testing.assert_allclose(charge[whole, 0], 5000.0 * (1.4 + 18.0), rtol=1e-9)
    np.testing.assert_allclose(charge[~whole, 0], 5000.0 * (19.0 - lost[~whole]))


def test_attribution_counts_from_the_reset():
    detector = one_tpc(periodic_reset_cycles=40)
    low = np.stack((np.full(8, 0.22), np.full(8, 0.22), 10.0 + 0.5 * np.arange(8)), axis=1)
    segments = make_segments(low, low + [0.0, 0.0, 0.5], dE=0.4)
    simulation = Simulation(detector, dtype=np.float64)
    _, reads, at, found = attributed(simulation, segments)
    assert len(at[0]) > 1
    np.testing.assert_allclose(np.bincount(found.hit, found.charge, len(at[0])), reads.charge[at], rtol=1e-9)
    plain = Simulation(one_tpc(), dtype=np.float64)(segments).hits
    assert simulation(segments).hits.charge.sum() < plain.charge.sum() - 3000.0


def test_likelihood_and_residuals_are_refused():
    simulation = smooth(one_tpc(periodic_reset_cycles=64))
    with pytest.raises(InputError, match="periodic_reset_cycles: found 64, the loss likelihood has no term for resets"):
        forecast(simulation, end_on(), ("Ab",))
    segments = end_on()
    with pytest.raises(InputError, match="periodic_reset_cycles: found 64, a comparison has no term for resets"):
        compare(simulation, segments, Target(simulation(segments).hits))
