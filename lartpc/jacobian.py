"""Derivatives of every pixel's results with respect to the parameters, in one reverse pass for all pixels.

Pixels share steps, but a pair of a step and a pixel belongs to one pixel: taken back by pair instead of by step, the
gradient of each pixel stays apart. So one pass with the n-th hit of every pixel seeded at once gives a row of the
Jacobian for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .adjoint.collect import collect_adjoint
from .adjoint.conserve import conserve_adjoint
from .adjoint.drift import drift_adjoint
from .adjoint.induce import induce_adjoint
from .adjoint.quench import quench_adjoint
from .adjoint.spread import spread_adjoint
from .chain import Windows
from .kernels.launch import Kernel
from .tape import Tape
from .windows import namespace, offsets


def parameter_rows(tape: Tape, windows: Windows, grad_waveform: Any, pixels: Any) -> np.ndarray:
    """d(loss of pixel)/d(parameter), (len(pixels), n_parameters) float64, from d(loss)/d(waveform) of each pixel.

    `tape` holds the chain up to the waveforms; `pixels` are indices into `windows`, ascending; the gradient of the
    waveform is read on their windows alone.
    """
    xp = namespace(grad_waveform)
    forward = {launch.kernel.name: launch.arguments for launch in tape.launches}
    pair_of = windows.pair[windows.of_pixel]
    counts = pair_of[pixels + 1] - pair_of[pixels]
    first = offsets(counts)
    at = xp.arange(int(first[-1])) - xp.repeat(first[:-1], counts) + xp.repeat(pair_of[pixels], counts)
    n = len(at)
    dtype = grad_waveform.dtype

    def zeros(*shape: int) -> Any:
        return xp.zeros(shape, dtype=dtype)

    conserve = forward["conserve"]
    grads = {name: xp.zeros_like(conserve[name]) for name in ("weight_x", "weight_y", "current")}
    back(conserve_adjoint, len(windows.tick), conserve, {"waveform": grad_waveform}, grads)

    collect = select(forward["collect"], at, ("first_tick", "tail_tick", "pair_start"))
    lengths = forward["collect"]["first_row"]
    collect["first_row"] = offsets(lengths[at + 1] - lengths[at])
    rows = {"row": zeros(int(collect["first_row"][-1])), "tail": zeros(n, len(collect["decay"]))}
    back(collect_adjoint, n, collect, {"current": grads["current"]}, rows)

    by_pair = ("pair_arrival", "pair_sigma", "pair_tick", "tail_tick", "first_tick", "nodes_x", "nodes_y")
    nodes = ("node_x", "node_y", "weight_x", "weight_y")
    induce = select(forward["induce"], at, by_pair + nodes)
    induce["first_row"] = collect["first_row"]
    grad_nodes = {name: xp.zeros_like(induce[name]) for name in ("pair_arrival", "pair_sigma", "node_x", "node_y")}
    grad_nodes |= {name: grads[name][at] for name in ("weight_x", "weight_y")}
    back(induce_adjoint, n, induce, rows, grad_nodes)

    step = forward["spread"]["pair_step"][at]
    spread = select(forward["spread"], at, ("pair_x", "pair_y"))
    by_step = ("x", "y", "distance", "charge", "sigma_T", "step_volume")
    spread = select(spread, step, by_step) | {"first_pair": xp.arange(n + 1), "pair_place": xp.arange(n)}
    grad_step = {name: zeros(n) for name in ("x", "y", "charge", "arrival", "sigma_t", "sigma_T")}
    back(spread_adjoint, n, spread, grad_nodes, grad_step)

    drift = select(forward["drift"], step, ("electrons", "distance", "sigma_t", "sigma_T"))
    n_parameters = len(drift["parameters"])
    grad_drift = {name: zeros(n) for name in ("electrons", "distance", "step_time")}
    grad_drift["parameters"] = zeros(n, n_parameters)
    back(drift_adjoint, n, drift, grad_step, grad_drift)
    quench = select(forward["quench"], step, ("step_dE", "step_dEdx"))
    grad_quench = {"step_dE": zeros(n), "step_dEdx": zeros(n), "parameters": zeros(n, n_parameters)}
    back(quench_adjoint, n, quench, grad_drift, grad_quench)

    by_pair_of_pixel = (grad_drift["parameters"] + grad_quench["parameters"]).astype(np.float64)
    sums = xp.zeros((n + 1, n_parameters))
    xp.cumsum(by_pair_of_pixel, axis=0, out=sums[1:])
    result = sums[first[1:]] - sums[first[:-1]]
    return result if xp is np else result.get()


def select(arguments: dict[str, Any], rows: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """A copy of a launch's arguments with some of its arrays restricted to `rows`."""
    return {**arguments, **{name: arguments[name][rows] for name in names}}


def back(adjoint: Kernel, threads: int, arguments: dict, grad_outputs: dict, grad_inputs: dict) -> None:
    """Run an adjoint with its arguments by name; gradients are named without their grad_."""
    grads = {f"grad_{name}": array for name, array in {**grad_outputs, **grad_inputs}.items()}
    adjoint(threads, *({**arguments, **grads}[name] for name in adjoint.arguments))
