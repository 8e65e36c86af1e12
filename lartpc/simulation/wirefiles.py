"""Simulation of files with wires: events are read, simulated and written one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import owners, to_numpy
from lartpc.autodiff.launch import Recorder
from lartpc.data.frames import Frame, Waveforms, WindowTruth
from lartpc.detector.wires import WireDetector
from lartpc.files.atomic import check_apart
from lartpc.files.hdf5 import NewFile, new_hdf5s
from lartpc.formats.eventfile import EventFile
from lartpc.formats.frames import write_frame
from lartpc.formats.hitfile import write_attrs, write_unread
from lartpc.formats.sensor import SensorWriter
from lartpc.formats.sensorframes import sensor_layout
from lartpc.formats.waveforms import WaveformWriter
from lartpc.response.lattice import Shares
from lartpc.response.windows import Windows
from lartpc.simulation.batches import Batch
from lartpc.simulation.collect import total
from lartpc.simulation.wires import WireSimulation, WireWaveforms, dense
from lartpc.wires.cells import make_cells
from lartpc.wires.digitize import digitize
from lartpc.wires.noise import noise_of
from lartpc.wires.spans import Stretches, spans_of

TRUE = 0.5  # [e] from which on a segment is told to be in a window


class WireSummary(NamedTuple):
    """What went in and what came out; charges in electrons."""

    segments: int
    kept: int  # at least partly in a TPC
    energy: float  # deposited [MeV], outside too
    electrons: float  # that escaped recombination, in the TPCs
    drifted: float  # that arrived at the anodes
    channels: int  # of single events, that see charge
    unread: int  # of these, those that see none while they are read
    frames: int
    saturated: int  # samples at an end of the ADC's range


def simulate_wire_file(
    simulation: WireSimulation,
    deposits: EventFile,
    output: str | os.PathLike,
    *,
    noise: bool = True,
    sensor: tuple[str | os.PathLike, float] | None = None,
    attrs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda parts: parts,
) -> WireSummary:
    """Simulate all events of `deposits`, and write their frames, sparse waveforms and truth to `output`.

    Frames (`formats.frames`) are of the anodes that see charge, with noise unless it is off, counts of the ADC. The
    waveforms (`formats.waveforms`) are those without noise [mV]; in them the high passes' slow return to the baseline
    after a window is left out, in frames it is not. Channels that are off have their baseline in frames alone. The same
    frames go into `sensor`, a file of JAXTPC's sensors, too, but for samples nearer to the pedestal than a threshold
    [ADC]. Nothing is under its name before all is complete.

    Raises InputError: a detector whose planes sensor files cannot have, an output that is the input, exists (without
    `overwrite`) or cannot be written; FloatingPointError: voltages that are not finite.
    """
    outputs = [output] if sensor is None else [output, sensor[0]]
    check_apart(outputs, deposits.path)
    detector = simulation.detector
    if sensor is not None:
        sensor_layout(detector)  # refuses some
    events = deposits.events
    told = {
        "detector": detector.name,
        "wires": detector.describe(),
        "field_response": simulation.describe_response(),
        "parameters": simulation.parameters.as_dict(),
        "recombination": simulation.recombination,
        "noise": noise,
        "seed": simulation.seed,
        "events": None if events is None else [events.start, events.stop],
        "offset": list(deposits.offset),
        **(attrs or {}),
    }
    sums = np.zeros(len(WireSummary._fields))
    with new_hdf5s(outputs, overwrite) as (file, *also):
        deposits.copy_segments(file)
        deposits.copy_tables(file)
        write_attrs(file, told)
        write_unread(file, detector.unread)
        writer = WaveformWriter(file, np.dtype(np.float32), truth=True)
        sensors = [sensor_writer(other, detector, sensor[1] if sensor else 0.0, told) for other in also]
        parameters = simulation.vector()
        for k in progress(range(len(deposits))):
            part, index = deposits.read(k)
            sums[0] += len(part)
            sums[2] += np.sum(part.dE, dtype=np.float64)
            for batch in simulation.batches(part):
                recorder = Recorder()
                bare = simulation.bare(batch, parameters, recorder)
                check_finite(bare)
                waveforms, whole = behind_high_passes(bare, detector)
                steps, place = waveforms.steps, index[to_numpy(batch.place)]
                sums[1] += len(np.unique(to_numpy(steps.segment)))
                sums[3:6] += total(steps.electrons), total(steps.charge), len(waveforms.windows.pixel)
                sums[6] += unread(waveforms.windows, range(detector.first_tick, detector.first_tick + detector.n_ticks))
                windows = windows_of(waveforms, to_numpy(batch.event_id))
                writer.append(windows, truth_of(simulation, batch, waveforms, recorder.launched, place))
                for frame in frames_of(simulation, batch, whole, noise):
                    write_frame(file, frame)
                    for one in sensors:
                        one.append_frame(frame)
                    full = 2**detector.adc.bits - 1
                    sums[7] += 1
                    sums[8] += np.count_nonzero((frame.samples == 0) | (frame.samples == full))
    segments, kept, energy, electrons, drifted, *others = sums.tolist()
    return WireSummary(int(segments), int(kept), energy, electrons, drifted, *map(int, others))


def sensor_writer(file: NewFile, detector: WireDetector, threshold: float, told: Mapping[str, Any]) -> SensorWriter:
    """What writes a sensor file of a detector, with what is `told` of the simulation."""
    write_attrs(file, told)
    more = {"pre_window_us": -detector.first_tick * detector.tick, "n_bits": detector.adc.bits}
    return SensorWriter(file, sensor_layout(detector), threshold, more)


def behind_high_passes(bare: WireWaveforms, detector: WireDetector) -> tuple[WireWaveforms, WireWaveforms]:
    """Waveforms behind the high passes: in their windows, and from the first of each channel to the readout's end."""
    if not detector.electronics.rc:
        return bare, bare
    windows = bare.windows
    begin = to_numpy(windows.tick)[to_numpy(windows.of_pixel)[:-1]]
    end = np.maximum(begin, detector.first_tick + detector.n_ticks)
    channels = Stretches(to_numpy(windows.event), to_numpy(windows.pixel), begin, end)
    spans = spans_of(windows, channels)
    (voltage,) = spans.behind_high_passes((bare.voltage,), detector.electronics, detector.tick)
    return bare._replace(voltage=voltage[spans.narrow]), bare._replace(voltage=voltage, windows=spans.windows)


def check_finite(waveforms: WireWaveforms) -> None:
    """Raise FloatingPointError where a voltage is not finite."""
    finite = np.isfinite(to_numpy(waveforms.voltage))
    if not finite.all():
        found = f"{len(finite) - np.count_nonzero(finite)} of {len(finite)} voltages are not finite"
        raise FloatingPointError(f"{found}: at what parameters or energies is this?")


def unread(windows: Windows, ticks: range) -> int:
    """How many channels have windows beyond `ticks` alone."""
    tick, first, of_pixel = (to_numpy(array) for array in (windows.tick, windows.first, windows.of_pixel))
    seen = (tick < ticks.stop) & (tick + np.diff(first) > ticks.start)
    return len(windows.pixel) - len(np.unique(owners(of_pixel, len(tick))[seen]))


def windows_of(waveforms: WireWaveforms, event_id: np.ndarray) -> Waveforms:
    """The windows of a batch as a table."""
    windows = waveforms.windows
    first, tick = to_numpy(windows.first), to_numpy(windows.tick)
    channel = owners(to_numpy(windows.of_pixel), len(tick))
    return Waveforms(
        event_id=event_id[to_numpy(windows.event)][channel],
        channel=to_numpy(windows.pixel)[channel],
        start_tick=tick,
        offset=first[:-1],
        ticks=np.diff(first).astype(np.int32),
        samples=to_numpy(waveforms.voltage).astype(np.float32),
    )


def truth_of(
    simulation: WireSimulation,
    batch: Batch,
    waveforms: WireWaveforms,
    launched: Mapping[str, Mapping[str, Any]],
    place: np.ndarray,
) -> WindowTruth:
    """How much of the charge of each segment comes to the wires of a window: to a wire what is nearest to it [e].

    launched: arguments of the batch's kernels; place (n_segments,): row in the file of each segment of the batch.
    """
    share, steps, table = launched["share_wires"], waveforms.steps, simulation.readout.table
    shares = Shares(None, share["site_t"], share["sites_t"], share["share_t"])
    views = {name: share[name] for name in ("site_r", "sites_r", "share_r")}
    cells = make_cells(steps, shares, views, batch.event[steps.segment], table)
    step, wire, plane = (to_numpy(column) for column in cells.pairs[:3])
    site, sites, amount = (to_numpy(column) for column in views.values())
    view = table.per_tpc * step + plane % table.per_tpc
    first = wire * table.bins - site[view]
    low, high = (np.clip(edge, 0, sites[view]) for edge in (first, first + table.bins))
    summed = np.cumsum(np.pad(amount, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    charge = summed[view, high] - summed[view, low]
    detector = simulation.detector
    inside = np.flatnonzero((charge > 0.0) & (wire >= 0) & (wire < detector.planes.wires[plane]))
    channel = detector.channels(plane[inside], wire[inside])
    event = to_numpy(batch.event)[to_numpy(steps.segment)[step[inside]]]
    tick = to_numpy(shares.site)[step[inside]] // table.per_tick
    window = windows_at(waveforms.windows, event, channel, tick)
    segment = to_numpy(steps.segment)[step[inside]]
    both, of = np.unique(np.stack((window, segment), axis=1), axis=0, return_inverse=True)
    charge = np.bincount(of.reshape(-1), charge[inside], len(both))
    kept = charge > TRUE
    return WindowTruth(both[kept, 0], place[both[kept, 1]], charge[kept].astype(np.float32))


def windows_at(windows: Windows, event: np.ndarray, channel: np.ndarray, tick: np.ndarray) -> np.ndarray:
    """The windows of channels in events, by their index, that have some ticks (n,) int64 each."""
    most = int(max(channel.max(initial=0), to_numpy(windows.pixel).max(initial=0))) + 1
    pixel = np.searchsorted(to_numpy(windows.event) * most + to_numpy(windows.pixel), event * most + channel)
    begin = to_numpy(windows.tick)
    low = min(int(begin.min(initial=0)), int(tick.min(initial=0)))
    span = max(int(begin.max(initial=0)), int(tick.max(initial=0))) - low + 1
    of_pixel = owners(to_numpy(windows.of_pixel), len(begin))
    return np.searchsorted(of_pixel * span + begin - low, pixel * span + tick - low, side="right") - 1


def frames_of(simulation: WireSimulation, batch: Batch, waveforms: WireWaveforms, noise: bool) -> Iterable[Frame]:
    """The frames of a batch's events, of the anodes that see charge."""
    d, xp = simulation.detector, simulation.xp
    ticks = range(d.first_tick, d.first_tick + d.n_ticks)
    event, channel = to_numpy(waveforms.windows.event), to_numpy(waveforms.windows.pixel)
    for one in np.unique(event).tolist():
        event_id = int(to_numpy(batch.event_id)[one])
        for anode in np.unique(d.channel_anode[channel[event == one]]).tolist():
            channels = np.flatnonzero(d.channel_anode == anode)
            voltage = dense(waveforms, one, channels, ticks)
            if noise:
                rows = xp.asarray(channels), xp.full(len(channels), event_id)
                of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
                voltage += to_numpy(noise_of(d.noise, *rows, simulation.seed, *of))
            voltage[np.isin(channels, d.unread)] = 0.0
            counts = digitize(voltage, d.adc, d.channel_kind[channels][:, None])
            yield Frame(event_id, anode, channels, counts, d.first_tick * d.tick, d.tick, d.first_tick)
