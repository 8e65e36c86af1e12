"""High passes: recursions against sums, and windows against one long one."""

from types import SimpleNamespace

import numpy as np
import pytest
from wire_channels import COLD, TICK, random_windows

from lartpc.autodiff.launch import plain
from lartpc.wires.electronics import behind_high_passes

pytestmark = pytest.mark.usefixtures("one_thread")
DETECTORS = [(500.0,), (1000.0, 1000.0), (20.0,), (20.0, 35.0), (35.0, 20.0), (20.0, 20.0 * (1.0 + 1e-7))]


def dense(windows, waveform, i):
    """Channel i in one window of all its ticks: the samples, and which of them are in windows."""
    of_channel = range(windows.of_pixel[i], windows.of_pixel[i + 1])
    begin, end = windows.tick[of_channel[0]], max(windows.tick[w] + np.diff(windows.first)[w] for w in of_channel)
    samples, inside = np.zeros(end - begin, dtype=waveform.dtype), []
    for w in of_channel:
        ticks = windows.tick[w] - begin + np.arange(windows.first[w + 1] - windows.first[w])
        samples[ticks] = waveform[windows.first[w] : windows.first[w + 1]]
        inside.append(ticks)
    return samples, np.concatenate(inside)


def alone(samples, rc):
    """One channel with one window."""
    windows = SimpleNamespace(of_pixel=np.array([0, 1]), first=np.array([0, len(samples)]), tick=np.array([7]))
    return behind_high_passes(samples, windows, COLD._replace(rc=rc), TICK, plain)


def by_sums(samples, rc):
    """The convolution with delta - (tick/tau) exp(-t/tau), once for each time constant."""
    t = TICK * np.arange(len(samples))
    for tau in rc:
        samples = samples - np.convolve(samples, TICK / tau * np.exp(-t / tau))[: len(t)]
    return samples


@pytest.mark.parametrize("rc", DETECTORS)
def test_recursion_is_the_convolution(rc):
    samples = np.random.default_rng(1).normal(size=3000)
    np.testing.assert_allclose(alone(samples, rc), by_sums(samples, rc), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("rc", [(500.0,), (1000.0, 1000.0), (20.0, 35.0)])
def test_single_precision(rc):
    """A step over a whole readout, of which nothing is left.

    What a stage holds stops where it would grow by less than half a unit in its last place, 2^-25 tau/tick short of the
    step.
    """
    samples = np.ones(10000)
    error = alone(samples.astype(np.float32), rc) - by_sums(samples, rc)
    assert np.abs(error).max() < 2.0**-25 * max(rc) / TICK + 1e-6


@pytest.mark.parametrize("rc", DETECTORS)
@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-12), (np.float32, 2e-6)])
def test_windows_are_one_long_window(rc, dtype, atol):
    """What comes before a gap acts after it, and through both stages."""
    windows, waveform = random_windows(np.random.default_rng(2), dtype)
    waveform += dtype(1.0)
    found = behind_high_passes(waveform, windows, COLD._replace(rc=rc), TICK, plain)
    for i in (0, 2, 3, 4, 5):
        samples, inside = dense(windows, waveform, i)
        of_channel = slice(windows.first[windows.of_pixel[i]], windows.first[windows.of_pixel[i + 1]])
        np.testing.assert_allclose(found[of_channel], alone(samples, rc)[inside], rtol=0.0, atol=atol)


@pytest.mark.parametrize("rc", DETECTORS)
@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-12), (np.float32, 2e-6)])
def test_windows_settle(rc, dtype, atol):
    """Windows that end with many zeros, with a few, and of zeros alone."""
    ends = np.array([[0, 4000], [4030, 4110], [4200, 4300]])
    samples = np.zeros(4300)
    samples[100:160], samples[4030:4100] = np.split(np.random.default_rng(4).normal(size=130), [60])
    size = np.diff(ends)[:, 0]
    windows = SimpleNamespace(of_pixel=np.array([0, 3]), first=np.append(0, np.cumsum(size)), tick=ends[:, 0])
    inside = np.concatenate([np.arange(*of_window) for of_window in ends])
    found = behind_high_passes(samples[inside].astype(dtype), windows, COLD._replace(rc=rc), TICK, plain)
    np.testing.assert_allclose(found, by_sums(samples, rc)[inside], rtol=0.0, atol=atol)


def test_a_gap_acts():
    """So the test above would find a gap that is left out, or through which the second stage hears nothing."""
    samples = np.zeros(400)
    samples[:50] = 1.0
    once, twice = alone(samples, (20.0,)), alone(samples, (20.0, 35.0))
    assert once[100] < -0.1 and twice[100] - once[100] > 0.05


@pytest.mark.parametrize("gap", [10**6, 10**9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_long_gap_forgets(gap, dtype):
    windows = SimpleNamespace(of_pixel=np.array([0, 2]), first=np.array([0, 30, 60]), tick=np.array([0, gap]))
    samples = np.random.default_rng(3).normal(size=60).astype(dtype)
    found = behind_high_passes(samples, windows, COLD, TICK, plain)
    np.testing.assert_array_equal(found[30:], alone(samples[30:], COLD.rc))


def test_without_time_constants_nothing_is_launched():
    waveform = np.ones(3)

    def launch(*arguments, **more):
        raise AssertionError

    assert behind_high_passes(waveform, SimpleNamespace(), COLD._replace(rc=()), TICK, launch) is waveform


def test_the_sum_of_all_that_follows_is_zero():
    """A high pass lets no constant through: after many time constants what went in has come out again."""
    samples = np.zeros(20000)
    samples[:10] = 1.0
    for rc in ((20.0,), (20.0, 35.0)):
        assert abs(alone(samples, rc).sum()) < 0.02 * 10.0 * len(rc)
