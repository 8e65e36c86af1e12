"""The pixel readout that goes with a response."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lartpc.charge.tables import Tables
from lartpc.checks import short
from lartpc.contracts import Readout
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.pixels.parametric import ParametricReadout
from lartpc.pixels.response import Response
from lartpc.pixels.tabulated import TabulatedReadout
from lartpc.settings import Settings

READOUTS: dict[str, Callable[..., Readout]] = {"parametric": ParametricReadout}  # whose response is no table


def find_response(
    response: Response | Sequence[Response] | str | os.PathLike, detector: Detector
) -> str | tuple[Response, ...]:
    """The name of one of `READOUTS` as it is; else tables: given, electrostatic (one for each pitch), or of a file.

    Raises InputError: no such file, and whatever `Response.read` refuses.
    """
    if isinstance(response, Response):
        return (response,)
    if not isinstance(response, str | os.PathLike):
        if not all(isinstance(one, Response) for one in response):
            raise InputError(f"response: found {short(response)}, allowed are tables or the name of one")
        return tuple(response)
    if response in READOUTS:
        return str(response)
    if response == "electrostatic":
        return tuple(Response.electrostatic(detector, pitch=float(pitch)) for pitch in np.unique(detector.pitch))
    if not os.path.exists(response):
        allowed = ", ".join([*READOUTS, "electrostatic"])
        raise InputError(f"response: found {response}, no such file; allowed is {allowed} or a table")
    return (Response.read(response, detector),)


def make_readout(
    response: str | Sequence[Response], detector: Detector, tables: Tables, settings: Settings, dtype: Any, xp: Any
) -> Readout:
    """The readout of a detector's pixels with what `find_response` found.

    Raises InputError where tables do not fit the detector.
    """
    if isinstance(response, str):
        return READOUTS[response](detector, tables, settings, dtype, xp)
    return TabulatedReadout(response, detector, tables, settings, dtype, xp)
