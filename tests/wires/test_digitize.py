"""The ADC of wires."""

import numpy as np
import pytest

from lartpc.detector.waveforms import Adc
from lartpc.exceptions import InputError
from lartpc.wires.digitize import count, digitize, rounding_variance, undigitize

ADC = Adc(bits=12, low=0.8, high=3300.0, baseline=(1650.0, 322.3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_are_the_formula(dtype):
    waveform = np.random.default_rng(0).normal(0.0, 200.0, (3, 500)).astype(dtype)
    for plane in (0, 1):
        value = (waveform.astype(np.float64) + ADC.baseline[plane] - 0.8) / (3300.0 - 0.8) * 4095
        found = digitize(waveform, ADC, plane)
        assert found.dtype == np.int16
        clear = np.abs(value % 1.0 - 0.5) > 1e-3  # halves by rounding of the numbers themselves
        np.testing.assert_array_equal(found[clear], np.clip(np.round(value), 0, 4095)[clear])


def test_without_signal_there_is_the_baseline():
    zeros = np.zeros((2, 4), dtype=np.float32)
    expected = [round((baseline - 0.8) / (3300.0 - 0.8) * 4095) for baseline in ADC.baseline]
    np.testing.assert_array_equal(digitize(zeros, ADC, np.array([[0], [1]])), np.repeat([expected], 4, axis=0).T)
    assert expected == [2047, 399]  # 2048 and 400 of 4096 counts, as ICARUS has them


@pytest.mark.parametrize("bits", [12, 14, 15])
def test_both_ends_saturate(bits):
    adc = ADC._replace(bits=bits)
    waveform = np.array([-1e9, -400.0, -321.5, 0.0, 2977.7, 3500.0, 1e9], dtype=np.float32)
    found = digitize(waveform, adc, 1)
    assert found[[0, 1, 2]].tolist() == [0, 0, 0]
    assert found[[4, 5, 6]].tolist() == [2**bits - 1] * 3
    assert 0 < found[3] < 2**bits - 1
    np.testing.assert_allclose(undigitize(found, adc, 1)[[0, -1]], [0.8 - 322.3, 3300.0 - 322.3], rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_give_the_waveform_back(dtype):
    """Within half a step, and the same counts again; errors are even, with the variance that is told."""
    planes = np.array([[0], [1]])
    waveform = np.random.default_rng(1).uniform(-200.0, 900.0, (2, 20000)).astype(dtype)
    found = digitize(waveform, ADC, planes)
    back = undigitize(found, ADC, planes, dtype)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, waveform, rtol=0.0, atol=0.501 * count(ADC))
    np.testing.assert_array_equal(digitize(back, ADC, planes), found)
    error = back.astype(np.float64) - waveform
    assert abs(error.mean()) < 5.0 * error.std() / np.sqrt(error.size)
    assert error.var() == pytest.approx(rounding_variance(ADC), rel=5.0 * np.sqrt(0.8 / error.size))


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"bits": 16}, "adc: bits: found 16, allowed is a whole number from 1 to 15"),
        ({"bits": 0}, "adc: bits: found 0, allowed is a whole number from 1 to 15"),
        ({"high": 0.8}, "adc: high: found 0.8 mV, allowed is a number above low, 0.8"),
    ],
)
def test_refusals(changes, complaint):
    for act in (digitize, undigitize):
        with pytest.raises(InputError) as found:
            act(np.zeros(3), ADC._replace(**changes), 0)
        assert str(found.value) == complaint
