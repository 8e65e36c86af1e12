"""A detector as plain numbers and lists, for JSON and for the attributes of a hits file, and back."""

import dataclasses

import numpy as np

from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.parameters import Parameters


def describe(detector, parameters):
    """`detector` (its name), `parameters`, `geometry` (arrays, one value a TPC) and `readout` (scalars) as a dict.

    `thresholds`, `gains` and `pedestals` say whether they are those of the detector or of pixels, which are left out.
    """
    fields = {field.name: getattr(detector, field.name) for field in dataclasses.fields(detector)}
    del fields["parameters"]
    of_pixels = {name: fields.pop(name) for name in ("thresholds", "gains", "pedestals")}
    return {
        "detector": fields.pop("name"),
        "parameters": parameters.as_dict(),
        "geometry": {name: value.tolist() for name, value in fields.items() if isinstance(value, np.ndarray)},
        "readout": {name: value for name, value in fields.items() if not isinstance(value, np.ndarray)},
        **{name: "detector" if table is None else "pixels" for name, table in of_pixels.items()},
    }


def detector_of(path, attrs):
    """The `Detector` of what `describe` gave. Raises InputError where the file `path` does not have it."""
    try:
        geometry = {name: np.array(values) for name, values in attrs["geometry"].items()}
        parameters = Parameters().replace(**attrs["parameters"])
        return Detector(name=attrs["detector"], parameters=parameters, **geometry, **attrs["readout"])
    except KeyError as missing:
        raise InputError(f"{path}: no attribute {missing}, allowed are hits that lartpc simulate wrote") from None
    except (AttributeError, TypeError):
        raise InputError(f"{path}: attributes of the detector are not those that lartpc simulate writes") from None
