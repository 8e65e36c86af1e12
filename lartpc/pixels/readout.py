"""The pixel readout that goes with a response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lartpc.charge.tables import Tables
from lartpc.contracts import Readout
from lartpc.detector.detector import Detector
from lartpc.pixels.parametric import ParametricReadout
from lartpc.pixels.response import Response
from lartpc.pixels.tabulated import TabulatedReadout
from lartpc.settings import Settings


def make_readout(
    responses: Sequence[Response] | None, detector: Detector, tables: Tables, settings: Settings, dtype: Any, xp: Any
) -> Readout:
    """The readout of a detector's pixels with tables of the response, or with the parametric one where they are None.

    Raises InputError where the response does not fit the detector.
    """
    if responses is None:
        return ParametricReadout(detector, tables, settings, dtype, xp)
    return TabulatedReadout(responses, detector, tables, settings, dtype, xp)
