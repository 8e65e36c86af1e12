"""The HDF5 file of reconstructed tracks, or blobs: energy deposits as edep-sim's, a table, and the hits of each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np

from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.edepsim import file_table, read_segments
from lartpc.formats.hitfile import HitWriter, attrs_of, order_of, write_attrs, write_unread

UNKNOWNS = 8  # of a track that its covariance is of
BLOBS = np.dtype(
    [("event_id", "i8"), ("blob_id", "i8"), ("converged", "?"), ("good", "?")]
    + [(name, "i4") for name in ("pixels", "hits", "voxels")]
    + [(name + of, "f8") for name in ("charge", "energy", "x", "y", "z") for of in ("", "_error")]
    + [("mean_square", "f8")]
)
VOXELS = np.dtype([("dE_error", "f8"), ("hit", "?")])
_POINTS = ("end", "start")
_NUMBERS = ("length", "t0", "residual_range", "energy")


class Tracks(NamedTuple):
    """Reconstructed tracks of a file, n of them."""

    segments: Segments  # of all tracks, from start to end; `traj_id` is the track's row
    table: np.ndarray  # (n,) as `track_dtype` has it
    of_hits: np.ndarray  # (n_hits,) the row of each hit's track, -1 where it is of none
    fit: Mapping[str, Any]  # at which parameters, and with what else, they were fitted


class Blobs(NamedTuple):
    """Reconstructed blobs of a file, n of them, of m voxels."""

    segments: Segments  # of all voxels; `traj_id` is the blob's row
    table: np.ndarray  # (n,) as `BLOBS` has it
    of_hits: np.ndarray  # (n_hits,) the row of each hit's blob, -1 where it is of none
    dE_error: np.ndarray  # (m,) [MeV]
    hit: np.ndarray  # (m,) whether the voxel has a hit
    fit: Mapping[str, Any]  # at which parameters, and with what else, they were fitted


def track_dtype(hypotheses: Sequence[str]) -> np.dtype:
    """Of the table of tracks on which these hypotheses were tried; points and directions in the file's frame."""
    fields: list[tuple[Any, ...]] = [("event_id", "i8"), ("traj_id", "i8"), ("pdg_id", "i4")]
    fields += [("hypothesis", "S32"), ("kind", "S32"), ("converged", "?"), ("good", "?")]
    for end in _POINTS:
        fields += [(f"{axis}_{end}{of}", "f8") for of in ("", "_error", "_direction") for axis in "xyz"]
        fields += [(f"{end}_direction_error", "f8")]
    fields += [(name + of, "f8") for name in _NUMBERS for of in ("", "_error")]
    fields += [("F", "f8"), ("mean_square", "f8"), ("hits", "i4"), ("missed", "i4")]
    fields += [(f"dF_{name.replace(' ', '_')}", "f8") for name in hypotheses]
    fields += [("frame", "f8", (3, 3)), ("covariance", "f8", (UNKNOWNS, UNKNOWNS))]
    return np.dtype(fields)


def write_tracks(
    path: str | os.PathLike,
    tracks: Tracks,
    hits: Hits,
    attrs: Mapping[str, Any],
    unread: np.ndarray | Sequence[int] = (),
    overwrite: bool = False,
) -> None:
    """Write `/segments`, `/tracks` with what they were fitted with as its attributes, `/hits_tracks`, and the `/hits`.

    `attrs` say of the hits what the file that these are of does; `unread`: the pixels that no channel reads. Nothing
    depends on time or place. Raises InputError where the file exists (without `overwrite`) or cannot be written.
    """
    with hdf5.new_hdf5(path, overwrite) as file:
        write_table(file, "tracks", tracks, hits, attrs, unread)


def write_blobs(
    path: str | os.PathLike,
    blobs: Blobs,
    hits: Hits,
    attrs: Mapping[str, Any],
    unread: np.ndarray | Sequence[int] = (),
    overwrite: bool = False,
) -> None:
    """Write `/segments`, `/voxels` (a row each), `/blobs`, `/hits_blobs` and the `/hits`, as `write_tracks`."""
    with hdf5.new_hdf5(path, overwrite) as file:
        write_table(file, "blobs", blobs, hits, attrs, unread)
        voxels = np.zeros(len(blobs.hit), dtype=VOXELS)
        voxels["dE_error"], voxels["hit"] = blobs.dE_error, blobs.hit
        file.create_dataset("voxels", data=voxels, track_times=False)


def write_table(
    file: h5py.File,
    name: str,
    made: Tracks | Blobs,
    hits: Hits,
    attrs: Mapping[str, Any],
    unread: np.ndarray | Sequence[int],
) -> None:
    """The datasets that tracks and blobs share, of which the table is called `name`."""
    file.create_dataset("segments", data=file_table(made.segments), track_times=False).attrs["zbeam"] = True
    write_attrs(file.create_dataset(name, data=made.table, track_times=False), made.fit)
    HitWriter(file, False).append(hits, None)
    file.create_dataset(f"hits_{name}", data=made.of_hits[order_of(hits)], track_times=False)
    write_unread(file, np.asarray(unread, dtype=np.int64))
    write_attrs(file, attrs)


def has_tracks(path: str | os.PathLike) -> bool:
    """Whether a file is one of reconstructed tracks. Raises InputError: no HDF5 file."""
    with hdf5.open_hdf5(path) as file:
        return "hits_tracks" in file and "tracks" in file


def read_tracks(path: str | os.PathLike) -> Tracks:
    """What `write_tracks` wrote. Raises InputError: no HDF5 file, no tracks of lartpc in it."""
    with hdf5.open_hdf5(path) as file:
        table, of_hits = hdf5.read_table(file, "tracks"), hdf5.read_column(file, "hits_tracks")
        fit = attrs_of(path, file["tracks"])
    missing = [name for name in hdf5.fields_of(track_dtype(())) if name not in hdf5.fields_of(table.dtype)]
    if missing or of_hits.dtype.kind != "i" or not ((of_hits >= -1) & (of_hits < len(table))).all():
        told = f"have no field {missing[0]!r}" if missing else "and hits_tracks do not belong together"
        raise InputError(f"{path}: tracks {told}, allowed is what lartpc reconstruct writes")
    return Tracks(read_segments(path), table, of_hits, fit)
