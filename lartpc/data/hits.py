"""Hits and waveforms as tables."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass
class Hits:
    """Hits, columns of shape (n,), one row a hit, in files ordered by (event_id, pixel_id, hit).

    Pixel centres are in the simulation frame (z is the drift axis). See `Detector` for pixel ids.
    """

    event_id: np.ndarray  # int64
    pixel_id: np.ndarray  # int64
    tpc: np.ndarray
    ix: np.ndarray
    iy: np.ndarray
    hit: np.ndarray  # 0 for the first of its pixel and event
    x: np.ndarray  # centre of the pixel [cm]
    y: np.ndarray  # [cm]
    z_anode: np.ndarray  # [cm]
    t: np.ndarray  # time of the threshold crossing, float64 [us]
    charge: np.ndarray  # [e]
    adc: np.ndarray  # [ADC counts]

    def __len__(self) -> int:
        return len(self.event_id)

    def select(self, rows: np.ndarray) -> Hits:
        """The given rows (indices, or a mask of shape (n,)) of every column."""
        return Hits(**{name: column[rows] for name, column in vars(self).items()})


@dataclasses.dataclass
class WaveformTable:
    """Currents of the pixels that have any, sparse: one window a pixel and event.

    Window i holds `current[offset[i] : offset[i] + ticks[i]]` [e/us]; its tick k is at time
    (start_tick[i] + k) * tick, with the detector's `tick` [us].
    """

    event_id: np.ndarray  # (n,) int64
    pixel_id: np.ndarray  # (n,) int64
    start_tick: np.ndarray  # (n,) int64
    offset: np.ndarray  # (n,) int64
    ticks: np.ndarray  # (n,) int32
    current: np.ndarray  # (sum of ticks,) float32 [e/us]

    def __len__(self) -> int:
        return len(self.event_id)
