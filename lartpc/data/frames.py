"""Waveforms of wires: sparse windows with what is in them, and frames of all channels."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass
class Waveforms:
    """Waveforms of channels where they have any, sparse; one row a window, of which a channel and event may have many.

    Window i holds `samples[offset[i] : offset[i] + ticks[i]]`; its sample k is that of tick start_tick[i] + k.
    """

    event_id: np.ndarray  # (n,) int64
    channel: np.ndarray  # (n,) int64
    start_tick: np.ndarray  # (n,) int64
    offset: np.ndarray  # (n,) int64
    ticks: np.ndarray  # (n,) int32
    samples: np.ndarray  # (sum of ticks,) float32 [mV] above the baseline, or int16 [ADC]

    def __len__(self) -> int:
        return len(self.event_id)

    def select(self, rows: np.ndarray) -> Waveforms:
        """The given windows (indices, or a mask of shape (n,)) with their samples alone, in their order."""
        chosen = {name: column[rows] for name, column in vars(self).items() if name != "samples"}
        ticks = chosen["ticks"].astype(np.int64)
        offset = np.cumsum(ticks) - ticks
        at = np.arange(ticks.sum()) + np.repeat(chosen["offset"] - offset, ticks)
        return Waveforms(**{**chosen, "offset": offset}, samples=self.samples[at])


@dataclasses.dataclass
class WindowTruth:
    """Which segments the charge in windows comes from, columns of shape (n,), one row a window and segment.

    The rows of a window need not be together; windows and segments that nothing arrives from have none.
    """

    window: np.ndarray  # int64, row in the `Waveforms`
    segment: np.ndarray  # int64, row in the segments
    charge: np.ndarray  # float32, that arrives [e]

    def __len__(self) -> int:
        return len(self.window)

    def select(self, rows: np.ndarray) -> WindowTruth:
        """The given rows (indices, or a mask of shape (n,)) of every column."""
        return WindowTruth(**{name: column[rows] for name, column in vars(self).items()})


@dataclasses.dataclass
class Frame:
    """All samples of the channels of one event and anode."""

    event_id: int
    anode: int
    channels: np.ndarray  # (n,) int64, each once
    samples: np.ndarray  # (n, n_ticks) int16 [ADC], or float32
    time: float  # of the first sample [us]
    tick: float  # time between samples [us]
    first_tick: int  # number of the tick of the first sample

    def __len__(self) -> int:
        return len(self.channels)

    def select(self, rows: np.ndarray) -> Frame:
        """The given channels (indices, or a mask of shape (n,))."""
        return dataclasses.replace(self, channels=self.channels[rows], samples=self.samples[rows])
