"""Windows made longer: where their samples are, and what high passes give in them."""

import numpy as np
import pytest

from lartpc.detector.waveforms import Electronics
from lartpc.response.windows import Windows
from lartpc.wires.spans import Stretches, spans_of


def windows_of(rows):
    """`Windows` of (event, channel, first tick, ticks) in that order."""
    event, channel, tick, ticks = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    keys = np.stack((event, channel), axis=1)
    own, first = np.unique(keys, axis=0, return_index=True)
    samples = np.concatenate(([0], np.cumsum(ticks)))
    return Windows(own[:, 0], own[:, 1], np.append(first, len(tick)), None, samples, tick)


def stretches_of(rows):
    event, channel, tick, ticks = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Stretches(event, channel, tick, tick + ticks)


def samples_of(windows):
    """(event, channel, tick) of every sample."""
    found = []
    for c in range(len(windows.event)):
        for w in range(windows.of_pixel[c], windows.of_pixel[c + 1]):
            ticks = range(windows.tick[w], windows.tick[w] + windows.first[w + 1] - windows.first[w])
            found += [(windows.event[c], windows.pixel[c], tick) for tick in ticks]
    return found


CASES = {
    "several stretches within one window": ([(0, 5, 0, 1500)], [(0, 5, 100, 256), (0, 5, 700, 256)]),
    "one stretch over several windows": ([(0, 5, 0, 10), (0, 5, 30, 10)], [(0, 5, -5, 60)]),
    "before, between and after": (
        [(0, 5, 100, 20), (0, 5, 300, 20), (2, 5, 100, 20)],
        [(0, 5, 50, 40), (0, 5, 200, 50), (0, 5, 320, 7), (0, 5, 110, 30), (1, 5, 100, 9), (2, 4, 0, 3)],
    ),
    "no window": ([], [(3, 1, -10, 4), (3, 1, 0, 4)]),
    "no stretch": ([(0, 5, -100, 20), (0, 5, 300, 20), (0, 6, 300, 1)], []),
    "an empty stretch": ([(0, 5, 100, 20)], [(0, 5, 110, 0), (0, 7, 4, 0)]),
    "nothing": ([], []),
}


@pytest.mark.parametrize("windows, stretches", CASES.values(), ids=CASES)
def test_all_samples_are_where_they_are_told_to_be(windows, stretches):
    windows, stretches = windows_of(windows), stretches_of(stretches)
    spans = spans_of(windows, stretches)
    found, own = samples_of(spans.windows), samples_of(windows)
    wanted = [
        [(event, channel, tick) for tick in range(begin, end)]
        for event, channel, begin, end in zip(*(one.tolist() for one in stretches), strict=True)
    ]
    assert len(set(found)) == len(found) and set(found) == set(own).union(*wanted)
    assert [found[k] for k in spans.narrow] == own
    for place, ticks in zip(spans.place.tolist(), wanted, strict=True):
        assert found[place : place + len(ticks)] == ticks
    gaps = spans.windows.tick[1:] - (spans.windows.tick + np.diff(spans.windows.first))[:-1]
    inner = np.isin(np.arange(1, len(spans.windows.tick)), spans.windows.of_pixel, invert=True)
    assert (gaps[inner] > 0).all()


@pytest.mark.parametrize("rc", [(), (60.0,), (60.0, 60.0), (30.0, 90.0)])
def test_high_passes_go_on_in_them(rc):
    """As a convolution with delta - (dt/tau) exp(-t/tau) of the channel's whole waveform has it."""
    windows = windows_of([(0, 5, 10, 40), (0, 5, 300, 30), (0, 8, 20, 30)])
    spans = spans_of(windows, stretches_of([(0, 5, 200, 60), (0, 5, 400, 50), (0, 8, 0, 500)]))
    bare = np.random.default_rng(0).normal(1.0, 0.3, windows.first[-1])
    electronics = Electronics("cold", 14.0, 2.0, 1.0, rc)
    found = spans.behind_high_passes((bare, -2.0 * bare), electronics, 0.5)
    expected = {channel: np.zeros(500) for channel in (5, 8)}
    for value, (_, channel, tick) in zip(bare, samples_of(windows), strict=True):
        expected[channel][tick] = value
    for tau in rc:
        pulse = -0.5 / tau * np.exp(-0.5 * np.arange(500) / tau)
        pulse[0] += 1.0
        expected = {channel: np.convolve(wave, pulse)[:500] for channel, wave in expected.items()}
    wanted = np.array([expected[channel][tick] for _, channel, tick in samples_of(spans.windows)])
    assert np.abs(wanted).max() > 0.5
    np.testing.assert_allclose(found, [wanted, -2.0 * wanted], rtol=0.0, atol=1e-12)
