"""Points in space from the waveforms of wires: peaks on collection wires, matched with induction by time and place.

Waveforms go through the filters that fit the pulses of deposits of some lengths best in their noise,

    s(t) = sum over f of T_f^* D_f/S_f e^{2 pi i f t} / norm,   the charge at t over its error,

the same for induction, whose pulses go up and down. The pulse is simulated at a known place: the time by which a peak
is off it tells how far along the drift.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.ndimage import maximum_filter1d

from lartpc.charge.velocity import drift_velocities
from lartpc.reconstruction.wiremodel import Read, Sources, simulated, windows_of
from lartpc.simulation.wires import WireSimulation
from lartpc.wires.digitize import rounding_variance
from lartpc.wires.noise import both_sides, spectrum

PEAK = 5.0  # errors of the charge of a peak on a collection wire
MATCH = 3.0  # of an induction wire that goes with it
UNSEEN = 2.0  # what an induction wire counts that shows nothing, as one along which a track goes
DEPTHS = (0.0, 1.0)  # [cm] of deposits along the drift, whose pulses are looked for
TAIL, TAIL_TICKS = 0.6, 41  # what is below this part of a maximum so near is what it leaves in the longest filter
TOGETHER = 9  # wires beside each other, at most, that are one place
WITHIN, APART = 3, 2.0  # ticks by which they may be apart, and commonly are
PROBE = 0.3  # [cm] length of the deposit whose pulse is looked for
PROBE_DEDX = 2.1  # [MeV/cm]
BESIDE = 0.5  # part of the best match from which on wires beside it count, too


class Points(NamedTuple):
    """Charge in space, in the simulation frame (n,)."""

    place: np.ndarray  # (n, 3) [cm]
    dE: np.ndarray  # (n,) [MeV] at a dE/dx of 2.1 MeV/cm


class Filtered(NamedTuple):
    """One plane of a TPC behind the filter."""

    plane: int  # row of the detector's planes
    charge: np.ndarray  # (n_wires, n_ticks) over its error; that of the probe's time is in the middle
    error: float  # of the charge, as energy [MeV]


def points_of(simulation: WireSimulation, read: Read, event_id: int, t0: float = 0.0) -> Points:
    """Points of all TPCs. `read` as of `track_from_waveforms`; t0: of all charge [us]."""
    found = [_points_of_tpc(simulation, read, event_id, tpc, t0) for tpc in range(len(simulation.detector.z_anode))]
    return Points(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _points_of_tpc(simulation: WireSimulation, read: Read, event_id: int, tpc: int, t0: float) -> Points:
    d = simulation.detector
    middle = np.array([0.5 * (lo[tpc] + hi[tpc]) for lo, hi in ((d.x_lo, d.x_hi), (d.y_lo, d.y_hi))])
    probe = np.append(middle, 0.5 * (d.z_anode[tpc] + d.z_cathode[tpc]))
    rows = np.flatnonzero(d.planes.tpc == tpc).tolist()
    data = [_data(simulation, read, event_id, row) for row in rows]
    if not any(one.any() for one in data):
        return Points(np.zeros((0, 3)), np.zeros(0))
    planes = [_filtered(simulation, one, row, probe, t0) for one, row in zip(data, rows, strict=True)]
    collection = next(p for p in planes if d.kinds[d.planes.kind[p.plane]].kind == "collection")
    induction = [p for p in planes if p is not collection]
    velocity = drift_velocities(d, simulation.parameters)[d.module[tpc]]
    along = np.sign(d.z_cathode[tpc] - d.z_anode[tpc]) * velocity * d.tick
    places, charges = [], []
    for w, t in _peaks(collection, PEAK):
        found = _across(simulation, collection.plane, induction, tpc, w, t)
        places += [[*place, probe[2] + along * (t - d.n_ticks // 2)] for place in found]
        charges += [collection.charge[w, t] * collection.error / len(found)] * len(found) if found else []
    return Points(np.array(places).reshape(-1, 3), np.array(charges))


def _peaks(plane: Filtered, least: float) -> list[tuple[int, int]]:
    """Wires and ticks of its maxima in time above `least`."""
    top = maximum_filter1d(plane.charge, 2 * WITHIN + 1, axis=1, mode="nearest")
    wire, tick = np.nonzero((plane.charge == top) & (plane.charge > least))
    return list(zip(wire.tolist(), tick.tolist(), strict=True))


def _data(simulation: WireSimulation, read: Read, event_id: int, row: int) -> np.ndarray:
    """What the wires of a plane read (n_wires, n_ticks), 0 where there is nothing to use."""
    d = simulation.detector
    result = np.zeros((d.planes.wires[row], d.n_ticks), dtype=np.float32)
    for wire, channel in enumerate(d.channels(*_wires_of(simulation, row)).tolist()):
        samples = read(event_id, channel, d.first_tick, d.n_ticks)
        if samples is not None:
            result[wire] = samples
    return result


def _filtered(simulation: WireSimulation, data: np.ndarray, row: int, probe: np.ndarray, t0: float) -> Filtered:
    """The largest of what deposits of several lengths along the drift give; the error is that of the shortest."""
    d, n = simulation.detector, simulation.detector.n_ticks
    kind, channels = int(d.planes.kind[row]), d.channels(*_wires_of(simulation, row))
    power = spectrum(d.noise, kind, float(np.median(d.channel_length[channels])), n, d.tick, d.electronics)
    power += n * rounding_variance(d.adc)
    waves, result, errors = scipy.fft.rfft(data, axis=1), np.zeros_like(data), []
    for depth in DEPTHS:
        pulse = np.fft.rfft(_pulse(simulation, row, channels, probe, depth, t0))
        errors.append(1.0 / np.sqrt(np.sum(both_sides(n) * np.abs(pulse) ** 2 / power)))
        charge = scipy.fft.irfft(waves * (np.conj(pulse) / power * n * errors[-1]).astype(np.complex64), n, axis=1)
        result = np.maximum(result, charge)
    result[result < TAIL * maximum_filter1d(result, TAIL_TICKS, axis=1, mode="wrap")] = 0.0
    return Filtered(row, np.roll(result, n // 2, axis=1), PROBE * PROBE_DEDX * float(errors[0]))


def _pulse(
    simulation: WireSimulation, row: int, channels: np.ndarray, probe: np.ndarray, depth: float, t0: float
) -> np.ndarray:
    """What a deposit at `probe`, over a pitch and `depth` [cm] along the drift, gives its own wire (n_ticks,) [mV]."""
    d = simulation.detector
    half = 0.5 * np.append(PROBE * d.planes.across[row], depth)
    dE = PROBE * PROBE_DEDX
    source = Sources((probe - half)[None], (probe + half)[None], np.array([dE]), np.array([PROBE_DEDX]), t0)
    result = np.zeros(d.n_ticks)
    for _, channel, tick, samples in windows_of(simulated(simulation, source, apart=False)):
        at = np.arange(tick, tick + len(samples)) - d.first_tick
        inside = (at >= 0) & (at < d.n_ticks)
        if channel in channels and np.abs(samples).max() > np.abs(result).max():
            result = np.zeros(d.n_ticks)
            result[at[inside]] = samples[inside]
    return result


def _wires_of(simulation: WireSimulation, row: int) -> tuple[np.ndarray, np.ndarray]:
    """A plane, and its wires (n_wires,) each."""
    wires = np.arange(simulation.detector.planes.wires[row])
    return np.full(len(wires), row), wires


def _across(
    simulation: WireSimulation, collection: int, induction: list[Filtered], tpc: int, wire: int, tick: int
) -> list[np.ndarray]:
    """x, y of a peak on a collection wire [cm]: where it crosses wires of one induction plane, and others agree.

    Where none agrees, as of a plane along whose wires a track goes, those of the plane that sees it best alone.
    """
    d = simulation.detector
    ticks = slice(max(tick - WITHIN, 0), tick + WITHIN + 1)
    apart = np.arange(ticks.start, ticks.start + induction[0].charge[:, ticks].shape[1]) - tick
    weight = np.exp(-0.5 * (apart / APART) ** 2)
    strengths = [(plane.charge[:, ticks] * weight).max(axis=1) for plane in induction]
    best, found = 0.0, []
    for plane, own in zip(induction, strengths, strict=True):
        wires = np.arange(len(own))
        crossing = _crossing(simulation, collection, np.full(len(wires), wire), plane.plane, wires)
        inside = (crossing[:, 0] >= d.x_lo[tpc]) & (crossing[:, 0] < d.x_hi[tpc])
        inside &= (crossing[:, 1] >= d.y_lo[tpc]) & (crossing[:, 1] < d.y_hi[tpc]) & (own > MATCH)
        score = np.where(inside, own, 0.0)
        for other, strength in zip(induction, strengths, strict=True):
            if other is not plane:
                low = np.clip(np.floor(_wire(simulation, other.plane, crossing)).astype(np.int64), 0, len(strength) - 2)
                score *= np.maximum(np.maximum(strength[low], strength[low + 1]), UNSEEN)
        if score.max() > best:
            best, at = float(score.max()), int(np.argmax(score))
            chosen = np.flatnonzero(score > BESIDE * best)
            runs = np.split(chosen, np.flatnonzero(np.diff(chosen) > 1) + 1)
            run = next(one for one in runs if at in one)
            parts = np.array_split(run, -(-len(run) // TOGETHER))
            found = [score[part] @ crossing[part] / score[part].sum() for part in parts]
    return found


def _crossing(simulation: WireSimulation, one: int, wire: np.ndarray, other: int, of_other: np.ndarray) -> np.ndarray:
    """x, y where wires of two planes cross (n, 2) [cm]."""
    planes = simulation.detector.planes
    at = [planes.origin[p] + w * planes.pitch[p] for p, w in ((one, wire), (other, of_other))]
    return np.linalg.solve(planes.across[[one, other]], np.stack(at)).T


def _wire(simulation: WireSimulation, plane: int, place: np.ndarray) -> np.ndarray:
    """Places (n, 2) across the wires of a plane, in wires (n,)."""
    planes = simulation.detector.planes
    return (place @ planes.across[plane] - planes.origin[plane]) / planes.pitch[plane]
