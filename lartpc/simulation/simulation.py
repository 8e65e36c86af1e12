"""Simulation of a detector: energy deposits in, hits out."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.autodiff.launch import Recorder, plain
from lartpc.charge.recombination import RECOMBINATION, idle
from lartpc.charge.steps import make_steps, of_modules
from lartpc.charge.tables import in_events, make_tables
from lartpc.checks import check_choice
from lartpc.contracts import PixelReadout
from lartpc.data.attribution import Attribution
from lartpc.data.hits import Hits, WaveformTable
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PixelValues
from lartpc.exceptions import InputError
from lartpc.frontend.frontend import Pixels, Reads, make_adc, make_pixels, make_reads, reached_limit, settle
from lartpc.kernels.runtime.slots import AMPLIFIER, ELECTRONICS, RESPONSE
from lartpc.parameters import Parameters, common_name, parameter
from lartpc.pixels.readout import Given, find_response, make_readout
from lartpc.settings import Settings
from lartpc.simulation.attribution import BY_PAIRS, arrivals, associations, contributions, file_trajectories, join
from lartpc.simulation.batches import Batch
from lartpc.simulation.batching import Batching, check_device, check_seed
from lartpc.simulation.chain import Waveforms, make_waveforms
from lartpc.simulation.collect import (
    Summary,
    beyond_planes,
    concatenate,
    hits_of,
    join_windows,
    summarise,
    total,
    valid,
    windows_of,
)
from lartpc.simulation.noise_hits import check_rate, make_noise_hits, merged


class Result(NamedTuple):
    hits: Hits
    waveforms: WaveformTable | None
    summary: Summary
    attribution: Attribution | None


class Simulation(Batching):
    """The chain segments -> hits of one detector, on the CPU or a CUDA device, in float32 or float64.

    `thresholds` [e], `gains` [mV/e], `pedestals` [mV]: (pixel ids, values, default) as `read_pixel_values` gives, else
    the detector's. `noise` adds the detector's reset, readout and discriminator noise, drawn by counter from `seed`,
    event id, pixel id and number of the read or tick, so that results are the same bits for any number of threads,
    batch size and order of events. `noise_hits` [Hz a pixel] is the rate of hits that no charge makes, drawn likewise
    (`noise_hits.make_noise_hits`). `response`: `parametric`, `electrostatic`, a `Response`, or the file of one; or
    several, one for each pixel pitch of the TPCs, ascending; files as `find_response` takes them.

    Raises InputError: unknown `recombination` or `device`, no CUDA device, a seed that is no whole number from 0, a
    rate that is none or without `noise`, no such response or one that does not fit the detector's pixels.
    """

    readout: PixelReadout

    def __init__(
        self,
        detector: Detector | None = None,
        parameters: Parameters | None = None,
        *,
        recombination: str = "birks",
        noise: bool = False,
        noise_hits: float = 0.0,
        seed: int = 0,
        thresholds: PixelValues | None = None,
        gains: PixelValues | None = None,
        pedestals: PixelValues | None = None,
        response: Given | Sequence[Given] = "parametric",
        device: str = "cpu",
        dtype: Any = np.float32,
        settings: Settings = Settings(),  # noqa: B008  (immutable)
    ) -> None:
        check_choice("recombination", recombination, RECOMBINATION)
        self.xp, self.seed = check_device(device), check_seed(seed)
        self.detector = Detector.module0() if detector is None else detector
        given: dict[str, Any] = {"thresholds": thresholds, "gains": gains, "pedestals": pedestals}
        given = {name: table for name, table in given.items() if table is not None}
        if given:
            self.detector = dataclasses.replace(self.detector, **given)
        self.parameters = self.detector.parameters if parameters is None else parameters
        if self.parameters.buffer_risetime is None:
            self.parameters = dataclasses.replace(self.parameters, buffer_risetime=self.detector.buffer_risetime)
        for name in AMPLIFIER:
            if getattr(self.parameters, name) is not None:
                found = f"{getattr(self.parameters, name):g}"
                raise InputError(f"parameter {name}: found {found} with pixels, allowed only with wires")
        self.recombination = recombination
        self.noise = noise
        self.noise_hits = check_rate(noise_hits, noise)
        self.response = find_response(response, self.detector)
        self.device = device
        self.dtype = np.dtype(dtype)
        self.settings = settings
        d = self.detector
        self.parameters.check_single(**d.counts)
        self.settle = self.settling(self.risetimes(self.parameters))
        self.tables = make_tables(d, self.parameters, settings, self.dtype, self.xp)
        self.readout = make_readout(self.response, d, self.tables, settings, self.dtype, self.xp)

    def __call__(
        self,
        segments: Segments,
        *,
        waveforms: bool = False,
        attribution: bool = False,
        progress: Callable[[Iterable], Iterable] = lambda batches: batches,
    ) -> Result:
        """Simulate all events; `attribution`: and say where hits come from. `progress` wraps the batches, like tqdm."""
        parameters = self.vector()
        in_batches = np.argsort(segments.event_id, kind="stable")
        trajectory, start = file_trajectories(segments)[in_batches], 0
        results, attributions = [], []
        for batch in progress(self.batches(segments)):
            rows = slice(start, start + len(batch.dE))
            start = rows.stop
            *result, found = self.simulate(batch, parameters, waveforms, trajectory[rows] if attribution else None)
            results.append(result)
            if found is not None:
                attributions.append((in_batches[rows], found))
        tables, windows, counts = zip(*results, strict=True) if results else ((), (), ())
        hits = concatenate(Hits, tables)
        order = np.lexsort((hits.hit, hits.pixel_id, hits.event_id))
        hits = hits.select(order)
        if self.noise and self.noise_hits > 0.0 and results:
            hits, row = merged(hits, make_noise_hits(segments, self.noise_hits, self.seed, self), self.detector)
            order = np.append(order, -1)[row]
        summary = summarise(segments, counts, hits, int(np.sum(order < 0)))
        found = join(attributions, len(segments), order) if attribution else None
        return Result(hits, join_windows(windows) if waveforms else None, summary, found)

    def without_noise(self) -> Simulation:
        """The same simulation without noise."""
        quiet = copy.copy(self)
        quiet.noise = False
        return quiet

    def without_pixels(self, pixel: Sequence[int] | np.ndarray) -> Simulation:
        """The same simulation where the pixels of these ids, ascending (n,), have no hits: no channel reads them."""
        if len(pixel) == 0:
            return self
        other = copy.copy(self)
        other.detector = self.detector.without_pixels(np.asarray(pixel))
        return other

    def apart(self, names: Iterable[str]) -> Simulation:
        """As of all readouts; windows are long enough for all rise times that are looked for."""
        names = list(names)
        single = super().apart(names)
        slowest = [parameter(name).range[1] for name in names if common_name(name) == "buffer_risetime"]
        single.settle = self.settling([*slowest, *self.risetimes(single.parameters)])
        return single

    def acting(self) -> list[str]:
        """Names of the parameters that the results depend on."""
        off = idle(self.recombination) | {"vdrift" if self.parameters.vdrift is None else "temperature"}
        off |= {"buffer_risetime"} if self.settle is None else set()
        off |= set(RESPONSE).difference(self.readout.parameters)
        used = np.unique(to_numpy(self.tables.slot))
        names = self.parameters.names
        charge = [names[k] for k in used if names[k] not in off]
        electronics = [name for name in names if common_name(name) in ELECTRONICS and common_name(name) not in off]
        return [*charge, *self.parameters.of_events, *electronics]

    def settling(self, risetimes: Iterable[float]) -> int | None:
        """Ticks for which windows go on behind the slowest of the buffers, None where none has a rise time [us]."""
        slowest = max(risetimes)
        return settle(slowest, self.detector.tick) if slowest > 0.0 else None

    @staticmethod
    def risetimes(parameters: Parameters) -> list[float]:
        """Of all the buffers that have one of their own [us]."""
        return [value or 0.0 for name, value in parameters.as_dict().items() if common_name(name) == "buffer_risetime"]

    def waveforms(self, batch: Batch, parameters: Any, launch: Callable = plain) -> Waveforms:
        """Clouds of the steps, their currents by the readout, and these behind the buffer."""
        model = RECOMBINATION[self.recombination]
        tables = in_events(self.tables, batch, self.parameters)
        local = of_modules(parameters, tables, launch)
        steps = make_steps(batch, local, model, tables, self.detector, self.settings, launch)
        slots_of = self.parameters.slots_of_electronics
        rest = (self.readout, self.detector, self.settle, launch)
        return make_waveforms(steps, batch, local, parameters, slots_of, *rest)

    def pixels(self, waveforms: Waveforms, launch: Callable = plain) -> Pixels:
        """Threshold, gain and offset of the pixels: adjust."""
        return make_pixels(waveforms.windows.pixel, waveforms.electronics, self.detector, launch)

    def reads(self, waveforms: Waveforms, batch: Batch, pixels: Pixels, launch: Callable = plain) -> Reads:
        """Trigger, with thresholds and noise."""
        return make_reads(waveforms, batch, pixels.threshold, self.seed, self.noise, self.detector, launch)

    def adc(self, reads: Reads, pixels: Pixels, rounded: bool, launch: Callable = plain) -> Any:
        """Digitize."""
        return make_adc(reads, pixels.gain, pixels.offset, self.detector, rounded, launch)

    def simulate(
        self, batch: Batch, parameters: Any, keep: bool, trajectory: np.ndarray | None = None
    ) -> tuple[Hits, WaveformTable | None, tuple, Attribution | None]:
        """Hits, waveforms (to `keep`), the sums of `Summary` and, given `trajectory` of segments, the attribution."""
        segment = np.arange(len(batch.dE))
        hits, windows, attributions, sums = [], [], [], np.zeros(5)
        kept = np.zeros(len(segment), dtype=bool)
        arrived = np.zeros((0 if trajectory is None else len(segment), len(self.tables.tpc_pixels)))
        for rows, part in self.parts(batch):
            recorder = Recorder(BY_PAIRS)
            waveforms = self.waveforms(part, parameters, plain if trajectory is None else recorder)
            pixels = self.pixels(waveforms)
            reads = self.reads(waveforms, part, pixels)
            at = valid(reads)
            hits.append(hits_of(waveforms, reads, at, self.adc(reads, pixels, rounded=True), part, self.detector))
            steps, own = waveforms.steps, segment[rows if isinstance(rows, slice) else to_numpy(rows)]
            collected = total(waveforms.current) * self.detector.tick
            sums += (
                total(steps.electrons),
                total(steps.charge),
                beyond_planes(steps, self.detector, self.settings.width),
                collected,
                reached_limit(reads),
            )
            kept[own[to_numpy(steps.segment)]] = True
            if keep:
                windows.append(windows_of(waveforms, part))
            if trajectory is not None:
                found = contributions(recorder.launched, waveforms, reads, at, self.detector)
                arrived[own] += arrivals(steps, len(own), len(self.tables.tpc_pixels))
                of_hits, *others = associations(found, len(hits[-1]), trajectory[own])
                attributions.append((np.append(own, -1)[of_hits], *others))
        attribution = None
        if trajectory is not None:
            tpc = np.where(arrived.any(axis=1), arrived.argmax(axis=1), -1)
            columns = [np.concatenate(column) for column in zip(*attributions, strict=True)]
            attribution = Attribution._make([*columns, arrived.sum(axis=1), tpc])
        table = join_windows(windows) if keep else None
        return concatenate(Hits, hits), table, (int(kept.sum()), *sums), attribution
