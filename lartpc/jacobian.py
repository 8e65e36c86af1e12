"""Derivatives of every pixel's results with respect to the parameters, in one reverse pass for all pixels.

Pixels share steps, but a pair of a step and a pixel belongs to one pixel: taken back by pair instead of by step, the
gradient of each pixel stays apart. So one pass with the n-th hit of every pixel seeded at once gives a row of the
Jacobian for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .adjoint.assign import assign_adjoint
from .adjoint.conserve import conserve_adjoint
from .adjoint.convolve import convolve_adjoint
from .adjoint.couple import couple_adjoint
from .adjoint.deposit import deposit_adjoint
from .adjoint.drift import drift_adjoint
from .adjoint.induce import induce_adjoint
from .adjoint.quench import quench_adjoint
from .adjoint.share import share_adjoint
from .adjoint.spread import spread_adjoint
from .chain import Windows
from .kernels.launch import Kernel
from .tape import Tape
from .windows import namespace, offsets

GRAD_STEP = ("x", "y", "charge", "arrival", "sigma_t", "sigma_T")


def parameter_rows(tape: Tape, windows: Windows, grad_waveform: Any, pixels: Any) -> np.ndarray:
    """d(loss of pixel)/d(value), (len(pixels), n_values) float64, from d(loss)/d(waveform) of each pixel.

    Values are those of the parameters, as `Parameters.vector` has them.

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
    tabulated = "couple" in forward
    step = forward["couple" if tabulated else "spread"]["pair_step"][at]
    grad_step = (by_table if tabulated else by_moments)(forward, windows, grad_waveform, at, step)

    def zeros(*shape: int) -> Any:
        return xp.zeros(shape, dtype=grad_waveform.dtype)

    drift = select(forward["drift"], step, ("electrons", "distance", "step_module", "sigma_t", "sigma_T"))
    n_parameters = drift["parameters"].shape[1]
    grad_drift = {name: zeros(n) for name in ("electrons", "distance", "step_time")}
    grad_drift["parameters"] = zeros(n, n_parameters)
    back(drift_adjoint, n, drift, grad_step, grad_drift)
    quench = select(forward["quench"], step, ("step_dE", "step_dEdx", "step_module"))
    grad_quench = {"step_dE": zeros(n), "step_dEdx": zeros(n), "parameters": zeros(n, n_parameters)}
    back(quench_adjoint, n, quench, grad_drift, grad_quench)

    by_pair_of_pixel = (grad_drift["parameters"] + grad_quench["parameters"]).astype(np.float64)
    sums = xp.zeros((n + 1, n_parameters))
    xp.cumsum(by_pair_of_pixel, axis=0, out=sums[1:])
    gathered = forward["gather"]
    result = xp.zeros((len(pixels), len(gathered["values"])))
    place = gathered["place"][drift["step_module"][first[:-1]]]  # of the pixel's module
    result[xp.arange(len(pixels))[:, None], place] = sums[first[1:]] - sums[first[:-1]]
    return result if xp is np else result.get()


def by_moments(forward: dict[str, dict], windows: Windows, grad_waveform: Any, at: Any, step: Any) -> dict[str, Any]:
    """Gradients of the steps `step` (n,) of the pairs `at`, of each pair apart, with the parametric response."""
    xp, n, dtype = namespace(grad_waveform), len(at), grad_waveform.dtype
    conserve = forward["conserve"]
    moments = ("moment_x", "moment_y")
    grads = {name: xp.zeros_like(conserve[name]) for name in (*moments, "current")}
    back(conserve_adjoint, len(windows.tick), conserve, {"waveform": grad_waveform}, grads)

    grad_pair = coefficients(forward, sources(forward, windows, grads["current"]), at, step)
    induce = select(forward["induce"], at, ("pair_step", *moments))
    grad_moments = {name: grads[name][at] for name in moments}
    back(induce_adjoint, n, induce, {"coefficient": grad_pair["coefficient"]}, grad_moments)

    each = {"first_pair": xp.arange(n + 1), "pair_place": xp.arange(n)}
    grad_step = {name: xp.zeros(n, dtype=dtype) for name in GRAD_STEP}
    spread = select(forward["spread"], at, ("pair_x", "pair_y"))
    by_step = ("x", "y", "distance", "charge", "sigma_T", "step_volume", "step_table")
    back(spread_adjoint, n, select(spread, step, by_step) | each, grad_moments, grad_step)
    by_step = ("arrival", "sigma_t", "step_table", "step_tick", "site_t", "sites_t", "share_t")
    back(share_adjoint, n, select(forward["share"], step, by_step), {"share_t": grad_pair["share_t"]}, grad_step)
    return grad_step


def by_table(forward: dict[str, dict], windows: Windows, grad_waveform: Any, at: Any, step: Any) -> dict[str, Any]:
    """The same with a tabulated response."""
    xp, n = namespace(grad_waveform), len(at)
    each = {"first_pair": xp.arange(n + 1), "pair_place": xp.arange(n)}
    of_source = sources(forward, windows, grad_waveform)
    grad_pair = coefficients(forward, of_source, at, step)
    couple = select(forward["couple"], at, ("pair_x", "pair_y")) | each
    couple = select(couple, step, ("site_x", "site_y", "sites_x", "sites_y", "share_x", "share_y", "step_table"))
    grad_share = {name: xp.zeros_like(couple[name]) for name in ("share_x", "share_y")}
    back(couple_adjoint, n, couple, {"coefficient": grad_pair["coefficient"]}, grad_share)
    assign = forward["assign"]
    inputs = ("x", "y", "charge", "arrival", "sigma_t", "sigma_T", "step_volume", "step_table", "step_tick")
    found = ("site_x", "site_y", "site_t", "sites_x", "sites_y", "sites_t")
    grad_step = {name: xp.zeros(n, dtype=grad_waveform.dtype) for name in GRAD_STEP}
    grad_share["share_t"] = grad_pair["share_t"]
    back(assign_adjoint, n, select(assign, step, inputs + found), grad_share, grad_step)
    return grad_step


def sources(forward: dict[str, dict], windows: Windows, grad_current: Any) -> Any:
    """Gradient of the values of `deposit` (n_values,)."""
    xp, convolve = namespace(grad_current), forward["convolve"]
    grad = {"source": xp.zeros_like(convolve["source"])}
    outputs = {"current": grad_current, "state": xp.zeros_like(convolve["state"])}
    back(convolve_adjoint, len(windows.tick), convolve, outputs, grad)
    return grad["source"]


def coefficients(forward: dict[str, dict], grad_source: Any, at: Any, step: Any) -> dict[str, Any]:
    """Gradients of `coefficient` of the pairs `at` and of `share_t` of their steps `step`, of each pair apart."""
    xp, n = namespace(grad_source), len(at)
    deposit = select(forward["deposit"], at, ("pair_source", "coefficient"))
    deposit = select(deposit, step, ("sites_t", "share_t", "step_table"))
    deposit |= {"first_pair": xp.arange(n + 1), "pair_place": xp.arange(n)}
    grad = {name: xp.zeros_like(deposit[name]) for name in ("coefficient", "share_t")}
    back(deposit_adjoint, n, deposit, {"source": grad_source}, grad)
    return grad


def select(arguments: dict[str, Any], rows: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """A copy of a launch's arguments with some of its arrays restricted to `rows`."""
    return {**arguments, **{name: arguments[name][rows] for name in names}}


def back(adjoint: Kernel, threads: int, arguments: dict, grad_outputs: dict, grad_inputs: dict) -> None:
    """Run an adjoint with its arguments by name; gradients are named without their grad_."""
    grads = {f"grad_{name}": array for name, array in {**grad_outputs, **grad_inputs}.items()}
    adjoint(threads, *({**arguments, **grads}[name] for name in adjoint.arguments))
