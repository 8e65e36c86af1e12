"""Derivatives of the voltages of wires: of a loss by a tape, and every sample by each of some parameters.

The latter is what Gauss and Newton ask for. Of a step, parameters change log(charge), arrival, sigma_t and sigma_T
alone; so the derivatives of all samples by a parameter are one more deposit, convolution and high pass. Those by the
shaping time are a convolution with other waveforms, those by the gain the voltages over it.
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
from lartpc.gradients.jacobian import step_slopes
from lartpc.kernels.response.convolve import convolve
from lartpc.kernels.runtime.slots import AMPLIFIER
from lartpc.kernels.wires.couple_wires import couple_wires
from lartpc.simulation.batches import Batch
from lartpc.simulation.wires import WireSimulation, WireWaveforms
from lartpc.wires.electronics import behind_high_passes


class WireTrace:
    """One batch simulated with a tape: `waveforms`, `WireWaveforms`, to make a loss of, and `backward`.

    `shaping`: derivatives by the shaping time are found, too. No kernel reads it: they are one more convolution, for
    which what drives the waveforms is kept.
    """

    def __init__(
        self, simulation: WireSimulation, batch: Batch, parameters: Any = None, settle: int = 0, shaping: bool = False
    ) -> None:
        self.simulation, self.batch, self.tape, self.shaping = simulation, batch, Tape(), shaping
        self.parameters = simulation.vector() if parameters is None else parameters
        self.convolved: dict[str, Any] = {}
        self.waveforms = simulation.waveforms(batch, self.parameters, self._launch, settle)

    def _launch(self, kernel: Any, threads: int, **arrays: Any) -> None:
        self.tape.launch(kernel, threads, **arrays)
        if kernel is convolve and self.shaping:
            self.convolved = arrays

    def backward(self, voltage: Any) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """The gradient of a loss from its derivatives by waveforms.voltage [1/mV]: by parameters, and by segments.

        By the columns of `Batch`: start and end (n, 3) [1/cm], dE (n,) [1/MeV], dEdx (n,) [cm/MeV], time (n,) [1/us].
        Without `shaping` the shaping time is none of the parameters.
        """
        self.tape.backward([(self.waveforms.voltage, voltage)])
        columns = ("start", "end", "dE", "dEdx", "time")
        inputs = (self.parameters, *(getattr(self.batch, name) for name in columns))
        values, *of_segments = all_to_numpy([self.tape.gradient(array) for array in inputs])
        by_parameters = dict(zip(self.simulation.parameters.names, values.tolist(), strict=True))
        gain, _ = self.simulation.amplifier(self.parameters)
        by_parameters["gain"] = float((self.waveforms.voltage * voltage).sum(dtype=np.float64)) / gain
        del by_parameters["shaping"]
        if self.shaping:
            by_parameters["shaping"] = self._by_shaping(voltage)
        return by_parameters, dict(zip(columns, of_segments, strict=True))

    def _by_shaping(self, voltage: Any) -> float:
        bare, d = self.convolved["current"], self.simulation.detector
        slope = amplifier_slope(self.simulation, bare, self.convolved, self.parameters, "shaping")
        passed = behind_high_passes(slope, self.waveforms.windows, d.electronics, d.tick, plain)
        return float((passed * voltage).sum(dtype=np.float64))


def waveform_slopes(
    simulation: WireSimulation, batch: Batch, values: Any, slots: Sequence[int], settle: int = 0
) -> tuple[WireWaveforms, Any]:
    """Voltages at the parameters `values`, and their derivatives by those at `slots`: (n_slots, n_samples).

    By a value of a single event: by that which each event has in its place. settle: as of `WireSimulation.waveforms`.

    Raises ValueError for a slot that no module or event has.
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
    forward, names = recorder.launched, simulation.parameters.names
    slot = to_numpy(forward["gather"]["slot"])
    of_charge = [one for one in slots if names[one] not in AMPLIFIER]
    if not np.isin(of_charge, slot).all():
        raise ValueError(f"slots {slots}: some are of no module and no event of the batch")
    order = [int(np.flatnonzero((slot == one).any(axis=0))[0]) for one in of_charge]
    of_steps = iter(source_slopes(forward, step_slopes(forward, order)) if order else ())
    convolved, voltage = forward["convolve"], waveforms.voltage
    result = namespace(voltage).zeros((len(slots), len(voltage)), dtype=voltage.dtype)
    for one, slope in zip(slots, result, strict=True):
        if names[one] in AMPLIFIER:
            slope[:] = amplifier_slope(simulation, voltage, convolved, values, names[one])
        else:
            driven(convolved, slope, source=next(of_steps))
    return waveforms, result


def amplifier_slope(simulation: WireSimulation, bare: Any, convolved: dict[str, Any], values: Any, name: str) -> Any:
    """Derivatives of voltages in front of the high passes by one of `AMPLIFIER` (n_samples,): [fC] or [mV/us].

    convolved: the arguments of the `convolve` that gave these voltages, at the parameters `values`.
    """
    gain, shaping = simulation.amplifier(values)
    if name == "gain":
        return bare / bare.dtype.type(gain)
    return driven(convolved, namespace(bare).zeros_like(bare), basis=simulation.readout.table.by_shaping(gain, shaping))


def driven(convolved: dict[str, Any], voltage: Any, **other: Any) -> Any:
    """`voltage` (n_samples,), zeros before, of a `convolve` with other arguments."""
    made = {"current": voltage, "state": namespace(voltage).zeros_like(convolved["state"])}
    plain(convolve, len(convolved["window_tick"]), **convolved | other | made)
    return voltage


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
