"""The pixel readout that goes with a response."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lartpc.charge.tables import Tables
from lartpc.checks import short
from lartpc.contracts import PixelReadout
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.pixels.parametric import ParametricReadout
from lartpc.pixels.response import Response
from lartpc.pixels.tabulated import TabulatedReadout
from lartpc.settings import Settings

READOUTS: dict[str, Callable[..., PixelReadout]] = {"parametric": ParametricReadout}  # whose response is no table


Given = Response | str | os.PathLike


def find_response(response: Given | Sequence[Given], detector: Detector) -> str | tuple[Response, ...]:
    """The name of one of `READOUTS` as it is; else tables: given, electrostatic (one for each pitch), or of files.

    Several files are one for each pitch, in the order in which modules have them, or one a module; those of modules of
    the same pitch must hold the same table. Raises InputError: no such file, files for another number of pitches or
    modules, and whatever `Response.read` refuses.
    """
    if isinstance(response, Response):
        return (response,)
    if not isinstance(response, str | os.PathLike):
        tables = tuple(one for one in response if isinstance(one, Response))
        if len(tables) == len(response):
            return tables
        files = [one for one in response if not isinstance(one, Response)]
        if not all(isinstance(one, str | os.PathLike) for one in files):
            raise InputError(f"response: found {short(response)}, allowed are tables or the name of one")
        return find_response(files[0], detector) if len(files) == 1 else _of_files(files, detector)
    if response in READOUTS:
        return str(response)
    if response == "electrostatic":
        return tuple(Response.electrostatic(detector, pitch=float(pitch)) for pitch in np.unique(detector.pitch))
    _check_there(response)
    return (Response.read(response, detector),)


def _check_there(response: str | os.PathLike) -> None:
    if not os.path.exists(response):
        allowed = ", ".join([*READOUTS, "electrostatic"])
        raise InputError(f"response: found {response}, no such file; allowed is {allowed} or a table")


def _of_files(files: Sequence[str | os.PathLike], detector: Detector) -> tuple[Response, ...]:
    """The tables of files, one for each pitch, ascending."""
    first = [int(np.argmax(detector.module == module)) for module in range(detector.n_modules)]
    of_module = detector.pitch[first].tolist()
    pitches = list(dict.fromkeys(of_module))
    if len(files) not in (len(pitches), detector.n_modules):
        allowed = " or ".join(map(str, sorted({1, len(pitches), detector.n_modules})))
        raise InputError(
            f"response: found {len(files)} tables, allowed are {allowed}: one, one a pixel pitch, or one a module"
        )
    found: dict[float, tuple[str | os.PathLike, Response]] = {}
    for file, pitch in zip(files, of_module if len(files) == detector.n_modules else pitches, strict=True):
        _check_there(file)
        known, table = found.get(pitch, (file, None))
        if table is not None and os.path.abspath(known) == os.path.abspath(file):
            continue
        own = Response.read(file, detector, pitch)
        if table is not None and not table.same(own):
            raise InputError(f"{file}: is another table than {known}, allowed is one for all modules of a pitch")
        found[pitch] = (file, own)
    return tuple(found[pitch][1] for pitch in sorted(found))


def make_readout(
    response: str | Sequence[Response], detector: Detector, tables: Tables, settings: Settings, dtype: Any, xp: Any
) -> PixelReadout:
    """The readout of a detector's pixels with what `find_response` found.

    Raises InputError where tables do not fit the detector.
    """
    if isinstance(response, str):
        return READOUTS[response](detector, tables, settings, dtype, xp)
    return TabulatedReadout(response, detector, tables, settings, dtype, xp)
