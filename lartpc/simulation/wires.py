"""Simulation of a wire detector: energy deposits in, voltages of channels and frames of ADC counts out."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import owners, to_numpy
from lartpc.autodiff.launch import plain
from lartpc.charge.recombination import RECOMBINATION, idle
from lartpc.charge.steps import Steps, make_steps, of_modules
from lartpc.charge.tables import in_events, make_tables
from lartpc.checks import check_choice
from lartpc.data.segments import Segments
from lartpc.detector.waveforms import Electronics
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.kernels.runtime.slots import AMPLIFIER, ELECTRONICS, RESPONSE
from lartpc.parameters import Parameters, common_name
from lartpc.response.windows import Pairs, Windows
from lartpc.settings import Settings
from lartpc.simulation.batches import Batch
from lartpc.simulation.batching import Batching, check_device, check_seed
from lartpc.wires.electronics import behind_high_passes
from lartpc.wires.fieldresponse import FieldResponse
from lartpc.wires.readout import WireReadout
from lartpc.wires.response import find_field_response, find_other_responses


class WireWaveforms(NamedTuple):
    """Voltages of the channels that see charge, sparse: see `Windows`, whose pixels are channels."""

    voltage: Any  # above the baseline, behind the high passes [mV]
    steps: Steps
    pairs: Pairs
    windows: Windows


class WireSimulation(Batching):
    """The chain segments -> voltages of wires of one detector, on the CPU or a CUDA device, in float32 or float64.

    `response`: a `FieldResponse`, a file of one as `find_field_response` takes it, or None for that of the detector's
    planes; channels of the detector's `others` have those of their files. Ticks count from the event's time. `per_tick`
    sites of the lattice in time are in a tick; `order`: see `WireReadout`. The parameters `gain` and `shaping` are
    those of the amplifiers, as the detector has them where they are None; the spectrum of the noise, which amplifiers
    shape, too, stays that of the detector.

    Raises InputError: unknown `recombination`, `order` or `device`, no CUDA device, a seed that is no whole number from
    0, no such response, here or in `others`, or one that does not fit the detector's planes.
    """

    readout: WireReadout

    def __init__(
        self,
        detector: WireDetector,
        parameters: Parameters | None = None,
        *,
        recombination: str = "ellipsoid",
        seed: int = 0,
        response: FieldResponse | str | os.PathLike | None = None,
        device: str = "cpu",
        dtype: Any = np.float32,
        settings: Settings = Settings(),  # noqa: B008  (immutable)
        per_tick: int = 1,
        order: str | None = None,
    ) -> None:
        check_choice("recombination", recombination, RECOMBINATION)
        self.xp, self.seed = check_device(device), check_seed(seed)
        self.detector, self.device, self.dtype, self.settings = detector, device, np.dtype(dtype), settings
        own = detector.electronics
        self.parameters = with_amplifier(detector.parameters if parameters is None else parameters, own)
        self.parameters.check_single(**detector.counts)
        check_acting(self.parameters)
        self.recombination = recombination
        self.response = find_field_response(response, detector)
        self.others = find_other_responses(detector, self.response)
        self.tables = make_tables(detector, self.parameters, settings, self.dtype, self.xp)
        gain, shaping = self.amplifier(self.parameters.vector(np.float64))
        electronics = own._replace(gain=gain, shaping=shaping)
        of_readout = (detector, electronics, self.tables, settings, self.dtype, self.xp, per_tick, order)
        self.readout = WireReadout((self.response, *self.others), *of_readout)

    def describe_response(self) -> dict[str, Any]:
        """What tells its field responses from others, in plain numbers: the usual one, and `others`."""
        return self.response.describe() | {"others": [one.describe() for one in self.others]}

    def acting(self) -> list[str]:
        """Names of the parameters that the results depend on."""
        off = idle(self.recombination) | {"vdrift" if self.parameters.vdrift is None else "temperature"}
        off |= {*RESPONSE, *ELECTRONICS}
        used = np.unique(to_numpy(self.tables.slot))
        names = self.parameters.names
        charge = [names[k] for k in used if common_name(names[k]) not in off]
        return [*charge, *self.parameters.of_events, *AMPLIFIER]

    def in_order(self, order: str) -> WireSimulation:
        """The same, with an order of the readout's sums."""
        other = copy.copy(self)
        other.readout = copy.copy(self.readout)
        other.readout.order = order
        return other

    def waveforms(self, batch: Batch, parameters: Any, launch: Callable = plain, settle: int = 0) -> WireWaveforms:
        """Voltages of a batch; windows go on for `settle` ticks after what the response and the amplifier make."""
        found = self.bare(batch, parameters, launch, settle)
        detector = self.detector
        voltage = behind_high_passes(found.voltage, found.windows, detector.electronics, detector.tick, launch)
        return found._replace(voltage=voltage)

    def bare(self, batch: Batch, parameters: Any, launch: Callable = plain, settle: int = 0) -> WireWaveforms:
        """The same in front of the high passes."""
        tables = in_events(self.tables, batch, self.parameters)
        local = of_modules(parameters, tables, launch)
        model = RECOMBINATION[self.recombination]
        steps = make_steps(batch, local, model, tables, self.detector, self.settings, launch)
        readout = self.readout.amplified(*self.amplifier(parameters))
        voltage, pairs, windows = readout.currents(steps, batch, local, settle, launch)
        return WireWaveforms(voltage, steps, pairs, windows)

    def amplifier(self, parameters: Any) -> tuple[float, float]:
        """Gain [mV/fC] and shaping time [us] among all parameters, as the kernels take them."""
        slots = [self.parameters.names.index(name) for name in AMPLIFIER]
        gain, shaping = to_numpy(parameters[slots]).tolist()
        return gain, shaping

    def __call__(self, segments: Segments, settle: int = 0) -> list[WireWaveforms]:
        """Voltages of all events, a batch after the other."""
        parameters = self.vector()
        return [self.waveforms(batch, parameters, settle=settle) for batch in self.batches(segments)]


def with_amplifier(parameters: Parameters, electronics: Electronics) -> Parameters:
    """The same with values of gain and shaping time: their own, or those of the detector's `electronics`."""
    missing = [name for name in AMPLIFIER if getattr(parameters, name) is None]
    return parameters.replace(**{name: getattr(electronics, name) for name in missing})


def check_acting(parameters: Parameters) -> None:
    """Raise InputError where a parameter of pixels' response or electronics is not as it is by default."""
    common, found = Parameters().as_dict(), parameters.as_dict()
    for name in found:
        if common_name(name) in {*RESPONSE, *ELECTRONICS} and found[name] != common[common_name(name)]:
            raise InputError(
                f"parameter {name}: found {found[name]:g}, allowed with wires are those of charge and amplifiers"
            )


def dense(waveforms: WireWaveforms, event: int, channels: np.ndarray, ticks: range) -> np.ndarray:
    """Voltages (n_channels, n_ticks) [mV] of one event, by its index, of ascending channels at `ticks`; 0 elsewhere."""
    windows = waveforms.windows
    result = np.zeros((len(channels), len(ticks)), dtype=np.float32)
    channel, of_pixel = to_numpy(windows.pixel), to_numpy(windows.of_pixel)
    row = np.searchsorted(channels, channel)
    row[row == len(channels)] = 0
    wanted = (to_numpy(windows.event) == event) & (channels[row] == channel)
    first, tick, samples = (to_numpy(array) for array in (windows.first, windows.tick, waveforms.voltage))
    owner = owners(of_pixel, len(tick))
    for w in np.flatnonzero(wanted[owner]):
        begin, end = max(int(tick[w]), ticks.start), min(int(tick[w] + first[w + 1] - first[w]), ticks.stop)
        if begin < end:
            at = first[w] + begin - tick[w]
            result[row[owner[w]], begin - ticks.start : end - ticks.start] += samples[at : at + end - begin]
    return result
