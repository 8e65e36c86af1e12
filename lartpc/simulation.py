"""Simulation of a detector: energy deposits in, hits out."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from . import chain
from .detector import Detector
from .errors import InputError
from .hits import Hits, Waveforms
from .kernels.launch import cuda_available
from .kernels.quench import BIRKS, BOX
from .parameters import Parameters
from .parametric import make_parametric_tables
from .pixelvalues import PixelValues
from .response import Response, find_response, make_response_tables
from .segments import Segments
from .settings import Settings, gauss_rules
from .truth import (
    Recorder,
    Truth,
    arrivals,
    associations,
    contributions,
    file_trajectories,
    join,
)
from .windows import to_numpy

RECOMBINATION = {"birks": BIRKS, "box": BOX}
DEVICES = ("cpu", "cuda")
REACHED = 2  # with a table, whose steps reach more pixels, batches are so much smaller
ON_CUDA = 8  # times as large are batches on a device, which needs many threads; memory used again suits a processor


class Summary(NamedTuple):
    """What went in and what came out; charges in electrons."""

    segments: int
    kept: int  # at least partly in a TPC
    outside: int  # wholly outside every TPC
    energy: float  # deposited [MeV], outside too
    electrons: float  # that escaped recombination, in the TPCs
    drifted: float  # that arrived at the anodes
    cut: float  # of these, beyond the edge of a pixel plane
    collected: float  # integral of all waveforms
    hits: int
    charge: float  # of the hits, as read


def add(summaries: Iterable[Summary]) -> Summary:
    """The summary of all together."""
    none = Summary(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0)
    return Summary(*map(sum, zip(none, *summaries, strict=True)))


class Result(NamedTuple):
    hits: Hits
    waveforms: Waveforms | None
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
        off = ("alpha", "beta") if self.recombination == "birks" else ("Ab", "kb")
        off += ("vdrift",) if self.parameters.vdrift is None else ("temperature",)
        used = np.unique(to_numpy(self.tables.place))
        names = self.parameters.names
        return [names[k] for k in used if names[k] not in off]

    def vector(self) -> Any:
        """The parameters as the kernels take them."""
        return self.xp.asarray(self.parameters.vector(self.dtype))

    def batch(self, segments: Segments) -> chain.Batch:
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
        return chain.Batch(**{name: self.xp.asarray(column) for name, column in columns.items()})

    def batches(self, segments: Segments, most: int | None = None, whole: bool = True) -> list[chain.Batch]:
        """The segments in batches of whole events, of up to about `most` steps each (settings.steps_per_batch).

        Where events need not be `whole`, those with more come in `parts`.
        """
        most = self.most_steps() if most is None else most
        if not whole:
            return [part for batch in self.batches(segments, most) for _, part in self.parts(batch, most)]
        if len(segments) == 0:
            return []
        every = self.batch(segments)
        pieces = chain.make_pieces(every, self.tables, self.settings)
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

    def parts(self, batch: chain.Batch, most: int | None = None) -> list[tuple[Any, chain.Batch]]:
        """A batch of more than `most` steps in parts of whole TPCs, of about as many, each with its segments' rows.

        No pixel sees charge of two parts. A segment that passes TPCs of several is in each of them.
        """
        most = self.most_steps() if most is None else most
        pieces = chain.make_pieces(batch, self.tables, self.settings)
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

    def waveforms(self, batch: chain.Batch, parameters: Any, launch: Callable = chain.plain) -> chain.Waveforms:
        """Split, quench, drift, share, pair, spread, induce, deposit, convolve, conserve, buffer."""
        model = RECOMBINATION[self.recombination]
        steps = chain.make_steps(batch, parameters, model, self.tables, self.detector, self.settings, launch)
        return chain.make_waveforms(steps, batch, self.tables, self.detector, self.settings, launch)

    def pixels(self, windows: chain.Windows) -> chain.Pixels:
        """Threshold, gain and offset of the pixels of `windows`."""
        pixel = to_numpy(windows.pixel)
        gain, offset, _ = self.detector.adc_scale(pixel)
        columns = (self.detector.of_pixels("threshold", pixel), gain, offset)
        return chain.Pixels(*(self.xp.asarray(column.astype(self.dtype)) for column in columns))

    def reads(
        self, waveforms: chain.Waveforms, batch: chain.Batch, pixels: chain.Pixels, launch: Callable = chain.plain
    ) -> chain.Reads:
        """Trigger, with thresholds and noise."""
        return chain.make_reads(waveforms, batch, pixels.threshold, self.seed, self.noise, self.detector, launch)

    def adc(self, reads: chain.Reads, pixels: chain.Pixels, rounded: bool, launch: Callable = chain.plain) -> Any:
        """Digitize."""
        return chain.make_adc(reads, pixels.gain, pixels.offset, self.detector, rounded, launch)

    def simulate(
        self, batch: chain.Batch, parameters: Any, keep: bool, trajectory: np.ndarray | None = None
    ) -> tuple[Hits, Waveforms | None, tuple, Truth | None]:
        """Hits, waveforms (where to `keep`), the sums of `Summary` and, given the segments' trajectories, the truth."""
        segment = np.arange(len(batch.dE))
        hits, windows, truths, sums = [], [], [], np.zeros(4)
        kept = np.zeros(len(segment), dtype=bool)
        arrived = None if trajectory is None else np.zeros((len(segment), len(self.tables.planes)))
        for rows, part in self.parts(batch):
            recorder = None if trajectory is None else Recorder()
            waveforms = self.waveforms(part, parameters, recorder or chain.plain)
            pixels = self.pixels(waveforms.windows)
            reads = self.reads(waveforms, part, pixels)
            at = self.valid(reads)
            hits.append(self.hits(waveforms, reads, at, self.adc(reads, pixels, rounded=True), part))
            steps, own = waveforms.steps, segment[rows if isinstance(rows, slice) else to_numpy(rows)]
            collected = total(waveforms.current) * self.detector.tick
            sums += (total(steps.electrons), total(steps.charge), self.beyond_planes(steps), collected)
            kept[own[to_numpy(steps.segment)]] = True
            if keep:
                windows.append(self.windows(waveforms, part))
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

    def valid(self, reads: chain.Reads) -> tuple[Any, Any]:
        """(pixel, read) of the reads that are hits, in the order of pixel and read."""
        used = self.xp.arange(self.detector.max_hits) < reads.count[:, None]
        return self.xp.nonzero(used & (reads.valid == 1))

    def beyond_planes(self, steps: chain.Steps) -> float:
        """Charge [e] that diffuses beyond the edges of the pixel planes."""
        d, width = self.detector, self.settings.width
        volume = to_numpy(steps.volume)
        inside = 1.0
        for at, n in ((steps.x, d.n_x), (steps.y, d.n_y)):
            at, sigma = to_numpy(at), to_numpy(steps.sigma_T)
            high = np.minimum((n * d.pitch)[volume] - at, width * sigma) / sigma
            low = np.maximum(-at, -width * sigma) / sigma
            inside = inside * np.maximum(ndtr(high) - ndtr(low), 0.0) / (ndtr(width) - ndtr(-width))
        return float(np.sum(to_numpy(steps.charge) * (1.0 - inside)))

    def hits(
        self, waveforms: chain.Waveforms, reads: chain.Reads, at: tuple[Any, Any], adc: Any, batch: chain.Batch
    ) -> Hits:
        """The reads at `at` as a table."""
        detector, windows = self.detector, waveforms.windows
        row = to_numpy(at[0])
        number = np.arange(len(row)) - np.searchsorted(row, row, side="left")
        pixel = to_numpy(windows.pixel)[row]
        tpc, ix, iy, x, y = detector.locate(pixel)
        start = to_numpy(windows.tick)[to_numpy(reads.window[at])]
        return Hits(
            event_id=to_numpy(batch.event_id)[to_numpy(windows.event)[row]],
            pixel_id=pixel,
            tpc=tpc,
            ix=ix,
            iy=iy,
            hit=number,
            x=x,
            y=y,
            z_anode=detector.z_anode[tpc],
            t=start * detector.tick + to_numpy(reads.time[at]).astype(np.float64),
            charge=to_numpy(reads.charge[at]),
            adc=to_numpy(adc[at]),
        )

    def windows(self, waveforms: chain.Waveforms, batch: chain.Batch) -> Waveforms:
        """The waveforms as a table."""
        windows = chain.Windows(*(to_numpy(array) for array in waveforms.windows))
        pixel = np.repeat(np.arange(len(windows.pixel)), np.diff(windows.of_pixel))
        return Waveforms(
            event_id=to_numpy(batch.event_id)[windows.event[pixel]],
            pixel_id=windows.pixel[pixel],
            start_tick=windows.tick,
            offset=windows.first[:-1],
            ticks=np.diff(windows.first),
            current=to_numpy(waveforms.current).astype(np.float32),
        )


def make_tables(detector: Detector, settings: Settings, dtype: Any, xp: Any) -> chain.Tables:
    """Volumes, planes and quadrature rules as arrays of the device."""
    d = detector
    low, high = np.minimum(d.z_anode, d.z_cathode), np.maximum(d.z_anode, d.z_cathode)
    direction = np.sign(d.z_cathode - d.z_anode)
    volumes = np.stack((d.x_lo, d.x_hi, d.y_lo, d.y_hi, low, high, d.z_anode, direction, d.pitch), axis=1)
    planes = np.stack((d.n_x, d.n_y, d.first_pixel), axis=1).astype(np.int64)
    rules = gauss_rules(max(settings.nodes, 3) + 3, dtype)
    place = d.parameters.place(d.n_modules)
    arrays = (volumes.astype(dtype), planes, d.module, place, *rules)
    return chain.Tables(*(xp.asarray(array) for array in arrays))


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise InputError where `value` is not among `allowed`."""
    if value not in allowed:
        raise InputError(f"{name}: found {value!r}, allowed is {' or '.join(allowed)}")


def total(array: Any) -> float:
    """Sum in float64."""
    return float(array.sum(dtype=np.float64))


def concatenate(table: type, parts: Iterable[Any]) -> Any:
    """Tables of columns joined; an empty one where there are none."""
    parts = list(parts)
    names = table.__dataclass_fields__
    return table(**{name: np.concatenate([getattr(p, name) for p in parts] or [np.zeros(0)]) for name in names})


def join_windows(parts: Iterable[Waveforms]) -> Waveforms:
    """Waveforms of several batches in one table."""
    parts = list(parts)
    shift = np.cumsum([0] + [len(part.current) for part in parts])
    for part, by in zip(parts, shift, strict=False):
        part.offset = part.offset + by
    return concatenate(Waveforms, parts)
