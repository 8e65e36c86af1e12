"""Noise with a spectrum: its size, its spectrum, and what it depends on.

Tolerances are those of repetition: of n numbers whose standard deviation is 1, so many times 1/sqrt(n).
"""

import numba
import numpy as np
import pytest
from scipy import stats
from wire_channels import COHERENT, COLD, KIND, LENGTH, OF_PLANES, TICK, WARM

from lartpc.detector.waveforms import Charges, NoiseModel, Spectra
from lartpc.detector.wires import WireDetector
from lartpc.wires.digitize import count
from lartpc.wires.electronics import peak
from lartpc.wires.noise import noise_of, spectrum

OWN = NoiseModel(OF_PLANES, coherent=(0.0, 0.0), group=4)
EVENTS = 400


def draw(model, channel, event, ticks=256, seed=3, electronics=COLD, dtype=np.float32):
    return noise_of(model, channel, event, seed, KIND, LENGTH, ticks, TICK, electronics, dtype)


def repeated(model, channel, ticks=256, events=EVENTS, dtype=np.float64):
    """Noise of one channel in many events (events, ticks)."""
    return draw(model, np.full(events, channel), np.arange(events), ticks, dtype=dtype)


def rms(mean_square, ticks):
    """Of samples, from the mean of |DFT|^2."""
    weight = np.full(ticks // 2 + 1, 2.0)
    weight[0] = 1.0
    weight[ticks // 2 :] = 2.0 - (ticks % 2 == 0)
    return np.sqrt((weight * mean_square).sum(axis=-1)) / ticks


@pytest.mark.parametrize("electronics", [COLD, WARM])
@pytest.mark.parametrize("ticks", [200, 3427])
def test_formula_has_the_charge_that_is_asked_for(electronics, ticks):
    """Rms over the peak for one electron, at lengths between and beyond those that are given."""
    lengths = np.array([[-1.0, 0.0, 100.0], [250.0, 500.0, 900.0]])
    found = rms(spectrum(OWN, 0, lengths, ticks, TICK, electronics), ticks) / peak(electronics)
    np.testing.assert_allclose(found, [[150.0, 150.0, 210.0], [300.0, 450.0, 450.0]], rtol=1e-12)
    assert rms(spectrum(OWN, 1, 7.0, ticks, TICK, electronics), ticks) == pytest.approx(400.0 * peak(electronics))
    both = rms(spectrum(COHERENT, 1, 7.0, ticks, TICK, electronics), ticks)
    assert both == pytest.approx(np.hypot(400.0, 100.0) * peak(electronics))


def test_formula_has_the_form_that_is_told():
    """|H|^2 (1 + (f/0.1 MHz)^2), and a hundredth of the variance evenly over all frequencies."""
    ticks = 4000
    found = spectrum(OWN, 1, 300.0, ticks, TICK, COLD)
    f = np.fft.rfftfreq(ticks, TICK)
    pole = 1.996 / 2.2 * np.array([1.477, 1.417 + 0.598j, 1.417 - 0.598j, 1.204 + 1.299j, 1.204 - 1.299j])
    transfer = np.abs(np.prod(pole[:, None] / (pole[:, None] + 2j * np.pi * f), axis=0))
    white = 0.01 * ticks * (400.0 * peak(COLD)) ** 2
    form = transfer**2 * (1.0 + (f / 0.1) ** 2)
    shaped = (found - white) / (found[0] - white)
    np.testing.assert_allclose(shaped, form, rtol=0.0, atol=2e-4)  # what samples fold back from above 1 MHz
    assert 0.05 < f[found.argmax()] < 0.2


@pytest.mark.parametrize("channel", [0, 5, 12])
def test_drawn_noise_has_the_charge(channel):
    """Variance of EVENTS DFTs of 256 samples: its error follows from the spectrum, here 5 of them."""
    wave = repeated(OWN, channel)
    square = spectrum(OWN, KIND[channel], LENGTH[channel], 256, TICK, COLD)
    # of the sum of w |X|^2: variance w^2 <|X|^2>^2 of complex, twice that of real numbers
    relative = np.sqrt(4.0 * (square[1:-1] ** 2).sum() + 2.0 * (square[[0, -1]] ** 2).sum())
    relative /= (2.0 * square.sum() - square[0] - square[-1]) * np.sqrt(EVENTS)
    assert np.mean(wave**2) == pytest.approx(rms(square, 256) ** 2, rel=5.0 * relative)
    assert relative < 0.02


@pytest.mark.parametrize("ticks", [128, 75])
@pytest.mark.parametrize("channel", [3, 9])
def test_spectrum_by_chi_square(ticks, channel):
    """At each frequency 2 n |X|^2/<|X|^2> has the chi square distribution of 2n (real ones: n) degrees of freedom."""
    square = np.abs(np.fft.rfft(repeated(COHERENT, channel, ticks))) ** 2
    ratio = square / spectrum(COHERENT, KIND[channel], LENGTH[channel], ticks, TICK, COLD)
    is_real = np.zeros(ticks // 2 + 1, dtype=bool)
    is_real[0] = True
    is_real[ticks // 2 :] = ticks % 2 == 0
    freedom = np.where(is_real, EVENTS, 2 * EVENTS)
    total = np.where(is_real, 1.0, 2.0) * ratio.sum(axis=0)
    of_each = stats.chi2.cdf(total, freedom)
    assert stats.kstest(of_each, "uniform").pvalue > 1e-3
    assert 1e-3 < stats.chi2.cdf(total.sum(), freedom.sum()) < 1.0 - 1e-3


def test_numbers_are_normal_and_independent():
    """Whitened, real and imaginary parts are standard normal; neighbouring frequencies do not know of each other."""
    ticks = 128
    transform = np.fft.rfft(repeated(OWN, 6, ticks))[:, 1:-1]
    transform /= np.sqrt(spectrum(OWN, 0, LENGTH[6], ticks, TICK, COLD)[1:-1] / 2.0)
    for part in (transform.real, transform.imag):
        assert stats.kstest(part.ravel(), "norm").pvalue > 1e-3
    n = transform[:, 1:].size
    for a, b in (
        (transform.real[:, 1:], transform.real[:, :-1]),
        (transform.imag[:, 1:], transform.real[:, :-1]),
        (transform.imag, transform.real),
        (transform.real[1:], transform.real[:-1]),
    ):
        assert abs(np.mean(a * b)) < 4.0 / np.sqrt(n)


def test_samples_are_normal_and_stationary():
    wave = repeated(OWN, 6, 200)
    size = rms(spectrum(OWN, 0, LENGTH[6], 200, TICK, COLD), 200)
    apart = wave[:, ::20] / size  # samples that hardly know of each other
    assert stats.kstest(apart.ravel(), "norm").pvalue > 1e-3
    variance = np.mean((wave / size) ** 2, axis=0)
    assert np.abs(variance - 1.0).max() < 5.0 * np.sqrt(2.0 / EVENTS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_in_any_batch_and_order(dtype):
    rng = np.random.default_rng(0)
    channel, event = np.tile(np.arange(16), 5), np.repeat([0, 1, -4, 2**33, 9], 16)
    whole = draw(COHERENT, channel, event, dtype=dtype)
    assert whole.dtype == dtype and whole.shape == (80, 256)
    order = rng.permutation(80)
    np.testing.assert_array_equal(draw(COHERENT, channel[order], event[order], dtype=dtype), whole[order])
    for few in (np.array([17]), np.arange(30, 71), order[:33]):
        np.testing.assert_array_equal(draw(COHERENT, channel[few], event[few], dtype=dtype), whole[few])


def test_same_bits_with_any_number_of_threads():
    channel, event = np.tile(np.arange(16), 20), np.repeat(np.arange(20), 16)
    found, most = [], numba.get_num_threads()
    for threads in {1, most}:
        numba.set_num_threads(threads)
        found.append(draw(COHERENT, channel, event))
    numba.set_num_threads(most)
    np.testing.assert_array_equal(found[0], found[-1])


def test_seeds_events_and_channels_differ():
    """Correlations of what differs in one of them are those of independent noise."""
    channel, event = np.array([1, 1, 2, 1]), np.array([0, 1, 0, 2**32])
    waves = np.concatenate((draw(OWN, channel, event, 4000), draw(OWN, channel[:1], event[:1], 4000, seed=4)))
    correlation = np.corrcoef(waves)[np.triu_indices(5, 1)]
    assert np.abs(correlation).max() < 0.15 and np.abs(correlation).min() > 0.0


def test_groups_share_noise():
    """Within a group the covariance is what is coherent, in each plane its own; of others, and events, none."""
    ticks, events = 500, 60
    rows = np.tile(np.arange(16), events), np.repeat(np.arange(events), 16), ticks
    waves, own = (draw(m, *rows, dtype=np.float64).reshape(events, 16, ticks) for m in (COHERENT, OWN))
    common = waves - own
    for group in range(4):
        for channel in range(4 * group + 1, 4 * group + 4):
            np.testing.assert_allclose(common[:, channel], common[:, 4 * group], rtol=0.0, atol=1e-12)
    for channel, charge in ((0, 200.0), (8, 100.0)):
        assert common[:, channel].std() == pytest.approx(charge * peak(COLD), rel=0.05)
    correlation = np.corrcoef(waves.transpose(1, 0, 2).reshape(16, -1))
    between = np.kron(np.eye(4), np.ones((4, 4))) == 0.0
    assert np.abs(correlation[between]).max() < 0.06
    inside = np.kron(np.eye(4), np.ones((4, 4))) - np.eye(16) > 0.0
    assert correlation[inside].min() > 0.03
    assert correlation[0, 1] == pytest.approx(200.0**2 / (200.0**2 + 150.0 * 174.0), abs=0.1)
    assert abs(np.corrcoef(common[0, 0], common[1, 0])[0, 1]) < 0.4


def test_a_group_is_no_channel():
    """Group 0 and channel 0 have the same number, and not the same noise."""
    alone = NoiseModel((Charges((0.0,), (100.0,)),) * 2, (0.0, 0.0), 4)
    together = NoiseModel((Charges((0.0,), (100.0,)),) * 2, (100.0, 100.0), 4)
    channel, event = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    own = draw(alone, channel, event, 4000, dtype=np.float64)[0]
    common = draw(together, channel, event, 4000, dtype=np.float64)[0] - own
    assert abs(np.corrcoef(own, common)[0, 1]) < 0.15


# --- measured spectra

FREQUENCY = np.linspace(0.0, 1.0, 51)


def measured(**changes):
    """A plane of two lengths, taken with the electronics and the samples that are asked for unless they are changed."""
    amplitude = np.stack((np.exp(-((FREQUENCY - 0.1) ** 2) / 0.02), 2.0 * np.exp(-((FREQUENCY - 0.1) ** 2) / 0.02)))
    plane = Spectra(np.array([10.0, 500.0]), FREQUENCY, amplitude, np.array([0.1, 0.1]), 1000, TICK, 14.0, 2.2)
    return NoiseModel((plane._replace(**changes),), (0.0,), 1)


def test_measured_spectrum_comes_back():
    """Mean |DFT| of what is drawn is what the file says: pi/4 of the mean square is the square of the mean."""
    model, n, events = measured(), 1000, 300
    zeros = np.zeros(events, dtype=np.int64)
    wave = noise_of(model, zeros, np.arange(events), 1, np.zeros(1, int), np.array([500.0]), n, TICK, COLD, np.float64)
    expected = np.hypot(np.interp(np.fft.rfftfreq(n, TICK), FREQUENCY, model.planes[0].amplitude[1]), 0.1)
    ratio = np.abs(np.fft.rfft(wave))[:, 1:-1].mean(axis=0) / expected[1:-1]
    error = np.sqrt((4.0 / np.pi - 1.0) / events)
    assert np.std(ratio) == pytest.approx(error, rel=0.2)
    assert np.mean(ratio) == pytest.approx(1.0, abs=5.0 * error / np.sqrt(len(ratio)))
    size = np.sqrt(4.0 / np.pi * np.sum(np.concatenate((expected, expected[1:-1])) ** 2)) / n
    assert rms(spectrum(model, 0, 500.0, n, TICK, COLD), n) == pytest.approx(size, rel=1e-12)


def test_measured_spectrum_is_linear_in_length_and_constant_beyond():
    white = 4.0 / np.pi * 0.1**2
    lengths = (0.0, 10.0, 255.0, 500.0, 9e3)
    of = {length: spectrum(measured(), 0, length, 1000, TICK, COLD) - white for length in lengths}
    np.testing.assert_array_equal(of[0.0], of[10.0])
    np.testing.assert_array_equal(of[9e3], of[500.0])
    np.testing.assert_allclose(np.sqrt(of[255.0][:200]), np.sqrt(of[10.0][:200]) * 1.5, rtol=1e-9)


def test_measured_spectrum_keeps_its_rms_in_other_samples():
    """More samples, and samples of another length where the spectrum ends below the highest frequency of both."""
    size = {ticks: rms(spectrum(measured(), 0, 500.0, ticks, TICK, COLD), ticks) for ticks in (500, 1000, 3427)}
    assert size[500] == pytest.approx(size[1000], rel=1e-2) and size[3427] == pytest.approx(size[1000], rel=1e-2)
    for tick in (0.4, 0.6):
        assert rms(spectrum(measured(), 0, 500.0, 2000, tick, COLD), 2000) == pytest.approx(size[1000], rel=1e-2)


def test_measured_spectrum_follows_the_amplifier():
    """By gain, not by what amplifies later; by the shaping time as the transforms of pulses do. White noise stays."""
    white = 4.0 / np.pi * 0.1**2
    plain = spectrum(measured(), 0, 500.0, 1000, TICK, COLD) - white
    gained = spectrum(measured(gain=7.0), 0, 500.0, 1000, TICK, COLD) - white
    np.testing.assert_allclose(gained, 4.0 * plain, atol=1e-12)
    later = spectrum(measured(), 0, 500.0, 1000, TICK, COLD._replace(postgain=1.2)) - white
    np.testing.assert_allclose(later, plain, atol=1e-12)
    shorter = spectrum(measured(), 0, 500.0, 1000, TICK, COLD._replace(shaping=1.0)) - white
    ratio = np.sqrt(shorter[:200] / plain[:200])
    assert ratio[0] == pytest.approx(1.0 / 2.2, rel=1e-2)  # of the areas of pulses of the same peak
    assert (np.diff(ratio) > 0.0).all()


def test_noise_of_detectors():
    """In counts, of the longest wires: what their papers and Wire-Cell's files have, to a tenth of a count."""
    expected = {"sbnd": (2.42, 1.92), "microboone": (2.23, 1.86), "icarus": (3.01, 2.98), "dune-fd1": (15.39, 12.11)}
    for name, (first, last) in expected.items():
        one = WireDetector.built_in(name)
        for plane, counts in ((0, first), (2, last)):
            found = rms(spectrum(one.noise, plane, 1e4, 4096, TICK, one.electronics), 4096)
            assert found / count(one.adc) == pytest.approx(counts, abs=0.1), (name, plane)
