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
    return _read(response, detector)


def find_other_responses(detector: WireDetector, usual: FieldResponse) -> tuple[FieldResponse, ...]:
    """Those in the files of the detector's `others`, one each, of as many bins and wires as the `usual` one.

    Raises InputError, beginning with the file, for one that does not fit the detector's planes or the usual one.
    """
    result = tuple(_read(other.file, detector) for other in detector.others)
    for other, made in zip(detector.others, result, strict=True):
        if (made.bins, made.reach) != (usual.bins, usual.reach):
            raise InputError(
                f"{other.file}: found {made.bins} bins a pitch, {made.reach} wires on each side, allowed are as many as"
                f" the response of most wires has: {usual.bins} and {usual.reach}"
            )
    return result


def _read(path: str | os.PathLike, detector: WireDetector) -> FieldResponse:
    made = read_wirecell(path) if str(path).endswith((".json", ".json.bz2")) else FieldResponse.read(path)
    check_response(detector, made, path)
    return made
