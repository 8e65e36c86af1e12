"""The charges of the likelihood kernel against sums by hand, and log P0 against the noise that it describes."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from lartpc import chain
from lartpc.chain import Windows
from lartpc.kernels.likelihood import DARK_CURRENT
from lartpc.objectives import log_no_hit

TICK = 0.1
HOLD = 18
NOISES = [(900.0, 500.0), (400.0, 1200.0)]


def random_pixels(rng, n, windows=3, most=4):
    """Windows of n pixels with gaps between them, and hits before, in, between and after the windows."""
    length = rng.integers(5, 60, n * windows)
    gap = rng.integers(1, 50, n * windows)
    tick = np.array([1000 + np.cumsum(gap[i::n] + length[i::n]) - length[i::n] for i in range(n)])
    length = np.array([length[i::n] for i in range(n)])
    first = np.concatenate(([0], np.cumsum(length.ravel())))
    fields = dict.fromkeys(Windows._fields)
    fields |= {"pixel": np.arange(n), "of_pixel": windows * np.arange(n + 1), "first": first, "tick": tick.ravel()}
    waveform = rng.uniform(0.0, 5e3, first[-1])
    hits = np.sort(rng.integers(980, tick[:, -1:] + 80, (n, most)), axis=1)
    target = SimpleNamespace(count=rng.integers(0, most + 1, n), tick=hits, part=rng.random((n, most)))
    return SimpleNamespace(current=waveform, windows=Windows(**fields)), target


def cumulative(waveforms, pixel, time):
    """Charge [e] of a pixel up to a time [ticks]: sample k arrives evenly from k to k + 1."""
    w = waveforms.windows
    current, start = np.zeros(2000), 900
    for k in range(w.of_pixel[pixel], w.of_pixel[pixel + 1]):
        at = w.tick[k] - start
        current[at : at + w.first[k + 1] - w.first[k]] += waveforms.current[w.first[k] : w.first[k + 1]]
    charge = np.concatenate(([0.0], np.cumsum(current))) * TICK
    return np.interp(time - start, np.arange(2001), charge), current[int(np.floor(time)) - start]


@pytest.mark.parametrize("seed", range(3))
def test_charges_between_hits(seed):
    waveforms, target = random_pixels(np.random.default_rng(seed), 12)
    detector = SimpleNamespace(tick=TICK, hold_ticks=HOLD)
    before, during, rate, after = chain.make_charges(waveforms, target, detector)
    assert set(target.count) >= {0, 4}
    for pixel, count in enumerate(target.count):
        last = 0.0
        for n in range(count):
            time = target.tick[pixel, n] + target.part[pixel, n]
            crossing, current = cumulative(waveforms, pixel, time)
            read, _ = cumulative(waveforms, pixel, time + HOLD)
            assert before[pixel, n] == pytest.approx(crossing - last, rel=1e-10, abs=1e-7)
            assert during[pixel, n] == pytest.approx(read - crossing, rel=1e-10, abs=1e-7)
            assert rate[pixel, n] == pytest.approx(current + DARK_CURRENT, rel=1e-12)
            last = read
        total, _ = cumulative(waveforms, pixel, 2800.0)
        assert after[pixel] == pytest.approx(total - last, rel=1e-10, abs=1e-7)
        np.testing.assert_array_equal(before[pixel, count:], 0.0)
    # the random times must have met both currents and gaps
    assert (rate == DARK_CURRENT).any() and (rate > 2.0 * DARK_CURRENT).any()


# --- P0


def no_hit(x, s_r, s_u):
    """1 - P(A >= x, A + U >= x) by integration over A = s_r a: the read of a charge that crossed must be vetoed."""

    def vetoed(a):
        return norm.pdf(a) * norm.cdf((x - s_r * a) / s_u)

    low = max(x / s_r, -25.0)
    points = [p for p in (low + s_u / s_r, 0.0) if low < p < 12.0]
    above = quad(vetoed, low, 12.0, epsabs=0.0, epsrel=1e-11, points=points, limit=400)[0] if low < 12.0 else 0.0
    return norm.cdf(x / s_r) + above


@pytest.mark.parametrize("s_r, s_u", NOISES)
def test_no_hit_by_integration(s_r, s_u):
    x = np.array([-12000.0, -7000.0, -3700.0, -3500.0, -2000.0, -500.0, 0.0, 300.0, 1500.0, 4000.0, 7000.0])
    log_none, _ = log_no_hit(x, s_r, s_u)
    expected = np.log([no_hit(at, s_r, s_u) for at in x])
    np.testing.assert_allclose(log_none, expected, rtol=1e-7, atol=1e-12)


def test_no_hit_by_throwing_noise():
    rng = np.random.default_rng(0)
    a, u = 900.0 * rng.normal(size=400_000), 500.0 * rng.normal(size=400_000)
    for x in (-1500.0, -300.0, 0.0, 800.0):
        none = np.mean(~((a >= x) & (a + u >= x)))
        error = np.sqrt(none * (1.0 - none) / len(a))
        assert np.exp(log_no_hit(np.array([x]), 900.0, 500.0)[0][0]) == pytest.approx(none, abs=4.0 * error)


@pytest.mark.parametrize("s_r, s_u", NOISES)
def test_slope_of_no_hit(s_r, s_u):
    x = np.linspace(-45.0, 6.0, 103)[:-1] * s_r + 1.0
    step = 1e-3 * s_r
    high, low = log_no_hit(x + step, s_r, s_u)[0], log_no_hit(x - step, s_r, s_u)[0]
    slope = log_no_hit(x, s_r, s_u)[1]
    np.testing.assert_allclose(slope, (high - low) / (2.0 * step), rtol=2e-5, atol=1e-14)
    assert (slope > 0.0).all()


@pytest.mark.parametrize("s_r, s_u", NOISES)
def test_no_hit_has_no_jump(s_r, s_u):
    """Where the form for large charges takes over."""
    edge = -30.0 * s_r
    (below, above), slope = log_no_hit(np.array([edge - 1e-6, edge + 1e-6]), s_r, s_u)
    assert below == pytest.approx(above, abs=1e-6)
    assert slope[0] == pytest.approx(slope[1], rel=1e-8)


def test_limits_of_no_hit():
    x = np.array([np.inf, 1e6, -1e5, -4e5])
    log_none, slope = log_no_hit(x, 900.0, 500.0)
    np.testing.assert_array_equal(log_none[:2], 0.0)  # no charge never gives a hit
    np.testing.assert_array_equal(slope[:2], 0.0)
    assert np.isfinite(log_none).all() and np.isfinite(slope).all()
    # log P0 -> -x^2/2 (s_r^2 + s_u^2): more charge without a hit is ever less likely
    variance = 900.0**2 + 500.0**2
    np.testing.assert_allclose(log_none[2:], -0.5 * x[2:] ** 2 / variance, rtol=1e-2)
    np.testing.assert_allclose(slope[2:], -x[2:] / variance, rtol=1e-2)
