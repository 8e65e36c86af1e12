"""What amplifiers make of a charge."""

import numpy as np
import pytest
from wire_channels import COLD, WARM

from lartpc.detector.waveforms import Electronics
from lartpc.detector.wires import BUILT_IN, WireDetector
from lartpc.exceptions import InputError
from lartpc.wires.electronics import CHARGE, check, impulse, impulse_slopes, peak

T = np.linspace(-5.0, 40.0, 90001)  # [us]
# Residues of Wire-Cell's `coldelec`, in shaping times, where it is written out as exponentials, sines and cosines.
KNOWN = (4.31054, -2.6202, 0.464924, 0.762456, 0.327684)


def coldelec(u):
    """Wire-Cell's `coldelec` (util/src/Response.cxx), its terms in order: 1.012 x 10 times this has peak 1."""
    one, two, three, four, five = KNOWN
    middle, slow = np.exp(-2.82833 * u), np.exp(-2.40318 * u)
    angle, other = 1.19361 * u, 2.5928 * u
    result = one * np.exp(-2.94809 * u) + two * middle * (np.cos(angle) + np.cos(angle) * np.cos(2 * angle))
    result += three * slow * (np.cos(other) + np.cos(other) * np.cos(2 * other) + np.sin(other) * np.sin(2 * other))
    result += four * middle * (np.sin(angle) - np.cos(2 * angle) * np.sin(angle) + np.cos(angle) * np.sin(2 * angle))
    result += two * middle * np.sin(angle) * np.sin(2 * angle)
    return result - five * slow * (
        np.sin(other) - np.cos(2 * other) * np.sin(other) + np.cos(other) * np.sin(2 * other)
    )


@pytest.mark.parametrize("shaping", [0.5, 1.0, 2.2, 3.0])
def test_cold_pulse(shaping):
    """Peak at 1.174 shaping times, as high as the gain says; 2.79 us x peak of charge at 2.2 us; none before 0."""
    electronics = COLD._replace(shaping=shaping, postgain=1.5)
    h = impulse(electronics, T)
    assert T[h.argmax()] == pytest.approx(1.1736 * shaping, abs=2e-3)
    assert peak(electronics) == pytest.approx(14.0 * 1.5 * CHARGE)
    assert h.max() == pytest.approx(peak(electronics), rel=1e-6) and h.max() <= peak(electronics)
    assert np.trapezoid(h, T) / peak(electronics) == pytest.approx(2.7918 * shaping / 2.2, rel=1e-4)
    assert (h[T < 0.0] == 0.0).all()
    assert np.abs(h[T > 10.0 * shaping]).max() < 1e-7 * h.max()


def test_cold_pulse_is_the_published_one():
    """Its poles are rounded: the forms differ by a thousandth of the peak."""
    u = np.linspace(0.0, 8.0, 2001)
    ours = impulse(COLD, 2.2 * u) / peak(COLD)
    np.testing.assert_allclose(ours, 10.12 * coldelec(u), atol=2e-3)


def test_warm_pulse():
    """gain (1 - exp(-(0.9 u)^2/2)) exp(-(0.5 u)^2/2), at any u."""
    u = np.array([-1.0, 0.0, 0.3, 1.0, 1.8889, 3.0, 7.0])
    expected = 15.0 * CHARGE * (1.0 - np.exp(-((0.9 * u) ** 2) / 2.0)) * np.exp(-((0.5 * u) ** 2) / 2.0)
    expected[0] = 0.0
    np.testing.assert_allclose(impulse(WARM, 1.3 * u), expected, rtol=1e-12, atol=1e-20)
    h = impulse(WARM, T)
    assert h.max() == pytest.approx(peak(WARM), rel=1e-7)
    assert peak(WARM) == pytest.approx(0.48927 * 15.0 * CHARGE, rel=1e-5)
    assert T[h.argmax()] == pytest.approx(1.8886 * 1.3, abs=2e-3)


@pytest.mark.parametrize("electronics", [COLD, WARM])
def test_slopes_are_those_of_differences(electronics):
    t = np.linspace(0.01, 15.0, 400)
    slopes = impulse_slopes(electronics, t)
    for row, name in enumerate(("gain", "shaping")):
        step = 1e-5 * getattr(electronics, name)
        ends = [impulse(electronics._replace(**{name: getattr(electronics, name) + s}), t) for s in (step, -step)]
        most = 1e-8 * np.abs(slopes[row]).max()
        np.testing.assert_allclose(slopes[row], (ends[0] - ends[1]) / (2.0 * step), atol=most)


def test_charges_of_detectors():
    """What one electron gives, in counts, is what their papers say: of SBND 196 e a count."""
    every = [WireDetector.built_in(name) for name in BUILT_IN]
    assert [one.adc.bits for one in every] == [12, 12, 12, 14]
    for one in every:
        check(one.electronics)
        assert len(one.noise.planes) == len(one.noise.coherent) == len(one.adc.baseline) == 3
        assert all(one.adc.low < baseline < one.adc.high for baseline in one.adc.baseline)
    sbnd = WireDetector.built_in("sbnd")
    assert 1800.0 / 4095 / peak(sbnd.electronics) == pytest.approx(196.0, abs=0.1)


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"kind": "cool"}, "electronics: kind: found 'cool', allowed is cold or warm"),
        ({"gain": 0.0}, "electronics: gain: found 0, allowed is a number above 0"),
        ({"shaping": float("nan")}, "electronics: shaping: found nan, allowed is a number above 0"),
        ({"rc": (-1.0,)}, "electronics: rc: found -1, allowed is a number above 0"),
        ({"rc": (1.0, 2.0, 3.0)}, "electronics: rc: found 3 time constants, allowed are up to two"),
    ],
)
def test_refusals(changes, complaint):
    with pytest.raises(InputError) as found:
        impulse(COLD._replace(**changes), T)
    assert str(found.value) == complaint


def test_electronics_is_a_plain_tuple():
    assert Electronics(*COLD) == COLD and hash(COLD)
