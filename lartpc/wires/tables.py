"""What the kernels need of wires and their response, as arrays of the device."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.charge.velocity import velocity_of
from lartpc.detector.waveforms import Electronics
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.response.lattice import LANES, Lattice, make_lattice
from lartpc.wires.electronics import impulse
from lartpc.wires.fieldresponse import FieldResponse

COARSE = 2048.0  # parts of a pitch by which coarse numbers of `places` are told: any sum of them has less than 24 bits
PRECISION = 1e-4  # of the waveforms, relative to the plane's peak
FIRST_LAG = -1  # of waveforms, as they are sharpened
NEGLIGIBLE = 1e-6  # of the peak: tables end where all stay below
SETTLED = 12.0  # shaping times after which the pulse of a charge has ended
SAME_VELOCITY = 0.05  # relative, by which a response's may differ from that of the detector's field: models do by 2 %
SAME_PITCH = 0.02  # relative, by which a response's pitch may differ from the plane's: responses have one of all planes


class WireTables(NamedTuple):
    """Planes and responses; see `kernels.wires.share_wires` and `couple_wires`."""

    per_tpc: int  # planes of a TPC
    bins: int  # a pitch
    reach: int  # wires on either side
    per_tick: int  # sites a tick
    first_lag: int  # of all waveforms [sites]
    last_lag: int
    places: Any  # (n_planes, 9)
    plane_wires: Any  # (n_planes, 5) int64
    space: Any  # (n_kinds, (2 reach + 1) bins, rank)
    lattice: Lattice  # a table for each kind of plane, of the same lags and ranks [mV/e]


@one_blas_thread
def make_wire_tables(detector: WireDetector, response: FieldResponse, per_tick: int, dtype: Any, xp: Any) -> WireTables:
    """Tables of a detector and the field response of its planes, at `per_tick` sites a tick.

    Raises InputError where the response has another number of planes, another pitch or velocity, or begins at another
    height.
    """
    check_response(detector, response)
    shaped = shape(response, detector.electronics, detector.tick / per_tick)
    spaces, waveforms = zip(*(_split(one) for one in _trimmed(shaped)), strict=True)
    n, rank = len(spaces), -(-max(space.shape[1] for space in spaces) // LANES) * LANES
    space = np.stack([np.pad(one, ((0, 0), (0, rank - one.shape[1]))) for one in spaces])
    filled = [np.pad(one, ((0, rank - len(one)), (0, 0))) for one in waveforms]
    none, begin = [np.zeros((rank, 0))] * n, [FIRST_LAG] * n
    lattice = make_lattice(filled, [per_tick] * n, begin, none, np.zeros(0), detector.tick, dtype, xp)
    planes = detector.planes
    columns = (planes.wires, planes.first_channel, planes.start, planes.step, planes.wrap)
    return WireTables(
        per_tpc=planes.per_tpc,
        bins=response.bins,
        reach=(len(response.current[0]) // response.bins - 1) // 2,
        per_tick=per_tick,
        first_lag=FIRST_LAG,
        last_lag=FIRST_LAG + filled[0].shape[1] - 1,
        places=xp.asarray(_places(detector).astype(dtype)),
        plane_wires=xp.asarray(np.stack(columns, axis=1).astype(np.int64)),
        space=xp.asarray(space.astype(dtype)),
        lattice=lattice,
    )


def check_response(detector: WireDetector, response: FieldResponse, where: str | os.PathLike = "response") -> None:
    """Raise InputError, beginning with `where`, where a response does not fit a detector's planes or drift field."""
    found, wanted = len(response.current), len(detector.kinds)
    if found != wanted:
        raise InputError(f"{where}: found {found} planes, allowed are those of detector {detector.name}: {wanted}")
    for kind, pitch in zip(detector.kinds, response.pitch, strict=True):
        if abs(pitch / kind.pitch - 1.0) > SAME_PITCH:
            raise InputError(
                f"{where}: plane {kind.name}: found pitch {pitch:g} cm, allowed is that of detector {detector.name}: "
                f"{kind.pitch:g} cm"
            )
    if abs(response.height - detector.drift_start) > 1e-6:
        raise InputError(
            f"{where}: found height {response.height:g} cm, allowed is that of detector {detector.name}: "
            f"{detector.drift_start:g} cm"
        )
    velocity = float(velocity_of(np.array(detector.cage.field), detector.parameters.temperature))
    if abs(response.vdrift / velocity - 1.0) > SAME_VELOCITY:
        raise InputError(
            f"{where}: found vdrift {response.vdrift:g} cm/us, allowed is within {100.0 * SAME_VELOCITY:g} % that of "
            f"detector {detector.name} at {detector.cage.field:g} kV/cm: {velocity:g} cm/us"
        )


def _places(detector: WireDetector) -> np.ndarray:
    """(n_planes, 9) float64, as `share_wires` has them."""
    planes = detector.planes
    across, along = np.cos(planes.angle) / planes.pitch, -np.sin(planes.angle) / planes.pitch
    low_x, low_y, cell = (column[planes.tpc] for column in (detector.x_lo, detector.y_lo, detector.pitch))
    exact = (across * cell, along * cell, low_x * across + low_y * along - planes.origin / planes.pitch + 0.5)
    coarse = [np.round(number * COARSE) / COARSE for number in exact]
    both = [part for number, few in zip(exact, coarse, strict=True) for part in (few, number - few)]
    return np.stack((*both, across, along, planes.pitch), axis=1)


def shape(response: FieldResponse, electronics: Electronics, site: float) -> list[np.ndarray]:
    """Of each plane, the voltage (rows, lags) [mV/e] at sites in time [us] for an electron in the middle of a bin.

    V(t) = integral of current(t') impulse(t - t'), the current being even within each of its samples. Summed over time
    it is exactly that of a whole electron on the wire that collects it, and 0 on the others, at any begin of the sites.
    """
    steps = round(site / response.sampling)
    if steps < 1 or abs(steps * response.sampling - site) > 1e-6 * site:
        raise InputError(
            f"response: found a sampling of {response.sampling:g} us, allowed are whole parts of a tick, {site:g} us"
        )
    pulse = impulse(
        electronics, (np.arange(round(SETTLED * electronics.shaping / response.sampling)) + 0.5) * response.sampling
    )
    samples = response.current[0].shape[1] + len(pulse) - 1
    lags = -(-samples // steps)
    spectrum = np.fft.rfft(pulse, 2 * lags * steps)
    area = pulse.sum() * response.sampling
    result = []
    for current in response.current:
        whole = np.fft.irfft(np.fft.rfft(current, 2 * lags * steps) * spectrum, 2 * lags * steps)
        at = np.pad(whole[:, : lags * steps], ((0, 0), (1, 0)))[:, : lags * steps : steps] * response.sampling
        collected = np.round(current.sum(axis=1) * response.sampling)
        missing = collected * area / site - at.sum(axis=1)
        even = np.abs(at).sum(axis=0)
        result.append(at + missing[:, None] * even / even.sum())
    return result


def _trimmed(shaped: list[np.ndarray]) -> list[np.ndarray]:
    """Tables of one length, without an end where all of them are next to nothing; that is added to the samples left."""
    seen = [np.abs(one).max(axis=0) > NEGLIGIBLE * np.abs(one).max() for one in shaped]
    end = int(np.flatnonzero(np.any(seen, axis=0))[-1]) + 1
    result = []
    for one in shaped:
        kept = np.abs(one[:, :end]).sum(axis=0)
        result.append(one[:, :end] + one[:, end:].sum(axis=1)[:, None] * kept / kept.sum())
    return result


def _split(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table (rows, lags) as a product of functions of place (rows, rank) and time (rank, 1 + lags + 1).

    The charge that steps share over the sites nearest to them is as wide as its shares are: so the table is sharpened
    by a twelfth of its second difference, along both axes. What the product lacks of each row's sum over time is given
    to one more function, so that charge is exact.
    """
    sharp = np.pad(table, 1)
    for axis in (0, 1):
        before, after = np.roll(sharp, 1, axis), np.roll(sharp, -1, axis)
        sharp = sharp - (before - 2.0 * sharp + after) / 12.0
    sharp = sharp[1:-1]  # rows beyond have next to nothing, and no charge
    u, s, v = np.linalg.svd(sharp, full_matrices=False)
    peak = np.abs(table).max()
    for rank in range(LANES - 1, max(len(s), LANES), LANES):
        space, waveform = u[:, :rank] * s[:rank], v[:rank]
        if np.abs(space @ waveform - sharp).max() <= PRECISION * peak:
            break
    last = np.abs(sharp).sum(axis=0)
    missing = (sharp - space @ waveform).sum(axis=1) / last.sum()
    return np.column_stack((space, missing)), np.concatenate((waveform, last[None]))
