"""Lists of hits, event by event, as the losses between them take them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import offsets, to_numpy
from lartpc.frontend.frontend import Reads
from lartpc.response.windows import Windows
from lartpc.simulation.batches import Batch
from lartpc.simulation.collect import valid
from lartpc.simulation.simulation import Simulation


class HitList(NamedTuple):
    """Hits of some events, in the order of event, x, y and time; n hits, float64 but for `first` and `pixel`."""

    first: Any  # (n_events + 1,) int64, where the hits of each event start, and their end
    pixel: Any  # (n,) int64, pixel id
    x: Any  # (n,) centre of the pixel [cm]
    y: Any  # (n,) [cm]
    time: Any  # (n,) [us]
    charge: Any  # (n,) [e]
    adc: Any  # (n,) [ADC counts], clipped, not rounded


def present_events(batch: Batch) -> np.ndarray:
    """The events of a batch, ascending (n_events,), as indices into batch.event_id: event k of a `HitList` is the k-th.

    So `np.searchsorted(present_events(batch), windows.event)` is the number of the event of each pixel of `windows`.
    """
    return np.unique(to_numpy(batch.event))


def make_hit_list(xp: Any, n_events: int, event: np.ndarray, **columns: np.ndarray) -> tuple[HitList, np.ndarray]:
    """The hits in order as arrays of `xp`, and that order (n,): event (n,) from 0 and the `columns` of a `HitList`."""
    order = np.lexsort((columns["time"], columns["y"], columns["x"], event))
    first = offsets(np.bincount(event, minlength=n_events))
    kinds = {"pixel": np.int64}
    arrays = {name: xp.asarray(column[order].astype(kinds.get(name, np.float64))) for name, column in columns.items()}
    return HitList(first=xp.asarray(first), **arrays), order


def simulated_hits(
    simulation: Simulation, batch: Batch, windows: Windows, reads: Reads, adc: Any
) -> tuple[HitList, tuple[Any, Any]]:
    """The valid reads of a batch with all its events, and the index (rows, columns) of each hit in the arrays of reads.

    adc (n_pixels, max_hits), not rounded. With `index`, `reads.charge[index]` are the charges in the list's order, and
    derivatives by them go back as `seed[index] = derivatives`. Events are numbered as `present_events` says.
    """
    detector = simulation.detector
    at = valid(reads)
    row = to_numpy(at[0])
    events = present_events(batch)
    pixel = to_numpy(windows.pixel)[row]
    _, _, _, x, y = detector.locate(pixel)
    start = to_numpy(windows.tick)[to_numpy(reads.window[at])]
    hits, order = make_hit_list(
        simulation.xp,
        len(events),
        np.searchsorted(events, to_numpy(windows.event)[row]),
        pixel=pixel,
        x=x,
        y=y,
        time=start * detector.tick + to_numpy(reads.time[at]).astype(np.float64),
        charge=to_numpy(reads.charge[at]),
        adc=to_numpy(adc[at]),
    )
    order = simulation.xp.asarray(order)
    return hits, (at[0][order], at[1][order])
