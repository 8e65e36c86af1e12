"""A detector as plain numbers and lists, for JSON and for the attributes of a hits file, and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from lartpc.checks import short
from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PIXEL_VALUES
from lartpc.exceptions import InputError
from lartpc.formats.hitfile import read_attrs
from lartpc.kernels.runtime.slots import AMPLIFIER
from lartpc.parameters import Parameters

_LARGEST = 1e9  # number that describes a detector
_MOST_PIXELS = 1e8  # of a TPC


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
        "parameters": {name: value for name, value in parameters.as_dict().items() if name not in AMPLIFIER},
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
        readout = dict(attrs["readout"])
        name = attrs["detector"]
    except KeyError as missing:
        raise InputError(f"{path}: no attribute {missing}, allowed are hits that lartpc simulate wrote") from None
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise _no_detector(path, "geometry or readout") from None
    parameters = parameters_of(path, attrs) if "parameters" in attrs else Parameters()  # those of data nobody knows
    for key, values in geometry.items():
        kinds = "iu" if key in ("n_x", "n_y", "first_pixel", "module") else "iuf"
        shape = (max(map(np.size, geometry.values())),)
        known = values.dtype.kind in kinds and values.shape == shape
        if not known or not np.abs(values).max(initial=0) <= _LARGEST:
            raise _no_detector(path, f"{short(key)} of the geometry")
    numbers = {field.name for field in dataclasses.fields(Detector) if isinstance(field.default, int | float)}
    for key, value in readout.items():
        if key in numbers and not (isinstance(value, int | float) and 0 <= value <= _LARGEST):
            raise _no_detector(path, f"{short(key)} of the readout")
    try:
        made = Detector(name=name, parameters=parameters, **geometry, **readout)
    except TypeError:
        raise _no_detector(path, "geometry or readout") from None
    if not len(made.n_x) or min(made.n_x.min(), made.n_y.min(), made.pitch.min(), made.tick) <= 0:
        raise _no_detector(path, "n_x, n_y, pitch or tick")
    if (made.n_x.astype(np.float64) * made.n_y).max() > _MOST_PIXELS:
        raise _no_detector(path, "n_x, n_y, pitch or tick")
    return made


def _no_detector(path: str | os.PathLike, what: str) -> InputError:
    return InputError(f"{path}: attributes of the detector, {what}, are not those that lartpc simulate writes")


def read_detector(path: str | os.PathLike) -> tuple[Detector, float | None]:
    """The detector that made the hits in a file, and its threshold [e], None where single pixels have their own.

    Raises InputError: no HDF5 file, no detector in its attributes.
    """
    attrs = read_attrs(path)
    detector = detector_of(path, attrs)
    return detector, detector.threshold if attrs.get("thresholds") == "detector" else None


def check_pixels(path: str | os.PathLike, hits: Hits, detector: Detector) -> None:
    """Raise InputError where a hit of a file is on no pixel of the detector that made it."""
    tpc = np.clip(hits.tpc, 0, len(detector.n_x) - 1)
    inside = (hits.ix >= 0) & (hits.ix < detector.n_x[tpc]) & (hits.iy >= 0) & (hits.iy < detector.n_y[tpc])
    wrong = np.flatnonzero((tpc != hits.tpc) | ~inside)
    if len(wrong):
        k = wrong[0]
        raise InputError(
            f"{path}: hits row {k}: found tpc {hits.tpc[k]}, ix {hits.ix[k]}, iy {hits.iy[k]}, "
            f"allowed are pixels of the file's detector {short(detector.name)}"
        )
