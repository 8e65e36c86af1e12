"""From segments to the charge that arrives at the anode: pieces in TPCs, steps along them."""

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace, offsets, owners
from lartpc.autodiff.launch import plain
from lartpc.charge.field import Uniform
from lartpc.contracts import Launch
from lartpc.kernels.charge.angle import angle
from lartpc.kernels.charge.drift import drift
from lartpc.kernels.charge.ellipsoid import ellipsoid
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.charge.split import count_pieces, count_steps, pieces, split
from lartpc.kernels.runtime.gather import gather


class Pieces(NamedTuple):
    """The parts of segments in TPCs (n_pieces,), by segment and TPC; volume: row of `Tables.volumes`."""

    start: Any  # of the segments, end and wanted TPCs: the arrays of the batch from which they were made
    end: Any
    wanted: Any
    of_segment: Any  # (n_segments + 1,) first piece of each segment
    segment: Any
    tpc: Any
    volume: Any
    first_step: Any  # (n_pieces + 1,) first step of each piece
    n_steps: int


class Deposits(NamedTuple):
    """Steps along the pieces; see `contracts.Deposits`."""

    segment: Any
    tpc: Any
    module: Any
    column: Any
    row: Any
    x: Any
    y: Any
    distance: Any
    dE: Any
    dEdx: Any
    time: Any


class Steps(NamedTuple):
    """Clouds of the steps of a batch, see `contracts.Clouds`; electrons [e]: those that escaped recombination."""

    segment: Any
    tpc: Any
    module: Any
    column: Any
    row: Any
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
    line = {"start": batch.start, "end": batch.end, "tpcs": tables.volumes}
    wanted = xp.flatnonzero(xp.isin(tables.tpc_of_volume, batch.wanted))
    count = xp.empty(n, dtype=np.int64)
    count_pieces(n, **line, wanted=wanted, piece_count=count)
    of_segment = offsets(count)
    n_pieces = int(of_segment[-1])
    segment, volume, count = (xp.empty(n_pieces, dtype=np.int64) for _ in range(3))
    of_piece = {"piece_segment": segment, "piece_tpc": volume}
    pieces(n, **line, wanted=wanted, first_piece=of_segment, **of_piece)
    step_length = batch.dE.dtype.type(settings.step_length)
    count_steps(n_pieces, **line, step_length=step_length, **of_piece, step_count=count)
    made_of = (batch.start, batch.end, batch.wanted)
    first_step = offsets(count)
    tpc, n_steps = tables.tpc_of_volume[volume], int(first_step[-1])
    return Pieces(*made_of, of_segment, segment, tpc, volume, first_step, n_steps)


def pieces_of(batch, tables, settings):
    """The `Pieces` that a batch has, or new ones where it has none, or has been moved since."""
    own = batch.pieces
    kept = own is not None and all(getattr(own, name) is getattr(batch, name) for name in ("start", "end", "wanted"))
    return own if kept else make_pieces(batch, tables, settings)


def make_deposits(batch, cut, tables, settings, launch: Launch):
    """Split the `Pieces` of segments: `Deposits`."""
    xp, T = namespace(batch.dE), batch.dE.dtype.type
    n = cut.n_steps
    piece = owners(cut.first_step, n)
    segment, tpc, number = cut.segment[piece], cut.tpc[piece], xp.arange(n) - cut.first_step[piece]
    position = {name: xp.empty(n, dtype=np.int64) for name in ("column", "row")}
    position |= {name: xp.empty(n, dtype=T) for name in ("x", "y", "distance")}
    deposit = {name: xp.empty(n, dtype=T) for name in ("dE", "dEdx", "time")}
    launch(
        split,
        n,
        **{name: getattr(batch, name) for name in ("start", "end", "dE", "dEdx", "time")},
        tpcs=tables.volumes,
        step_length=T(settings.step_length),
        gauss_point=tables.gauss_point,
        gauss_weight=tables.gauss_weight,
        step_segment=segment,
        step_tpc=cut.volume[piece],
        step_number=number,
        **position,
        **{f"step_{name}": column for name, column in deposit.items()},
        adjoint_threads=len(batch.dE),
        first_piece=cut.of_segment,
        piece_tpc=cut.volume,
        first_step=cut.first_step,
    )
    module = tables.module[tpc]
    if tables.first_row is not None:
        module = module + tables.first_row[batch.event[segment]]
    return Deposits(segment, tpc, module, **position, **deposit)


def dEdx_by_angle(batch, cut, deposits, local, launch):
    """What stands for the deposits' dE/dx where recombination depends on the angle between track and field (n,)."""
    step_cos, step_dEdx_90 = (namespace(deposits.dEdx).empty_like(deposits.dEdx) for _ in range(2))
    launch(
        angle,
        len(step_cos),
        start=batch.start,
        end=batch.end,
        step_segment=deposits.segment,
        step_cos=step_cos,
        adjoint_threads=len(batch.dE),
        first_piece=cut.of_segment,
        first_step=cut.first_step,
    )
    of_module = {name: local[name] for name in ("parameters", "step_module")}
    deposit = {"step_dEdx": deposits.dEdx, "step_cos": step_cos}
    launch(ellipsoid, len(step_cos), **deposit, **of_module, step_dEdx_90=step_dEdx_90)
    return step_dEdx_90


def of_modules(values, tables, launch: Launch = plain):
    """The parameters of each module (n_modules, n_parameters), from all values (n_values,).

    Where events have values of their own the modules in each of them come after: (n_rows, n_parameters).
    """
    parameters = namespace(values).empty(tables.slot.shape, dtype=values.dtype)
    gathered = {"values": values, "slot": tables.slot, "module_parameters": parameters}
    launch(gather, len(parameters), **gathered, adjoint_threads=len(values))
    return parameters


def make_steps(batch, parameters, recombination, tables, detector, settings, launch: Launch = plain):
    """Split, field, quench with the model `recombination`, and drift: `Steps`. parameters: those `of_modules`."""
    cut = pieces_of(batch, tables, settings)
    deposits = make_deposits(batch, cut, tables, settings, launch)
    xp, n, T = namespace(deposits.dE), len(deposits.dE), deposits.dE.dtype.type
    field = Uniform(parameters).at(deposits, launch)
    local = {"step_field": field, "parameters": parameters, "step_module": deposits.module}
    dEdx = dEdx_by_angle(batch, cut, deposits, local, launch) if recombination.by_angle else deposits.dEdx
    electrons = xp.empty(n, dtype=T)
    model = recombination.number
    launch(quench, n, step_dE=deposits.dE, step_dEdx=dEdx, **local, model=model, electrons=electrons)
    clouds = {name: xp.empty(n, dtype=T) for name in ("charge", "arrival", "sigma_t", "sigma_T")}
    of_deposits = {"electrons": electrons, "distance": deposits.distance}
    drift_start = T(detector.drift_start)
    launch(drift, n, **of_deposits, step_time=deposits.time, **local, drift_start=drift_start, **clouds)
    position = {name: getattr(deposits, name) for name in ("segment", "tpc", "module", "column", "row", "x", "y")}
    return Steps(**position, **of_deposits, **clouds)
