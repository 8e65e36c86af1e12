"""Tabulated responses: the current that a drifting electron induces on a pixel and its neighbours."""

from __future__ import annotations

import dataclasses
import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator

from .blas import one_blas_thread
from .detector import Detector
from .errors import InputError
from .kernels.drift import drift_velocity
from .lattice import Lattice, make_lattice
from .output import new_file
from .parametric import coefficients

PARTS = 10  # bins a pitch, of tables made here and of those that do not say it
REACH = 45  # bins of a quadrant: the pixel itself and four neighbours on each side
HEIGHT = 5.0  # [cm] of the grounded plane over the pads of `electrostatic`
MEMORY = 24.0  # [us] before its edge from which `from_parametric` follows the response
NEGLIGIBLE = 1e-6  # of the peak: the table is cut where it stays below
PRECISION = 1e-5  # of the peak: deviation of the sum of products that stands for the table
COLLECTED = 0.999  # share of the charge at the pixel's centre with which it has arrived, where a file does not say when
OWN_CHARGE = (0.5, 1.5)  # of an electron on its own pixel, between which a table must lie
_IMAGES = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Response:
    """larnd-sim's table of one quadrant: current for one electron at (|x|, |y|) from the pixel's centre.

    Entry [i, j, k] is the current [1/us] for an electron in the middle of bin i along x and j along y, averaged over
    the sample's `time_tick` about k time_tick [us] after it passed `drift_length` [cm] over the pads, at the velocity
    `vdrift` [cm/us] (None: the detector's). Its integral over time is the charge collected: 1 within the pixel, 0 on
    neighbours. Beyond its bins and samples the response is 0; between them it is linear.
    """

    response: np.ndarray  # (bins along |x|, bins along |y|, samples), float64 [1/us]
    time_tick: float  # [us]
    drift_length: float  # [cm]
    bin_size: float  # [cm]
    vdrift: float | None = None  # [cm/us]

    @staticmethod
    def read(path: str | os.PathLike, detector: Detector) -> Response:
        """Read larnd-sim's npz (response, time_tick, drift_length, bin_size; vdrift where there is one) or npy.

        An npy holds the table alone: then bin_size is a tenth of the detector's pitch, time_tick its clock cycle, and
        the charge at the pixel's centre has arrived when 99.9 % of it are collected. Raises InputError, one line: not
        an npy or npz file, a field missing or of the wrong kind, a table that is not of three axes, not finite, smaller
        than a pixel or not of unit charge on it, or a detector of several pitches.
        """
        pitch = _pitch(path, detector)
        content = _load(path)
        if "response" not in content:
            raise InputError(f"{path}: field 'response' is missing, found are {', '.join(content) or 'none'}")
        table = content["response"]
        if table.ndim != 3 or 0 in table.shape:
            raise InputError(f"{path}: response: found shape {table.shape}, allowed are three axes: |x|, |y|, time")
        if table.dtype.kind not in "iuf":
            raise InputError(f"{path}: response: found type {table.dtype}, allowed are numbers")
        table = table.astype(np.float64)
        wrong = np.argwhere(~np.isfinite(table))
        if len(wrong):
            place = tuple(wrong[0].tolist())
            raise InputError(f"{path}: response: found {table[place]} at {list(place)}, allowed are finite numbers")
        if len(content) == 1:
            tick, bin_size = detector.tick, pitch / PARTS
            collected = np.cumsum(table[0, 0]) / table[0, 0].sum()
            arrived = (np.argmax(collected >= COLLECTED) + 0.5) * tick
            made = Response(table, tick, arrived * _velocity(detector), bin_size)
        else:
            values = {name: _number(path, content, name) for name in ("time_tick", "drift_length", "bin_size")}
            vdrift = _number(path, content, "vdrift") if "vdrift" in content else None
            made = Response(table, **values, vdrift=vdrift)
        made.check(path, detector, pitch)
        return made

    @staticmethod
    def electrostatic(
        detector: Detector,
        *,
        pitch: float | None = None,
        bins: int = PARTS,
        reach: int = REACH,
        height: float = HEIGHT,
        time_tick: float | None = None,
    ) -> Response:
        """From electrostatics alone (Ramo): straight drift at v(eField) under the weighting potential of a square pad.

        The pads fill the anode's plane; a grounded plane at `height` [cm] stands for what lies beyond. current =
        d(phi_w)/dt, so that charge collected is exactly 1 on the pad and 0 on others. `pitch` [cm] of the pads (None:
        the detector's), `bins` a pitch, `reach` bins of a quadrant, `time_tick` [us] of the table (None: the clock
        cycle). Raises InputError: pitches that differ, where none is given.
        """
        pitch = _pitch("response", detector) if pitch is None else pitch
        tick = detector.tick if time_tick is None else time_tick
        v = _velocity(detector)
        edges = (np.arange(math.ceil(height / v / tick) + 2) - 0.5) * tick
        z = np.clip(height - v * edges, 0.0, height)
        x = (np.arange(reach) + 0.5) * pitch / bins
        i, j = np.tril_indices(reach)
        current = np.diff(weighting_potential(x[i, None], x[j, None], z, pitch, height), axis=1) / tick
        table = np.empty((reach, reach, current.shape[1]))
        table[i, j] = table[j, i] = current
        return Response(table, tick, height, pitch / bins, v)

    @staticmethod
    def from_parametric(detector: Detector, *, bins: int = PARTS, time_tick: float | None = None) -> Response:
        """The parametric response as a table; `bins` a pitch, even. What comes before it is in its first sample."""
        pitch, tick = _pitch("response", detector), detector.tick if time_tick is None else time_tick
        x = ((np.arange(bins // 2) + 0.5) * pitch / bins)[:, None]
        a, b, c, s = (value[..., None] for value in coefficients(x, x.T))
        before = round(MEMORY / tick)
        edges = (np.arange(-before, math.ceil(float(s.max()) / tick) + 2) - 0.5) * tick
        w = np.minimum(edges - s, 0.0)
        collected = a * np.exp(w / b) + (1.0 - a) * np.exp(w / c)
        collected[..., 0] = 0.0
        v = _velocity(detector)
        return Response(np.diff(collected) / tick, tick, detector.drift_start + before * tick * v, pitch / bins, v)

    def write(self, path: str | os.PathLike, overwrite: bool = False) -> None:
        """Write larnd-sim's npz, with vdrift. Raises InputError where the file exists or cannot be written."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        with new_file(path, overwrite) as temporary, open(temporary, "wb") as file:
            np.savez(file, **{name: value for name, value in fields.items() if value is not None})

    @property
    def charge(self) -> np.ndarray:
        """Charge collected for one electron in each bin, (bins along |x|, bins along |y|)."""
        return self.response.sum(axis=2) * self.time_tick

    def bins(self, pitch: float, where: str | os.PathLike = "response") -> int:
        """Bins a pitch. Raises InputError, beginning with `where`, unless they fit pixels of `pitch` [cm]."""
        parts = round(pitch / self.bin_size)
        if parts < 1 or abs(pitch / self.bin_size / parts - 1.0) > 1e-3:
            raise InputError(
                f"{where}: bin_size: found {self.bin_size:g}, allowed is a whole part of the pixel pitch {pitch:g} [cm]"
            )
        return parts

    def check(self, where: str | os.PathLike, detector: Detector, pitch: float) -> None:
        """Raise InputError, beginning with `where`, unless the table is one of the detector's pixels of `pitch`."""
        own = max(self.bins(pitch, where) // 2, 1)
        if min(self.response.shape[:2]) < own:
            raise InputError(
                f"{where}: response: found {self.response.shape[0]} x {self.response.shape[1]} bins, allowed are "
                f"{own} x {own} at least, a quadrant of a pixel"
            )
        charge = float(self.charge[:own, :own].mean())
        if not OWN_CHARGE[0] <= charge <= OWN_CHARGE[1]:
            raise InputError(
                f"{where}: response: found a charge of {charge:.3g} on an electron's own pixel, allowed is "
                f"{OWN_CHARGE[0]:g} to {OWN_CHARGE[1]:g}: currents are in 1/us, their sum times time_tick is the charge"
            )
        arrival, end = self.arrival(detector), self.response.shape[2] * self.time_tick
        if arrival > end + 1.0:
            raise InputError(
                f"{where}: drift_length: found {self.drift_length:g}, allowed is up to "
                f"{end * self.drift_length / arrival:g} [cm], from where the charge arrives before the table's end"
            )

    def arrival(self, detector: Detector) -> float:
        """Time [us] in the table at which the charge is at the anode."""
        return self.drift_length / (_velocity(detector) if self.vdrift is None else self.vdrift)


def find_response(
    response: Response | Sequence[Response] | str | os.PathLike | None, detector: Detector
) -> tuple[Response, ...] | None:
    """The tables that are named parametric (that is None) or electrostatic (one for each pitch), or in a file.

    Raises InputError: no such file, and whatever `Response.read` refuses.
    """
    if response is None or response == "parametric":
        return None
    if isinstance(response, Response):
        return (response,)
    if isinstance(response, tuple | list):
        return tuple(response)
    if response == "electrostatic":
        return tuple(Response.electrostatic(detector, pitch=float(pitch)) for pitch in np.unique(detector.pitch))
    if not os.path.exists(response):
        raise InputError(f"response: found {response}, no such file; allowed is parametric, electrostatic or a table")
    return (Response.read(response, detector),)


class Tables(NamedTuple):
    """Responses as the kernels take them, a table t for each pitch, on a lattice of place and time.

    Table t is the sum over r of space[t, :, :, r] times waveform r; zeros fill up what it has less than others.
    """

    lattice: Lattice
    space: Any  # (n_tables, bins along |x|, bins along |y|, most rank)
    bins: int  # a pitch
    per_tick: int  # samples a clock cycle
    shift: Any  # (n_tables,) [us] from the table's begin to the arrival at the detector's drift_start
    of_volume: Any  # (n_volumes,) int64: which of the tables each TPC has


@one_blas_thread
def make_response_tables(responses: Sequence[Response], detector: Detector, dtype: Any, xp: Any) -> Tables:
    """The sums of products of functions of place and of time that stand for `responses`, one for each pitch, ascending.

    The charge of each bin is kept, the rest until no entry deviates by more than `PRECISION` of the peak. Raises
    InputError where the responses do not fit the detector, or differ in bins a pitch or samples a clock cycle.
    """
    pitches, of_volume = np.unique(detector.pitch, return_inverse=True)
    if len(responses) != len(pitches):
        raise InputError(
            f"response: found tables: {len(responses)}, allowed is one for each pixel pitch of detector "
            f"{detector.name}: {_list(pitches)} [cm]"
        )
    made = [_table(response, detector, pitch) for response, pitch in zip(responses, pitches.tolist(), strict=True)]
    space, waveforms, bins, per_tick, shift = zip(*made, strict=True)
    if len({*bins}) > 1 or len({*per_tick}) > 1:
        raise InputError(
            f"response: found tables of {_list(bins)} bins a pitch and {_list(per_tick)} samples a clock cycle, "
            "allowed is one number of each"
        )
    no_tails = [np.zeros((len(waveform), 0)) for waveform in waveforms]
    first_lag = [0] * len(made)
    lattice = make_lattice(waveforms, per_tick, first_lag, no_tails, np.zeros(0), detector.tick, dtype, xp)
    filled = np.zeros((len(made), *np.max([part.shape[:2] for part in space], axis=0), int(lattice.rank.max())))
    for whole, part in zip(filled, space, strict=True):
        whole[tuple(map(slice, part.shape))] = part
    return Tables(
        lattice,
        xp.asarray(filled.astype(dtype)),
        bins[0],
        per_tick[0],
        xp.asarray(np.array(shift, dtype=dtype)),
        xp.asarray(of_volume.astype(np.int64)),
    )


def _table(response: Response, detector: Detector, pitch: float) -> tuple[np.ndarray, np.ndarray, int, int, float]:
    """space, waveforms, bins, per_tick and shift of one of `Tables`."""
    response.check("response", detector, pitch)
    table, per_tick, first = _samples(response, detector.tick)
    space, basis = _products(table)
    below = detector.drift_start * response.arrival(detector) / response.drift_length  # [us] from there to the anode
    shift = response.arrival(detector) - below - first * detector.tick / per_tick
    return space, basis, response.bins(pitch), per_tick, shift


def weighting_potential(x: Any, y: Any, z: Any, pitch: float, height: float) -> np.ndarray:
    """Weighting potential at (x, y) from the centre of a square pad and z over it, 0 <= z <= height [cm].

    One pad at potential 1 in a grounded plane, another grounded plane at `height`: images of the pad alone,
    phi(z) = sum over n of phi_pad(z + 2 n height),  phi_pad = 1/(2 pi) sum +-atan(X Y/(z sqrt(X^2 + Y^2 + z^2)))
    over the pad's corners (X, Y), a solid angle, odd in z. The sum's remainder is taken as linear in z, so that the
    potential is exactly 0 at `height`.
    """
    x, y, z = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x, y, z)))
    result = _pad_potential(x, y, z, pitch)
    top = _pad_potential(x, y, np.full(z.shape, height), pitch)
    for n in range(1, _IMAGES + 1):
        for sign in (1.0, -1.0):
            result = result + sign * _pad_potential(x, y, 2.0 * n * height + sign * z, pitch)
            top = top + sign * _pad_potential(x, y, (2.0 * n + sign) * height, pitch)
    return result - top * z / height


def _pad_potential(x: np.ndarray, y: np.ndarray, z: Any, pitch: float) -> np.ndarray:
    total = 0.0
    z = np.maximum(z, 1e-12)
    for X, sign_x in ((x + 0.5 * pitch, 1.0), (x - 0.5 * pitch, -1.0)):
        for Y, sign_y in ((y + 0.5 * pitch, 1.0), (y - 0.5 * pitch, -1.0)):
            total = total + sign_x * sign_y * np.arctan(X * Y / (z * np.sqrt(X * X + Y * Y + z * z)))
    return total / (2.0 * np.pi)


def _samples(response: Response, tick: float) -> tuple[np.ndarray, int, int]:
    """Currents averaged over a clock cycle, every tick/per_tick, sharpened; per_tick; number of the first sample.

    Averaged, so that the charge of all ticks is that of the table, wherever the ticks are. Sharing charge linearly
    among the sites of a lattice of step h widens it by the variance h^2/6; sharpened is the table less h^2/12 of its
    second derivative along each axis, which makes up for that, and leaves the charge as it is.
    """
    h, table = response.time_tick, response.response
    per_tick = max(1, math.ceil(tick / h - 1e-6))
    step = tick / per_tick
    if abs(step - h) > 1e-9 * h:
        edges = (np.arange(table.shape[2] + 1) - 0.5) * h
        collected = np.concatenate((np.zeros((*table.shape[:2], 1)), np.cumsum(table, axis=2)), axis=2) * h
        at = (np.arange(math.ceil(table.shape[2] * h / step) + 2) - 0.5) * step
        table = np.diff(PchipInterpolator(edges, collected, axis=2)(np.clip(at, edges[0], edges[-1]))) / step
    wide = per_tick // 2
    weights = np.full(2 * wide + 1, 1.0 / per_tick)
    if per_tick % 2 == 0:
        weights[[0, -1]] *= 0.5
    padded = np.pad(table, ((0, 0), (0, 0), (2 * wide, 2 * wide)))
    n = table.shape[2] + 2 * wide
    mean = sum(weight * padded[..., k : k + n] for k, weight in enumerate(weights))
    size = np.abs(mean).max(axis=(0, 1))
    kept = np.flatnonzero(size > NEGLIGIBLE * size.max())
    low, high = kept[0], kept[-1] + 1
    cut = mean[..., low:high].copy()
    cut[..., 0] += mean[..., :low].sum(axis=2)
    cut[..., -1] += mean[..., high:].sum(axis=2)
    for axis in range(3):
        cut = _sharpened(cut, axis)
    return cut, per_tick, int(low) - wide - 1


def _sharpened(table: np.ndarray, axis: int) -> np.ndarray:
    """table - (second difference)/12; one entry longer at ends where 0 follows. Bins are mirrored at the centre."""
    table = np.moveaxis(table, axis, -1)
    begin = table[..., :1] if axis < 2 else np.zeros((*table.shape[:-1], 2))
    wide = np.concatenate((begin, table, np.zeros((*table.shape[:-1], 2))), axis=-1)
    return np.moveaxis(wide[..., 1:-1] - np.diff(wide, n=2) / 12.0, -1, axis)


def _products(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """space (bins, bins, rank) and basis (rank, samples) whose product is `table`.

    The first function of place is the charge, which is so kept exactly; the others are singular vectors of the rest.
    """
    matrix = table.reshape(-1, table.shape[2])
    charge = matrix.sum(axis=1)[:, None]
    charge /= np.linalg.norm(charge)
    rest = matrix - charge @ (charge.T @ matrix)
    if rest.shape[0] <= rest.shape[1]:
        left = np.linalg.eigh(rest @ rest.T)[1][:, ::-1]
    else:
        values, right = np.linalg.eigh(rest.T @ rest)
        used = values[::-1] > 1e-15 * values[-1]
        left = (rest @ right[:, ::-1][:, used]) / np.sqrt(values[::-1][used])
    along = left.T @ rest
    low, high = -1, left.shape[1]
    while high - low > 1:  # the smallest rank that is good enough
        rank = (low + high) // 2
        good = np.abs(left[:, :rank] @ along[:rank] - rest).max() <= PRECISION * np.abs(matrix).max()
        low, high = (low, rank) if good else (rank, high)
    left = np.column_stack((charge, left[:, :high]))
    return left.reshape(*table.shape[:2], high + 1), np.concatenate((charge.T @ matrix, along[:high]))


def _velocity(detector: Detector) -> float:
    """Of the values that all modules have in common."""
    return float(drift_velocity(detector.parameters.vector(np.float64)[None], 0))


def _pitch(where: str | os.PathLike, detector: Detector) -> float:
    """The detector's pitch [cm]. Raises InputError, beginning with `where`, where it has several."""
    pitches = np.unique(detector.pitch)
    if len(pitches) > 1:
        raise InputError(
            f"{where}: found the pixel pitches {_list(pitches)} [cm] in detector {detector.name}, a table holds one; "
            "allowed is --response electrostatic, which makes a table for each"
        )
    return float(pitches[0])


def _list(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of an npz, or that of an npy as `response`."""
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"response": loaded}
            return {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or 'not an npy or npz file'}") from None
    except (ValueError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise InputError(f"{path}: not an npy or npz file of numbers, allowed is larnd-sim's table") from None


def _number(path: str | os.PathLike, content: dict[str, np.ndarray], name: str) -> float:
    """A field that must be one number above 0."""
    if name not in content:
        raise InputError(f"{path}: field {name!r} is missing, found are {', '.join(content)}")
    value = content[name]
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise InputError(f"{path}: {name}: found {value.size} values of type {value.dtype}, allowed is one number")
    number = float(value.ravel()[0])
    if not math.isfinite(number) or number <= 0.0:
        raise InputError(f"{path}: {name}: found {number:g}, allowed is a number above 0")
    return number
