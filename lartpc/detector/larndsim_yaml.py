"""larnd-sim's detector YAML, of either generation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.checks import short
from lartpc.detector.builtin import BUILT_IN
from lartpc.detector.layout import Anode, Layout, read_layout
from lartpc.detector.placement import geometry_of, place_modules
from lartpc.detector.volumes import check_apart
from lartpc.exceptions import InputError
from lartpc.files import yamlfile
from lartpc.kernels.runtime import slots
from lartpc.parameters import SINGLE, Parameters, check_parameter

HOLD_OFFSET = 3  # clock cycles between the crossing and the start of the hold delay
MOST_TICKS = 100_000  # of a hold, a reset and a dead time
V_CM, V_REF = 288.0, 1300.0  # [mV] where a file does not say it

# key of the file: (field, unit, lowest, highest, whole number)
_ELECTRONICS = {
    "discrimination_threshold": ("threshold", "e", 1.0, 1e9, False),
    "larpix_gain": ("gain", "mV/e", 1e-9, 1.0, False),
    "v_cm": ("v_cm", "mV", 0.0, 1e5, False),
    "v_ref": ("v_ref", "mV", 0.0, 1e5, False),
    "v_pedestal": ("v_pedestal", "mV", 0.0, 1e5, False),
    "adc_counts": ("adc_counts", "", 2, 65536, True),
    "adc_hold_delay": ("hold_ticks", "", 0, MOST_TICKS, True),
    "clock_cycle": ("tick", "us", 1e-3, 10.0, False),
    "reset_noise_charge": ("reset_noise", "e", 0.0, 1e9, False),
    "uncorrelated_noise_charge": ("uncorrelated_noise", "e", 0.0, 1e9, False),
    "discriminator_noise": ("discriminator_noise", "e", 0.0, 1e9, False),
    "buffer_risetime": ("buffer_risetime", "us", 0.0, 100.0, False),
    "adc_busy_delay": ("adc_busy_delay", "", 0, MOST_TICKS, True),
    "reset_cycles": ("reset_cycles", "", 0, MOST_TICKS, True),
    "periodic_reset_cycles": ("periodic_reset_cycles", "", -1, 10**9, True),
    "adc_scale_factor": ("adc_scale_factor", "", 1, 256, True),
    "response_sampling": ("response_sampling", "us", 1e-4, 10.0, False),
}
_FIELD_KEYS = ("e_field", "eField")  # now, and in the older generation
_GEOMETRY_KEYS = ("drift_length", "tpc_offsets", "tpc_centers")
# What real files carry and the charge chain does not use: light, packets, windows, the table of a tabulated response.
_OTHER_KEYS = """
    clock_reset_period diff_n_sigmas enable_lut_smearing
    event_rate impulse_model impulse_tick_size light_det_noise_sample_spacing
    light_digit_sample_spacing light_gain light_nbit light_oscillation_period light_response_time light_simulated
    light_tick_size light_trig_mode light_trig_threshold light_trig_window light_window lut_vox_div
    max_light_truth_ids max_radius mc_truth_threshold module_to_io_groups module_to_tpcs n_op_channel
    non_beam_event_gap op_channel_efficiency op_channel_per_det pps_cycles reponse_bin_size
    response_bin_size rollover_cycles singlet_fraction sipm_response_model tau_s tau_t tile_map
    time_interval time_padding time_window tpc_to_op_channel use_pps_rollover vdrift_static
""".split()
# Of which chip the packets are, which the charge does not depend on: values of the file, in the order of VERSIONS.
_CHIP = {"larpix_version": (2, 3), "packet_type": (0, 1)}
_VERSIONS = (2, 3)
KNOWN_KEYS = frozenset(slots.PARAMETERS).union(_FIELD_KEYS, _GEOMETRY_KEYS, _ELECTRONICS, _CHIP, _OTHER_KEYS)


def read_detector(
    detector_yaml: str | os.PathLike,
    layout_yaml: str | os.PathLike | Sequence[str | os.PathLike],
    link_vdrift: bool,
) -> dict[str, Any]:
    """The fields of a `Detector`, as `Detector.load` documents them; raises as it does."""
    content = yamlfile.read_mapping(detector_yaml, KNOWN_KEYS)
    files = layout_files(layout_yaml)
    layouts = tuple(read_layout(file) for file in files) or BUILT_IN["module0"]().layouts
    placed = _place(detector_yaml, content, layouts, built_in=not files)
    n_modules = 1 + max(module for module, _, _ in placed)
    electronics = _electronics(detector_yaml, content, n_modules)
    drift_length = _drift_length(detector_yaml, content, layouts, built_in=not files)
    geometry = geometry_of(placed, drift_length)
    overlap = check_apart(detector_yaml, geometry)
    tile_map = _check_tile_map(detector_yaml, content.get("tile_map"), files, layouts) if files else None
    pitches = _check_pitches(detector_yaml, content.get("response_bin_size"), geometry, len(files))
    return {
        "name": os.path.splitext(os.path.basename(detector_yaml))[0],
        "parameters": _parameters(detector_yaml, content, n_modules, link_vdrift),
        **geometry,
        **electronics,
        "notes": tuple(note for note in (overlap, tile_map, pitches) if note is not None),
    }


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
            raise InputError(f"{path}: key 'tpc_offsets' is missing, a layout needs the position of each module")
        return place_modules(layouts, BUILT_IN["module0"]().offsets)
    key = "tpc_offsets" if "tpc_offsets" in content else "tpc_centers"
    rows = content[key]
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: {key}: found {short(rows)}, allowed is a list of offsets [x, y, z] [cm]")
    offsets = [yamlfile.vector(path, f"{key}[{i}]", row, 3, 1e5, "cm")[::-1] for i, row in enumerate(rows)]
    if key == "tpc_offsets":
        if len(layouts) not in (1, len(offsets)):
            raise InputError(
                f"{path}: tpc_offsets: found {len(offsets)} modules for {len(layouts)} layouts, "
                "allowed is one layout, or one a module"
            )
        return place_modules(layouts, offsets)
    anodes = [anode for layout in layouts for anode in layout.anodes]
    if len(offsets) != len(anodes):
        raise InputError(
            f"{path}: tpc_centers: found {len(offsets)} rows, allowed are {len(anodes)}, one an anode of the layout"
        )
    return [(anode.module, anode, offset) for anode, offset in zip(anodes, offsets, strict=True)]


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


def _check_tile_map(
    path: str | os.PathLike, known: Any, files: Sequence[str | os.PathLike], layouts: tuple[Layout, ...]
) -> str | None:
    """What is to be said of a `tile_map` that is of other anodes than those of a layout, which decides where tiles are.

    It has a row an anode of a module, of columns along the file's z of tiles along its y, both ascending. Raises
    InputError where it has the tiles of the layout elsewhere.
    """
    for file, layout in zip(files, layouts, strict=True):
        for module in sorted({anode.module for anode in layout.anodes}):
            tiles = [list(map(list, anode.tiles)) for anode in layout.anodes if anode.module == module]
            if known is None or known == tiles:
                continue
            given = [known, tiles]
            if _shape(known) != _shape(tiles):
                sizes = " and ".join(short(_shape(rows)) for rows in given)
                return f"{path}: tile_map: is not that of {file}, which decides: numbers of tiles {sizes}"
            a = next(a for a, rows in enumerate(tiles) if known[a] != rows)
            own, its = (short(rows[a]) for rows in given)
            raise InputError(f"{path}: tile_map: found {own} for anode {a}, {file} has {its}: allowed is the same")
    return None


def _shape(tile_map: Any) -> Any:
    """The same with the number of tiles for each column."""
    if not isinstance(tile_map, list):
        return None
    return len(tile_map) if not any(isinstance(row, list) for row in tile_map) else [_shape(row) for row in tile_map]


def _check_pitches(path: str | os.PathLike, bins: Any, geometry: dict[str, np.ndarray], n_files: int) -> str | None:
    """What is to be said where one layout is given for modules whose `response_bin_size` tells of several pitches.

    Raises InputError where there is a layout a module, and the pitches are not those of its bins.
    """
    modules = np.unique(geometry["module"])
    if not isinstance(bins, list) or len(bins) != len(modules) or len(modules) == 1:
        return None
    sizes = np.array([yamlfile.number(path, "response_bin_size", size, 1e-4, 10.0, "cm") for size in bins])
    pitch = np.array([geometry["pitch"][geometry["module"] == module][0] for module in modules])
    per_pitch = pitch / sizes
    if np.ptp(per_pitch) <= 0.01 * per_pitch.max():
        return None
    others = np.abs(per_pitch - np.median(per_pitch)) > 0.005 * per_pitch.max()
    module = int(np.flatnonzero(others)[0])
    found = f"response_bin_size: found {sizes[module]:g} cm for module {module}"
    if n_files > 1:
        raise InputError(
            f"{path}: {found}, whose layout has a pitch of {pitch[module]:g} cm: layouts in another order?"
        )
    return f"{path}: {found}, of another pitch than the others; the one layout is taken for all, with {pitch[0]:g} cm"


def _electronics(path: str | os.PathLike, content: dict[str, Any], n_modules: int) -> dict[str, float | int]:
    values: dict[str, float | int] = {}
    for key, (field, unit, low, high, whole) in _ELECTRONICS.items():
        if key not in content:
            continue
        value = _common_value(path, key, content[key], n_modules)
        if whole:
            values[field] = yamlfile.integer(path, key, value, int(low), int(high))
        else:
            values[field] = yamlfile.number(path, key, value, low, high, unit)
    packet_version = _packet_version(path, content)
    if packet_version is not None:
        values["packet_version"] = packet_version
    values["periodic_reset_cycles"] = max(values.get("periodic_reset_cycles", 0), 0)  # larnd-sim has -1 for none
    if "hold_ticks" in values:
        values["hold_ticks"] += HOLD_OFFSET
    v_cm, v_ref = values.get("v_cm", V_CM), values.get("v_ref", V_REF)
    if v_ref <= v_cm:
        raise InputError(f"{path}: v_ref: found {v_ref:g}, allowed is a voltage above v_cm = {v_cm:g} [mV]")
    return values


def _packet_version(path: str | os.PathLike, content: dict[str, Any]) -> int | None:
    """The version of packets, None where the file says none. InputError: no such value, keys that contradict."""
    found = {}
    for key, allowed in _CHIP.items():
        if key not in content:
            continue
        value = content[key]
        if isinstance(value, bool) or value not in allowed:
            raise InputError(f"{path}: {key}: found {short(value)}, allowed is {allowed[0]} or {allowed[1]}")
        found[key] = _VERSIONS[allowed.index(value)]
    if len(set(found.values())) > 1:
        version = found["larpix_version"]
        own = _CHIP["packet_type"][_VERSIONS.index(version)]
        raise InputError(
            f"{path}: packet_type: found {content['packet_type']}, allowed is {own}, that of larpix_version {version}"
        )
    return next(iter(found.values()), None)


def _common_value(path: str | os.PathLike, key: str, value: Any, n_modules: int) -> Any:
    """`value`, or the one value of a list with one element or with one element a module, all equal; else InputError."""
    if not isinstance(value, list):
        return value
    if len(value) not in (1, n_modules):
        allowed = "one value" if n_modules == 1 else f"one value, or {n_modules}, one a module"
        raise InputError(f"{path}: {key}: found a list of {len(value)} values, allowed is {allowed}")
    if any(element != value[0] for element in value):
        raise InputError(
            f"{path}: {key}: found {short(value)}; allowed is one value, modules may differ in field and lifetime only"
        )
    return value[0]


def _parameters(path: str | os.PathLike, content: dict[str, Any], n_modules: int, link_vdrift: bool) -> Parameters:
    if all(key in content for key in _FIELD_KEYS):
        raise InputError(f"{path}: found both {' and '.join(_FIELD_KEYS)}, allowed is one of them")
    values: dict[str, float] = {}
    modules: dict[str, float] = {}
    for key in (*slots.PARAMETERS, "e_field"):
        if key not in content:
            continue
        name, value = "eField" if key == "e_field" else key, content[key]
        if name in SINGLE and isinstance(value, list) and len(value) == n_modules and value != value[:1] * n_modules:
            own = [check_parameter(name, v, f"{path}: {key}[{m}]") for m, v in enumerate(value)]
            modules |= {f"{name}.{m}": v for m, v in enumerate(own)}
            value = sum(own) / n_modules
        value = _common_value(path, key, value, n_modules)
        values[name] = check_parameter(name, value, f"{path}: {key}")
    if link_vdrift:
        values.pop("vdrift", None)
    return Parameters(**values, modules=modules)
