"""Derivatives of the voltages of wires: of a loss by a tape, and every sample by each of some parameters.

The latter is what Gauss and Newton ask for. Of a step, parameters change log(charge), arrival, sigma_t and sigma_T
alone; so the derivatives of all samples by a parameter are one more deposit, convolution and high pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.adjoint.response.deposit import deposit_slopes
from lartpc.adjoint.wires.share_wires import share_wires_tangent
from lartpc.arrays import all_to_numpy, namespace, to_numpy
from lartpc.autodiff.launch import Recorder, plain
from lartpc.autodiff.tape import Tape
from lartpc.gradients.jacobian import columns_of, step_slopes
from lartpc.kernels.response.convolve import convolve
from lartpc.kernels.wires.couple_wires import couple_wires
from lartpc.simulation.batches import Batch
from lartpc.simulation.wires import WireSimulation, WireWaveforms
from lartpc.wires.electronics import behind_high_passes


class WireTrace:
    """One batch simulated with a tape: `waveforms`, `WireWaveforms`, to make a loss of, and `backward`."""

    def __init__(self, simulation: WireSimulation, batch: Batch, parameters: Any = None, settle: int = 0) -> None:
        self.batch, self.names, self.tape = batch, simulation.parameters.names, Tape()
        self.parameters = simulation.vector() if parameters is None else parameters
        self.waveforms = simulation.waveforms(batch, self.parameters, self.tape.launch, settle)

    def backward(self, voltage: Any) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """The gradient of a loss from its derivatives by waveforms.voltage [1/mV]: by parameters, and by segments.

        By the columns of `Batch`: start and end (n, 3) [1/cm], dE (n,) [1/MeV], dEdx (n,) [cm/MeV], time (n,) [1/us].
        """
        self.tape.backward([(self.waveforms.voltage, voltage)])
        columns = ("start", "end", "dE", "dEdx", "time")
        inputs = (self.parameters, *(getattr(self.batch, name) for name in columns))
        values, *of_segments = all_to_numpy([self.tape.gradient(array) for array in inputs])
        by_parameters = dict(zip(self.names, values.tolist(), strict=True))
        return by_parameters, dict(zip(columns, of_segments, strict=True))


def waveform_slopes(
    simulation: WireSimulation, batch: Batch, values: Any, slots: Sequence[int], settle: int = 0
) -> tuple[WireWaveforms, Any]:
    """Voltages at the parameters `values`, and their derivatives by those at `slots`: (n_slots, n_samples).

    settle: as of `WireSimulation.waveforms`.

    Raises ValueError where modules or events have values of their own among them.
    """
    bare, slopes = bare_slopes(simulation, batch, values, slots, settle)
    d = simulation.detector
    passed = [behind_high_passes(one, bare.windows, d.electronics, d.tick, plain) for one in (bare.voltage, *slopes)]
    return bare._replace(voltage=passed[0]), namespace(slopes).stack(passed[1:])


def bare_slopes(
    simulation: WireSimulation, batch: Batch, values: Any, slots: Sequence[int], settle: int = 0
) -> tuple[WireWaveforms, Any]:
    """The same in front of the high passes."""
    recorder = Recorder()
    waveforms = simulation.in_order("pairs").bare(batch, values, recorder, settle)
    forward = recorder.launched
    slot = to_numpy(forward["gather"]["slot"])
    columns = columns_of(forward, slots)
    if len(slot) > 1 or len(columns) != len(slots):
        raise ValueError("parameters of single modules or events have no derivatives of waveforms here")
    order = [columns[int(np.flatnonzero(slot[0, columns] == one)[0])] for one in slots]
    of_steps = source_slopes(forward, step_slopes(forward, order))
    convolved, xp = forward["convolve"], namespace(of_steps)
    result = xp.zeros((len(of_steps), len(waveforms.voltage)), dtype=waveforms.voltage.dtype)
    for source, voltage in zip(of_steps, result, strict=True):
        made = {"source": source, "current": voltage, "state": xp.zeros_like(convolved["state"])}
        plain(convolve, len(waveforms.windows.tick), **convolved | made)
    return waveforms, result


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
    plain(deposit_slopes, len(deposit["window_pair"]) - 1, **deposit | slopes | own)
    return source_by
