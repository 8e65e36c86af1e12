"""A detector as plain numbers and lists, for JSON and for the attributes of a hits file, and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PIXEL_VALUES
from lartpc.exceptions import InputError
from lartpc.formats.hitfile import read_attrs
from lartpc.parameters import Parameters


def describe(detector: Detector, parameters: Parameters) -> dict[str, Any]:
    """`detector` (its name), `parameters`, `geometry` (arrays, one value a TPC) and `readout` (scalars) as a dict.

    `thresholds`, `gains` and `pedestals` say whether they are those of the detector or of pixels, which are left out;
    pixels that no channel reads do not count.
    """
    fields = {field.name: getattr(detector, field.name) for field in dataclasses.fields(detector)}
    del fields["parameters"], fields["notes"]
    of_pixels = {name: fields.pop(name) for name in PIXEL_VALUES}
    table = of_pixels["thresholds"]
    if table is not None and table.default == detector.threshold and len(detector.unread) == len(table.keys):
        of_pixels["thresholds"] = None
    return {
        "detector": fields.pop("name"),
        "parameters": parameters.as_dict(),
        "geometry": {name: value.tolist() for name, value in fields.items() if isinstance(value, np.ndarray)},
        "readout": {name: value for name, value in fields.items() if not isinstance(value, np.ndarray)},
        **{name: "detector" if table is None else "pixels" for name, table in of_pixels.items()},
    }


def parameters_of(path: str | os.PathLike, attrs: Mapping[str, Any]) -> Parameters:
    """The `Parameters` of what `describe` gave. Raises InputError, naming the file `path`, where there are none."""
    try:
        return Parameters().replace(**attrs["parameters"])
    except KeyError as missing:
        raise InputError(f"{path}: no attribute {missing}, allowed are hits that lartpc simulate wrote") from None
    except (TypeError, ValueError) as failure:
        raise InputError(f"{path}: attribute 'parameters' is damaged: {failure}") from None


def detector_of(path: str | os.PathLike, attrs: Mapping[str, Any]) -> Detector:
    """The `Detector` of what `describe` gave, without values of pixels. Raises InputError where `path` has none."""
    try:
        geometry: dict[str, Any] = {name: np.array(values) for name, values in attrs["geometry"].items()}
        parameters = parameters_of(path, attrs)
        return Detector(name=attrs["detector"], parameters=parameters, **geometry, **attrs["readout"])
    except KeyError as missing:
        raise InputError(f"{path}: no attribute {missing}, allowed are hits that lartpc simulate wrote") from None
    except (AttributeError, TypeError):
        raise InputError(f"{path}: attributes of the detector are not those that lartpc simulate writes") from None


def read_detector(path: str | os.PathLike) -> tuple[Detector, float | None]:
    """The detector that made the hits in a file, and its threshold [e], None where single pixels have their own.

    Raises InputError: no HDF5 file, no detector in its attributes.
    """
    attrs = read_attrs(path)
    detector = detector_of(path, attrs)
    return detector, detector.threshold if attrs.get("thresholds") == "detector" else None
