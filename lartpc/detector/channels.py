"""Which channel of which chip reads a pixel, and back: by larnd-sim's pixel layout, or of a built-in detector."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.checks import short
from lartpc.detector.channelmaps import WIRING
from lartpc.detector.detector import Detector
from lartpc.detector.larndsim_yaml import KNOWN_KEYS, layout_files
from lartpc.detector.layout import KNOWN_KEYS as LAYOUT_KEYS
from lartpc.detector.layout import layout_of
from lartpc.exceptions import InputError
from lartpc.files import yamlfile

NAMES = ("io_group", "io_channel", "chip_id", "channel_id")
_HIGHEST = (255, 255, 255, 63)  # what a LArPix packet has bits for


class Channels(NamedTuple):
    """The channels of a detector's pixels.

    `of_anode` (anodes, n_x, n_y, 4) int64: io_group, io_channel, chip_id, channel_id of a layout's pixels, -1 where no
    channel reads one. `anode` (n_tpcs,) is that of each TPC, `io_groups[v]` maps the io_groups to those of TPC v.
    """

    of_anode: np.ndarray
    anode: np.ndarray
    io_groups: tuple[dict[int, int], ...]

    @staticmethod
    def load(
        detector: Detector,
        detector_yaml: str | os.PathLike = "",
        layout_yaml: str | os.PathLike | Sequence[str | os.PathLike] = (),
    ) -> Channels:
        """The channels of a detector that was loaded with these files, or of a built-in one.

        Those of the layouts' `chip_channel_to_position` and `tile_chip_to_io`. A tile's pixel (i, j) counts from its
        low x and y, or where its orientation is -1, from the high end. An io_group of the layout counts the groups of
        one module, for which `module_to_io_groups` of the detector file names those of all. Without a layout they are
        those of `channelmaps`; `detector_yaml` may be the name of a built-in detector. InputError, one line: a key
        missing or of the wrong kind, channels twice, no files of a detector that is not built in.
        """
        files = layout_files(layout_yaml)
        if not files:
            return _built_in(detector, detector_yaml)
        found = [_read_anodes(path) for path in files]
        widest = np.max([own.shape for own in found], axis=0)[1:3]
        of_anode = np.full((sum(map(len, found)), *widest, len(NAMES)), -1, dtype=np.int64)
        for a, own in enumerate(own for layout in found for own in layout):
            of_anode[a, : own.shape[0], : own.shape[1]] = own
        anode = np.arange(len(detector.z_anode)) % len(of_anode)
        return Channels(of_anode, anode, _groups_of(detector_yaml, of_anode, detector))

    def of_pixels(self, detector: Detector, pixel: np.ndarray) -> np.ndarray:
        """io_group, io_channel, chip_id, channel_id of pixels by their ids, (n, 4) int64; -1 where there is none."""
        tpc, ix, iy, _, _ = detector.locate(pixel)
        found = self.of_anode[self.anode[tpc], ix, iy].copy()
        for v in np.unique(tpc):
            rows = np.flatnonzero((tpc == v) & (found[:, 0] >= 0))
            found[rows, 0] = _translate(found[rows, 0], self.io_groups[v])
        return found

    def pixels_of(self, detector: Detector, channel: np.ndarray) -> np.ndarray:
        """Ids (n,) of the pixels that channels (n, 4), given as `of_pixels` gives them, read; -1 where none."""
        pixel = np.full(len(channel), -1, dtype=np.int64)
        for v, groups in enumerate(self.io_groups):
            back = {group: of_layout for of_layout, group in groups.items()}
            sane = (channel <= _HIGHEST).all(axis=1)  # codes of others would be those of other channels
            rows = np.flatnonzero(np.isin(channel[:, 0], list(back)) & sane & (pixel < 0))
            if not len(rows):
                continue
            own = self.of_anode[self.anode[v]]
            ix, iy = np.nonzero(own[..., 0] >= 0)
            codes = _code(own[ix, iy])
            order = np.argsort(codes)
            wanted = _code(np.column_stack((_translate(channel[rows, 0], back), channel[rows, 1:])))
            at = order[np.minimum(np.searchsorted(codes, wanted, sorter=order), len(order) - 1)]
            ids = detector.first_pixel[v] + ix[at] + detector.n_x[v] * iy[at]
            pixel[rows] = np.where(codes[at] == wanted, ids, -1)
        return pixel

    def unread(self, detector: Detector) -> np.ndarray:
        """Ids of the pixels that no channel reads, ascending."""
        pixels = []
        for v, anode in enumerate(self.anode):
            ix, iy = np.nonzero(self.of_anode[anode, : detector.n_x[v], : detector.n_y[v], 0] < 0)
            pixels.append(np.sort(detector.first_pixel[v] + ix + detector.n_x[v] * iy))
        return np.concatenate(pixels)

    def groups(self) -> np.ndarray:
        """All io_groups, ascending."""
        found = []
        for anode, names in zip(self.anode, self.io_groups, strict=True):
            own = np.unique(self.of_anode[anode, ..., 0])
            found.append(_translate(own[own >= 0], names))
        return np.unique(np.concatenate(found))


def check_layout(layout_yaml: str | os.PathLike | Sequence[str | os.PathLike], purpose: str) -> None:
    """Raise InputError, beginning with `purpose`, where there is no layout: channels of a real detector are its own."""
    if not layout_yaml:
        raise InputError(
            f"{purpose}: needs --detector FILE and --layout FILE, whose chip_channel_to_position and tile_chip_to_io "
            "say which channel reads a pixel"
        )


def _built_in(detector: Detector, detector_yaml: str | os.PathLike) -> Channels:
    """Those of a built-in detector, by its name or geometry, or of the tiles of module0, which YAML has by default."""
    name = os.fspath(detector_yaml) or _same_as_built_in(detector)
    if name is None:
        raise InputError(
            f"detector {detector.name}: found no file of it and its layout, whose chip_channel_to_position and "
            "tile_chip_to_io say which channel reads a pixel; allowed is none with built-in detectors only"
        )
    wiring = WIRING[name if name in WIRING else "module0"]()
    widest = np.max([own.shape for own in wiring.anodes], axis=0)
    of_anode = np.full((2 * len(wiring.anodes), *widest[1:]), -1, dtype=np.int64)
    for k, own in enumerate(wiring.anodes):
        of_anode[2 * k : 2 * k + 2, : own.shape[1], : own.shape[2]] = own
    if name not in WIRING:
        return Channels(of_anode, np.arange(len(detector.z_anode)) % 2, _groups_of(name, of_anode, detector))
    module = detector.module
    anode = 2 * np.array(wiring.layout)[module] + np.arange(len(module)) % 2
    groups = {m: {g: wiring.groups * m + g for g in range(1, wiring.groups + 1)} for m in range(len(wiring.layout))}
    return Channels(of_anode, anode, tuple(groups[m] for m in module.tolist()))


def _same_as_built_in(detector: Detector) -> str | None:
    """The name of the built-in detector whose TPCs are the same."""
    if detector.name not in WIRING:
        return None
    built = Detector.built_in(detector.name)
    names = ("x_lo", "y_lo", "z_anode", "pitch", "n_x", "n_y")
    same = all(
        getattr(built, name).shape == getattr(detector, name).shape
        and np.allclose(getattr(built, name), getattr(detector, name), atol=1e-6)
        for name in names
    )
    return detector.name if same else None


def _groups_of(
    detector_yaml: str | os.PathLike, of_anode: np.ndarray, detector: Detector
) -> tuple[dict[int, int], ...]:
    """Of each TPC the map from the io_groups of a layout to its own, as the detector's file has it."""
    groups = np.unique(of_anode[..., 0][of_anode[..., 0] >= 0]).tolist()
    known = yamlfile.read_mapping(detector_yaml, KNOWN_KEYS).get("module_to_io_groups")
    per_module = _module_groups(detector_yaml, known, groups, detector.module)
    return tuple(per_module[module] for module in detector.module.tolist())


def _read_anodes(path: str | os.PathLike) -> np.ndarray:
    """`of_anode` of a layout's file."""
    content = yamlfile.read_mapping(path, LAYOUT_KEYS)
    if not isinstance(content.get("tile_chip_to_io"), dict):
        raise InputError(f"{path}: key 'tile_chip_to_io' is missing, packets need it")
    of_anode = _anodes(path, content)
    if not (of_anode >= 0).any():
        raise InputError(f"{path}: tile_chip_to_io: names no chip of any tile, packets need it")
    _check_unique(path, of_anode)
    return of_anode


def _check_unique(path: str | os.PathLike, of_anode: np.ndarray) -> None:
    """Raise InputError where one channel reads two pixels of a module."""
    own = of_anode.reshape(-1, len(NAMES))
    code, count = np.unique(_code(own[own[:, 0] >= 0]), return_counts=True)
    if (count > 1).any():
        group, channel, chip, number = _parts(int(code[np.argmax(count > 1)]))
        raise InputError(
            f"{path}: io_group {group}, io_channel {channel}, chip {chip}, channel {number} reads {count.max()} "
            "pixels, allowed is one"
        )


def _anodes(path: str | os.PathLike, content: dict[str, Any]) -> np.ndarray:
    """`of_anode` of a layout."""
    layout = layout_of(path, content)
    chips = _chip_channels(path, content["chip_channel_to_position"])
    n_x, n_y = np.array(list(chips.values())).max(axis=0) + 1
    widest = (max(anode.n_x for anode in layout.anodes), max(anode.n_y for anode in layout.anodes))
    of_anode = np.full((len(layout.anodes), *widest, 4), -1, dtype=np.int64)
    plane_of = {
        tile: tuple(yamlfile.integer(path, f"tile_indeces[{tile}]", i, 0, 100_000) for i in index[:-1])
        for tile, index in content["tile_indeces"].items()
    }
    planes = sorted(set(plane_of.values()))
    for tile, plane in plane_of.items():
        a = planes.index(plane)
        anode = layout.anodes[a]
        position = yamlfile.vector(path, f"tile_positions[{tile}]", content["tile_positions"][tile], 3, 1e5, "mm")
        _, y, x = (0.1 * value for value in position)  # [cm]
        low_x = round((x - anode.x_lo) / anode.pitch - 0.5 * n_x)
        low_y = round((y - anode.y_lo) / anode.pitch - 0.5 * n_y)
        key = f"tile_orientations[{tile}]"
        _, up_y, up_x = yamlfile.vector(path, key, content["tile_orientations"][tile], 3, 1.0, "+1 or -1")
        io = content["tile_chip_to_io"].get(tile, {})
        if not isinstance(io, dict):
            raise InputError(f"{path}: tile_chip_to_io[{tile}]: found {short(io)}, allowed is a mapping of chips")
        for (chip, channel), (i, j) in chips.items():
            if chip not in io:
                continue
            key = f"tile_chip_to_io[{tile}][{chip}]"
            group, io_channel = divmod(yamlfile.integer(path, key, io[chip], 1000, 255_255), 1000)
            values = (group, io_channel, chip, channel)
            if any(value > highest for value, highest in zip(values, _HIGHEST, strict=True)):
                raise InputError(f"{path}: {key}: found {io[chip]}, allowed are io_group and io_channel up to 255")
            of_anode[a, low_x + (i if up_x > 0 else n_x - 1 - i), low_y + (j if up_y > 0 else n_y - 1 - j)] = values
    return of_anode


def _chip_channels(path: str | os.PathLike, positions: dict[Any, Any]) -> dict[tuple[int, int], tuple[int, int]]:
    """(chip, channel) to (i, j) in the tile."""
    found = {}
    for key, position in positions.items():
        chip, channel = divmod(yamlfile.integer(path, "chip_channel_to_position", key, 0, 10**9), 1000)
        if chip > _HIGHEST[2] or channel > _HIGHEST[3]:
            raise InputError(
                f"{path}: chip_channel_to_position: found {key}, allowed are chips up to {_HIGHEST[2]} "
                f"and channels up to {_HIGHEST[3]}"
            )
        found[chip, channel] = (position[0], position[1])
    first: dict[tuple[int, int], int] = {}
    for (chip, channel), (i, j) in found.items():
        other = first.setdefault((i, j), 1000 * chip + channel)
        if other != 1000 * chip + channel:
            raise InputError(
                f"{path}: chip_channel_to_position: {other} and {1000 * chip + channel} are both at [{i}, {j}], "
                "allowed is one channel a pixel"
            )
    return found


def _module_groups(
    path: str | os.PathLike, known: Any, groups: list[int], module: np.ndarray
) -> dict[int, dict[int, int]]:
    """For each module the map from the layout's io_groups to its own."""
    modules = np.unique(module).tolist()
    if known is None:
        if len(modules) > 1:
            raise InputError(f"{path}: key 'module_to_io_groups' is missing, packets of {len(modules)} modules need it")
        return {modules[0]: {group: group for group in groups}}
    found = {}
    for m in modules:
        own = known.get(m + 1) if isinstance(known, dict) else None
        if not isinstance(own, list) or len(own) < max(groups):
            raise InputError(
                f"{path}: module_to_io_groups: found {short(own)} for module {m + 1}, allowed is a list of the "
                f"io_groups of its {max(groups)} anodes"
            )
        key = f"module_to_io_groups[{m + 1}]"
        found[m] = {group: yamlfile.integer(path, key, own[group - 1], 1, _HIGHEST[0]) for group in groups}
    named = [group for own in found.values() for group in own.values()]
    if len(set(named)) < len(named):
        raise InputError(f"{path}: module_to_io_groups: found an io_group twice, allowed is one place for each")
    return found


def _translate(group: np.ndarray, names: dict[int, int]) -> np.ndarray:
    table = np.full(_HIGHEST[0] + 1, -1, dtype=np.int64)
    table[list(names)] = list(names.values())
    return table[group]


def _code(channel: np.ndarray) -> np.ndarray:
    """One number (n,) for each channel (n, 4)."""
    return ((channel[:, 0] * 256 + channel[:, 1]) * 256 + channel[:, 2]) * 64 + channel[:, 3]


def _parts(code: int) -> tuple[int, int, int, int]:
    code, channel = divmod(code, 64)
    code, chip = divmod(code, 256)
    return *divmod(code, 256), chip, channel
