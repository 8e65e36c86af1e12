"""What the stages need of a detector, as arrays of the device: TPCs, their pixels, quadrature rules."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace, to_numpy
from lartpc.charge.quadrature import gauss_rules
from lartpc.detector.detector import Detector
from lartpc.detector.volumes import volumes_of
from lartpc.detector.wires import WireDetector
from lartpc.kernels.charge.split import Z_HIGH, Z_LOW
from lartpc.parameters import Parameters
from lartpc.settings import Settings


class Tables(NamedTuple):
    """What the kernels need of detector, parameters' slots and settings, on the device."""

    tpcs: Any  # (n_tpcs, 9), see `kernels.charge.split`
    volumes: Any  # (n_volumes, 9), the same of what of each TPC collects charge, see `detector.volumes`
    tpc_of_volume: Any  # (n_volumes,) int64
    tpc_pixels: Any  # (n_tpcs, 3) int64: pixels along x and y, first pixel
    module: Any  # (n_tpcs,) int64
    slot: Any  # (n_rows, n_parameters) int64: which of the parameters' values each module has, a row each
    gauss_point: Any
    gauss_weight: Any
    first_row: Any = None  # (n_events,) int64, row of module 0 in each event of a batch, where some have their own


def make_tables(
    detector: Detector | WireDetector, parameters: Parameters, settings: Settings, dtype: Any, xp: Any
) -> Tables:
    """TPCs, their pixels and quadrature rules as arrays of the device."""
    d = detector
    volumes = volumes_of(vars(d))
    low, high = np.minimum(d.z_anode, d.z_cathode), np.maximum(d.z_anode, d.z_cathode)
    direction = np.sign(d.z_cathode - d.z_anode)
    tpcs = np.stack((d.x_lo, d.x_hi, d.y_lo, d.y_hi, low, high, d.z_anode, direction, d.pitch), axis=1)
    tpc_pixels = np.stack((d.n_x, d.n_y, d.first_pixel), axis=1).astype(np.int64)
    of_volume = tpcs[volumes.tpc]
    of_volume[:, [Z_LOW, Z_HIGH]] = np.stack((volumes.low, volumes.high), axis=1)
    rules = gauss_rules(max(settings.nodes, 3) + 3, dtype)
    slot = parameters.slots_of_modules(d.n_modules)
    arrays = (tpcs.astype(dtype), of_volume.astype(dtype), volumes.tpc, tpc_pixels, d.module, slot, *rules)
    return Tables(*(xp.asarray(array) for array in arrays))


def in_events(tables: Tables, batch: Any, parameters: Parameters) -> Tables:
    """The tables for the events of a batch, where some event has parameters of its own."""
    if not parameters.of_events:
        return tables
    here, first = np.unique(to_numpy(batch.event)), np.zeros(len(batch.event_id), dtype=np.int64)
    slot, first[here] = parameters.slots_of_events(to_numpy(batch.event_id)[here], to_numpy(tables.slot))
    xp = namespace(batch.event)
    return tables._replace(slot=xp.asarray(slot), first_row=xp.asarray(first))
