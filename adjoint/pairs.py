"""Every kernel with its adjoint, or with the reason why it has none."""

from typing import NamedTuple

from lartpc.adjoint.charge.angle import angle_adjoint
from lartpc.adjoint.charge.drift import drift_adjoint
from lartpc.adjoint.charge.ellipsoid import ellipsoid_adjoint
from lartpc.adjoint.charge.field import field_adjoint
from lartpc.adjoint.charge.quench import quench_adjoint
from lartpc.adjoint.charge.split import split_adjoint
from lartpc.adjoint.frontend.adjust import adjust_adjoint
from lartpc.adjoint.frontend.buffer import buffer_adjoint
from lartpc.adjoint.frontend.digitize import digitize_adjoint
from lartpc.adjoint.frontend.trigger import trigger_adjoint
from lartpc.adjoint.losses.chamfer import chamfer_adjoint
from lartpc.adjoint.losses.likelihood import likelihood_adjoint
from lartpc.adjoint.losses.mmd import mmd_adjoint
from lartpc.adjoint.losses.mse import mse_adjoint
from lartpc.adjoint.losses.reset_odds import reset_odds_adjoint
from lartpc.adjoint.losses.reset_path import reset_path_adjoint
from lartpc.adjoint.losses.soft_dtw import soft_dtw_adjoint
from lartpc.adjoint.pixels.assign import assign_adjoint
from lartpc.adjoint.pixels.coarsen import coarsen_adjoint
from lartpc.adjoint.pixels.conserve import conserve_adjoint
from lartpc.adjoint.pixels.induce import induce_adjoint
from lartpc.adjoint.pixels.pool import pool_adjoint
from lartpc.adjoint.pixels.project import project_adjoint
from lartpc.adjoint.pixels.refine import refine_adjoint
from lartpc.adjoint.pixels.relay import relay_adjoint
from lartpc.adjoint.pixels.share import share_adjoint
from lartpc.adjoint.pixels.spread import spread_adjoint
from lartpc.adjoint.pixels.transfer import transfer_adjoint
from lartpc.adjoint.response.convolve import convolve_adjoint
from lartpc.adjoint.response.deposit import deposit_adjoint
from lartpc.adjoint.runtime.gather import gather_adjoint
from lartpc.adjoint.wires.couple_cells import couple_cells_adjoint
from lartpc.adjoint.wires.couple_wires import couple_wires_adjoint
from lartpc.adjoint.wires.highpass import highpass_adjoint
from lartpc.adjoint.wires.lay_cells import lay_cells_adjoint
from lartpc.adjoint.wires.share_wires import share_wires_adjoint
from lartpc.kernels.charge.angle import angle
from lartpc.kernels.charge.drift import drift
from lartpc.kernels.charge.ellipsoid import ellipsoid
from lartpc.kernels.charge.field import field
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.charge.split import count_pieces, count_steps, pieces, split
from lartpc.kernels.frontend.adjust import adjust
from lartpc.kernels.frontend.buffer import buffer
from lartpc.kernels.frontend.digitize import digitize
from lartpc.kernels.frontend.trigger import trigger
from lartpc.kernels.losses.chamfer import chamfer
from lartpc.kernels.losses.likelihood import likelihood
from lartpc.kernels.losses.mmd import mmd
from lartpc.kernels.losses.mse import mse
from lartpc.kernels.losses.reset_odds import may_reset, reset_odds
from lartpc.kernels.losses.reset_path import reset_path
from lartpc.kernels.losses.soft_dtw import soft_dtw
from lartpc.kernels.pixels.around import around, count_around, span
from lartpc.kernels.pixels.assign import assign
from lartpc.kernels.pixels.coarsen import coarsen, coarsen_moments, coarsen_slow
from lartpc.kernels.pixels.conserve import conserve
from lartpc.kernels.pixels.couple import couple
from lartpc.kernels.pixels.induce import induce
from lartpc.kernels.pixels.pair import count_pairs, pair
from lartpc.kernels.pixels.pool import pool
from lartpc.kernels.pixels.project import project
from lartpc.kernels.pixels.reach import count_reached, reach
from lartpc.kernels.pixels.refine import refine, refine_coarse, refine_ticks
from lartpc.kernels.pixels.relay import relay
from lartpc.kernels.pixels.share import choose, share
from lartpc.kernels.pixels.spread import spread
from lartpc.kernels.pixels.transfer import transfer
from lartpc.kernels.pixels.under import count_under, under
from lartpc.kernels.response.convolve import convolve, convolve_poles, convolve_sum, convolve_ticks
from lartpc.kernels.response.deposit import deposit
from lartpc.kernels.response.trains import count_trains, trains
from lartpc.kernels.response.windows import window
from lartpc.kernels.runtime.checksum import checksum
from lartpc.kernels.runtime.gather import gather
from lartpc.kernels.runtime.launch import Kernel
from lartpc.kernels.wires.couple_cells import couple_cells
from lartpc.kernels.wires.couple_wires import couple_wires
from lartpc.kernels.wires.highpass import highpass
from lartpc.kernels.wires.lay_cells import lay_cells
from lartpc.kernels.wires.noise import noise
from lartpc.kernels.wires.pair_wires import count_wires, pair_wires
from lartpc.kernels.wires.share_wires import share_wires


class Adjoint(NamedTuple):
    """An adjoint kernel, which adds to gradients; those of the inputs that it `writes` it sets, whatever they held.

    For `shared` inputs, of which a thread reads one row, it gives one row of gradients a thread. `row`: the argument
    (threads,) that says which row a thread reads.
    """

    kernel: Kernel
    shared: tuple[str, ...] = ()
    row: str = ""
    writes: tuple[str, ...] = ()


ADJOINTS = {
    split: Adjoint(split_adjoint),
    gather: Adjoint(gather_adjoint),
    field: Adjoint(field_adjoint, shared=("parameters",), row="step_module"),
    angle: Adjoint(angle_adjoint),
    ellipsoid: Adjoint(ellipsoid_adjoint, shared=("parameters",), row="step_module"),
    quench: Adjoint(quench_adjoint, shared=("parameters",), row="step_module"),
    drift: Adjoint(drift_adjoint, shared=("parameters",), row="step_module"),
    share: Adjoint(share_adjoint),
    spread: Adjoint(spread_adjoint),
    induce: Adjoint(induce_adjoint),
    conserve: Adjoint(conserve_adjoint, writes=("moment_x", "moment_y", "current")),
    assign: Adjoint(assign_adjoint),
    pool: Adjoint(pool_adjoint),
    project: Adjoint(project_adjoint, writes=("charge",)),
    transfer: Adjoint(transfer_adjoint, shared=("parameters",), row="block_module"),
    coarsen: Adjoint(coarsen_adjoint),
    relay: Adjoint(relay_adjoint, shared=("parameters",), row="block_module", writes=("slow",)),
    refine: Adjoint(refine_adjoint, writes=("late", "driven")),
    share_wires: Adjoint(share_wires_adjoint),
    lay_cells: Adjoint(lay_cells_adjoint, writes=("share_r", "share_t")),
    couple_cells: Adjoint(couple_cells_adjoint, writes=("charge",)),
    couple_wires: Adjoint(couple_wires_adjoint, writes=("share_r",)),
    deposit: Adjoint(deposit_adjoint, writes=("coefficient", "share_t")),
    convolve: Adjoint(convolve_adjoint, writes=("source",)),
    buffer: Adjoint(buffer_adjoint),
    adjust: Adjoint(adjust_adjoint),
    trigger: Adjoint(trigger_adjoint),
    digitize: Adjoint(digitize_adjoint),
    highpass: Adjoint(highpass_adjoint),
    likelihood: Adjoint(likelihood_adjoint),
    reset_odds: Adjoint(reset_odds_adjoint),
    reset_path: Adjoint(reset_path_adjoint),
    soft_dtw: Adjoint(soft_dtw_adjoint),
    chamfer: Adjoint(chamfer_adjoint),
    mmd: Adjoint(mmd_adjoint),
    mse: Adjoint(mse_adjoint),
}

PART = "is part of another on CUDA, whose adjoint has parts of its own"
NO_ADJOINT = {
    couple: "is linear in shares of a step, and launched with their derivatives for the rows of a Jacobian",
    may_reset: "finds pixels; what it leaves out is below the precision",
    convolve_ticks: PART,
    convolve_poles: PART,
    convolve_sum: PART,
    coarsen_moments: PART,
    coarsen_slow: PART,
    refine_coarse: PART,
    refine_ticks: PART,
    checksum: "sums the words of an array",
    count_pieces: "counts the TPCs that a segment passes",
    pieces: "lists them",
    count_steps: "counts steps, from geometry alone",
    choose: "chooses a table; which does not matter but for the precision",
    count_wires: "counts wires; a wire enters with next to no charge",
    pair_wires: "lists them",
    count_pairs: "counts pixels; a pixel enters with zero charge",
    pair: "lists pixels; what they leave out is below the precision",
    count_reached: "counts pixels",
    reach: "lists pixels",
    count_under: "counts areas",
    under: "lists areas",
    count_around: "counts pixels",
    around: "lists pixels",
    span: "finds ticks",
    window: "lists windows",
    count_trains: "counts what charge is kept in",
    trains: "lists it",
    noise: "draws numbers by counter, which are constants of the chain",
}
