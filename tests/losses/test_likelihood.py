"""The charges of the likelihood kernel against sums by hand, and probabilities against the noise they describe."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import norm

from lartpc.kernels.losses.likelihood import DARK_CURRENT
from lartpc.losses.charges import make_charges
from lartpc.losses.probability import log_hit, log_interval, log_no_hit
from lartpc.losses.rounded import RoundedHits, log_hits
from lartpc.response.windows import Windows

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
    target = SimpleNamespace(count=rng.integers(0, most + 1, n), tick=hits, fraction=rng.random((n, most)))
    return SimpleNamespace(current=waveform, buffered=waveform, windows=Windows(**fields)), target


def cumulative(waveforms, pixel, time):
    """Charge [e] of a pixel up to a time [ticks]: sample k arrives evenly from k to k + 1."""
    w = waveforms.windows
    current, start = np.zeros(2000), 900
    for k in range(w.of_pixel[pixel], w.of_pixel[pixel + 1]):
        at = w.tick[k] - start
        current[at : at + w.first[k + 1] - w.first[k]] += waveforms.current[w.first[k] : w.first[k + 1]]
    charge = np.concatenate(([0.0], np.cumsum(current))) * TICK
    return np.interp(time - start, np.arange(2001), charge), current[int(np.floor(time)) - start]


@pytest.mark.parametrize("seed, reset", [(0, 0), (1, 0), (2, 3)])
def test_charges_between_hits(seed, reset):
    waveforms, target = random_pixels(np.random.default_rng(seed), 12)
    detector = SimpleNamespace(tick=TICK, hold_ticks=HOLD, reset_cycles=reset)
    before, during, rate, resume, after = make_charges(waveforms, target, detector)
    assert set(target.count) >= {0, 4}
    for pixel, count in enumerate(target.count):
        last = 0.0
        for n in range(count):
            time = target.tick[pixel, n] + target.fraction[pixel, n]
            crossing, current = cumulative(waveforms, pixel, time)
            read, _ = cumulative(waveforms, pixel, time + HOLD)
            assert before[pixel, n] == pytest.approx(crossing - last, rel=1e-10, abs=1e-7)
            assert during[pixel, n] == pytest.approx(read - crossing, rel=1e-10, abs=1e-7)
            assert rate[pixel, n] == pytest.approx(current + DARK_CURRENT, rel=1e-12)
            last, current = cumulative(waveforms, pixel, time + HOLD + reset)
            assert resume[pixel, n] == pytest.approx(current, rel=1e-12)
        total, _ = cumulative(waveforms, pixel, 2800.0)
        assert after[pixel] == pytest.approx(total - last, rel=1e-10, abs=1e-7)
        np.testing.assert_array_equal(before[pixel, count:], 0.0)
    # the random times must have met both currents and gaps
    assert (rate == DARK_CURRENT).any() and (rate > 2.0 * DARK_CURRENT).any()


def test_currents_of_both_signs():
    """Induced currents go below 0: after the last hit counts what a read can find; densities stay above 0."""
    rng = np.random.default_rng(3)
    waveforms, target = random_pixels(rng, 12)
    waveforms.current[...] = rng.uniform(-4e3, 5e3, len(waveforms.current))
    detector = SimpleNamespace(tick=TICK, hold_ticks=HOLD, reset_cycles=0)
    _, _, rate, _, after = make_charges(waveforms, target, detector)
    for pixel, count in enumerate(target.count):
        last, start = 0.0, 900
        for n in range(count):
            time = target.tick[pixel, n] + target.fraction[pixel, n]
            _, current = cumulative(waveforms, pixel, time)
            expected = current + DARK_CURRENT if current >= 0.0 else DARK_CURRENT**2 / (DARK_CURRENT - current)
            assert rate[pixel, n] == pytest.approx(expected, rel=1e-12)
            assert rate[pixel, n] > 0.0
            last, start = cumulative(waveforms, pixel, time + HOLD)[0], target.tick[pixel, n] + HOLD
        w = waveforms.windows
        ticks = np.concatenate(
            [
                w.tick[k] + np.arange(w.first[k + 1] - w.first[k])
                for k in range(w.of_pixel[pixel], w.of_pixel[pixel + 1])
            ]
        )
        ends = [[cumulative(waveforms, pixel, t + 1.0 + hold)[0] for hold in (0, HOLD)] for t in ticks if t >= start]
        most = max(np.min(ends, axis=1)) if ends else cumulative(waveforms, pixel, 2800.0)[0]
        assert after[pixel] == pytest.approx(max(most - last, 0.0), rel=1e-10, abs=1e-7)
    assert (rate[rate != 0.0] < DARK_CURRENT).any()


# --- P0


def no_hit(x, s_r, s_u):
    """1 - P(A >= x, A + U >= x) by integration over A = s_r a: the read of a charge that crossed must be vetoed."""

    def vetoed(a):
        return norm.pdf(a) * norm.cdf((x - s_r * a) / s_u)

    low = max(x / s_r, -25.0)
    points = [p for p in (low + s_u / s_r, 0.0) if low < p < 12.0]
    above = quad(vetoed, low, 12.0, epsabs=0.0, epsrel=1e-11, points=points, limit=400)[0] if low < 12.0 else 0.0
    return norm.cdf(x / s_r) + above


@pytest.mark.slow
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
    assert log_no_hit(np.array([-1e14]), 900.0, 500.0)[1] == pytest.approx(1e14 / variance, rel=1e-6)
    assert log_hit(np.array([1e14]), 900.0)[1] == pytest.approx(-1e14 / 900.0**2, rel=1e-6)
    np.testing.assert_allclose(log_none[2:], -0.5 * x[2:] ** 2 / variance, rtol=1e-2)
    np.testing.assert_allclose(slope[2:], -x[2:] / variance, rtol=1e-2)


# --- intervals


def by_integration(z, below, above):
    """Value, mean and 1 - variance of a standard normal deviate between z - below and z + above."""
    largest = float(np.clip(0.0, z - below, z + above))  # where its density is
    if largest == 0.0:
        ends = np.array([z - below, z + above])
    else:
        ends = np.array([0.0, below + above]) if largest > 0.0 else np.array([-below - above, 0.0])
    reach = 40.0 / max(1.0, abs(largest))
    edges = np.linspace(*np.clip(ends, -reach, reach), 101)
    point, weight = np.polynomial.legendre.leggauss(12)
    half = 0.5 * np.diff(edges)[:, None]
    s = edges[:-1, None] + half * (1.0 + point)
    density = half * weight * np.exp(-s * (largest + 0.5 * s))
    total = density.sum()
    mean = (density * s).sum() / total
    variance = (density * (s - mean) ** 2).sum() / total
    return 0.5 * largest**2 + 0.5 * np.log(2.0 * np.pi) - np.log(total), largest + mean, 1.0 - variance


WIDTHS = [1e-8, 1e-3, 0.3, 1.0, 2.5, 30.0, np.inf]


@pytest.mark.parametrize("z", [0.0, 0.4, -1.0, 2.0, -3.7, 6.0, -38.5, 500.0, -1e4])
def test_intervals_by_integration(z):
    below, above = (a.ravel() for a in np.meshgrid(WIDTHS, WIDTHS[:-1]))
    found = log_interval(z, below, above)
    expected = np.array([by_integration(z, *ends) for ends in zip(below, above, strict=True)]).T
    np.testing.assert_allclose(found.value, expected[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.slope, expected[1], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(found.curvature, expected[2], rtol=1e-6, atol=1e-7)


def test_slope_and_curvature_of_intervals():
    z, step = np.linspace(-60.0, 60.0, 481), 1e-4
    for below, above in [(0.7, 0.7), (1.99, 2.0), (2.0, 2.01), (0.1, np.inf), (np.inf, 3.0), (5.0, 80.0), (-1.0, 2.0)]:
        high, at, low = (log_interval(z + h, below, above) for h in (step, 0.0, -step))
        size = step * np.maximum(np.abs(z), 1.0)
        np.testing.assert_allclose(at.slope, (high.value - low.value) / (2.0 * step), rtol=1e-6, atol=1e-6 * size.max())
        np.testing.assert_allclose(at.curvature, (high.slope - low.slope) / (2.0 * step), rtol=1e-6, atol=1e-7)


def test_far_intervals_stay_finite():
    z, below, above = np.meshgrid([-1e4, -40.0, 0.0, 1e4], [1e-8, 1.0, 1e5, np.inf], [1e-8, 1.0, 1e5])
    for column in log_interval(z, below, above):
        assert np.isfinite(column).all()


# --- rounded hits

RESET, READOUT = 900.0, 500.0


def some_hits(n, seed, pixels=6):
    """Hits with the charges of tracks, near what is expected."""
    rng = np.random.default_rng(seed)
    shape = (pixels, n)
    return RoundedHits(
        r=rng.normal(0.0, 1.2, shape),
        u=rng.normal(0.0, 1.5, shape),
        charge=rng.uniform(50.0, 2500.0, shape),
        swing=rng.uniform(-1000.0, 2000.0, shape),
        resume=rng.uniform(0.0, 3000.0, shape),
        below=np.where(rng.random(shape) < 0.1, np.inf, rng.uniform(0.2, 1.0, shape)),
        above=np.full(shape, 0.99),
        left=rng.uniform(-2000.0, 6000.0, pixels),
        deferred=np.arange(pixels) % 3 == 2,
    )


def likelihood_by_sum(hits, i, points=400):
    """The integral over the moments of up to two crossings, as a plain sum over a grid."""
    y = (np.arange(points) + 0.5) / points - 0.5
    total, end = np.ones((1, 1)), np.zeros(1)
    for k in range(hits.r.shape[1]):
        h = {name: value[i, k] for name, value in hits._asdict().items() if value.ndim == 2}
        z = h["r"] + (end[:, None] - h["charge"] * y) / RESET
        v = h["u"] - h["swing"] * y / READOUT
        count = ndtr(v + h["above"]) - ndtr(v - h["below"])
        total = total.sum(axis=0)[:, None] * h["charge"] / RESET * norm.pdf(z) * count / points
        end = h["resume"] * y
    x = hits.left[i] + end
    return float(
        total.sum(axis=0) @ (ndtr(-x / RESET) if hits.deferred[i] else np.exp(log_no_hit(x, RESET, READOUT)[0]))
    )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_rounded_hits_by_sum(n):
    hits = some_hits(n, seed=n)
    found = log_hits(hits, RESET, READOUT).value
    expected = [-np.log(likelihood_by_sum(hits, i)) for i in range(len(found))]
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_counts_of_a_tick_add_up():
    """Whatever the read says, the crossing was in the tick with Phi(r + d) - Phi(r - d)."""
    edges = np.arange(-20.0, 21.0, 1.3)
    n = len(edges) + 1
    low, high = np.append(-np.inf, edges), np.append(edges, np.inf)
    columns = {"r": 0.7, "u": 0.3, "charge": 1300.0, "swing": 900.0, "resume": 2200.0}
    hits = RoundedHits(
        **{name: np.full((n, 1), value) for name, value in columns.items()},
        below=0.3 - low[:, None],
        above=high[:, None] - 0.3,
        left=np.full(n, np.inf),
        deferred=np.zeros(n, dtype=bool),
    )
    total = np.exp(-log_hits(hits, RESET, READOUT).value).sum()
    half = 0.5 * 1300.0 / RESET
    assert total == pytest.approx(ndtr(0.7 + half) - ndtr(0.7 - half), rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_derivatives_of_rounded_hits(n):
    hits = some_hits(n, seed=10 + n)
    at = log_hits(hits, RESET, READOUT)
    for name, size in (("r", 1.0), ("u", 1.0), ("charge", RESET), ("swing", RESET), ("resume", RESET), ("left", RESET)):
        column = getattr(hits, name)
        for k in range(n if column.ndim == 2 else 1):
            index = (slice(None), k) if column.ndim == 2 else slice(None)
            moved = []
            for sign in (1.0, -1.0):
                values = column.copy()
                values[index] += sign * 1e-5 * size
                moved.append(log_hits(hits._replace(**{name: values}), RESET, READOUT))
            high, low = moved
            slope = (high.value - low.value) / (2e-5 * size)
            np.testing.assert_allclose(getattr(at, name)[index], slope, rtol=1e-6, atol=1e-8 / size)
            if name in "ru":
                rows = [(getattr(high, z) - getattr(low, z)) / 2e-5 for z in "ru"]
                second = np.stack(rows, axis=2).reshape(len(slope), -1)
                np.testing.assert_allclose(at.hessian[:, 2 * k + "ru".index(name)], second, rtol=1e-6, atol=1e-8)
    assert (np.linalg.eigvalsh(at.hessian) > 0.0).all()
