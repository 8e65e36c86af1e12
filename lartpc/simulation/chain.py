"""The charge chain on one batch of events: the only place that knows the order of the stages."""

from typing import Any, NamedTuple

import numpy as np

from lartpc.autodiff.launch import plain
from lartpc.charge.quadrature import gauss_rules
from lartpc.charge.steps import Steps
from lartpc.detector.detector import Detector
from lartpc.frontend.frontend import behind_buffer, make_electronics
from lartpc.parameters import Parameters
from lartpc.pixels.parametric import parametric_current
from lartpc.pixels.tabulated import tabulated_current
from lartpc.response.windows import Pairs, Windows
from lartpc.settings import Settings


class Tables(NamedTuple):
    """What the kernels need of detector and settings, on the device."""

    volumes: Any
    planes: Any
    module: Any  # (n_volumes,) int64
    place: Any  # (n_modules, n_parameters) int64: which of the parameters' values each module has
    gauss_point: Any
    gauss_weight: Any
    parametric: Any = None  # `parametric.Tables`; None where the response is tabulated
    response: Any = None  # `response.Tables`; None where it is parametric


class Waveforms(NamedTuple):
    """Current of every pixel with charge [e/us], sparse: see `Windows`."""

    current: Any
    steps: Steps
    pairs: Pairs
    windows: Windows
    electronics: Any  # (n_pixels, 4) parameters of each pixel's electronics
    buffered: Any  # current behind the buffer, which the trigger sees; `current` itself where there is no rise time


def make_waveforms(steps, batch, parameters, place_of, tables, detector, settings, settle, launch=plain):
    """Currents of the pixels, parametric or tabulated, and behind the buffer: `Waveforms`.

    settle: ticks for which windows go on after the last current, None where no pixel has a buffer with a rise time.
    """
    current_of = parametric_current if tables.response is None else tabulated_current
    current, pairs, windows = current_of(steps, batch, tables, detector, settings, settle or 0, launch)
    electronics = make_electronics(windows, parameters, detector, place_of, launch)
    slow = settle is not None
    buffered = behind_buffer(current, windows, electronics, detector, launch) if slow else current
    return Waveforms(current, steps, pairs, windows, electronics, buffered)


def make_tables(detector: Detector, parameters: Parameters, settings: Settings, dtype: Any, xp: Any) -> Tables:
    """Volumes, planes and quadrature rules as arrays of the device."""
    d = detector
    low, high = np.minimum(d.z_anode, d.z_cathode), np.maximum(d.z_anode, d.z_cathode)
    direction = np.sign(d.z_cathode - d.z_anode)
    volumes = np.stack((d.x_lo, d.x_hi, d.y_lo, d.y_hi, low, high, d.z_anode, direction, d.pitch), axis=1)
    planes = np.stack((d.n_x, d.n_y, d.first_pixel), axis=1).astype(np.int64)
    rules = gauss_rules(max(settings.nodes, 3) + 3, dtype)
    place = parameters.place(d.n_modules)
    arrays = (volumes.astype(dtype), planes, d.module, place, *rules)
    return Tables(*(xp.asarray(array) for array in arrays))
