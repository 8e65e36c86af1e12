"""Noise spectra in Wire-Cell's files."""

import bz2
import json

import numpy as np
import pytest

from lartpc.detector.noisefile import read_noise
from lartpc.exceptions import InputError

GAIN = 14.0 * 1.602176634e-13  # [MV/e]


def entry(plane=0, wirelen=1000.0, **changes):
    """A spectrum in the units of the file: mm, ns, MV."""
    freqs = [0.0, 0.0005, 0.001]
    return {
        "period": 500.0,
        "nsamples": 3000,
        "gain": GAIN,
        "shaping": 2200.0,
        "plane": plane,
        "wirelen": wirelen,
        "const": 1e-8,
        "freqs": freqs,
        "amps": [2e-8, 6e-8, 0.0],
        "more": "which is not looked at",
    } | changes


def written(folder, content, packed=True):
    path = folder / ("noise.json.bz2" if packed else "noise.json")
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(bz2.compress(text) if packed else text)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_units_and_order(packed, tmp_path):
    content = [entry(1), entry(0, 4000.0, amps=[4e-8, 8e-8, 1e-8], const=3e-8), entry(0)]
    first, second = read_noise(written(tmp_path, content, packed), 2)
    np.testing.assert_allclose(first.length, [100.0, 400.0])
    np.testing.assert_allclose(first.frequency, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(first.amplitude, [[20.0, 60.0, 0.0], [40.0, 80.0, 10.0]])
    np.testing.assert_allclose(first.white, [10.0, 30.0])
    assert (first.samples, first.period, first.shaping) == (3000, 0.5, 2.2)
    assert first.gain == pytest.approx(14.0)
    np.testing.assert_allclose(second.length, [100.0])


def test_frequencies_in_any_order_and_mirrored(tmp_path):
    """Above that of every other sample they are those below once more."""
    freqs, amps = [0.002, 0.0015, 0.0, 0.0005, 0.001], [2e-8, 6e-8, 2e-8, 6e-8, 0.0]
    (found,) = read_noise(written(tmp_path, [entry(freqs=freqs, amps=amps)]), 1)
    (plain,) = read_noise(written(tmp_path, [entry()]), 1)
    np.testing.assert_array_equal(found.frequency, plain.frequency)
    np.testing.assert_array_equal(found.amplitude, plain.amplitude)


def test_of_several_of_a_length_the_mean(tmp_path):
    finer = entry(freqs=[0.0, 0.00025, 0.0005, 0.001], amps=[4e-8, 6e-8, 8e-8, 0.0], const=2e-8)
    (found,) = read_noise(written(tmp_path, [entry(), finer]), 1)
    np.testing.assert_allclose(found.amplitude, [[30.0, 70.0, 0.0]])
    np.testing.assert_allclose(found.white, [15.0])


@pytest.mark.parametrize(
    "content, complaint",
    [
        ({}, "found {}, allowed is a list of noise spectra"),
        ([], "found [], allowed is a list of noise spectra"),
        ([3], "spectrum 0: found 3, allowed is a mapping of keys to values"),
        ([entry(plane=2)], "spectrum 0: plane: found 2, allowed is a whole number from 0 to 1"),
        ([entry(nsamples=1)], "spectrum 0: nsamples: found 1, allowed is a whole number from 2 to 10000000"),
        ([entry(period=-5)], "spectrum 0: period: found -5, allowed is a number from 10 to 100000 [ns]"),
        ([entry(gain=5500 * GAIN)], "spectrum 0: gain: found 1.23"),
        ([entry(shaping=2.2)], "spectrum 0: shaping: found 2.2, allowed is a number from 100 to 20000 [ns]"),
        ([entry(wirelen=float("nan"))], "spectrum 0: wirelen: found nan, allowed is a number from 0 to 1e+06 [mm]"),
        ([entry(const="x")], "spectrum 0: const: found 'x', allowed is a number from 0 to 0.001 [MV]"),
        ([entry(amps=[1.0])], "spectrum 0: amps: found 1 numbers, allowed are 3, as many as freqs"),
        ([entry(amps=[1.0, [2.0], 3.0])], "spectrum 0: amps: found [1.0, [2.0], 3.0], allowed is a list of numbers"),
        ([entry(amps=7)], "spectrum 0: amps: found 7, allowed is a list of numbers"),
        ([entry(amps=[0, 1, float("inf")])], "spectrum 0: amps: found inf at 2, allowed are finite numbers"),
        ([entry(freqs=[0, -1, 1])], "spectrum 0: freqs: found -1 at 1, allowed are numbers from 0 on"),
        ([entry(freqs=[1, 2, 3])], "spectrum 0: freqs: found 1 and more, allowed is up to 0.001 [1/ns]"),
        ([entry()], "plane 1: found no spectrum, allowed is one or more of each plane"),
        (
            [entry(0), entry(1), entry(0, nsamples=4000)],
            "plane 0: nsamples: found 3000 and 4000, allowed is one of all spectra",
        ),
    ],
)
def test_wrong_content_is_told_in_one_line(content, complaint, tmp_path):
    path = written(tmp_path, content)
    with pytest.raises(InputError) as found:
        read_noise(path, 2)
    assert str(found.value).startswith(f"{path}: {complaint}") and "\n" not in str(found.value)


@pytest.mark.parametrize("key", [key for key in entry() if key != "more"])
def test_a_key_that_is_missing_is_named(key, tmp_path):
    content = [{name: value for name, value in entry().items() if name != key}]
    with pytest.raises(InputError, match=f"spectrum 0: key '{key}' is missing, found are '"):
        read_noise(written(tmp_path, content), 1)
