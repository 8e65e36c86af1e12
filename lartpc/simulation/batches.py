"""Segments in batches of whole events, as the kernels take them."""

from __future__ import annotations

from typing import Any, NamedTuple

from lartpc.arrays import usable_bytes

BYTES_A_STEP = 20_000  # of a device, for a value and gradient, times the readout's `reach`


class Batch(NamedTuple):
    """Segments of whole events, as the kernels take them; n segments."""

    event: Any  # (n,) int64, index into event_id
    event_id: Any  # (n_events,) int64
    start: Any  # (n, 3) x, y, z [cm], simulation frame
    end: Any  # (n, 3)
    dE: Any  # (n,) [MeV]
    dEdx: Any  # (n,) [MeV/cm]
    tick: Any  # (n,) int64, whole ticks of t0
    time: Any  # (n,) the rest of t0 [us]
    place: Any  # (n,) int64, of each among the segments that the batch is made of
    wanted: Any  # (n_wanted,) int64, ascending: the TPCs that are simulated
    pieces: Any = None  # see charge.steps: where the segments leave TPCs, if that has been found

    def select(self, rows: Any) -> Batch:
        """Some of the segments."""
        per_segment = [name for name in self._fields if name not in ("event_id", "wanted", "pieces")]
        return self._replace(**{name: getattr(self, name)[rows] for name in per_segment}, pieces=None)


def held_by_device(xp: Any, reach: int) -> int:
    """Steps that half of a device's memory holds, for a readout of some `reach`.

    A power of 2 of them: so that memory which others have for a while does not change the order of sums.
    """
    held = usable_bytes(xp) // (2 * BYTES_A_STEP * reach)
    return 1 << max(held, 1).bit_length() - 1
