"""The detector: pixel planes, drift volumes and readout electronics; built in, or from larnd-sim's YAML."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import yamlfile
from .errors import InputError
from .geometries import BUILT_IN
from .kernels import slots
from .layout import Anode, Layout, read_layout
from .parameters import SINGLE, Parameters, check_parameter
from .pixelvalues import PixelValues, values_of

_TOUCHING = 1e-3  # by which TPCs may overlap: rounding of their places [cm]
_HOLD_OFFSET = 3  # clock cycles between the crossing and the start of the hold delay

# key of the file: (field, unit, lowest, highest, whole number)
_ELECTRONICS = {
    "discrimination_threshold": ("threshold", "e", 1.0, 1e9, False),
    "larpix_gain": ("gain", "mV/e", 1e-9, 1.0, False),
    "v_cm": ("v_cm", "mV", 0.0, 1e5, False),
    "v_ref": ("v_ref", "mV", 0.0, 1e5, False),
    "v_pedestal": ("v_pedestal", "mV", 0.0, 1e5, False),
    "adc_counts": ("adc_counts", "", 2, 65536, True),
    "adc_hold_delay": ("hold_ticks", "", 0, 100_000, True),
    "clock_cycle": ("tick", "us", 1e-3, 10.0, False),
    "reset_noise_charge": ("reset_noise", "e", 0.0, 1e9, False),
    "uncorrelated_noise_charge": ("uncorrelated_noise", "e", 0.0, 1e9, False),
    "discriminator_noise": ("discriminator_noise", "e", 0.0, 1e9, False),
    "buffer_risetime": ("buffer_risetime", "us", 0.0, 100.0, False),
    "adc_busy_delay": ("adc_busy_delay", "", 0, 100_000, True),
    "reset_cycles": ("reset_cycles", "", 0, 100_000, True),
}
_FIELD_KEYS = ("e_field", "eField")  # now, and in the older generation
_GEOMETRY_KEYS = ("drift_length", "tpc_offsets", "tpc_centers")
# What real files carry and the charge chain does not use: light, packets, windows, the table of a tabulated response.
_OTHER_KEYS = """
    clock_reset_period diff_n_sigmas enable_lut_smearing
    event_rate impulse_model impulse_tick_size larpix_version light_det_noise_sample_spacing
    light_digit_sample_spacing light_gain light_nbit light_oscillation_period light_response_time light_simulated
    light_tick_size light_trig_mode light_trig_threshold light_trig_window light_window lut_vox_div
    max_light_truth_ids max_radius mc_truth_threshold module_to_io_groups module_to_tpcs n_op_channel
    non_beam_event_gap op_channel_efficiency op_channel_per_det pps_cycles reponse_bin_size
    response_bin_size response_sampling rollover_cycles singlet_fraction sipm_response_model tau_s tau_t tile_map
    time_interval time_padding time_window tpc_to_op_channel use_pps_rollover vdrift_static
""".split()
# Charge readout of newer chips that is not simulated: known with the one value that changes nothing.
_FIXED = {"adc_scale_factor": 1, "periodic_reset_cycles": -1}
KNOWN_KEYS = frozenset(slots.PARAMETERS).union(_FIELD_KEYS, _GEOMETRY_KEYS, _ELECTRONICS, _FIXED, _OTHER_KEYS)


@dataclasses.dataclass(frozen=True, eq=False)
class Detector:
    """Pixel planes, one a TPC, and the electronics behind them, in the simulation frame (z is the drift axis).

    Arrays have shape (V,), V the number of TPCs; module by module, and within one in the order of its layout
    (module0: TPC 0 has its anode at negative z). A pixel plane spans x_lo to x_hi and y_lo to y_hi, a volume z_anode
    to z_cathode [cm]. A pixel's index along x is floor((x - x_lo) / pitch), along y likewise; its id is
    first_pixel + ix + n_x * iy, which is larnd-sim's ix + n_x * (iy + n_y * plane).
    """

    name: str
    parameters: Parameters
    x_lo: np.ndarray
    x_hi: np.ndarray
    y_lo: np.ndarray
    y_hi: np.ndarray
    z_anode: np.ndarray
    z_cathode: np.ndarray
    pitch: np.ndarray
    n_x: np.ndarray
    n_y: np.ndarray
    first_pixel: np.ndarray
    module: np.ndarray
    tick: float = 0.1  # [us]
    drift_start: float = 0.5  # height above the anode where the parametric response begins [cm]
    threshold: float = 7000.0  # [e]
    gain: float = 4e-3  # [mV/e]
    v_cm: float = 288.0  # [mV]
    v_ref: float = 1300.0  # [mV]
    v_pedestal: float = 580.0  # [mV]
    adc_counts: int = 256
    hold_ticks: int = 15 + _HOLD_OFFSET  # from the crossing to the read
    reset_noise: float = 900.0  # [e]
    uncorrelated_noise: float = 500.0  # [e]
    # Off unless a file says otherwise; larnd-sim has 650 e, 0.1 us, 9 and 1 where it does not.
    discriminator_noise: float = 0.0  # [e]
    buffer_risetime: float = 0.0  # [us]
    adc_busy_delay: int = 0  # [ticks] after a read and its reset without another hit
    reset_cycles: int = 0  # [ticks] after a read in which charge is lost
    max_hits: int = 10  # a pixel
    thresholds: PixelValues | None = None  # of single pixels [e], else `threshold`
    gains: PixelValues | None = None  # [mV/e], else `gain`
    pedestals: PixelValues | None = None  # [mV], else `v_pedestal`

    @staticmethod
    def module0() -> Detector:
        """The detector of the paper: two TPCs of 140 x 280 pixels, pitch 0.4434 cm, drift 30.27225 cm."""
        return Detector.built_in("module0")

    @staticmethod
    def built_in(name: str) -> Detector:
        """One of `geometries.BUILT_IN`: module0, 2x2 (4 modules), ndlar (35); InputError for any other name."""
        if name not in BUILT_IN:
            raise InputError(f"detector: found {name!r}, allowed is {', '.join(BUILT_IN)}")
        built = BUILT_IN[name]()
        placed = _place_modules(built.layouts, built.offsets)
        return Detector(name, Parameters(), **_geometry(placed, built.drift_length), **built.electronics)

    @staticmethod
    def load(
        detector_yaml: str | os.PathLike,
        layout_yaml: str | os.PathLike | Sequence[str | os.PathLike] = (),
        *,
        link_vdrift: bool = True,
    ) -> Detector:
        """Read larnd-sim's detector YAML, of either generation, and its pixel layout (none: the tiles of module0).

        Several layouts are those of one module each. What the file does not say is as in module0. Lists of e_field and
        lifetime, one value a module, are values of single modules. Keys of light and packets are known and ignored.
        `link_vdrift` False takes the file's `vdrift`, where it has one, as a parameter of its own; else it follows from
        the field. Raises InputError, one line: unknown key (with the nearest), wrong type, value that is not physical.
        """
        content = yamlfile.read_mapping(detector_yaml, KNOWN_KEYS)
        files = layout_files(layout_yaml)
        layouts = tuple(read_layout(file) for file in files) or BUILT_IN["module0"]().layouts
        placed = _place(detector_yaml, content, layouts, built_in=not files)
        n_modules = 1 + max(module for module, _, _ in placed)
        electronics = _electronics(detector_yaml, content, n_modules)
        drift_length = _drift_length(detector_yaml, content, layouts, built_in=not files)
        geometry = _geometry(placed, drift_length)
        _check_apart(detector_yaml, geometry)
        return Detector(
            name=os.path.splitext(os.path.basename(detector_yaml))[0],
            parameters=_parameters(detector_yaml, content, n_modules, link_vdrift),
            **geometry,
            **electronics,
        )

    @property
    def n_modules(self) -> int:
        return int(self.module.max()) + 1

    def locate(self, pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """TPC, column, row and centre x, y [cm] of pixels by their ids, all (n,)."""
        tpc = np.searchsorted(self.first_pixel, pixel, side="right") - 1
        within = pixel - self.first_pixel[tpc]
        ix, iy = within % self.n_x[tpc], within // self.n_x[tpc]
        x = self.x_lo[tpc] + (ix + 0.5) * self.pitch[tpc]
        y = self.y_lo[tpc] + (iy + 0.5) * self.pitch[tpc]
        return tpc, ix, iy, x, y

    def of_pixels(self, name: str, pixel: np.ndarray) -> np.ndarray:
        """The `threshold` [e], `gain` [mV/e] or `v_pedestal` [mV] of pixels by their ids, (n,) float64."""
        table = {"threshold": self.thresholds, "gain": self.gains, "v_pedestal": self.pedestals}[name]
        return np.full(len(pixel), getattr(self, name)) if table is None else values_of(table, pixel)

    def adc_scale(self, pixel: np.ndarray | None = None) -> tuple[Any, Any, float]:
        """The counts of a charge q [e] are (q gain + offset) per_mV: these three, of pixels where ids are given."""
        gain, pedestal = self.gain, self.v_pedestal
        if pixel is not None:
            gain, pedestal = self.of_pixels("gain", pixel), self.of_pixels("v_pedestal", pixel)
        return gain, pedestal - self.v_cm, self.adc_counts / (self.v_ref - self.v_cm)

    def adc(self, charge: np.ndarray, pixel: np.ndarray | None = None) -> np.ndarray:
        """ADC counts of charges [e], clipped and not rounded, as `digitize` gives them; that of 0 is the pedestal.

        By the gain and pedestal of the pixel of each, where their ids are given.
        """
        gain, offset, per_mV = self.adc_scale(pixel)
        return np.clip((charge * gain + offset) * per_mV, 0.0, self.adc_counts - 1.0)


def layout_files(layout_yaml: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str | os.PathLike]:
    """One file or several as a list."""
    return [layout_yaml] if isinstance(layout_yaml, str | os.PathLike) else list(layout_yaml)


def _place(
    path: str | os.PathLike, content: dict[str, Any], layouts: tuple[Layout, ...], built_in: bool
) -> list[tuple[int, Anode, Sequence[float]]]:
    """(module, anode, offset [cm] in the simulation frame) of each TPC.

    `tpc_offsets` has a row a module, which holds every anode of its layout; the older `tpc_centers` a row an anode.
    """
    if "tpc_offsets" in content and "tpc_centers" in content:
        raise InputError(f"{path}: found both tpc_offsets and tpc_centers, allowed is one of them")
    if "tpc_offsets" not in content and "tpc_centers" not in content:
        if not built_in:
            raise InputError(f"{path}: key 'tpc_offsets' is missing, a layout needs the place of each module")
        return _place_modules(layouts, BUILT_IN["module0"]().offsets)
    key = "tpc_offsets" if "tpc_offsets" in content else "tpc_centers"
    rows = content[key]
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: {key}: found {rows!r}, allowed is a list of offsets [x, y, z] [cm]")
    offsets = [yamlfile.vector(path, f"{key}[{i}]", row, 3, 1e5, "cm")[::-1] for i, row in enumerate(rows)]
    if key == "tpc_offsets":
        if len(layouts) not in (1, len(offsets)):
            raise InputError(
                f"{path}: tpc_offsets: found {len(offsets)} modules for {len(layouts)} layouts, "
                "allowed is one layout, or one a module"
            )
        return _place_modules(layouts, offsets)
    anodes = [anode for layout in layouts for anode in layout.anodes]
    if len(offsets) != len(anodes):
        raise InputError(
            f"{path}: tpc_centers: found {len(offsets)} rows, allowed are {len(anodes)}, one an anode of the layout"
        )
    return [(anode.module, anode, offset) for anode, offset in zip(anodes, offsets, strict=True)]


def _place_modules(
    layouts: tuple[Layout, ...], offsets: Sequence[Sequence[float]]
) -> list[tuple[int, Anode, Sequence[float]]]:
    """A layout at each offset; what it calls modules are counted through."""
    placed, n_modules = [], 0
    for i, offset in enumerate(offsets):
        anodes = layouts[i % len(layouts)].anodes
        placed += [(n_modules + anode.module, anode, offset) for anode in anodes]
        n_modules += 1 + max(anode.module for anode in anodes)
    return placed


def _drift_length(
    path: str | os.PathLike, content: dict[str, Any], layouts: tuple[Layout, ...], built_in: bool
) -> float:
    """Distance from the anode to the cathode's surface [cm].

    The detector file's, else the layout's, else half the distance of the anodes (a cathode of no thickness), which
    is what larnd-sim takes for its newest files, that have neither.
    """
    half_gap = min(0.5 * float(np.ptp([anode.z for anode in layout.anodes])) for layout in layouts)
    if "drift_length" in content:
        length = yamlfile.number(path, "drift_length", content["drift_length"], 1.0, 1e4, "cm")
    elif layouts[0].drift_length is not None:
        length = layouts[0].drift_length
    elif built_in:
        length = BUILT_IN["module0"]().drift_length
    elif half_gap > 0.0:
        length = half_gap
    else:
        raise InputError(f"{path}: key 'drift_length' is missing, and the layout has one anode only")
    if half_gap > 0.0 and length > half_gap + 1e-6:
        raise InputError(
            f"{path}: drift_length: found {length:g}, "
            f"allowed is up to {half_gap:g} [cm], half the distance of the anodes"
        )
    return length


def _geometry(placed: list[tuple[int, Anode, Sequence[float]]], drift_length: float) -> dict[str, np.ndarray]:
    anodes = [anode for _, anode, _ in placed]
    x, y, z = np.array([offset for _, _, offset in placed], dtype=np.float64).T
    z_anode = z + np.array([anode.z for anode in anodes])
    n_x = np.array([anode.n_x for anode in anodes], dtype=np.int64)
    n_y = np.array([anode.n_y for anode in anodes], dtype=np.int64)
    return {
        "x_lo": x + np.array([anode.x_lo for anode in anodes]),
        "x_hi": x + np.array([anode.x_hi for anode in anodes]),
        "y_lo": y + np.array([anode.y_lo for anode in anodes]),
        "y_hi": y + np.array([anode.y_hi for anode in anodes]),
        "z_anode": z_anode,
        "z_cathode": z_anode + drift_length * np.array([anode.drift for anode in anodes]),
        "pitch": np.array([anode.pitch for anode in anodes]),
        "n_x": n_x,
        "n_y": n_y,
        "first_pixel": np.cumsum(n_x * n_y) - n_x * n_y,
        "module": np.array([module for module, _, _ in placed], dtype=np.int64),
    }


def _check_apart(path: str | os.PathLike, geometry: dict[str, np.ndarray]) -> None:
    """Raise InputError where TPCs overlap: both would collect the charge of what they share."""
    z = np.stack((geometry["z_anode"], geometry["z_cathode"]))
    low = np.stack((geometry["x_lo"], geometry["y_lo"], z.min(axis=0)), axis=1)
    high = np.stack((geometry["x_hi"], geometry["y_hi"], z.max(axis=0)), axis=1)
    shared = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).min(axis=2)
    first, second = np.nonzero(np.triu(shared, 1) > _TOUCHING)
    if len(first):
        i, j = first[0], second[0]
        raise InputError(
            f"{path}: tpc_offsets or tpc_centers: TPCs {i} and {j} overlap by {shared[i, j]:g} cm, "
            "allowed are TPCs apart"
        )


def _electronics(path: str | os.PathLike, content: dict[str, Any], n_modules: int) -> dict[str, float | int]:
    values: dict[str, float | int] = {}
    for key, (field, unit, low, high, whole) in _ELECTRONICS.items():
        if key not in content:
            continue
        value = yamlfile.common_value(path, key, content[key], n_modules)
        if whole:
            values[field] = yamlfile.integer(path, key, value, low, high)
        else:
            values[field] = yamlfile.number(path, key, value, low, high, unit)
    for key, value in _FIXED.items():
        if content.get(key, value) != value:
            raise InputError(f"{path}: {key}: found {content[key]!r}, allowed is {value}: others are not supported yet")
    if "hold_ticks" in values:
        values["hold_ticks"] += _HOLD_OFFSET
    v_cm, v_ref = values.get("v_cm", Detector.v_cm), values.get("v_ref", Detector.v_ref)
    if v_ref <= v_cm:
        raise InputError(f"{path}: v_ref: found {v_ref:g}, allowed is a voltage above v_cm = {v_cm:g} [mV]")
    return values


def _parameters(path: str | os.PathLike, content: dict[str, Any], n_modules: int, link_vdrift: bool) -> Parameters:
    if all(key in content for key in _FIELD_KEYS):
        raise InputError(f"{path}: found both {' and '.join(_FIELD_KEYS)}, allowed is one of them")
    values, modules = {}, {}
    for key in (*slots.PARAMETERS, "e_field"):
        if key not in content:
            continue
        name, value = "eField" if key == "e_field" else key, content[key]
        if name in SINGLE and isinstance(value, list) and len(value) == n_modules and value != value[:1] * n_modules:
            own = [check_parameter(name, v, f"{path}: {key}[{m}]") for m, v in enumerate(value)]
            modules |= {f"{name}.{m}": v for m, v in enumerate(own)}
            value = sum(own) / n_modules
        value = yamlfile.common_value(path, key, value, n_modules)
        values[name] = check_parameter(name, value, f"{path}: {key}")
    if link_vdrift:
        values.pop("vdrift", None)
    return Parameters(**values, modules=modules)
