"""Derivatives of the results of single pixels with respect to the energy deposits, sparse: those that they see.

What each pair of a pixel and a step brings is found as for a row of `Jacobian`, and by the place of the step, too. A
step follows from its segment alone: the pairs of a pixel with the steps of one segment are summed to one sparse row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.adjoint.pixels.segments import segments
from lartpc.arrays import all_to_numpy, namespace, offsets, owners, run_starts, sorting
from lartpc.autodiff.launch import plain
from lartpc.autodiff.tape import Tape
from lartpc.gradients.jacobian import Jacobian, step_gradients, unit_seeds
from lartpc.simulation.chain import Waveforms

OF_DEPOSIT = ("distance", "step_dE", "step_dEdx", "step_time")  # columns of the kernel's step_slope, and then:
OF_ANGLE = "step_cos"


class SegmentRows(NamedTuple):
    """Derivatives of losses of single pixels by the segments that they see, each pixel and segment once, in order."""

    row: np.ndarray  # (n,) int64, index into the pixels that were asked for
    segment: np.ndarray  # (n,) int64, index into the segments of the batch
    values: np.ndarray  # (n, 9) float64: by start and end, x, y, z each [1/cm], dE [1/MeV], dEdx [cm/MeV], time [1/us]


class SegmentJacobian:
    """Rows d(loss of a pixel)/d(value) as of `Jacobian`, with d(loss of a pixel)/d(segment), from the same way back.

    Of a segment without charge all derivatives are 0, that by its dE, too. Raises TapeError as `Jacobian`.
    """

    def __init__(self, tape: Tape, waveforms: Waveforms, slots: Sequence[int]) -> None:
        self.of_parameters = Jacobian(tape, waveforms, slots, places=True)
        forward, of_pair = self.of_parameters.forward, self.of_parameters.arguments
        split, windows, step = forward["split"], waveforms.windows, of_pair["pair_step"]
        xp = namespace(step)
        first = self.of_parameters.first_pair
        pixel, segment = owners(first, len(step)), split["step_segment"][step]
        order = sorting(pixel, segment, step)
        starts = run_starts(pixel[order], segment[order])
        number = xp.bincount(pixel[order[starts]], minlength=len(windows.pixel))
        self.slot_of_pixel = offsets(number)
        self.arguments = split | {
            "slot_segment": segment[order[starts]],
            "slot_first": xp.append(starts, xp.asarray([len(step)])),
            "slot_pair": order,
            "pair_step": step,
            "by_pair": of_pair["by_pair"],
            "step_slope": deposit_slopes(forward),
        }

    def of_seeds(self, seeds: list[tuple[Any, Any]], pixels: np.ndarray) -> tuple[np.ndarray, SegmentRows]:
        """(len(pixels), len(slots)) float64, and `SegmentRows`, from the derivatives `seeds` of losses, see `Tape`.

        `pixels` are indices into the windows' pixels, each once. Whoever calls it has written nothing since.
        """
        rows = self.of_parameters.of_seeds(seeds, pixels)
        return rows, self.of_pairs(pixels)

    def of_pairs(self, pixels: np.ndarray) -> SegmentRows:
        """`SegmentRows` of the last way back that `of_parameters` went, which was for these `pixels`."""
        split = self.arguments
        xp, dtype = namespace(split["dE"]), split["dE"].dtype
        pixels = xp.asarray(pixels)
        first = self.slot_of_pixel[pixels]
        of_row = offsets(self.slot_of_pixel[pixels + 1] - first)
        n = int(of_row[-1])
        row = owners(of_row, n)
        slot = xp.arange(n) + (first - of_row[:-1])[row]
        grads = {f"grad_{name}": xp.zeros((n, 3), dtype=dtype) for name in ("start", "end")}
        grads |= {f"grad_{name}": xp.zeros(n, dtype=dtype) for name in ("dE", "dEdx", "time")}
        plain(segments, n, **split | {"slot": slot} | grads)
        values = np.empty((n, 9))
        columns = np.split(values, (3, 6, 7, 8), axis=1)
        for column, grad in zip(columns, all_to_numpy(list(grads.values())), strict=True):
            column[...] = grad.reshape(column.shape)
        row, segment = all_to_numpy([row, split["slot_segment"][slot]])
        return SegmentRows(row, segment, values)


def deposit_slopes(forward: dict[str, dict]) -> Any:
    """Derivatives of log(charge), arrival, sigma_t and sigma_T of the steps by their deposits (n_steps, 5, 4)."""
    drift, split = forward["drift"], forward["split"]
    xp = namespace(drift["charge"])
    inputs = [split[name] for name in OF_DEPOSIT]
    if "angle" in forward:
        inputs.append(forward["angle"][OF_ANGLE])
    slopes = xp.zeros((len(drift["charge"]), len(OF_DEPOSIT) + 1, 4), dtype=drift["charge"].dtype)
    for k, seeds in enumerate(unit_seeds(forward)):
        grads = {id(drift[name]): seed for name, seed in seeds.items()}
        step_gradients(forward, grads)
        for c, array in enumerate(inputs):
            slopes[:, c, k] = grads[id(array)]
    return slopes
