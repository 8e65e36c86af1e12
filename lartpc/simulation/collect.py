"""What comes out of batches, put together: tables and sums."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from lartpc.arrays import namespace, to_numpy
from lartpc.charge.steps import Steps
from lartpc.data.hits import Hits, WaveformTable
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.frontend.frontend import Reads
from lartpc.response.windows import Windows
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms


class Summary(NamedTuple):
    """What went in and what came out; charges in electrons."""

    segments: int
    kept: int  # at least partly in a TPC
    outside: int  # wholly outside every TPC
    energy: float  # deposited [MeV], outside too
    electrons: float  # that escaped recombination, in the TPCs
    drifted: float  # that arrived at the anodes
    cut: float  # of these, beyond the edge of a pixel plane
    collected: float  # integral of all waveforms
    hits: int
    charge: float  # of the hits, as read
    limited: int  # pixels of single events with as many reads as there may be, after which they have no more
    noise_hits: int  # of the hits, those that no charge made
    repeated: int  # segments whose id another one of their event has


def add(summaries: Iterable[Summary]) -> Summary:
    """The summary of all together."""
    none = Summary(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0, 0, 0)
    return Summary(*map(sum, zip(none, *summaries, strict=True)))


def summarise(segments: Segments, counts: Iterable[tuple], hits: Hits, noise_hits: int) -> Summary:
    """Of the sums of batches: kept, electrons, drifted, cut, collected and limited, as `Simulation.simulate` gives."""
    kept, electrons, drifted, cut, collected, limited = np.sum([(0,) * 6, *counts], axis=0).tolist()
    return Summary(
        segments=len(segments),
        kept=int(kept),
        outside=len(segments) - int(kept),
        energy=float(np.sum(segments.dE, dtype=np.float64)),
        electrons=electrons,
        drifted=drifted,
        cut=cut,
        collected=collected,
        hits=len(hits),
        charge=total(hits.charge),
        limited=int(limited),
        noise_hits=noise_hits,
        repeated=segments.repeated,
    )


def total(array: Any) -> float:
    """Sum in float64."""
    return float(array.sum(dtype=np.float64))


def concatenate(table: type, tables: Iterable[Any]) -> Any:
    """Tables of columns joined; an empty one where there are none."""
    tables = list(tables)
    names = [field.name for field in dataclasses.fields(table)]
    return table(**{name: np.concatenate([getattr(p, name) for p in tables] or [np.zeros(0)]) for name in names})


def join_windows(tables: Iterable[WaveformTable]) -> WaveformTable:
    """Waveforms of several batches in one table."""
    tables = list(tables)
    shift = np.cumsum([0] + [len(table.current) for table in tables])
    for table, by in zip(tables, shift, strict=False):
        table.offset = table.offset + by
    return concatenate(WaveformTable, tables)


def valid(reads: Reads) -> tuple[Any, Any]:
    """(pixel, read) of the reads that are hits, in the order of pixel and read."""
    xp = namespace(reads.count)
    used = xp.arange(reads.valid.shape[1]) < reads.count[:, None]
    return xp.nonzero(used & (reads.valid == 1))


def beyond_planes(steps: Steps, detector: Detector, width: float) -> float:
    """Charge [e] that diffuses beyond the edges of the pixel planes."""
    d = detector
    tpc = to_numpy(steps.tpc)
    inside = 1.0
    for pixel, at, n in ((steps.column, steps.x, d.n_x), (steps.row, steps.y, d.n_y)):
        at, sigma = to_numpy(pixel) * d.pitch[tpc] + to_numpy(at), to_numpy(steps.sigma_T)
        high = np.minimum((n * d.pitch)[tpc] - at, width * sigma) / sigma
        low = np.maximum(-at, -width * sigma) / sigma
        inside = inside * np.maximum(ndtr(high) - ndtr(low), 0.0) / (ndtr(width) - ndtr(-width))
    return float(np.sum(to_numpy(steps.charge) * (1.0 - inside)))


def hits_of(
    waveforms: Waveforms, reads: Reads, at: tuple[Any, Any], adc: Any, batch: Batch, detector: Detector
) -> Hits:
    """The reads at `at` as a table."""
    windows = waveforms.windows
    row = to_numpy(at[0])
    number = np.arange(len(row)) - np.searchsorted(row, row, side="left")
    pixel = to_numpy(windows.pixel)[row]
    tpc, ix, iy, x, y = detector.locate(pixel)
    start = to_numpy(windows.tick)[to_numpy(reads.window[at])]
    return Hits(
        event_id=to_numpy(batch.event_id)[to_numpy(windows.event)[row]],
        pixel_id=pixel,
        tpc=tpc,
        ix=ix,
        iy=iy,
        hit=number,
        x=x,
        y=y,
        z_anode=detector.z_anode[tpc],
        t=start * detector.tick + to_numpy(reads.time[at]).astype(np.float64),
        charge=to_numpy(reads.charge[at]),
        adc=to_numpy(adc[at]),
    )


def windows_of(waveforms: Waveforms, batch: Batch) -> WaveformTable:
    """The waveforms as a table."""
    windows = Windows(*(to_numpy(array) for array in waveforms.windows))
    pixel = np.repeat(np.arange(len(windows.pixel)), np.diff(windows.of_pixel))
    return WaveformTable(
        event_id=to_numpy(batch.event_id)[windows.event[pixel]],
        pixel_id=windows.pixel[pixel],
        start_tick=windows.tick,
        offset=windows.first[:-1],
        ticks=np.diff(windows.first),
        current=to_numpy(waveforms.current).astype(np.float32),
    )
