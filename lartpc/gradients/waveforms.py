"""Derivatives of the voltages of wires by parameters, every sample by each: what Gauss and Newton ask for.

Of a step, parameters change log(charge), arrival, sigma_t and sigma_T alone; so the derivatives of all samples by a
parameter are one more deposit, convolution and high pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.adjoint.response.deposit import deposit_tangent
from lartpc.adjoint.wires.share_wires import share_wires_tangent
from lartpc.arrays import namespace, to_numpy
from lartpc.autodiff.launch import Recorder, plain
from lartpc.gradients.jacobian import columns_of, step_slopes
from lartpc.kernels.response.convolve import convolve
from lartpc.kernels.wires.couple_wires import couple_wires
from lartpc.simulation.batches import Batch
from lartpc.simulation.wires import WireSimulation, WireWaveforms
from lartpc.wires.electronics import behind_high_passes


def waveform_slopes(
    simulation: WireSimulation, batch: Batch, values: Any, slots: Sequence[int]
) -> tuple[WireWaveforms, Any]:
    """Voltages at the parameters `values`, and their derivatives by those at `slots`: (n_slots, n_samples).

    Raises ValueError where modules or events have values of their own among them.
    """
    recorder = Recorder()
    waveforms = simulation.waveforms(batch, values, recorder)
    forward = recorder.launched
    slot = to_numpy(forward["gather"]["slot"])
    columns = columns_of(forward, slots)
    if len(slot) > 1 or len(columns) != len(slots):
        raise ValueError("parameters of single modules or events have no derivatives of waveforms here")
    order = [columns[int(np.flatnonzero(slot[0, columns] == one)[0])] for one in slots]
    of_steps = source_slopes(forward, step_slopes(forward, order))
    convolved, result = forward["convolve"], []
    for source in of_steps:
        voltage, state = (namespace(source).zeros_like(convolved[name]) for name in ("current", "state"))
        plain(
            convolve, len(waveforms.windows.tick), **convolved | {"source": source, "current": voltage, "state": state}
        )
        detector = simulation.detector
        result.append(behind_high_passes(voltage, waveforms.windows, detector.electronics, detector.tick, plain))
    return waveforms, namespace(of_steps).stack(result)


def source_slopes(forward: dict[str, dict[str, Any]], step_slope: Any) -> Any:
    """Derivatives of the values that drive the waveforms (n_columns, n_values), from those of steps."""
    share, couple, deposit = (forward[name] for name in ("share_wires", "couple_wires", "deposit"))
    xp = namespace(share["share_t"])
    slopes = {f"share_t_by_{name}": xp.zeros_like(share["share_t"]) for name in ("arrival", "sigma_t")}
    slopes["share_r_by_sigma_T"] = xp.zeros_like(share["share_r"])
    plain(share_wires_tangent, len(share["x"]), **share | slopes)
    by_sigma_T = xp.zeros_like(couple["coefficient"])
    wider = {"share_r": slopes["share_r_by_sigma_T"], "coefficient": by_sigma_T}
    plain(couple_wires, len(by_sigma_T), **couple | wider)
    source_by = xp.zeros((step_slope.shape[1], len(deposit["source"])), dtype=by_sigma_T.dtype)
    own = {"step_slope": step_slope, "coefficient_by_sigma_T": by_sigma_T, "source_by": source_by}
    plain(deposit_tangent, len(deposit["window_pair"]) - 1, **deposit | slopes | own)
    return source_by
