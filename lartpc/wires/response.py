"""The field response that goes with a wire detector."""

from __future__ import annotations

import os

from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.wires.electrostatics import wire_response
from lartpc.wires.fieldresponse import FieldResponse
from lartpc.wires.tables import check_response
from lartpc.wires.wirecell import read_wirecell


def find_field_response(response: FieldResponse | str | os.PathLike | None, detector: WireDetector) -> FieldResponse:
    """A response as it is, that of a file (Wire-Cell's JSON, or ours), or where there is none that of the planes.

    Raises InputError, beginning with the file or the detector, for one that does not fit the detector's planes.
    """
    if isinstance(response, FieldResponse):
        return response
    if response is None:
        try:
            return wire_response(detector.cage, detector.parameters.temperature)
        except InputError as error:
            raise InputError(f"detector {detector.name}: {error}") from None
    if str(response).endswith((".json", ".json.bz2")):
        made = read_wirecell(response)
    else:
        made = FieldResponse.read(response)
    check_response(detector, made, response)
    return made
