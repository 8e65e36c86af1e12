"""Field responses: the current that a drifting electron induces on a wire and its neighbours, and its npz."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from lartpc.exceptions import InputError
from lartpc.files.atomic import new_file
from lartpc.files.npz import load_arrays, positive_number

EXACT = 1e-9  # by which an electron's charge on a wire may differ from 1 or 0
NUMBERS = ("sampling", "height", "vdrift", "bins")
MOST_SAMPLES = 20000
MOST_BINS = 1000
LARGEST = 1e6  # current [1/us]: an electron in a picosecond


@dataclasses.dataclass(frozen=True, eq=False)
class FieldResponse:
    """Currents that one electron induces on wires of each plane, as it comes from `height`.

    Row i of a plane is of an electron that begins (i + 1/2)/bins - reach - 1/2 pitches from the wire, with `reach`
    wires on each side: the middle of a bin, so that none is on the border between two wires. Sample k is the mean
    current from k to k + 1 samplings after the electron was at `height`. By Ramo's theorem the sum of a row over
    samples, times `sampling`, is the charge that the wire collects: 1 on the last plane where |offset| < 1/2, else 0.
    """

    current: tuple[np.ndarray, ...]  # of each plane ((2 reach + 1) bins, n_samples) [1/us], collection is positive
    pitch: tuple[float, ...]  # of each plane [cm]
    sampling: float  # [us]
    height: float  # above the collection wires where electrons begin [cm]
    vdrift: float  # far from the wires [cm/us]
    bins: int = 10  # a pitch

    @property
    def reach(self) -> int:
        """Wires on each side of the one under the electron."""
        return (len(self.current[-1]) // self.bins - 1) // 2

    @property
    def offsets(self) -> np.ndarray:
        """Places of electrons from the wire, one a row (n_rows,) [pitches]."""
        return (np.arange(len(self.current[-1])) + 0.5) / self.bins - self.reach - 0.5

    @property
    def charge(self) -> np.ndarray:
        """Charge that wires of each plane collect (n_planes, n_rows)."""
        return np.array([current.sum(axis=1) * self.sampling for current in self.current])

    def describe(self) -> dict[str, Any]:
        """What tells it from others, in plain numbers; of currents [1/us] least, most, and roots of sums of squares."""
        told = {name: float(getattr(self, name)) for name in NUMBERS}
        return told | {
            "pitch": list(self.pitch),
            "samples": self.current[0].shape[1],
            "most": [[float(current.min()), float(current.max())] for current in self.current],
            "root_square": [float(np.sqrt(np.sum(current**2))) for current in self.current],
        }

    def check(self, where: str | os.PathLike) -> None:
        """Raise InputError, beginning with `where`, unless shapes, numbers and charges are as the class says."""
        if not self.current or len(self.pitch) != len(self.current):
            raise InputError(
                f"{where}: pitch: found {len(self.pitch)} of {len(self.current)} planes, allowed is one a plane"
            )
        for k, current in enumerate(self.current):
            if current.ndim != 2 or current.dtype.kind not in "iuf":
                raise InputError(
                    f"{where}: current_{k}: found shape {current.shape} of type {current.dtype}, "
                    "allowed are two axes of numbers: offset, time"
                )
            wires, rest = divmod(len(current), self.bins)
            if rest or wires % 2 == 0 or len(current) != len(self.current[0]):
                raise InputError(
                    f"{where}: current_{k}: found {len(current)} offsets, allowed are {self.bins} for each of an odd "
                    "number of wires, the same on all planes"
                )
            if not 1 <= current.shape[1] <= MOST_SAMPLES or current.shape != self.current[0].shape:
                raise InputError(
                    f"{where}: current_{k}: found {current.shape[1]} samples, allowed are 1 to {MOST_SAMPLES}, the "
                    "same on all planes"
                )
            if not np.isfinite(current).all():
                i, sample = np.argwhere(~np.isfinite(current))[0].tolist()
                raise InputError(
                    f"{where}: current_{k}: found {current[i, sample]} at [{i}, {sample}], allowed are finite numbers"
                )
        with np.errstate(all="ignore"):  # of tables that are refused
            wrong = np.abs(self.charge - collected(len(self.current), self.offsets))
        if not wrong.max() <= EXACT:
            k, i = np.unravel_index(wrong.argmax(), wrong.shape)
            charge = self.current[k][i].sum(dtype=np.longdouble) * self.sampling
            raise InputError(
                f"{where}: current_{k}: found a charge of {charge:.6g} for an electron at {self.offsets[i]:g} "
                f"pitches, allowed is 1 on the last plane within half a pitch, else 0: the sum over samples of "
                "currents [1/us] times sampling"
            )
        for k, current in enumerate(self.current):
            if not 0.0 < np.abs(current).max() <= LARGEST:
                raise InputError(
                    f"{where}: current_{k}: found {np.abs(current).max():g} as the largest, allowed is one above 0, "
                    f"up to {LARGEST:g} [1/us]"
                )

    def write(self, path: str | os.PathLike, overwrite: bool = False) -> None:
        """Write an npz: current_0, current_1, ... of the planes in the order in which electrons pass them, pitch
        (n_planes,), sampling, height, vdrift, bins. Raises InputError where the file exists or cannot be written.
        """
        fields: dict[str, Any] = {f"current_{k}": current for k, current in enumerate(self.current)}
        fields |= {name: np.float64(getattr(self, name)) for name in NUMBERS}
        with new_file(path, overwrite) as temporary, open(temporary, "wb") as file:
            np.savez(file, pitch=np.array(self.pitch), **fields)

    @staticmethod
    def read(path: str | os.PathLike) -> FieldResponse:
        """Read what `write` wrote. Raises InputError, one line: no npz, a field missing or not as `check` has it."""
        content = load_arrays(path, "an npz file", "a field response of lartpc response")
        planes = [name for name in (f"current_{k}" for k in range(len(content))) if name in content]
        for name in ("current_0", "pitch"):
            if name not in content:
                raise InputError(f"{path}: field {name!r} is missing, found are {', '.join(content) or 'none'}")
        numbers = {name: positive_number(path, content, name) for name in NUMBERS}
        if numbers["bins"] != int(numbers["bins"]) or numbers["bins"] > MOST_BINS:
            raise InputError(f"{path}: bins: found {numbers['bins']:g}, allowed is a whole number up to {MOST_BINS}")
        pitch = content["pitch"]
        if pitch.ndim != 1 or pitch.dtype.kind not in "iuf" or not (np.isfinite(pitch) & (pitch > 0.0)).all():
            raise InputError(f"{path}: pitch: found {pitch.tolist()}, allowed are numbers above 0, one a plane [cm]")
        made = FieldResponse(
            tuple(content[name] for name in planes),
            tuple(pitch.tolist()),
            numbers["sampling"],
            numbers["height"],
            numbers["vdrift"],
            int(numbers["bins"]),
        )
        made.check(path)
        return made


def collected(planes: int, offsets: np.ndarray) -> np.ndarray:
    """The charge that wires of each plane collect of an electron at offsets (n,) [pitches]: (planes, n), 0 or 1."""
    own = np.abs(offsets) < 0.5
    return np.outer(np.arange(planes) == planes - 1, own).astype(np.float64)


def with_charge(current: np.ndarray, charge: np.ndarray, sampling: float) -> np.ndarray:
    """Currents (n, samples) [1/us] whose sums times `sampling` [us] are `charge` (n,) to rounding.

    The same is added to all samples, (charge - sum)/duration: what is missing was induced before the electron came to
    where the response begins, as it came from far away.
    """
    missing = charge - current.sum(axis=1) * sampling
    return current + (missing / (current.shape[1] * sampling))[:, None]
