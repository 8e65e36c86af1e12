"""What a file holds: its kind and generation, tables, ranges, and whether its deposits are where a detector is."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import h5py
import numpy as np

from lartpc.data.segments import Segments
from lartpc.data.selection import lengths
from lartpc.detector.detector import Detector
from lartpc.detector.wires import WireDetector
from lartpc.files import hdf5
from lartpc.formats.eventfile import EventFile
from lartpc.formats.frames import frames_in

AXES = ("x", "y", "z")  # as files have them: x is the drift
MM = 10.0
FITS = 0.5  # share of deposits in TPCs from which a file is taken to be of the detector
LITTLE, MUCH = 0.2, 100.0  # mean dE/dx [MeV/cm] below and above which the unit of energy is doubted


class Deposits(NamedTuple):
    """All energy deposits of a file; positions in its own frame [cm]."""

    segments: int
    events: int
    low: np.ndarray  # (3,) of their ends
    high: np.ndarray  # (3,)
    times: tuple[float, float]  # first and last [us]
    energy: float  # [MeV]
    length: float  # [cm]
    inside: float  # share of the segments that have their middle in a TPC
    repeated: int  # segment ids that another segment of the same event has


def contents(path: str | os.PathLike, detector: Detector | WireDetector | None) -> dict[str, Any]:
    """Kind, tables with their rows, and of energy deposits generation, ranges and how they fit `detector`, for JSON.

    Where no detector is known, nothing is told of that.

    Raises InputError: no HDF5 file, one that is damaged.
    """
    with hdf5.open_hdf5(path) as file:
        tables = {name: rows_of(file[name]) for name in sorted(file)}
        kind = kind_of(file)
        fields = next((hdf5.fields_of(file[name].dtype) for name in ("segments", "tracks") if is_table(file, name)), ())
    told: dict[str, Any] = {"path": os.fspath(path), "kind": kind, "tables": tables}
    if not fields:
        return told
    found = deposits_of(EventFile(path), detector)
    return (
        told
        | {
            "generation": generation_of(fields),
            "events": found.events,
            "segments": found.segments,
            "range": {axis: [float(found.low[k]), float(found.high[k])] for k, axis in enumerate(AXES)}
            | {"t0": found.times},
            "energy": found.energy,
            "length": found.length,
        }
        | ({} if detector is None else fit_of(found, detector))
    )


def fit_of(found: Deposits, detector: Detector | WireDetector) -> dict[str, Any]:
    """How deposits fit a detector."""
    return {"detector": detector.name, "inside": found.inside, "hints": hints(found, detector)}


def is_table(file: h5py.File, name: str) -> bool:
    """Whether a file has a table of that name."""
    return name in file and isinstance(file[name], h5py.Dataset) and file[name].dtype.names is not None


def rows_of(item: Any) -> int | None:
    """Rows of a dataset, None of a group."""
    return int(item.shape[0]) if isinstance(item, h5py.Dataset) and item.shape else None


def kind_of(file: h5py.File) -> str:
    """What a file is, by its tables."""
    kinds = {"packets": "LArPix packets", "hits_tracks": "reconstructed tracks", "hits": "hits"}
    kinds |= {"waveforms": "waveforms of wires"}
    for name, kind in kinds.items():
        if name in file:
            return kind
    if frames_in(file):
        return "frames of wires"
    return "energy deposits" if "segments" in file or "tracks" in file else "unknown"


def generation_of(fields: tuple[str, ...]) -> str:
    """The generation of a table of energy deposits, by its columns."""
    if "eventID" in fields:
        return "old" if "t0" in fields or "t0_start" in fields else "oldest"
    return "present" if "file_vertex_id" in fields else "beam" if "vertex_id" in fields else "other"


def deposits_of(file: EventFile, detector: Detector | WireDetector | None) -> Deposits:
    """Of all events of `file`, some at a time; none is inside where no detector is known."""
    none = Deposits(0, 0, np.full(3, np.inf), np.full(3, -np.inf), (np.inf, -np.inf), 0.0, 0.0, 0.0, 0)
    total, inside = none, 0
    for part in file:
        ends = ends_of(part)
        inside += 0 if detector is None else int(in_tpcs(ends.mean(axis=0), detector).sum())
        total = Deposits(
            total.segments + len(part),
            total.events + len(part.events),
            np.minimum(total.low, ends.min(axis=(0, 2))),
            np.maximum(total.high, ends.max(axis=(0, 2))),
            (min(total.times[0], float(part.t0.min())), max(total.times[1], float(part.t0.max()))),
            total.energy + float(part.dE.sum(dtype=np.float64)),
            total.length + float(lengths(part).sum(dtype=np.float64)),
            0.0,
            total.repeated + part.repeated,
        )
    return total._replace(inside=inside / max(total.segments, 1))


def ends_of(segments: Segments) -> np.ndarray:
    """Starts and ends in the file's frame (2, 3, n)."""
    s = segments
    return np.array([[s.z_start, s.y_start, s.x_start], [s.z_end, s.y_end, s.x_end]], dtype=np.float64)


def in_tpcs(place: np.ndarray, detector: Detector | WireDetector) -> np.ndarray:
    """Whether points (3, n) of the file's frame are in a TPC (n,)."""
    found = np.zeros(place.shape[1], dtype=bool)
    for low, high in zip(*boxes(detector), strict=True):
        found |= np.all((place >= low[:, None]) & (place <= high[:, None]), axis=0)
    return found


def boxes(detector: Detector | WireDetector) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corners of the TPCs in the file's frame, (n_tpcs, 3) each."""
    d = detector
    z_lo, z_hi = np.minimum(d.z_anode, d.z_cathode), np.maximum(d.z_anode, d.z_cathode)
    return np.stack((z_lo, d.y_lo, d.x_lo), axis=1), np.stack((z_hi, d.y_hi, d.x_hi), axis=1)


def hints(found: Deposits, detector: Detector | WireDetector) -> list[str]:
    """What may be wrong with deposits of which most are outside the TPCs, or which have odd energies or ids."""
    if not found.segments:
        return []
    told = []
    lower, upper = boxes(detector)
    low, high = lower.min(axis=0), upper.max(axis=0)
    if found.inside < FITS:
        told.append(
            f"{found.inside:.0%} of the deposits are in TPCs of {detector.name}: they extend over "
            f"{box(found.low, found.high)}, the TPCs over {box(low, high)}{reason(found, low, high)}"
        )
    if found.length > 0.0 and not LITTLE <= found.energy / found.length <= MUCH:
        told.append(f"{found.energy / found.length:.3g} MeV/cm on average: is the unit of dE MeV?")
    if found.repeated:
        told.append(f"{found.repeated} segment ids are twice in their event: were files joined with the same ids?")
    return told


def box(low: np.ndarray, high: np.ndarray) -> str:
    """Corners in words."""
    return ", ".join(f"{axis} {a:.4g} to {b:.4g}" for axis, a, b in zip(AXES, low, high, strict=True)) + " cm"


def reason(found: Deposits, low: np.ndarray, high: np.ndarray) -> str:
    """The change of unit or of axes with which deposits would be within `low` to `high`, as a question."""
    size, room = found.high - found.low, high - low

    def fits(a: np.ndarray, b: np.ndarray) -> bool:
        return bool(np.all(np.maximum(a, low) < np.minimum(b, high)) and np.all(b - a <= 1.5 * room))

    if fits(found.low / MM, found.high / MM) and np.any(size > 1.5 * room):
        return "; are they in mm?"
    if fits(found.low[::-1], found.high[::-1]):
        return "; are x and z exchanged?"
    return "; is it another frame?" if np.all(size <= 1.5 * room) else ""
