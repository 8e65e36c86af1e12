"""Every kernel with its adjoint, or with the reason why it has none."""

from typing import NamedTuple

from lartpc.adjoint.assign import assign_adjoint
from lartpc.adjoint.buffer import buffer_adjoint
from lartpc.adjoint.chamfer import chamfer_adjoint
from lartpc.adjoint.conserve import conserve_adjoint
from lartpc.adjoint.convolve import convolve_adjoint
from lartpc.adjoint.couple import couple_adjoint
from lartpc.adjoint.deposit import deposit_adjoint
from lartpc.adjoint.digitize import digitize_adjoint
from lartpc.adjoint.drift import drift_adjoint
from lartpc.adjoint.gather import gather_adjoint
from lartpc.adjoint.induce import induce_adjoint
from lartpc.adjoint.likelihood import likelihood_adjoint
from lartpc.adjoint.mmd import mmd_adjoint
from lartpc.adjoint.mse import mse_adjoint
from lartpc.adjoint.quench import quench_adjoint
from lartpc.adjoint.share import share_adjoint
from lartpc.adjoint.soft_dtw import soft_dtw_adjoint
from lartpc.adjoint.split import split_adjoint
from lartpc.adjoint.spread import spread_adjoint
from lartpc.adjoint.trigger import trigger_adjoint
from lartpc.kernels.assign import assign
from lartpc.kernels.buffer import buffer
from lartpc.kernels.chamfer import chamfer
from lartpc.kernels.checksum import checksum
from lartpc.kernels.conserve import conserve
from lartpc.kernels.convolve import convolve
from lartpc.kernels.couple import couple
from lartpc.kernels.deposit import deposit
from lartpc.kernels.digitize import digitize
from lartpc.kernels.drift import drift
from lartpc.kernels.gather import gather
from lartpc.kernels.induce import induce
from lartpc.kernels.launch import Kernel
from lartpc.kernels.likelihood import likelihood
from lartpc.kernels.mmd import mmd
from lartpc.kernels.mse import mse
from lartpc.kernels.own import own
from lartpc.kernels.pair import count_pairs, count_windows, pair, window
from lartpc.kernels.quench import quench
from lartpc.kernels.reach import count_reached, reach
from lartpc.kernels.share import choose, share
from lartpc.kernels.soft_dtw import soft_dtw
from lartpc.kernels.split import count_pieces, count_steps, pieces, split
from lartpc.kernels.spread import spread
from lartpc.kernels.trigger import trigger


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
    quench: Adjoint(quench_adjoint, shared=("parameters",), row="step_module"),
    drift: Adjoint(drift_adjoint, shared=("parameters",), row="step_module"),
    share: Adjoint(share_adjoint),
    spread: Adjoint(spread_adjoint),
    induce: Adjoint(induce_adjoint),
    conserve: Adjoint(conserve_adjoint, writes=("moment_x", "moment_y", "current")),
    assign: Adjoint(assign_adjoint),
    couple: Adjoint(couple_adjoint),
    deposit: Adjoint(deposit_adjoint, writes=("coefficient", "share_t")),
    convolve: Adjoint(convolve_adjoint, writes=("source",)),
    buffer: Adjoint(buffer_adjoint),
    trigger: Adjoint(trigger_adjoint),
    digitize: Adjoint(digitize_adjoint),
    likelihood: Adjoint(likelihood_adjoint),
    soft_dtw: Adjoint(soft_dtw_adjoint),
    chamfer: Adjoint(chamfer_adjoint),
    mmd: Adjoint(mmd_adjoint),
    mse: Adjoint(mse_adjoint),
}

NO_ADJOINT = {
    checksum: "sums the words of an array",
    count_pieces: "counts the TPCs that a segment passes",
    pieces: "lists them",
    count_steps: "counts steps, from geometry alone",
    choose: "chooses a table; which does not matter but for the precision",
    count_pairs: "counts pixels; a pixel enters with zero charge",
    pair: "lists pixels; what they leave out is below the precision",
    own: "lists the runs of entries",
    count_reached: "counts pixels",
    reach: "lists pixels",
    count_windows: "counts windows",
    window: "lists windows",
}
