"""Spans: windows of channels made longer, so that they hold what high passes give after a signal and between two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace, offsets, owners, run_starts, to_numpy
from lartpc.autodiff.launch import plain
from lartpc.detector.waveforms import Electronics
from lartpc.response.windows import Windows
from lartpc.wires.electronics import behind_high_passes


class Stretches(NamedTuple):
    """Ticks of channels (n,) int64 each: index of the event, channel, first tick, and one after the last."""

    event: np.ndarray
    channel: np.ndarray
    begin: np.ndarray
    end: np.ndarray


class Spans(NamedTuple):
    """Windows that hold all samples of others and of some stretches of time, as few as there can be."""

    windows: Windows  # without pairs
    narrow: Any  # (n_samples,) int64, where the samples of the other windows are in these
    place: np.ndarray  # (n_stretches,) int64, where each stretch begins

    def behind_high_passes(self, bare: Sequence[Any], electronics: Electronics, tick: float) -> Any:
        """Waveforms of the narrow windows, each (n_samples,), behind the high passes (n_waveforms, n_wide)."""
        xp = namespace(self.windows.tick)
        wide = xp.zeros((len(bare), int(self.windows.first[-1])), dtype=bare[0].dtype)
        for k, one in enumerate(bare):
            wide[k, self.narrow] = one
        if not electronics.rc:
            return wide
        return xp.stack([behind_high_passes(row, self.windows, electronics, tick, plain) for row in wide])


def spans_of(windows: Windows, stretches: Stretches) -> Spans:
    """The windows and the stretches, of which those that overlap or touch are one."""
    first, tick = to_numpy(windows.first), to_numpy(windows.tick)
    n = len(tick)
    row = owners(to_numpy(windows.of_pixel), n)
    own = Stretches(to_numpy(windows.event)[row], to_numpy(windows.pixel)[row], tick, tick + np.diff(first))
    event, channel, begin, end = (np.concatenate(pair) for pair in zip(own, stretches, strict=True))
    order = np.lexsort((begin, channel, event))
    event, channel = event[order], channel[order]
    channels = run_starts(event, channel)
    # On an axis of time on which channels follow each other, none reaches into the next.
    shift = owners(np.append(channels, len(order)), len(order)) * (
        int(end.max(initial=0)) - int(begin.min(initial=0)) + 1
    )
    begins, reached = begin[order] + shift, np.maximum.accumulate(end[order] + shift)
    opens = begins > np.concatenate((begins[:1] - 1, reached[:-1]))
    start = np.flatnonzero(opens)
    last = np.append(start[1:], len(order))[: len(start)] - 1
    length = reached[last] - begins[start]
    of = np.cumsum(opens) - 1
    samples = offsets(length)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = samples[of] + begins - begins[start][of]
    of_channel = np.append(of[channels], len(start))
    xp = namespace(windows.tick)
    made = (event[channels], channel[channels], of_channel, None, samples, begin[order][start])
    wide = Windows(*(one if one is None else xp.asarray(one) for one in made))
    narrow = np.repeat(place[:n] - first[:-1], np.diff(first)) + np.arange(int(first[-1]))
    return Spans(wide, xp.asarray(narrow), place[n:])
