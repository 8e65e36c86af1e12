"""Derivatives of the results of single pixels, or of single events, with respect to the parameters.

Pixels share steps, so the tape, which sums what comes back to a step, cannot keep them apart. But the waveform of a
pixel is a sum over its pairs with steps, and each pair depends on four quantities of its step alone: charge, arrival,
sigma_t and sigma_T. Of these the derivatives by the parameters, and those of the pairs by these, are found once; a row
of the Jacobian for each pixel is then the way back to what the pairs bring, and a sum over the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.adjoint.pixels.assign import assign_tangent
from lartpc.adjoint.pixels.induce import induce_tangent
from lartpc.adjoint.pixels.rows import rows
from lartpc.adjoint.pixels.share import share_tangent
from lartpc.adjoint.pixels.spread import spread_tangent
from lartpc.arrays import namespace, to_numpy
from lartpc.autodiff.launch import call
from lartpc.autodiff.tape import Tape
from lartpc.kernels.charge.drift import drift
from lartpc.kernels.charge.ellipsoid import ellipsoid
from lartpc.kernels.charge.field import field
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.pixels.couple import couple
from lartpc.response.windows import Windows

OF_STEP = ("charge", "arrival", "sigma_t", "sigma_T")
BY_STEP = (drift, quench, ellipsoid, field)  # kernels by which parameters act on a step, the last first
TINY = 1e-30  # charge [e] by which nothing is divided


class Jacobian:
    """Rows d(loss of a pixel)/d(value) for the values at `slots` of the parameters, as `Parameters.vector` has them.

    `tape` holds the chain up to the waveforms. Raises TapeError where an array of it was overwritten since.
    """

    def __init__(self, tape: Tape, windows: Windows, slots: Sequence[int]) -> None:
        tape.check(tape.launches)
        self.forward = arguments_of(tape)
        self.first_pair = windows.pair[windows.of_pixel]
        self.slots = slots
        self.columns = columns_of(self.forward, slots)
        of_response = by_table if "couple" in self.forward else by_moments
        deposit, convolve = self.forward["deposit"], self.forward["convolve"]
        xp = namespace(deposit["source"])
        self.arguments = deposit | convolve | of_response(self.forward)
        self.arguments |= {
            "pixel_window": windows.of_pixel,
            "step_slope": step_slopes(self.forward, self.columns),
            "grad_current": xp.empty_like(convolve["current"]),
            "grad_state": xp.empty_like(convolve["state"]),
            "grad_source": xp.empty_like(deposit["source"]),
        }

    def rows(self, grad_waveform: Any, pixels: Any) -> np.ndarray:
        """(len(pixels), len(slots)) float64, from d(loss)/d(waveform) of each pixel.

        `pixels` are indices into `windows`; the gradient of the waveform is read on their windows alone.
        """
        xp = namespace(grad_waveform)
        shape = (len(pixels), len(self.columns))
        part, row = (xp.zeros(shape, dtype=grad_waveform.dtype) for _ in range(2))
        own = {"pixel": pixels, "grad_waveform": grad_waveform, "part": part, "row": row}
        call(rows, len(pixels), self.arguments | own)
        module = self.forward["drift"]["step_module"][self.arguments["pair_step"][self.first_pair[pixels]]]
        return by_slot(self.forward, row, module, self.columns, self.slots)


def event_gradients(tape: Tape, steps: Any, event: np.ndarray, n_events: int, slots: Sequence[int]) -> np.ndarray:
    """d(loss of event)/d(value) (n_events, len(slots)) float64, from the gradients of the chain's `steps` on the tape.

    event (n_steps,): that of each step. Raises TapeError where an array that it reads was overwritten since.
    """
    tape.check([launch for launch in tape.launches if launch.kernel in BY_STEP])
    forward = arguments_of(tape)
    columns = columns_of(forward, slots)
    grad_step = {name: tape.gradient(getattr(steps, name)) for name in OF_STEP}
    of_step = to_numpy(parameter_rows(forward, grad_step))[:, columns]
    n_modules = len(forward["gather"]["place"])
    both = event * n_modules + to_numpy(forward["drift"]["step_module"])
    sums = np.stack([np.bincount(both, column, n_events * n_modules) for column in of_step.T], axis=1)
    of_both = by_slot(forward, sums, np.tile(np.arange(n_modules), n_events), columns, slots)
    return of_both.reshape(n_events, n_modules, len(slots)).sum(axis=1)


def arguments_of(tape: Tape) -> dict[str, dict[str, Any]]:
    """The arguments of the launches on a tape by the names of their kernels."""
    return {launch.kernel.name: launch.arguments for launch in tape.launches}


def columns_of(forward: dict[str, dict], slots: Sequence[int]) -> list[int]:
    """The columns of a module's parameters which hold the values at `slots`."""
    return np.flatnonzero(np.isin(to_numpy(forward["gather"]["place"]), slots).any(axis=0)).tolist()


def by_slot(forward: dict[str, dict], row: Any, module: Any, columns: list[int], slots: Sequence[int]) -> np.ndarray:
    """Gradients (n, len(slots)) float64 by values, from those (n, n_columns) by the parameters of a `module` (n,)."""
    gathered = forward["gather"]
    place = to_numpy(gathered["place"])[:, columns]
    slot_of = np.full(len(gathered["values"]), -1)  # what is not fitted goes to one more slot, the last
    slot_of[slots] = np.arange(len(slots))
    result = np.zeros((len(row), len(slots) + 1))
    result[np.arange(len(row))[:, None], slot_of[place][to_numpy(module)]] = to_numpy(row)
    return result[:, :-1]


def parameter_rows(forward: dict[str, dict], grad_step: dict[str, Any]) -> Any:
    """Gradients by the parameters of its module of each step apart (n_steps, n_parameters), from those by `OF_STEP`."""
    charge = forward["drift"]["charge"]
    xp, n = namespace(charge), len(charge)
    rows = xp.zeros((n, forward["drift"]["parameters"].shape[1]), dtype=charge.dtype)
    grads = {id(forward["drift"][name]): grad for name, grad in grad_step.items()}
    for kernel in (kernel for kernel in BY_STEP if kernel.name in forward):
        adjoint, of = ADJOINTS[kernel].kernel, forward[kernel.name]
        own = {"grad_parameters": rows}
        for name in adjoint.arguments:
            array = of.get(name.removeprefix("grad_"))
            if name.startswith("grad_") and name not in own:
                own[name] = grads.setdefault(id(array), xp.zeros_like(array))
        call(adjoint, n, of | own)
    return rows


def step_slopes(forward: dict[str, dict], columns: list[int]) -> Any:
    """Derivatives of log(charge), arrival, sigma_t and sigma_T of the steps by parameters (n_steps, n_columns, 4)."""
    charge = forward["drift"]["charge"]
    xp = namespace(charge)
    nothing, one = xp.zeros_like(charge), xp.ones_like(charge)
    seeds = dict.fromkeys(OF_STEP, one)
    seeds["charge"] = xp.where(charge > 0.0, one / xp.maximum(charge, TINY), nothing)
    slopes = [parameter_rows(forward, dict.fromkeys(OF_STEP, nothing) | {name: seeds[name]}) for name in OF_STEP]
    return xp.ascontiguousarray(xp.stack([slope[:, columns] for slope in slopes], axis=2))


def by_moments(forward: dict[str, dict]) -> dict[str, Any]:
    """What `rows` takes of the parametric response, and work space."""
    share, spread, of_pair, conserve = (forward[name] for name in ("share", "spread", "induce", "conserve"))
    xp, n = namespace(share["share_t"]), len(spread["pair_step"])
    slopes = {f"share_t_by_{name}": xp.empty_like(share["share_t"]) for name in ("arrival", "sigma_t")}
    call(share_tangent, len(share["arrival"]), share | slopes)
    moments = [spread["moment_x"], spread["moment_y"]]
    by_sigma_T = [xp.empty_like(moment) for moment in moments]
    moments_by = dict(zip(("moment_x_by_sigma_T", "moment_y_by_sigma_T"), by_sigma_T, strict=True))
    call(spread_tangent, n, spread | moments_by)
    coefficient_by = {"coefficient_by_sigma_T": xp.empty_like(of_pair["coefficient"])}
    call(induce_tangent, n, of_pair | moments_by | coefficient_by)
    lowest = {"moment_x": moments[0], "moment_y": moments[1]} | moments_by
    lowest = {name: xp.ascontiguousarray(moment[:, :1]) for name, moment in lowest.items()}
    work = {f"grad_{name}": xp.empty_like(lowest[name]) for name in ("moment_x", "moment_y")}
    of_conserve = {"conserved": True, "current": conserve["current"], "tick": conserve["tick"]}
    return slopes | coefficient_by | lowest | work | of_conserve


def by_table(forward: dict[str, dict]) -> dict[str, Any]:
    """What `rows` takes of a tabulated response, and in the place of moments nothing."""
    assign, of_pair = forward["assign"], forward["couple"]
    xp = namespace(assign["share_t"])
    slopes = {f"share_t_by_{name}": xp.empty_like(assign["share_t"]) for name in ("arrival", "sigma_t")}
    share_x, share_y = (xp.empty_like(assign[name]) for name in ("share_x", "share_y"))
    across = {"share_x_by_sigma_T": share_x, "share_y_by_sigma_T": share_y}
    call(assign_tangent, len(assign["x"]), assign | slopes | across)
    coefficient = xp.zeros_like(of_pair["coefficient"])
    for changed in ({"share_x": share_x}, {"share_y": share_y}):  # `couple` adds to what is there
        call(couple, len(coefficient), of_pair | changed | {"coefficient": coefficient})
    nothing = xp.zeros((0, 1), dtype=coefficient.dtype)
    names = ("moment_x", "moment_y", "moment_x_by_sigma_T", "moment_y_by_sigma_T", "grad_moment_x", "grad_moment_y")
    not_conserved = dict.fromkeys(names, nothing) | {"conserved": False, "tick": assign["tick"]}
    return slopes | {"coefficient_by_sigma_T": coefficient} | not_conserved
