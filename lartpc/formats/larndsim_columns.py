"""The columns of segments that a simulation fills, as larnd-sim's users read them."""

from __future__ import annotations

import numpy as np

from lartpc.charge.velocity import drift_velocities
from lartpc.data.attribution import Attribution
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.formats.present import AS_VERTEX, Numbering, present_segments
from lartpc.parameters import Parameters

OUTSIDE = 0xBEEF  # pixel_plane of segments outside every TPC, as in larnd-sim


def filled_segments(
    segments: Segments,
    attribution: Attribution,
    detector: Detector,
    parameters: Parameters,
    numbering: Numbering = AS_VERTEX,
) -> np.ndarray:
    """The table of `present_segments`, with its scratch columns filled.

    n_electrons: what arrives at the anode; pixel_plane: the TPC where most of it does. With d the distance of the
    segment's middle to that anode and v the drift velocity: t = t0 + d/v [us], long_diff = sqrt(2 D_L d/v),
    tran_diff = sqrt(2 D_T d/v) [cm]; t_start and t_end the first and last arrival of its ends. Outside every TPC they
    are 0.
    """
    table = present_segments(segments, numbering)
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
        kind = table.dtype[name]
        room = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else (-np.inf, np.inf)
        table[name] = np.where(inside, np.clip(values, *room), 0.0)
    table["pixel_plane"] = np.where(inside, attribution.tpc, OUTSIDE)
    return table
