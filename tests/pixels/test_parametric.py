import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import PITCH, VELOCITY, one_tpc
from numpy.polynomial.chebyshev import chebvander
from slow import coefficients, smeared

from lartpc.exceptions import InputError
from lartpc.kernels.pixels.share import NARROWEST
from lartpc.kernels.response.convolve import LANES
from lartpc.parameters import Parameters
from lartpc.pixels.parametric_tables import RATIO, TABLES, WIDEST, make_parametric_tables, make_table, rates
from lartpc.settings import Settings
from lartpc.simulation.simulation import Simulation

TICK = 0.1
EDGE = 8.5
LEAST = [WIDEST, WIDEST / 2, WIDEST / 2**2.5]


def along(position, sigma):
    """Points on the pixel [cm] and the charge at them, of a Gaussian of spread sigma [cm]."""
    point, weight = np.polynomial.legendre.leggauss(32)
    points, charges = [], []
    for low, high in ((-PITCH / 2, 0.0), (0.0, PITCH / 2)):
        low, high = max(low, position - 7 * sigma), min(high, position + 7 * sigma)
        if low < high:
            x = (low + high) / 2 + (high - low) / 2 * point
            points.append(x)
            charges.append(weight * (high - low) / 2 * np.exp(-0.5 * ((x - position) / sigma) ** 2))
    points, charges = np.concatenate(points), np.concatenate(charges)
    return points, charges / charges.sum()


def of_waveforms(table, axes):
    """How much there is of each waveform for a charge of 1 on the pixel: (rank,)."""
    moments = [q @ chebvander(4 * np.abs(x) / PITCH - 1, len(table.space) - 1) for x, q in axes]
    return np.einsum("n,m,nmr->r", *moments, table.space)


def waveforms(table, lag):
    """The waveforms at lags in units of the lattice, by the tail before the first: (rank, *lag.shape)."""
    found = np.zeros((len(table.waveforms), *lag.shape))
    early, inside = lag < table.first_lag, (lag >= table.first_lag) & (lag - table.first_lag < table.waveforms.shape[1])
    found[:, inside] = table.waveforms[:, lag[inside] - table.first_lag]
    time = (lag[early] - table.first_lag) * TICK / table.per_tick
    found[:, early] = table.tail @ np.exp(rates()[:, None] * time)
    return found


def rebuilt(table, axes, sigma, arrival, sites):
    """Current at sites of the lattice from a charge of 1 that arrives at `arrival`, in units of the lattice."""
    s = np.sqrt(sigma**2 - table.smooth**2) * table.per_tick / TICK
    m = np.arange(np.ceil(arrival - EDGE * s), arrival + EDGE * s).astype(int)
    share = np.exp(-0.5 * ((m - arrival) / s) ** 2)
    return np.einsum("r,rtm,m->t", of_waveforms(table, axes), waveforms(table, sites[:, None] - m), share / share.sum())


def exact(axes, sigma, times):
    """The same [1/us] by the formulas of the model, times [us] after the arrival."""
    (x, along_x), (y, along_y) = axes
    a, b, c, s = (value[..., None] for value in coefficients(x[:, None], y))
    found = a * smeared(times - s, b, sigma) + (1 - a) * smeared(times - s, c, sigma)
    return np.einsum("i,j,ijt->t", along_x, along_y, found)


@functools.cache
def table_for(least, precision):
    """Several tests look at the same tables."""
    return make_table(PITCH, TICK, least, precision, EDGE)


@pytest.mark.parametrize("least", LEAST)
@pytest.mark.parametrize("precision", [1e-2, 1e-4, pytest.param(1e-6, marks=pytest.mark.slow)])
def test_the_table_gives_the_response_of_any_charge_that_is_wide_enough(least, precision):
    """Anywhere on the pixel, from 20 us before the arrival until after the last lag."""
    random = np.random.default_rng(0)
    table = table_for(least, precision)
    h = TICK / table.per_tick
    last = table.first_lag + table.waveforms.shape[1] - 1
    peak = exact([along(0.0, 1e-3)] * 2, least, np.linspace(1.0, 4.0, 100)).max()
    for sigma in least * np.array([1.0, 1.1, 1.41]):
        axes = [along(x, RATIO * sigma) for x in random.uniform(-PITCH / 2, PITCH / 2, 2)]
        arrival = random.uniform(0.0, 1.0)
        early = random.integers(-20.0 / h, table.first_lag, 60)
        sites = np.concatenate((early, np.arange(table.first_lag - 5, last + 10, table.per_tick)))
        deviation = rebuilt(table, axes, sigma, arrival, sites) - exact(axes, sigma, (sites - arrival) * h)
        assert np.abs(deviation).max() < 5 * precision * peak


@pytest.mark.parametrize("least", LEAST)
@pytest.mark.parametrize("precision", [1e-2, 1e-4])
def test_the_response_holds_the_charge(least, precision):
    """What is below the precision at each time adds up over the microseconds of the response, most at the centre."""
    table = table_for(least, precision)
    h = TICK / table.per_tick
    whole = h * (table.waveforms.sum(axis=1) + table.tail @ (1.0 / np.expm1(rates() * h)))
    for x, y in [(0.0, 0.0), (0.1, -0.05), (0.21, 0.2)]:
        found = of_waveforms(table, [along(position, RATIO * least) for position in (x, y)])
        assert found @ whole == pytest.approx(1.0, abs=20 * precision)


@pytest.mark.slow
def test_the_least_spread_is_that_half_a_centimetre_above_the_anode():
    """31 ns, of charge that is narrower than all tables, at default settings."""
    table = make_table(PITCH, TICK, WIDEST * 0.5 ** (0.5 * (TABLES - 1)), Settings().precision, 4.7)
    least = np.hypot(table.smooth, NARROWEST * TICK / table.per_tick)
    assert least == pytest.approx(0.031, abs=5e-4)
    assert least == pytest.approx(np.sqrt(2.0 * Parameters().long_diff * 0.5 / VELOCITY) / VELOCITY, rel=0.02)


def test_tables_are_symmetric_in_x_and_y():
    for least in LEAST:
        space = table_for(least, 1e-4).space
        np.testing.assert_array_equal(space, space.transpose(1, 0, 2))


@pytest.mark.slow
def test_precision_and_narrow_charge_cost_terms():
    def terms(least, precision):
        space = table_for(least, precision).space
        return space.shape[1:]

    for finer in (
        [terms(WIDEST, precision) for precision in (1e-2, 1e-3, 1e-4, 1e-5)],
        [terms(least, 1e-3) for least in LEAST],
    ):
        assert np.all(np.diff(finer, axis=0) > 0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_tables_of_two_pitches(dtype):
    pitch, settings = np.array([PITCH, 0.38, PITCH]), Settings(precision=1e-2)
    tables = make_parametric_tables(SimpleNamespace(pitch=pitch, tick=TICK), settings, dtype, np)
    assert tables.of_tpc.tolist() == [TABLES, 0, TABLES]
    assert np.all(np.diff(tables.least) < 0) and len(tables.least) == TABLES
    assert len(tables.space) == 2 * TABLES and tables.space.dtype == dtype
    assert tables.space.shape[1] % LANES == 0 and np.all(tables.lattice.rank % LANES == 0)
    edge = 4.7 if dtype == np.float32 else EDGE
    for t in range(2 * TABLES):
        one = make_table(0.38 if t < TABLES else PITCH, TICK, WIDEST / 2 ** (t % TABLES / 2), 1e-2, edge)
        n, _, rank = one.space.shape
        assert tables.degree[t] == n and 0 <= tables.lattice.rank[t] - rank < LANES
        np.testing.assert_allclose(tables.space[t, :n, :rank, :n], one.space.transpose(0, 2, 1), rtol=1e-6)
        assert np.count_nonzero(tables.space[t]) == np.count_nonzero(one.space)


@pytest.mark.slow
def test_a_pitch_beyond_the_response_is_refused():
    """Where its fast exponential has no decay time at the corners; a table of another response may be had."""
    wide = dataclasses.replace(one_tpc(), pitch=np.array([0.5]), n_x=np.array([8]), n_y=np.array([8]))
    with pytest.raises(InputError, match=r"found the pixel pitch 0\.5 \[cm\].* up to 0\.47; allowed is"):
        Simulation(wide)
    assert Simulation(wide, response="electrostatic").response
