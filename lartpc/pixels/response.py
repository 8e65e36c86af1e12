"""Tabulated responses: the current that a drifting electron induces on a pixel and its neighbours."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from lartpc.charge.velocity import common_velocity, velocities
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.files.atomic import new_file
from lartpc.files.npz import load_arrays, positive_number
from lartpc.pixels.electrostatics import Straight
from lartpc.pixels.parametric_tables import coefficients

if TYPE_CHECKING:
    from lartpc.pixels.gaps import Following

BINS = 10  # bins a pitch, of tables made here and of those that do not say it
MOST_SAMPLES = 5000  # of a table in time
REACH = 45  # bins of a quadrant: the pixel itself and four neighbours on each side
HEIGHT = 5.0  # [cm] of the grounded plane over the pads of `electrostatic`
LOOKBACK = 24.0  # [us] before its edge from which `from_parametric` follows the response
COLLECTED = 0.999  # fraction of the charge at the pixel's centre with which it has arrived
APART = 1.0  # [us] from when it should have, at the detector's velocity, as long as the table may be of that velocity
OTHER_VELOCITY = 1.2  # times the detector's, or a part of it: of which a table may be at most
MOST_CHARGE = 100.0  # that an electron's current may move in a bin, whatever its sign
OWN_CHARGE = (0.5, 1.5)  # of an electron on its own pixel, between which a table must lie


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
    def read(path: str | os.PathLike, detector: Detector, pitch: float | None = None) -> Response:
        """Read larnd-sim's npz (response, time_tick, drift_length, bin_size; vdrift where there is one) or npy.

        Of the detector's pixels of `pitch` [cm]; None: of all, where they have one.

        Where there is no vdrift it is the detector's; but where charge at the pixel's centre arrives (99.9 % of it are
        collected) more than 1 us from when it should, the table is of another field, whose velocity takes it there.
        An npy holds the table alone: then bin_size is a tenth of the pitch, time_tick the detector's response_sampling,
        and drift_length from where the charge arrives when it does. Raises InputError, one line: not an npy or npz
        file, a field missing or of the wrong kind, a table that is not of three axes, not finite, smaller than a pixel
        or not of unit charge on it, a drift_length far from when charge arrives, or a detector of several pitches.
        """
        pitch = _pitch(path, detector) if pitch is None else pitch
        content = load_arrays(path, "an npy or npz file", "larnd-sim's table", alone="response")
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
            index = tuple(wrong[0].tolist())
            raise InputError(f"{path}: response: found {table[index]} at {list(index)}, allowed are finite numbers")
        if len(content) == 1:
            tick = detector.response_sampling or detector.tick
            made = Response(table, tick, _collected(table, tick) * common_velocity(detector), pitch / BINS)
        else:
            values = {name: positive_number(path, content, name) for name in ("time_tick", "drift_length", "bin_size")}
            vdrift = positive_number(path, content, "vdrift") if "vdrift" in content else None
            made = Response(table, **values, vdrift=vdrift)
            made._check_charge(path, pitch)
            made = made._timed(path, detector) if vdrift is None else made
        made.check(path, detector, pitch)
        return made

    @staticmethod
    def electrostatic(
        detector: Detector,
        *,
        pitch: float | None = None,
        bins: int = BINS,
        reach: int = REACH,
        height: float = HEIGHT,
        time_tick: float | None = None,
        pad_size: float | None = None,
        gap: float | None = None,
    ) -> Response:
        """From electrostatics alone (Ramo): electrons of v(eField) under the weighting potential of a square pad.

        A grounded plane at `height` [cm] stands for what lies beyond. current = d(phi_w)/dt, so that charge collected
        is exactly 1 on the pad and 0 on others. `pitch` [cm] of the pads (None: the detector's), `bins` a pitch,
        `reach` bins of a quadrant, `time_tick` [us] of the table (None: the clock cycle). Pads fill the plane and
        electrons drift straight, unless a `pad_size` or `gap` [cm] leaves gaps: then they follow the field to the pads,
        at the velocity of the field where they are, see `gaps`. Raises InputError: pitches that differ, where none is
        given; more than `MOST_SAMPLES` in time; pads of another size than `gaps` allows; gaps and an odd number of
        bins.
        """
        pitch = _pitch("response", detector) if pitch is None else pitch
        tick = detector.tick if time_tick is None else time_tick
        v = common_velocity(detector)
        _check_samples(height, height / v, tick)
        if pad_size is None:
            pad_size = pitch - (gap or 0.0)
        if pad_size == pitch:
            drift: Straight | Following = Straight(pitch, height, bins, v)
        else:
            from lartpc.pixels.gaps import Following  # takes a third of a second to load

            drift = Following(pitch, pad_size, height, bins, reach, functools.partial(velocities, detector))
            _check_samples(height, drift.last, tick)
        edges = (np.arange(math.ceil(drift.last / tick) + 2) - 0.5) * tick
        i, j = np.tril_indices(reach)
        current = np.diff(drift.potential(i, j, edges), axis=1) / tick
        table = np.empty((reach, reach, current.shape[1]))
        table[i, j] = table[j, i] = current
        return Response(table, tick, height, pitch / bins, v)

    @staticmethod
    def from_parametric(detector: Detector, *, bins: int = BINS, time_tick: float | None = None) -> Response:
        """The parametric response as a table; `bins` a pitch, even. What comes before it is in its first sample."""
        pitch, tick = _pitch("response", detector), detector.tick if time_tick is None else time_tick
        x = ((np.arange(bins // 2) + 0.5) * pitch / bins)[:, None]
        a, b, c, s = (value[..., None] for value in coefficients(x, x.T))
        before = round(LOOKBACK / tick)
        edges = (np.arange(-before, math.ceil(float(s.max()) / tick) + 2) - 0.5) * tick
        w = np.minimum(edges - s, 0.0)
        collected = a * np.exp(w / b) + (1.0 - a) * np.exp(w / c)
        collected[..., 0] = 0.0
        v = common_velocity(detector)
        return Response(np.diff(collected) / tick, tick, detector.drift_start + before * tick * v, pitch / bins, v)

    def write(self, path: str | os.PathLike, overwrite: bool = False) -> None:
        """Write larnd-sim's npz, with vdrift. Raises InputError where the file exists or cannot be written."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        with new_file(path, overwrite) as temporary, open(temporary, "wb") as file:
            np.savez(file, **{name: value for name, value in fields.items() if value is not None})

    def same(self, other: Response) -> bool:
        """Whether the tables are equal in all of their values."""
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in dataclasses.fields(self))
        return all(np.array_equal(own, its) for own, its in pairs)

    @property
    def charge(self) -> np.ndarray:
        """Charge collected for one electron in each bin, (bins along |x|, bins along |y|)."""
        return self.response.sum(axis=2) * self.time_tick

    def bins(self, pitch: float, where: str | os.PathLike = "response") -> int:
        """Bins a pitch. Raises InputError, beginning with `where`, unless they fit pixels of `pitch` [cm]."""
        number = round(pitch / self.bin_size)
        if number < 1 or abs(pitch / self.bin_size / number - 1.0) > 1e-3:
            raise InputError(
                f"{where}: bin_size: found {self.bin_size:g}, allowed is a whole part of the pixel pitch {pitch:g} [cm]"
            )
        return number

    def check(self, where: str | os.PathLike, detector: Detector, pitch: float) -> None:
        """Raise InputError, beginning with `where`, unless the table is one of the detector's pixels of `pitch`.

        A table of zeros is one: no pixel sees anything.
        """
        self._check_charge(where, pitch)
        arrival, end = self.arrival(detector), self.response.shape[2] * self.time_tick
        if arrival > end + 1.0:
            raise InputError(
                f"{where}: drift_length: found {self.drift_length:g}, allowed is up to "
                f"{end * self.drift_length / arrival:g} [cm], from where the charge arrives before the table's end"
            )

    def _check_charge(self, where: str | os.PathLike, pitch: float) -> None:
        own = max(self.bins(pitch, where) // 2, 1)
        if min(self.response.shape[:2]) < own:
            raise InputError(
                f"{where}: response: found {self.response.shape[0]} x {self.response.shape[1]} bins, allowed are "
                f"{own} x {own} at least, a quadrant of a pixel"
            )
        with np.errstate(over="ignore"):
            most = float((np.abs(self.response).sum(axis=2) * self.time_tick).max())
        if not most <= MOST_CHARGE:
            raise InputError(
                f"{where}: response: found currents that move a charge of {most:.3g} for one electron in a bin, "
                f"allowed is up to {MOST_CHARGE:g}: the sum of their sizes [1/us] times time_tick is that charge"
            )
        charge = float(self.charge[:own, :own].mean())
        if self.response.any() and not OWN_CHARGE[0] <= charge <= OWN_CHARGE[1]:
            raise InputError(
                f"{where}: response: found a charge of {charge:.3g} on an electron's own pixel, allowed is "
                f"{OWN_CHARGE[0]:g} to {OWN_CHARGE[1]:g}: currents are in 1/us, their sum times time_tick is the charge"
            )

    def _timed(self, where: str | os.PathLike, detector: Detector) -> Response:
        """With a velocity of its own, where it must be another one than the detector's: see `read`."""
        arrived = _collected(self.response, self.time_tick)
        faster = self.arrival(detector) / arrived
        if abs(self.arrival(detector) - arrived) <= APART or not self.response.any():
            return self
        if faster < 1.0 / OTHER_VELOCITY:
            raise InputError(
                f"{where}: drift_length: found {self.drift_length:g}, allowed is about {self.drift_length / faster:g} "
                f"[cm], from where charge arrives at the pixel's centre when it does in the table, at {arrived:.4g} us"
            )
        return self if faster > OTHER_VELOCITY else dataclasses.replace(self, vdrift=self.drift_length / arrived)

    def arrival(self, detector: Detector) -> float:
        """Time [us] in the table at which the charge is at the anode."""
        return self.drift_length / (common_velocity(detector) if self.vdrift is None else self.vdrift)


def _pitch(where: str | os.PathLike, detector: Detector) -> float:
    """The detector's pitch [cm]. Raises InputError, beginning with `where`, where it has several."""
    pitches = np.unique(detector.pitch)
    if len(pitches) > 1:
        raise InputError(
            f"{where}: found the pixel pitches {_list(pitches)} [cm] in detector {detector.name}, a table holds one; "
            "allowed is a table for each, or --response electrostatic, which makes them"
        )
    return float(pitches[0])


def _collected(table: np.ndarray, tick: float) -> float:
    """When charge at the pixel's centre has arrived [us]."""
    with np.errstate(all="ignore"):  # of tables that are refused
        collected = np.cumsum(table[0, 0])
        return float(np.argmax(collected >= COLLECTED * collected[-1]) + 0.5) * tick


def _check_samples(height: float, time: float, tick: float) -> None:
    samples = math.ceil(time / tick) + 1
    if samples > MOST_SAMPLES:
        raise InputError(
            f"response: the drift over {height:g} cm takes {time:.4g} us at {height / time:.4g} cm/us, "
            f"{samples} samples of {tick:g} us, allowed are up to {MOST_SAMPLES}"
        )


def _list(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
