import numpy as np
import pytest
from scipy import special, stats

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.random import draw, philox
from lartpc.kernels.runtime.special import (
    exp_negative,
    log_of_fraction,
    log_to_three,
    normal_cdf,
    normal_density,
    tail_integral,
)

MASK = 0xFFFFFFFF


@kernel("exponential", "cdf", "density")
def evaluate(i, x, exponential, cdf, density):
    exponential[i] = exp_negative(-x[i])
    cdf[i] = normal_cdf(x[i])
    density[i] = normal_density(x[i])


@kernel("logarithm")
def evaluate_logarithm(i, x, logarithm):
    logarithm[i] = log_to_three(x[i])


@kernel("logarithm", "integral")
def evaluate_more(i, fraction, above, logarithm, integral):
    logarithm[i] = log_of_fraction(fraction[i])
    integral[i] = tail_integral(above[i])


@kernel("words")
def encrypt(i, counter, words):
    c = counter[i]
    a, b, c, d = philox(c[0], c[1], c[2], c[3], c[4], c[5])
    words[i, 0] = a
    words[i, 1] = b
    words[i, 2] = c
    words[i, 3] = d


@kernel("reset", "readout")
def draw_all(i, seed, event, pixel, read, reset, readout):
    reset[i], readout[i] = draw(seed[i], event[i], pixel[i], read[i], reset[i])


def values(x):
    results = {name: np.zeros_like(x) for name in evaluate.outputs}
    evaluate(len(x), x=x, **results)
    return list(results.values())


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "limit", "tolerance"), [(np.float32, 14, 4e-6), (np.float64, 36, 1e-12)])
def test_exponential(dtype, limit, tolerance):
    x = np.linspace(0, limit, 30_001).astype(dtype)
    np.testing.assert_allclose(values(x)[0], np.exp(-x.astype(float)), rtol=tolerance)
    beyond = values(np.array([1.5 * limit, 1e3, 1e30], dtype))[0]
    assert (beyond > 0).all() and (beyond < np.exp(-limit)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-7), (np.float64, 2e-15)])
def test_logarithm(dtype, tolerance):
    x = np.linspace(1, 3, 30_001).astype(dtype)
    logarithm = np.zeros_like(x)
    evaluate_logarithm(len(x), x=x, logarithm=logarithm)
    np.testing.assert_allclose(logarithm, np.log(x.astype(float)), rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance", "absolute"), [(np.float32, 2e-7, 1.5e-7), (np.float64, 1e-15, 3e-16)])
def test_logarithm_of_a_fraction_and_integral_of_a_tail(dtype, tolerance, absolute):
    fraction = np.concatenate((np.logspace(-25, 0, 30_001, base=2), 1 - np.logspace(-24, -1, 24, base=2))).astype(dtype)
    above = np.linspace(0, 9, len(fraction)).astype(dtype)
    logarithm, integral = np.zeros_like(fraction), np.zeros_like(fraction)
    evaluate_more(len(fraction), fraction=fraction, above=above, logarithm=logarithm, integral=integral)
    np.testing.assert_allclose(logarithm, np.log(fraction.astype(float)), rtol=tolerance, atol=0)
    assert logarithm.max() == 0
    a = above.astype(float)
    exact = np.exp(-0.5 * a**2) * (1 / np.sqrt(2 * np.pi) - 0.5 * a * special.erfcx(a / np.sqrt(2)))
    np.testing.assert_allclose(integral, exact, rtol=0, atol=absolute)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_normal_distribution(dtype, tolerance):
    x = np.linspace(-5, 5, 1001).astype(dtype)
    _, cdf, density = values(x)
    np.testing.assert_allclose(cdf, special.ndtr(x.astype(float)), rtol=20 * tolerance, atol=0)
    np.testing.assert_allclose(density, stats.norm.pdf(x.astype(float)), rtol=20 * tolerance)


def test_philox_known_answers():
    """Test vectors of philox4x32-10 published with Random123: counter, key -> words."""
    vectors = [
        ([0] * 6, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([MASK] * 6, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ]
    counters, expected = (np.array(column, dtype=np.uint64) for column in zip(*vectors, strict=True))
    words = np.zeros((3, 4), dtype=np.uint64)
    encrypt(3, counter=counters, words=words)
    np.testing.assert_array_equal(words, expected)


def draws(seed=0, event=0, pixel=0, read=0, dtype=np.float64):
    columns = np.broadcast_arrays(*np.atleast_1d(seed, event, pixel, read))
    columns = {name: c.astype(np.int64) for name, c in zip(("seed", "event", "pixel", "read"), columns, strict=True)}
    reset, readout = (np.zeros(len(columns["seed"]), dtype) for _ in range(2))
    draw_all(len(reset), **columns, reset=reset, readout=readout)
    return reset, readout


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_are_normal_and_independent(dtype):
    reset, readout = draws(seed=7, event=np.arange(300_000) // 1000, pixel=np.arange(300_000) % 1000, dtype=dtype)
    for x in (reset, readout):
        assert abs(x.mean(dtype=float)) < 4 / np.sqrt(len(x))
        assert abs(x.var(dtype=float) - 1) < 4 * np.sqrt(2 / len(x))
        assert stats.kstest(x, "norm").pvalue > 1e-3
    for lag in (0, 1, 1000):
        n = len(reset) - lag
        assert abs(np.corrcoef(reset[:n], readout[lag:])[0, 1]) < 4 / np.sqrt(n)
        assert lag == 0 or abs(np.corrcoef(reset[:n], reset[lag:])[0, 1]) < 4 / np.sqrt(n)


def test_every_part_of_the_counter_counts():
    """Seed and event with all their 64 bits, pixel and read; an exchange of two is another number."""
    one = draws(seed=1)
    numbers = [*draws(), *one]
    for name, bits in (("seed", 63), ("event", 63), ("pixel", 32), ("read", 8)):
        numbers += [x for bit in range(name == "seed", bits) for x in draws(**{name: 1 << bit})]
    assert len(np.unique(np.concatenate(numbers))) == 2 * (1 + 63 + 63 + 32 + 8)
    np.testing.assert_array_equal(draws(seed=1), one)
    np.testing.assert_allclose(draws(seed=1, dtype=np.float32), one, rtol=1e-4)
