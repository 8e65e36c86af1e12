import math

import numpy as np
import pytest
from helpers import VELOCITY

from lartpc.kernels.pixels.share import MARGIN, NARROWEST, NOMINAL, choose, share
from lartpc.parameters import Parameters

TICK = 0.1
PER_TICK, SMOOTH = np.array([1, 2, 5]), np.array([0.08, 0.04, 0.014])
LEAST = 0.113 / 2 ** (0.5 * np.arange(6))


def shared(arrival, sigma_t, table, step_tick=0, dtype=np.float64):
    """Sites and shares of steps, of which those that are not used are 0."""
    arrival, sigma_t = (np.array(v, dtype) for v in np.broadcast_arrays(arrival, sigma_t))
    n = len(arrival)
    table, step_tick = (np.broadcast_to(v, n).astype(np.int64) for v in (table, step_tick))
    site, sites = (np.zeros(n, dtype=np.int64) for _ in range(2))
    found = np.full((n, 400), np.nan, dtype)
    tables = {"per_tick": PER_TICK, "smooth": SMOOTH.astype(dtype), "tick": dtype(TICK)}
    steps = {"arrival": arrival, "sigma_t": sigma_t, "step_table": table, "step_tick": step_tick}
    share(n, **steps, **tables, site_t=site, sites_t=sites, share_t=found)
    used = np.arange(400) < sites[:, None]
    assert np.isfinite(found).all() and np.all(found[used] > 0.0) and np.all(found[~used] == 0.0)
    return site[:, None] + np.arange(400), found.astype(float)


@pytest.mark.parametrize(
    ("dtype", "whole", "off", "spread"), [(np.float32, 1e-6, 3e-3, 2e-4), (np.float64, 1e-14, 1e-9, 1e-6)]
)
def test_shares_have_charge_time_and_spread(dtype, whole, off, spread):
    """float32: positions of up to 9000 sites are exact to 1e-3 each; the Gaussian is cut at 4.7 standard deviations."""
    random = np.random.default_rng(0)
    table, arrival = random.integers(0, 3, 300), random.uniform(0.0, 180.0, 300)
    s = random.uniform(1.2, 12.0, 300)
    sigma_t = np.sqrt((s * TICK / PER_TICK[table]) ** 2 + SMOOTH[table] ** 2)
    site, found = shared(arrival, sigma_t, table, dtype=dtype)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=whole)
    mean = (site * found).sum(axis=1)
    np.testing.assert_allclose(mean, arrival * PER_TICK[table] / TICK, atol=off)
    variance = ((site - mean[:, None]) ** 2 * found).sum(axis=1)
    np.testing.assert_allclose(variance, s**2, rtol=spread)


def test_charge_that_the_waveforms_hold_is_shared_as_little_as_allowed():
    site, found = shared([3.0] * 3, SMOOTH * [0.1, 0.9, 1.0], [0, 1, 2])
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-14)
    z = (site - 3.0 * PER_TICK[:, None] / TICK) / NARROWEST
    gauss = np.exp(-0.5 * z**2)
    np.testing.assert_allclose(found, gauss / gauss.sum(axis=1, keepdims=True), atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shares_are_symmetric_in_time(dtype):
    """Mirrored arrivals have mirrored shares."""
    arrival, tolerance = [1.234, 0.0, 0.05], 10 * np.finfo(dtype).eps
    for table in range(3):
        (early, left), (late, right) = (shared(sign * np.array(arrival), 0.15, table, dtype=dtype) for sign in (-1, 1))
        for k in range(3):
            n = np.count_nonzero(left[k])
            assert n == np.count_nonzero(right[k])
            np.testing.assert_array_equal(late[k, :n], -early[k, :n][::-1])
            np.testing.assert_allclose(right[k, :n], left[k, :n][::-1], rtol=0, atol=tolerance)


def test_whole_ticks_move_the_sites_alone():
    for table in range(3):
        (site, found), (moved, same) = (shared([5.67], 0.1, table, step_tick=t) for t in (0, -(10**9)))
        np.testing.assert_array_equal(moved, site - 10**9 * PER_TICK[table])
        np.testing.assert_array_equal(found, same)


def chosen(distance, sigma_t, tpc=0, of_tpc=(0,), least=LEAST, dtype=np.float64):
    distance, sigma_t, tpc = (np.atleast_1d(a) for a in np.broadcast_arrays(distance, sigma_t, tpc))
    table = np.zeros(len(distance), dtype=np.int64)
    steps = {"distance": distance.astype(dtype), "sigma_t": sigma_t.astype(dtype)}
    steps["step_tpc"] = tpc.astype(np.int64)
    choose(len(distance), **steps, of_tpc=np.array(of_tpc), least=np.array(least, dtype), table=table)
    return table


def nominal(distance):
    return NOMINAL * np.sqrt(distance)


DISTANCES = np.geomspace(0.3, 31.0, 200)


def test_the_nominal_spread_is_that_of_the_nominal_parameters():
    long_diff = Parameters().long_diff
    assert math.sqrt(2 * long_diff / VELOCITY) / VELOCITY == pytest.approx(NOMINAL, rel=2e-3)


def test_a_table_serves_the_spread():
    """That of the largest least spread that is not above the step's, but for what the scale of sqrt(2) may miss."""
    for factor in (0.5, 0.9, 1.0, 1.3, 2.0):
        sigma_t = factor * nominal(DISTANCES)
        table = chosen(DISTANCES, sigma_t)
        inside = table < len(LEAST) - 1
        assert np.all(LEAST[table[inside]] <= sigma_t[inside] * (1 + 1e-12))
        assert np.all(sigma_t[table > 0] < 2 * LEAST[table[table > 0]])
    assert set(chosen(DISTANCES, nominal(DISTANCES))) == set(range(len(LEAST)))
    assert chosen(1e-3, nominal(1e-3)) == len(LEAST) - 1


def test_a_fit_parameter_does_not_change_the_table():
    """At any distance, also where a smaller one has another table."""
    table = chosen(DISTANCES, nominal(DISTANCES))
    for factor in (2 ** (-0.49 * MARGIN), 1 - 1e-6, 1 + 1e-6, 2 ** (0.49 * (1 - MARGIN))):
        np.testing.assert_array_equal(chosen(DISTANCES, factor * nominal(DISTANCES)), table)


def test_the_table_follows_steps_of_the_root_of_two():
    middle = DISTANCES[(DISTANCES > 1.0) & (DISTANCES < 6.0)]  # tables 1 to 3: not the last on either side
    table = chosen(middle, nominal(middle))
    for k in (-2, -1, 0, 1):
        moved = chosen(middle, nominal(middle) * 2 ** (0.5 * k))
        np.testing.assert_array_equal(moved, np.clip(table - k, 0, len(LEAST) - 1))
        np.testing.assert_array_equal(chosen(middle * 2.0**k, nominal(middle * 2.0**k)), moved)


def test_tables_of_another_tpc_and_precision():
    table = chosen(DISTANCES, nominal(DISTANCES))
    for tpc in (0, 1):
        np.testing.assert_array_equal(chosen(DISTANCES, nominal(DISTANCES), tpc, (12, 6)), table + (12, 6)[tpc])
    np.testing.assert_array_equal(chosen(DISTANCES, nominal(DISTANCES), dtype=np.float32), table)
