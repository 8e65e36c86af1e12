"""Simulation of a detector: energy deposits in, hits out."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import to_numpy
from lartpc.autodiff.launch import plain
from lartpc.charge.recombination import RECOMBINATION, idle
from lartpc.charge.steps import make_pieces, make_steps
from lartpc.checks import check_choice
from lartpc.data.attribution import Truth
from lartpc.data.hits import Hits, WaveformTable
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PixelValues
from lartpc.exceptions import InputError
from lartpc.frontend.frontend import Pixels, Reads, make_adc, make_reads
from lartpc.kernels.runtime.launch import cuda_available
from lartpc.parameters import Parameters
from lartpc.pixels.parametric_tables import make_parametric_tables
from lartpc.pixels.response import Response, find_response
from lartpc.pixels.response_tables import make_response_tables
from lartpc.response.windows import Windows
from lartpc.settings import Settings
from lartpc.simulation.attribution import Recorder, arrivals, associations, contributions, file_trajectories, join
from lartpc.simulation.batches import Batch
from lartpc.simulation.chain import Waveforms, make_tables, make_waveforms
from lartpc.simulation.collect import (
    Summary,
    beyond_planes,
    concatenate,
    hits_of,
    join_windows,
    total,
    valid,
    windows_of,
)

DEVICES = ("cpu", "cuda")
REACHED = 2  # with a table, whose steps reach more pixels, batches are so much smaller
ON_CUDA = 8  # times as large are batches on a device, which needs many threads; memory used again suits a processor


class Result(NamedTuple):
    hits: Hits
    waveforms: WaveformTable | None
    summary: Summary
    truth: Truth | None


class Simulation:
    """The chain segments -> hits of one detector, on the CPU or a CUDA device, in float32 or float64.

    `thresholds` [e], `gains` [mV/e], `pedestals` [mV]: (pixel ids, values, default) as `read_pixel_values` gives, else
    the detector's. `noise` adds the detector's reset, readout and discriminator noise, drawn by counter from `seed`,
    event id, pixel id and number of the read or tick, so that results are the same bits for any number of threads,
    batch size and order of events. `response`: `parametric`, `electrostatic`, a `Response`, or the file of one; or
    several, one for each pixel pitch of the TPCs, ascending.

    Raises InputError: unknown `recombination` or `device`, no CUDA device, a seed that is no whole number from 0, no
    such response or one that does not fit the detector's pixels.
    """

    def __init__(
        self,
        detector: Detector | None = None,
        parameters: Parameters | None = None,
        *,
        recombination: str = "birks",
        noise: bool = False,
        seed: int = 0,
        thresholds: PixelValues | None = None,
        gains: PixelValues | None = None,
        pedestals: PixelValues | None = None,
        response: Response | Sequence[Response] | str | os.PathLike | None = "parametric",
        device: str = "cpu",
        dtype: Any = np.float32,
        settings: Settings = Settings(),  # noqa: B008  (immutable)
    ) -> None:
        check_choice("recombination", recombination, RECOMBINATION)
        check_choice("device", device, DEVICES)
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
            raise InputError(f"seed: found {seed!r}, allowed is a whole number from 0 to 2^63 - 1")
        if device == "cuda" and not cuda_available():
            raise InputError("device: found 'cuda', but there is no CUDA device with the packages of lartpc[cuda]")
        self.detector = Detector.module0() if detector is None else detector
        given = {"thresholds": thresholds, "gains": gains, "pedestals": pedestals}
        given = {name: table for name, table in given.items() if table is not None}
        if given:
            self.detector = dataclasses.replace(self.detector, **given)
        self.parameters = self.detector.parameters if parameters is None else parameters
        self.recombination = recombination
        self.noise = noise
        self.seed = int(seed)
        self.response = find_response(response, self.detector)
        self.device = device
        self.dtype = np.dtype(dtype)
        self.settings = settings
        self.xp = np
        if device == "cuda":
            import cupy

            self.xp = cupy
        else:
            keep_memory()
        place = self.parameters.place(self.detector.n_modules)
        self.tables = make_tables(self.detector, settings, self.dtype, self.xp)._replace(place=self.xp.asarray(place))
        if self.response is None:
            made = make_parametric_tables(self.detector, settings, self.dtype, self.xp)
            self.tables = self.tables._replace(parametric=made)
        else:
            made = make_response_tables(self.response, self.detector, self.dtype, self.xp)
            self.tables = self.tables._replace(response=made)

    def __call__(
        self,
        segments: Segments,
        *,
        waveforms: bool = False,
        truth: bool = False,
        progress: Callable[[Iterable], Iterable] = lambda batches: batches,
    ) -> Result:
        """Simulate all events; `truth`: and where hits come from. `progress` wraps the list of batches, like tqdm."""
        parameters = self.vector()
        in_batches = np.argsort(segments.event_id, kind="stable")
        trajectory, start = file_trajectories(segments)[in_batches], 0
        parts, truths = [], []
        for batch in progress(self.batches(segments)):
            rows = slice(start, start + len(batch.dE))
            start = rows.stop
            *part, found = self.simulate(batch, parameters, waveforms, trajectory[rows] if truth else None)
            parts.append(part)
            truths.append((in_batches[rows], found))
        hits, windows, counts = zip(*parts, strict=True) if parts else ((), (), ())
        hits = concatenate(Hits, hits)
        order = np.lexsort((hits.hit, hits.pixel_id, hits.event_id))
        hits = Hits(**{name: column[order] for name, column in vars(hits).items()})
        kept, electrons, drifted, cut, collected = np.sum(counts, axis=0) if parts else np.zeros(5)
        summary = Summary(
            segments=len(segments),
            kept=int(kept),
            outside=len(segments) - int(kept),
            energy=float(np.sum(segments.dE, dtype=np.float64)),
            electrons=float(electrons),
            drifted=float(drifted),
            cut=float(cut),
            collected=float(collected),
            hits=len(hits),
            charge=total(hits.charge),
        )
        found = join(truths, len(segments), order) if truth else None
        return Result(hits, join_windows(windows) if waveforms else None, summary, found)

    def without_noise(self) -> Simulation:
        """The same simulation without noise."""
        quiet = copy.copy(self)
        quiet.noise = False
        return quiet

    def apart(self, names: Iterable[str]) -> Simulation:
        """The same simulation with values of their own for the modules that are named in `names`, as eField.0 is.

        Raises InputError where the detector has no such module.
        """
        single = copy.copy(self)
        single.parameters = self.parameters.apart(names)
        place = single.parameters.place(self.detector.n_modules)
        single.tables = self.tables._replace(place=self.xp.asarray(place))
        return single

    def acting(self) -> list[str]:
        """Names of the parameters that the results depend on."""
        off = idle(self.recombination) | {"vdrift" if self.parameters.vdrift is None else "temperature"}
        used = np.unique(to_numpy(self.tables.place))
        names = self.parameters.names
        return [names[k] for k in used if names[k] not in off]

    def vector(self) -> Any:
        """The parameters as the kernels take them."""
        return self.xp.asarray(self.parameters.vector(self.dtype))

    def batch(self, segments: Segments) -> Batch:
        """All segments as one batch, in the order of event and file."""
        event_id, event = np.unique(segments.event_id, return_inverse=True)
        order = np.argsort(event, kind="stable")
        s = segments.select(order)
        tick = np.floor(s.t0 / self.detector.tick)
        columns = {
            "start": np.stack((s.x_start, s.y_start, s.z_start), axis=1).astype(self.dtype),
            "end": np.stack((s.x_end, s.y_end, s.z_end), axis=1).astype(self.dtype),
            "dE": s.dE.astype(self.dtype),
            "dEdx": s.dEdx.astype(self.dtype),
            "time": (s.t0 - tick * self.detector.tick).astype(self.dtype),
            "tick": tick.astype(np.int64),
            "event": event[order].astype(np.int64),
            "event_id": event_id.astype(np.int64),
            "volumes": np.arange(len(self.detector.z_anode)),
        }
        return Batch(**{name: self.xp.asarray(column) for name, column in columns.items()})

    def batches(self, segments: Segments, most: int | None = None, whole: bool = True) -> list[Batch]:
        """The segments in batches of whole events, of up to about `most` steps each (settings.steps_per_batch).

        Where events need not be `whole`, those with more come in `parts`.
        """
        most = self.most_steps() if most is None else most
        if not whole:
            return [part for batch in self.batches(segments, most) for _, part in self.parts(batch, most)]
        if len(segments) == 0:
            return []
        every = self.batch(segments)
        pieces = make_pieces(every, self.tables, self.settings)
        first_step = pieces.first_step[pieces.of_segment]
        event = to_numpy(every.event)
        edges = np.append(np.flatnonzero(np.diff(event, prepend=-1)), len(event))
        steps = to_numpy(first_step)[edges]
        cuts, start = [0], 0
        for i in range(1, len(edges)):
            if steps[i] - steps[start] > most and i - 1 > start:
                start = i - 1
                cuts.append(edges[start])
        cuts.append(len(event))
        return [every.select(slice(a, b)) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]

    def most_steps(self) -> int:
        """Steps that are simulated together, about."""
        most = self.settings.steps_per_batch // (1 if self.response is None else REACHED)
        return most * ON_CUDA if self.device == "cuda" else most

    def parts(self, batch: Batch, most: int | None = None) -> list[tuple[Any, Batch]]:
        """A batch of more than `most` steps in parts of whole TPCs, of about as many, each with its segments' rows.

        No pixel sees charge of two parts. A segment that passes TPCs of several is in each of them.
        """
        most = self.most_steps() if most is None else most
        pieces = make_pieces(batch, self.tables, self.settings)
        if int(pieces.first_step[-1]) <= most:
            return [(slice(None), batch)]
        xp, volumes = self.xp, to_numpy(batch.volumes)
        of_piece, volume = np.diff(to_numpy(pieces.first_step)), to_numpy(pieces.volume)
        steps = np.bincount(volume, of_piece, len(self.tables.planes))[volumes]
        groups, size = [[]], 0
        for v, n in zip(volumes.tolist(), steps.tolist(), strict=True):
            if n and size and size + n > most:
                groups, size = [*groups, []], 0
            groups[-1].append(v)
            size += n
        chosen = [xp.asarray(np.unique(to_numpy(pieces.segment)[np.isin(volume, group)])) for group in groups]
        return [
            (rows, batch.select(rows)._replace(volumes=xp.asarray(np.array(group))))
            for rows, group in zip(chosen, groups, strict=True)
        ]

    def waveforms(self, batch: Batch, parameters: Any, launch: Callable = plain) -> Waveforms:
        """Split, field, quench, drift, share, pair, spread, induce, deposit, convolve, conserve, buffer."""
        model = RECOMBINATION[self.recombination]
        steps = make_steps(batch, parameters, model, self.tables, self.detector, self.settings, launch)
        return make_waveforms(steps, batch, self.tables, self.detector, self.settings, launch)

    def pixels(self, windows: Windows) -> Pixels:
        """Threshold, gain and offset of the pixels of `windows`."""
        pixel = to_numpy(windows.pixel)
        gain, offset, _ = self.detector.adc_scale(pixel)
        columns = (self.detector.of_pixels("threshold", pixel), gain, offset)
        return Pixels(*(self.xp.asarray(column.astype(self.dtype)) for column in columns))

    def reads(self, waveforms: Waveforms, batch: Batch, pixels: Pixels, launch: Callable = plain) -> Reads:
        """Trigger, with thresholds and noise."""
        return make_reads(waveforms, batch, pixels.threshold, self.seed, self.noise, self.detector, launch)

    def adc(self, reads: Reads, pixels: Pixels, rounded: bool, launch: Callable = plain) -> Any:
        """Digitize."""
        return make_adc(reads, pixels.gain, pixels.offset, self.detector, rounded, launch)

    def simulate(
        self, batch: Batch, parameters: Any, keep: bool, trajectory: np.ndarray | None = None
    ) -> tuple[Hits, WaveformTable | None, tuple, Truth | None]:
        """Hits, waveforms (where to `keep`), the sums of `Summary` and, given the segments' trajectories, the truth."""
        segment = np.arange(len(batch.dE))
        hits, windows, truths, sums = [], [], [], np.zeros(4)
        kept = np.zeros(len(segment), dtype=bool)
        arrived = None if trajectory is None else np.zeros((len(segment), len(self.tables.planes)))
        for rows, part in self.parts(batch):
            recorder = None if trajectory is None else Recorder()
            waveforms = self.waveforms(part, parameters, recorder or plain)
            pixels = self.pixels(waveforms.windows)
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
            )
            kept[own[to_numpy(steps.segment)]] = True
            if keep:
                windows.append(windows_of(waveforms, part))
            if recorder is not None:
                found = contributions(recorder.launched, waveforms, reads, at, self.detector)
                arrived[own] += arrivals(steps, len(own), len(self.tables.planes))
                of_hits, *others = associations(found, len(hits[-1]), trajectory[own])
                truths.append((np.append(own, -1)[of_hits], *others))
        truth = None
        if arrived is not None:
            plane = np.where(arrived.any(axis=1), arrived.argmax(axis=1), -1)
            truth = Truth(*map(np.concatenate, zip(*truths, strict=True)), arrived.sum(axis=1), plane)
        table = join_windows(windows) if keep else None
        return concatenate(Hits, hits), table, (int(kept.sum()), *sums), truth


def keep_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory instead of returning it, to be asked for again page by page.

    The GNU library does so once it has freed a block of a little less than 32 MB; elsewhere this has no effect.
    """
    np.empty(2**25 - 2**13, dtype=np.uint8)
