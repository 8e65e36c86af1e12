"""Channels that are switched off, as files list them: larnd-sim's JSON of chips, ids of pixels, channels of wires."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.checks import as_number, short
from lartpc.detector.channels import Channels, check_layout
from lartpc.detector.detector import Detector
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.files.regular import read_text

_CHIP = re.compile(r"(\d+)-(\d+)-(\d+)")
ALL = "All"  # the key of channels that are off on every chip


def read_bad_channels(
    path: str | os.PathLike,
    detector: Detector,
    detector_yaml: str | os.PathLike = "",
    layout_yaml: str | os.PathLike | Sequence[str | os.PathLike] = (),
) -> np.ndarray:
    """Ids (n,) of the pixels, ascending, whose channels a file lists as off.

    The file is larnd-sim's JSON {"io_group-io_channel-chip": [channels]}, where "All" stands for every chip, for which
    the `detector` has to have the files that it was loaded from; or pixel ids, as a JSON list or one a line. Channels
    that read no pixel of the layout are passed over. InputError, one line: no such file, none of these forms, a pixel
    that the detector does not have, no channel that the layout has.
    """
    content = _content(path, "a JSON of chips, or pixel ids")
    if isinstance(content, dict):
        check_layout(layout_yaml, f"{path}: a list of chips")
        return _pixels_of_chips(path, content, Channels.load(detector, detector_yaml, layout_yaml), detector)
    return _ids(path, "pixel", "a pixel id", content, detector.n_pixels, detector.name)


def read_bad_wires(path: str | os.PathLike, detector: WireDetector) -> np.ndarray:
    """Channels (n,) of a detector of wires, ascending, that a file lists as off: a JSON list, or one a line.

    InputError, one line: no such file, none of these forms, a channel that the detector does not have.
    """
    content = _content(path, "channels of wires")
    if isinstance(content, dict):
        raise InputError(
            f"{path}: found a JSON of chips, allowed with wires are channels, as a JSON list or one a line"
        )
    return _ids(path, "channel", "a channel", content, detector.n_channels, detector.name)


def _content(path: str | os.PathLike, allowed: str) -> Any:
    """What a file says: JSON, or else its words."""
    try:
        text = read_text(path).decode()
    except UnicodeDecodeError:
        raise InputError(f"{path}: found no text, allowed is {allowed}") from None
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{path}: found lists in lists too deep, allowed is {allowed}") from None
    except ValueError:
        return text.split()


def _ids(path: str | os.PathLike, kind: str, what: str, content: Any, n: int, detector: str) -> np.ndarray:
    """Ids below n (n_ids,), each once, ascending."""
    ids = [_whole(path, what, one) for one in (content if isinstance(content, list) else [content])]
    found = np.unique(np.array(ids, dtype=np.int64))
    if len(found) and found[-1] >= n:
        raise InputError(f"{path}: found {kind} {found[-1]}, allowed are 0 to {n - 1}, those of detector {detector}")
    return found


def _pixels_of_chips(
    path: str | os.PathLike, content: dict[str, Any], channels: Channels, detector: Detector
) -> np.ndarray:
    every = channels.of_pixels(detector, np.arange(detector.n_pixels))
    listed, off = [], np.zeros(len(every), dtype=bool)
    for key, numbers in content.items():
        chip = _CHIP.fullmatch(key)
        if not isinstance(numbers, list) or not (chip or key == ALL):
            allowed = f'"io_group-io_channel-chip" or "{ALL}" with a list of channels'
            raise InputError(f"{path}: {key}: found {short(numbers)}, allowed is {allowed}")
        own = [_whole(path, f"{key}: a channel", number) for number in numbers]
        if chip:
            listed += [(*map(int, chip.groups()), number) for number in own]
        else:
            off |= (every[:, 0] >= 0) & np.isin(every[:, 3], own)
    given = set(listed)
    off |= np.fromiter((channel in given for channel in map(tuple, every.tolist())), dtype=bool, count=len(every))
    if content and not off.any():
        raise InputError(f"{path}: found no channel that reads a pixel, allowed are those of the layout")
    return np.flatnonzero(off)


def _whole(path: str | os.PathLike, what: str, value: Any) -> int:
    number = None if isinstance(value, bool) else as_number(value)
    if number is None or not 0 <= number < 2**63 or number != int(number):
        found = value if isinstance(value, list | dict) else str(value)
        raise InputError(f"{path}: {what}: found {short(found)}, allowed is a whole number from 0")
    return int(number)
