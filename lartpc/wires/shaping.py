"""Field responses behind an amplifier: tables of voltages, as products of functions of place and of time.

Another gain or shaping time changes the functions of time alone: those of place, which the response's paths have, stay.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lartpc.detector.waveforms import Electronics
from lartpc.exceptions import InputError
from lartpc.response.lattice import LANES
from lartpc.wires.electronics import impulse, impulse_slopes
from lartpc.wires.fieldresponse import FieldResponse

PRECISION = 1e-4  # of the waveforms, relative to the plane's peak
NEGLIGIBLE = 1e-6  # of the peak: tables end where all stay below
SETTLED = 12.0  # shaping times after which the pulse of a charge has ended


@dataclasses.dataclass(frozen=True, eq=False)
class Factors:
    """One plane's table as a product of functions of place and of time, and what makes the latter of another pulse.

    All is linear in the pulse, with weights as the first one has them, so that derivatives by gain and shaping time are
    exact.
    """

    space: np.ndarray  # (rows, rank)
    waveform: np.ndarray  # (rank, 1 + lags + 1) [mV/e]
    current: np.ndarray  # (rank - 1, n_samples) [1/us], of which the first waveforms are made
    charge: np.ndarray  # (rank - 1,) that comes with each
    spread: np.ndarray  # (n_sites,) over which what is missing of a charge is spread; its sum is 1
    kept: np.ndarray  # (lags,) over which what comes after the last lag is spread; its sum is 1


@dataclasses.dataclass(frozen=True, eq=False)
class Shaping:
    """The tables of all planes at one gain and shaping time, and the waveforms at others.

    Functions of place are those of the first shaping time, on which tables of another are projected: what that leaves
    out grows with the difference, see docs/wires-electronics.md. Sums over time are exact at all.
    """

    electronics: Electronics
    sampling: float  # of the response [us]
    steps: int  # samples of it a site
    time: np.ndarray  # (n,) of the samples of a pulse [us]
    planes: tuple[Factors, ...]

    def waveforms(self, gain: float, shaping: float) -> list[np.ndarray]:
        """Functions of time of each plane (rank, 1 + lags + 1) [mV/e]."""
        return self._of_pulse(impulse(self.electronics._replace(gain=gain, shaping=shaping), self.time))

    def slopes(self, gain: float, shaping: float) -> list[np.ndarray]:
        """Their derivatives by the shaping time [mV/e/us]; those by the gain are the waveforms over it."""
        return self._of_pulse(impulse_slopes(self.electronics._replace(gain=gain, shaping=shaping), self.time)[1])

    def _of_pulse(self, pulse: np.ndarray) -> list[np.ndarray]:
        area = pulse.sum() / impulse(self.electronics, self.time).sum()
        result = []
        for plane in self.planes:
            at = sampled(plane.current, pulse, self.steps, self.sampling)
            missing = plane.charge * pulse.sum() / self.steps - at.sum(axis=1)
            at = at + np.outer(missing, plane.spread)
            end = len(plane.kept)
            at = at[:, :end] + np.outer(at[:, end:].sum(axis=1), plane.kept)
            result.append(np.concatenate((sharpened(np.pad(at, ((0, 0), (1, 1))), 1), area * plane.waveform[-1:])))
        return result


def make_shaping(response: FieldResponse, electronics: Electronics, site: float) -> Shaping:
    """Tables of all planes at sites [us] in time. Raises InputError as `shape`."""
    steps, time = sampling_of(response, site), times_of(response, electronics)
    shaped = shape(response, electronics, site)
    pulse = impulse(electronics, time)
    seen = [np.abs(one).max(axis=0) > NEGLIGIBLE * np.abs(one).max() for one in shaped]
    end = int(np.flatnonzero(np.any(seen, axis=0))[-1]) + 1
    planes = []
    for table, current in zip(shaped, response.current, strict=True):
        kept = np.abs(table[:, :end]).sum(axis=0)
        trimmed = table[:, :end] + table[:, end:].sum(axis=1)[:, None] * kept / kept.sum()
        space, waveform = _split(trimmed)
        project = sharpened(np.pad(np.linalg.pinv(space[:, :-1]), ((0, 0), (1, 1))), 1)[:, 1:-1]
        spread = _spread(sampled(current, pulse, steps, response.sampling))
        of_place = project @ current, project @ np.round(current.sum(axis=1) * response.sampling)
        planes.append(Factors(space, waveform, *of_place, spread, kept / kept.sum()))
    return Shaping(electronics, response.sampling, steps, time, tuple(planes))


def shape(response: FieldResponse, electronics: Electronics, site: float) -> list[np.ndarray]:
    """Of each plane, the voltage (rows, lags) [mV/e] at sites in time [us] for an electron in the middle of a bin.

    V(t) = integral of current(t') impulse(t - t'), the current being even within each of its samples. Summed over time
    it is exactly that of a whole electron on the wire that collects it, and 0 on the others, at any begin of the sites.

    Raises InputError where a site is no whole number of the response's samples, and as `times_of`.
    """
    steps, pulse = sampling_of(response, site), impulse(electronics, times_of(response, electronics))
    area = pulse.sum() * response.sampling
    result = []
    for current in response.current:
        at = sampled(current, pulse, steps, response.sampling)
        collected = np.round(current.sum(axis=1) * response.sampling)
        missing = collected * area / site - at.sum(axis=1)
        result.append(at + missing[:, None] * _spread(at))
    return result


def sampling_of(response: FieldResponse, site: float) -> int:
    """How many samples of a response there are a site [us]. InputError where that is no whole number."""
    steps = round(site / response.sampling)
    if steps < 1 or abs(steps * response.sampling - site) > 1e-6 * site:
        raise InputError(
            f"response: found a sampling of {response.sampling:g} us, allowed are whole parts of a tick, {site:g} us"
        )
    return steps


def times_of(response: FieldResponse, electronics: Electronics) -> np.ndarray:
    """When a pulse is sampled (n,) [us]. InputError where its shaping time is shorter than the response's sampling."""
    if electronics.shaping < response.sampling:
        raise InputError(
            f"shaping: found {electronics.shaping:g} us, allowed is from the sampling of the response on, "
            f"{response.sampling:g} us"
        )
    return (np.arange(round(SETTLED * electronics.shaping / response.sampling)) + 0.5) * response.sampling


def sampled(current: np.ndarray, pulse: np.ndarray, steps: int, sampling: float) -> np.ndarray:
    """Currents (rows, n_samples) [1/us] behind a pulse (n,) [mV/e], every so many `steps` of the sampling [us]."""
    lags = -(-(current.shape[1] + len(pulse) - 1) // steps)
    n = 2 * lags * steps
    whole = np.fft.irfft(np.fft.rfft(current, n) * np.fft.rfft(pulse, n), n)
    return np.pad(whole[:, : lags * steps], ((0, 0), (1, 0)))[:, : lags * steps : steps] * sampling


def sharpened(table: np.ndarray, axis: int) -> np.ndarray:
    """A table less a twelfth of its second difference along an axis, at whose ends it is 0."""
    before, after = np.roll(table, 1, axis), np.roll(table, -1, axis)
    return table - (before - 2.0 * table + after) / 12.0


def _spread(table: np.ndarray) -> np.ndarray:
    """Where a table (rows, lags) is large in time (lags,), of which the sum is 1."""
    even = np.abs(table).sum(axis=0)
    return even / even.sum()


def _split(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table (rows, lags) as a product of functions of place (rows, rank) and time (rank, 1 + lags + 1).

    The charge that steps share over the sites nearest to them is as wide as its shares are: so the table is sharpened
    by a twelfth of its second difference, along both axes. What the product lacks of each row's sum over time is given
    to one more function, so that charge is exact.
    """
    sharp = sharpened(sharpened(np.pad(table, 1), 0), 1)[1:-1]  # rows beyond have next to nothing, and no charge
    u, s, v = np.linalg.svd(sharp, full_matrices=False)
    peak = np.abs(table).max()
    for rank in range(LANES - 1, max(len(s), LANES), LANES):
        space, waveform = u[:, :rank] * s[:rank], v[:rank]
        if np.abs(space @ waveform - sharp).max() <= PRECISION * peak:
            break
    last = np.abs(sharp).sum(axis=0)
    missing = (sharp - space @ waveform).sum(axis=1) / last.sum()
    return np.column_stack((space, missing)), np.concatenate((waveform, last[None]))
