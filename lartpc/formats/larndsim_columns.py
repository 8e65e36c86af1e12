"""The columns of segments that a simulation fills, as larnd-sim's users read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.charge.velocity import drift_velocities
from lartpc.data.attribution import Attribution
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.files.hdf5 import fields_of
from lartpc.formats.edepsim import file_table
from lartpc.parameters import Parameters

OUTSIDE = 0xBEEF  # pixel_plane of segments outside every TPC, as in larnd-sim
_ADDED = [("segment_id", "u4"), ("n_electrons", "u4"), ("pixel_plane", "i4"), ("n_photons", "f4")]
_ADDED += [("long_diff", "f4"), ("tran_diff", "f4"), ("t", "f4"), ("t_start", "f4"), ("t_end", "f4")]
_DEPOSIT = ("t0", "t0_start", "t0_end")


def filled_dtype(dtype: np.dtype) -> np.dtype:
    """The type of `filled_segments` of a table of the given type."""
    fields: list[tuple[str, Any]] = [(name, dtype[name]) for name in fields_of(dtype)]
    fields += [(name, kind) for name, kind in _ADDED if name not in fields_of(dtype)]
    fields += [(name, "f8") for name in _DEPOSIT if name not in fields_of(dtype)]
    return np.dtype(fields)


def filled_segments(
    segments: Segments, attribution: Attribution, detector: Detector, parameters: Parameters
) -> np.ndarray:
    """The table of `segments`, in the file's frame, with its scratch columns filled and those added that it lacks.

    n_electrons: what arrives at the anode; pixel_plane: the TPC where most of it does. With d the distance of the
    segment's middle to that anode and v the drift velocity: t = t0 + d/v [us], long_diff = sqrt(2 D_L d/v),
    tran_diff = sqrt(2 D_T d/v) [cm]; t_start and t_end the first and last arrival of its ends. Outside every TPC they
    are 0. Files without t0 hold the time of the deposit in t: it is kept as t0.
    """
    raw = file_table(segments) if segments.raw is None else segments.raw
    names = fields_of(raw.dtype)
    table = np.zeros(len(raw), dtype=filled_dtype(raw.dtype))
    for name in names:
        table[name] = raw[name]
    if "segment_id" not in names:
        table["segment_id"] = segments.segment_id
    for name in _DEPOSIT:
        if name not in names:
            table[name] = segments.t0

    inside = attribution.tpc >= 0
    v = drift_velocities(detector, parameters)[detector.module[attribution.tpc]]
    z_anode = detector.z_anode[attribution.tpc]
    length = np.abs(detector.z_cathode - detector.z_anode)[attribution.tpc]
    start, middle, end = (
        np.clip(np.abs(z - z_anode), 0.0, length) / v
        for z in (segments.z_start, 0.5 * (segments.z_start + segments.z_end), segments.z_end)
    )
    columns = {
        "n_electrons": np.clip(np.rint(attribution.electrons), 0, 2**32 - 1),
        "long_diff": np.sqrt(2.0 * parameters.long_diff * middle),
        "tran_diff": np.sqrt(2.0 * parameters.tran_diff * middle),
        "t": segments.t0 + middle,
        "t_start": segments.t0 + np.minimum(start, end),
        "t_end": segments.t0 + np.maximum(start, end),
    }
    for name, values in columns.items():
        table[name] = np.where(inside, values, 0.0)
    table["pixel_plane"] = np.where(inside, attribution.tpc, OUTSIDE)
    return table
