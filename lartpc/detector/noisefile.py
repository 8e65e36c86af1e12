"""Noise spectra in Wire-Cell's files: lists of mean amplitudes by plane and length of wire, in JSON.

Format: aux/docs/noise.org of the Wire-Cell Toolkit. Its units are mm, ns and MV (1 MeV per charge of an electron).
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from lartpc.checks import short
from lartpc.detector.waveforms import CHARGE, Spectra
from lartpc.exceptions import InputError
from lartpc.files.jsonfile import read_json
from lartpc.files.yamlfile import integer, number

MV = 1e9  # mV of a MV
MOST_SAMPLES = 10_000_000
# Numbers of a spectrum: the least and the largest that are allowed, and their unit in the file.
NUMBERS = {
    "period": (10.0, 1e5, "ns"),
    "gain": (CHARGE / MV, 1e3 * CHARGE / MV, "MV/e"),  # 1 to 1000 mV/fC
    "shaping": (100.0, 2e4, "ns"),
    "wirelen": (0.0, 1e6, "mm"),
    "const": (0.0, 1e-3, "MV"),
}
ALIKE = ("nsamples", "period", "gain", "shaping")  # of all spectra of a plane


class _Spectrum(NamedTuple):
    """One of a file, in its units."""

    plane: int
    nsamples: int
    period: float
    gain: float
    shaping: float
    wirelen: float
    const: float
    freqs: np.ndarray
    amps: np.ndarray


def read_noise(path: str | os.PathLike, planes: int) -> tuple[Spectra, ...]:
    """The noise spectra of each of so many planes, in the order in which electrons pass them.

    Of several spectra of one length the mean is taken; frequencies above the highest of the samples, which mirror those
    below, are left out. Amplitudes may be negative, where something was subtracted: squares are used. Raises InputError
    as `read_json`, and for what is no list of spectra, lacks a key or has a value that is not allowed, spectra of a
    plane with different samples or amplifiers, and a plane without any.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: found {short(content)}, allowed is a list of noise spectra")
    found: list[list[_Spectrum]] = [[] for _ in range(planes)]
    for k, entry in enumerate(content):
        spectrum = _spectrum(path, f"spectrum {k}", entry, planes)
        found[spectrum.plane].append(spectrum)
    return tuple(_of_plane(path, plane, of_plane) for plane, of_plane in enumerate(found))


def _spectrum(path: str | os.PathLike, where: str, entry: Any, planes: int) -> _Spectrum:
    if not isinstance(entry, dict):
        raise InputError(f"{path}: {where}: found {short(entry)}, allowed is a mapping of keys to values")
    for key in _Spectrum._fields:
        if key not in entry:
            raise InputError(f"{path}: {where}: key {key!r} is missing, found are {short(', '.join(entry))}")
    plane = integer(path, f"{where}: plane", entry["plane"], 0, planes - 1)
    samples = integer(path, f"{where}: nsamples", entry["nsamples"], 2, MOST_SAMPLES)
    found: dict[str, Any] = {
        key: number(path, f"{where}: {key}", entry[key], *allowed) for key, allowed in NUMBERS.items()
    }
    freqs = _column(path, f"{where}: freqs", entry["freqs"], 0.0)
    amps = _column(path, f"{where}: amps", entry["amps"], -np.inf)
    if len(freqs) != len(amps):
        raise InputError(
            f"{path}: {where}: amps: found {len(amps)} numbers, allowed are {len(freqs)}, as many as freqs"
        )
    found["freqs"], found["amps"] = _below_nyquist(path, where, freqs, amps, found["period"])
    return _Spectrum(plane, samples, **found)


def _column(path: str | os.PathLike, where: str, values: Any, least: float) -> np.ndarray:
    """Finite numbers (n,)."""
    try:
        column = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        column = np.zeros(())
    if not isinstance(values, list) or column.ndim != 1 or not len(column):
        raise InputError(f"{path}: {where}: found {short(values)}, allowed is a list of numbers")
    wrong = ~(np.isfinite(column) & (column >= least))
    if wrong.any():
        at, allowed = int(wrong.argmax()), "numbers from 0 on" if least == 0.0 else "finite numbers"
        raise InputError(f"{path}: {where}: found {short(values[at])} at {at}, allowed are {allowed}")
    return column


def _below_nyquist(
    path: str | os.PathLike, where: str, freqs: np.ndarray, amps: np.ndarray, period: float
) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies up to that of every other sample, rising, each once, and their amplitudes."""
    highest = 0.5 / period
    kept = freqs <= highest * (1.0 + 1e-6)
    if not kept.any():
        raise InputError(f"{path}: {where}: freqs: found {freqs.min():g} and more, allowed is up to {highest:g} [1/ns]")
    freqs, first = np.unique(freqs[kept], return_index=True)
    return freqs, amps[kept][first]


def _of_plane(path: str | os.PathLike, plane: int, spectra: list[_Spectrum]) -> Spectra:
    if not spectra:
        raise InputError(f"{path}: plane {plane}: found no spectrum, allowed is one or more of each plane")
    first = spectra[0]
    for key in ALIKE:
        values = sorted({getattr(one, key) for one in spectra})
        if len(values) > 1:
            raise InputError(
                f"{path}: plane {plane}: {key}: found {values[0]:g} and {values[1]:g}, allowed is one of all spectra"
            )
    length = np.unique([one.wirelen for one in spectra])
    of_length = [[one for one in spectra if one.wirelen == some] for some in length]
    amps = [np.mean([np.interp(first.freqs, s.freqs, s.amps) for s in some], axis=0) for some in of_length]
    return Spectra(
        length=length / 10.0,
        frequency=1000.0 * first.freqs,
        amplitude=MV * np.array(amps),
        white=MV * np.array([np.mean([one.const for one in some]) for some in of_length]),
        samples=first.nsamples,
        period=first.period / 1000.0,
        gain=first.gain * MV / CHARGE,
        shaping=first.shaping / 1000.0,
    )
