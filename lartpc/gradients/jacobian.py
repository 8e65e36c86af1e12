"""Derivatives of the results of single pixels, or of single events, with respect to the parameters.

Pixels share steps, so the tape, which sums what comes back to a step, cannot keep them apart. But the waveform of a
pixel is a sum over its pairs with steps, and each pair depends on four quantities of its step alone: charge, arrival,
sigma_t and sigma_T. Of these the derivatives by the parameters, and those of the pairs by these, are found once; a row
of the Jacobian for each pixel is then the way back to what the pairs bring, and a sum over the pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.adjoint.pixels.levels import back_levels
from lartpc.adjoint.pixels.rows import BY_Y, back, pull, rows
from lartpc.arrays import all_to_numpy, namespace, to_numpy
from lartpc.autodiff.launch import plain
from lartpc.autodiff.tape import Tape, empty, zeros
from lartpc.kernels.charge.drift import drift
from lartpc.kernels.charge.ellipsoid import ellipsoid
from lartpc.kernels.charge.field import field
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.pixels.relay import relay
from lartpc.kernels.pixels.transfer import transfer
from lartpc.kernels.runtime.gather import gather
from lartpc.kernels.runtime.slots import INDUCTION_SCALE
from lartpc.pixels.slopes import nothing
from lartpc.simulation.chain import Waveforms

OF_STEP = ("charge", "arrival", "sigma_t", "sigma_T")
BY_STEP = (drift, quench, ellipsoid, field)  # kernels by which parameters act on a step, the last first
TINY = 1e-30  # charge [e] by which nothing is divided


class Jacobian:
    """Rows d(loss of a pixel)/d(value) for the values at `slots` of the parameters, as `Parameters.vector` has them.

    `tape` holds the chain up to the waveforms. `places`: what pairs bring is found by x and y of their steps, too.
    Raises TapeError where an array of it was overwritten since.
    """

    def __init__(self, tape: Tape, waveforms: Waveforms, slots: Sequence[int], places: bool = False) -> None:
        tape.check(tape.launches)
        self.tape, self.waveforms = tape, waveforms
        windows = waveforms.windows
        self.forward = arguments_of(tape)
        self.slots = slots
        self.columns = columns_of(self.forward, slots)
        self.of_electronics = has_electronics(tape, slots)
        slopes = waveforms.readout.slopes(self.forward, self.columns, places)
        if "refine" in self.forward:
            self.back, self.arguments = back_levels, slopes
        else:
            self.back, self.arguments = back, self.of_lattice() | slopes
        coefficient = self.arguments["coefficient"]
        self.first_pair = self.arguments["window_pair"][windows.of_pixel]
        none = {"induction_column": -1, "coefficient_by_induction": nothing(coefficient)}
        self.arguments = none | self.arguments
        self.arguments |= {
            "conserved": waveforms.readout.conserved,
            "pixel_window": windows.of_pixel,
            "step_slope": step_slopes(self.forward, self.columns),
            "by_pair": namespace(coefficient).empty((len(coefficient), BY_Y + 1), dtype=coefficient.dtype),
        }

    def of_lattice(self) -> dict[str, Any]:
        """What `back` and `pull` take of deposit and convolve, and what they work in."""
        deposit, convolve = self.forward["deposit"], self.forward["convolve"]
        work = {"grad_current": convolve["current"], "grad_state": convolve["state"], "grad_source": deposit["source"]}
        return deposit | convolve | {name: empty(array) for name, array in work.items()}

    def of_seeds(self, seeds: list[tuple[Any, Any]], pixels: np.ndarray) -> np.ndarray:
        """(len(pixels), len(slots)) float64, from the derivatives `seeds` of losses of single pixels, see `Tape`.

        `pixels` are indices into the windows' pixels, each once. Whoever calls it has written nothing since.
        """
        return self.of_all([(pixels, seeds)])[0]

    def of_all(self, losses: Iterable[tuple[np.ndarray, list[tuple[Any, Any]]]]) -> list[np.ndarray]:
        """`of_seeds` of several `pixels` and seeds, which come from a device together."""
        pixels, found, electronics = [], [], []
        for chosen, seeds in losses:
            ends = (self.waveforms.current, self.waveforms.electronics)
            self.tape.backward(seeds, until=ends, check=False)
            pixels.append(chosen)
            found.append(self.on_device(self.tape.gradient(self.waveforms.current), chosen))
            if self.of_electronics:
                grad = self.tape.gradient(self.waveforms.electronics)
                electronics.append(grad[namespace(grad).asarray(chosen)])
        if not pixels:
            return []
        result = self.by_values(found, pixels)
        if electronics:
            result += electronics_rows(self.tape, electronics, np.concatenate(pixels), self.slots)
        return np.split(result, np.cumsum([len(chosen) for chosen in pixels])[:-1])

    def rows(self, grad_waveform: Any, pixels: np.ndarray) -> np.ndarray:
        """(len(pixels), len(slots)) float64, from d(loss)/d(waveform) of each pixel.

        `pixels` are indices into `windows`; the gradient of the waveform is read on their windows alone.
        """
        return self.by_values([self.on_device(grad_waveform, pixels)], [pixels])

    def on_device(self, grad_waveform: Any, pixels: np.ndarray) -> Any:
        """The same by the parameters of each pixel's module, (len(pixels), n_columns)."""
        xp = namespace(grad_waveform)
        shape = (len(pixels), len(self.columns))
        partial, row = (xp.zeros(shape, dtype=grad_waveform.dtype) for _ in range(2))
        own = {"pixel": xp.asarray(pixels), "grad_waveform": grad_waveform, "partial": partial, "row": row}
        for kernel in (self.back, pull, rows):
            plain(kernel, len(pixels), **self.arguments | own)
        return row

    def by_values(self, found: list[Any], pixels: list[np.ndarray]) -> np.ndarray:
        """By the values at `slots`, from what `on_device` found of these pixels, one after the other."""
        row, module = np.concatenate(all_to_numpy(found)), self.module[np.concatenate(pixels)]
        return by_slot(self.forward, row, module, self.columns, self.slots)

    @cached_property
    def module(self) -> np.ndarray:
        """That of each of the windows' pixels (n_pixels,)."""
        return to_numpy(self.forward["drift"]["step_module"][self.arguments["pair_step"][self.first_pair[:-1]]])


def electronics_rows(tape: Tape, grads: list[Any], pixels: np.ndarray, slots: Sequence[int]) -> np.ndarray:
    """(len(pixels), len(slots)) float64: by values, from gradients (n, 4) by the electronics of all these pixels."""
    slot, grad = to_numpy(slots_of_electronics(tape))[pixels], np.concatenate(all_to_numpy(grads))
    return np.stack([np.where(slot == one, grad, 0.0).sum(axis=1, dtype=np.float64) for one in slots], axis=1)


def has_electronics(tape: Tape, slots: Sequence[int]) -> bool:
    """Whether some pixel's electronics hold one of the values at `slots`."""
    return bool(np.isin(to_numpy(slots_of_electronics(tape)), slots).any())


def slots_of_electronics(tape: Tape) -> Any:
    """Where each pixel's electronics are among the values (n_pixels, 4)."""
    return [launch.arguments["slot"] for launch in tape.launches if launch.kernel is gather][-1]


def event_gradients(tape: Tape, steps: Any, event: np.ndarray, n_events: int, slots: Sequence[int]) -> np.ndarray:
    """d(loss of event)/d(value) (n_events, len(slots)) float64, from the gradients of the chain's `steps` on the tape.

    event (n_steps,): that of each step. Raises TapeError where an array that it reads was overwritten since.
    """
    tape.check([launch for launch in tape.launches if launch.kernel in BY_STEP])
    forward = arguments_of(tape)
    columns = columns_of(forward, slots)
    grad_step = {name: tape.gradient(getattr(steps, name)) for name in OF_STEP}
    of_step = to_numpy(parameter_rows(forward, grad_step))[:, columns]
    module = to_numpy(forward["drift"]["step_module"])
    if INDUCTION_SCALE in columns and "transfer" in forward:
        of_block = np.zeros((len(forward["transfer"]["block_event"]), len(columns)))
        of_block[:, columns.index(INDUCTION_SCALE)] = to_numpy(induction_rows(tape))
        of_step = np.concatenate((of_step, of_block))
        event = np.append(event, to_numpy(forward["transfer"]["block_event"]))
        module = np.append(module, to_numpy(forward["transfer"]["block_module"]))
    n_modules = len(forward["gather"]["slot"])  # in each event that has values of its own, too
    both, at = np.unique(event * n_modules + module, return_inverse=True)
    sums = np.zeros((len(both), len(columns)))
    for c, column in enumerate(of_step.T):
        sums[:, c] = np.bincount(at, column, len(both))
    result = np.zeros((n_events, len(slots)))
    np.add.at(result, both // n_modules, by_slot(forward, sums, both % n_modules, columns, slots))
    return result


def arguments_of(tape: Tape) -> dict[str, dict[str, Any]]:
    """The arguments of the launches on a tape by the names of their kernels, of several of one kernel the first."""
    return {launch.kernel.name: launch.arguments for launch in reversed(tape.launches)}


def columns_of(forward: dict[str, dict], slots: Sequence[int]) -> list[int]:
    """The columns of a module's parameters which hold the values at `slots`."""
    return np.flatnonzero(np.isin(to_numpy(forward["gather"]["slot"]), slots).any(axis=0)).tolist()


def by_slot(forward: dict[str, dict], row: Any, module: Any, columns: list[int], slots: Sequence[int]) -> np.ndarray:
    """Gradients (n, len(slots)) float64 by values, from those (n, n_columns) by the parameters of a `module` (n,)."""
    gathered = forward["gather"]
    slot = to_numpy(gathered["slot"])[:, columns]
    column_of = np.full(len(gathered["values"]), -1)  # what is not fitted goes to one more column, the last
    column_of[slots] = np.arange(len(slots))
    result = np.zeros((len(row), len(slots) + 1))
    result[np.arange(len(row))[:, None], column_of[slot][to_numpy(module)]] = to_numpy(row)
    return result[:, :-1]


def parameter_rows(forward: dict[str, dict], grad_step: dict[str, Any]) -> Any:
    """Gradients by the parameters of its module of each step apart (n_steps, n_parameters), from those by `OF_STEP`."""
    return step_gradients(forward, {id(forward["drift"][name]): grad for name, grad in grad_step.items()})


def induction_rows(tape: Tape) -> Any:
    """Gradients by the scale of induction of the module of each block apart (n_blocks,), of the last way back."""
    rows = [tape.rows[kernel]["parameters"] for kernel in (transfer, relay) if kernel in tape.rows]
    return sum(of_thread[:, INDUCTION_SCALE] for of_thread in rows)


def step_gradients(forward: dict[str, dict], grads: dict[int, Any]) -> Any:
    """Gradients by parameters like `parameter_rows`, from those of arrays by their ids, to which it adds all others."""
    charge = forward["drift"]["charge"]
    xp, n = namespace(charge), len(charge)
    rows = xp.zeros((n, forward["drift"]["parameters"].shape[1]), dtype=charge.dtype)
    for kernel in (kernel for kernel in BY_STEP if kernel.name in forward):
        adjoint, of = ADJOINTS[kernel].kernel, forward[kernel.name]
        if not any(id(of[name]) in grads for name in kernel.outputs):
            continue
        own = {"grad_parameters": rows}
        for name in adjoint.arguments:
            array = of.get(name.removeprefix("grad_"))
            if name.startswith("grad_") and name not in own:
                own[name] = grads.setdefault(id(array), zeros(array))
        plain(adjoint, n, **of | own)
    return rows


def step_slopes(forward: dict[str, dict], columns: list[int]) -> Any:
    """Derivatives of log(charge), arrival, sigma_t and sigma_T of the steps by parameters (n_steps, n_columns, 4)."""
    xp = namespace(forward["drift"]["charge"])
    slopes = [parameter_rows(forward, seeds)[:, columns] for seeds in unit_seeds(forward)]
    return xp.ascontiguousarray(xp.stack(slopes, axis=2))


def unit_seeds(forward: dict[str, dict]) -> list[dict[str, Any]]:
    """For log(charge), arrival, sigma_t and sigma_T of the steps, each by itself: its derivatives by `OF_STEP`."""
    charge = forward["drift"]["charge"]
    xp = namespace(charge)
    zero, one = xp.zeros_like(charge), xp.ones_like(charge)
    units = dict.fromkeys(OF_STEP, one)
    units["charge"] = xp.where(charge > 0.0, one / xp.maximum(charge, TINY), zero)
    return [dict.fromkeys(OF_STEP, zero) | {name: units[name]} for name in OF_STEP]
