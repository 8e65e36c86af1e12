"""From segments to the charge that arrives at the anode: pieces in TPCs, steps along them."""

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace, offsets, owners
from lartpc.autodiff.launch import plain
from lartpc.kernels.charge.drift import drift
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.charge.split import count_pieces, count_steps, pieces, split
from lartpc.kernels.runtime.gather import gather


class Pieces(NamedTuple):
    """The parts of segments in TPCs (n_pieces,), by segment and TPC."""

    of_segment: Any  # (n_segments + 1,) first piece of each segment
    segment: Any
    volume: Any
    first_step: Any  # (n_pieces + 1,) first step of each piece


class Steps(NamedTuple):
    """Steps of a batch (n_steps,); charge is that which arrives at the anode's response region."""

    segment: Any
    volume: Any
    x: Any
    y: Any
    distance: Any
    electrons: Any
    charge: Any
    arrival: Any
    sigma_t: Any
    sigma_T: Any


def make_pieces(batch, tables, settings):
    """Cut the segments where they leave a TPC: `Pieces`."""
    xp, n = namespace(batch.dE), len(batch.dE)
    line = (batch.start, batch.end, tables.volumes)
    count = xp.zeros(n, dtype=np.int64)
    count_pieces(n, *line, batch.volumes, count)
    of_segment = offsets(count)
    n_pieces = int(of_segment[-1])
    segment, volume, count = (xp.zeros(n_pieces, dtype=np.int64) for _ in range(3))
    pieces(n, *line, batch.volumes, of_segment, segment, volume)
    count_steps(n_pieces, *line, batch.dE.dtype.type(settings.step_length), segment, volume, count)
    return Pieces(of_segment, segment, volume, offsets(count))


def make_steps(batch, parameters, model, tables, detector, settings, launch=plain):
    """Split, quench and drift: `Steps`."""
    xp, T = namespace(batch.dE), batch.dE.dtype.type
    cut = make_pieces(batch, tables, settings)
    n = int(cut.first_step[-1])
    piece = owners(cut.first_step, n)
    segment, volume, number = cut.segment[piece], cut.volume[piece], xp.arange(n) - cut.first_step[piece]
    x, y, distance, dE, dEdx, time, electrons, charge, arrival, sigma_t, sigma_T = (
        xp.zeros(n, dtype=T) for _ in range(11)
    )
    inputs = (batch.start, batch.end, batch.dE, batch.dEdx, batch.time)
    rules = (tables.gauss_point, tables.gauss_weight)
    launch(
        split,
        n,
        *inputs,
        tables.volumes,
        T(settings.step_length),
        *rules,
        segment,
        volume,
        number,
        x,
        y,
        distance,
        dE,
        dEdx,
        time,
        adjoint_threads=len(batch.dE),
        first_piece=cut.of_segment,
        piece_volume=cut.volume,
        first_step=cut.first_step,
    )
    by_module = xp.zeros(tables.place.shape, dtype=T)
    launch(gather, len(by_module), parameters, tables.place, by_module, adjoint_threads=len(parameters))
    module = tables.module[volume]
    launch(quench, n, dE, dEdx, by_module, module, model, electrons)
    drift_start = T(detector.drift_start)
    launch(drift, n, electrons, distance, time, by_module, module, drift_start, charge, arrival, sigma_t, sigma_T)
    return Steps(segment, volume, x, y, distance, electrons, charge, arrival, sigma_t, sigma_T)
