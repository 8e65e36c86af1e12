"""Fitted tracks as tables: what `formats.tracks` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.formats.tracks import UNKNOWNS, Tracks, track_dtype
from lartpc.reconstruction.hypotheses import Found
from lartpc.reconstruction.reconstruct import Reconstruction, is_good
from lartpc.reconstruction.track import FIRST, LENGTH, RHO, SLOPES, TIME

FILE = [2, 1, 0]  # axes of a file, of those of the simulation: the drift is x in files, z here


def tracks_of(made: Reconstruction, particles: Sequence[str], hits: Hits, used: Hits, fit: Mapping[str, Any]) -> Tracks:
    """Tracks as they are written.

    particles: that were tried; hits: of the input, of which `used` are those that the reconstruction had; fit: what it
    was done with.
    """
    of_hits = same_hits(hits, used, made.of_hits(len(used)))
    return Tracks(segments_of(made.found), table_of(made.found, particles), of_hits, fit)


def segments_of(found: Sequence[Found]) -> Segments:
    """The deposits of tracks, each from its start to its end; `traj_id` is the track's number."""
    parts = [one.fitted.track.segments(one.fitted.eta) for one in found]
    n = [len(part.dE) for part in parts]
    start, end, dE, dEdx, t0 = (
        np.concatenate([column[::-1] for column in columns]) for columns in zip(*parts, strict=True)
    )
    axes = {
        f"{axis}_{what}": points[:, k]
        for what, points in (("start", start), ("end", end))
        for k, axis in enumerate("xyz")
    }
    columns: dict[str, Any] = {
        name: column.astype(np.float32) for name, column in {**axes, "dE": dE, "dEdx": dEdx}.items()
    }
    return Segments(
        event_id=np.repeat([one.candidate.event for one in found], n),
        segment_id=np.arange(sum(n)),
        traj_id=np.repeat(np.arange(len(found)), n),
        pdg_id=np.repeat([one.fitted.track.particle.pdg for one in found], n),
        t0=t0,
        **columns,
    )


def table_of(found: Sequence[Found], particles: Sequence[str]) -> np.ndarray:
    """A row a track, see `track_dtype`."""
    tried = [*particles, *sorted({name for one in found for name in (one.name, *one.others)} - {*particles})]
    table = np.zeros(len(found), dtype=track_dtype(tried))
    for k, one in enumerate(found):
        own = row_of(one)
        own |= {"traj_id": k, "good": is_good(one)}
        values = {one.name: 0.0, **one.others}
        own |= {f"dF_{name}": values.get(name, np.nan) for name in tried}
        for name, value in own.items():
            table[name][k] = value
    return table


def row_of(one: Found) -> dict[str, Any]:
    """The numbers of a track, errors from the covariance of all its unknowns, in the file's frame."""
    (track, eta, near), n = one.fitted, one.fitted.track.steps
    covariance = covariance_of(near.information)
    nodes, points = track.nodes(eta), track.nodes_jacobian(eta)
    directions, by_slopes = track.directions(eta)
    bends = np.zeros((2, 2, len(eta)))  # of the slopes of the first and the last step by the unknowns
    bends[:, :, SLOPES] = np.eye(2)
    bends[1, [0, 1], FIRST : FIRST + 2 * (n - 1)] = (track.kinks[:, None, None] * np.eye(2)).reshape(-1, 2).T
    of_energy = track.jacobian(eta)[:, 6].sum(axis=0)
    row = {
        "event_id": one.candidate.event,
        "pdg_id": track.particle.pdg,
        "hypothesis": one.name.encode(),
        "kind": one.candidate.kind.encode(),
        "converged": one.fitted.converged,
        "energy": track.segments(eta).dE.sum(),
        "energy_error": np.sqrt(of_energy @ covariance @ of_energy),
        "F": near.value,
        "mean_square": near.goodness,
        "hits": near.hits,
        "missed": near.missed,
        "frame": track.frame[:, FILE],
        "covariance": covariance[np.ix_(first_eight(), first_eight())],
    }
    for end, at, step in (("end", 0, 0), ("start", n, n - 1)):
        errors = np.sqrt(np.diag(points[at] @ covariance @ points[at].T))
        for axis, k in zip("xyz", FILE, strict=True):
            row |= {f"{axis}_{end}": nodes[at, k], f"{axis}_{end}_error": errors[k]}
            row |= {f"{axis}_{end}_direction": -directions[step, k]}
        turned = by_slopes[step] @ bends[min(at, 1)]
        row |= {f"{end}_direction_error": np.sqrt(np.trace(turned @ covariance @ turned.T))}
    for name, place in (("length", LENGTH), ("t0", TIME), ("residual_range", RHO)):
        row |= {name: eta[place], f"{name}_error": np.sqrt(covariance[place, place])}
    return row


def first_eight() -> list[int]:
    """Places of the unknowns that a file has the covariance of, in its order: the end's axes are the file's."""
    return [*FILE, *range(3, UNKNOWNS)]


def covariance_of(information: np.ndarray) -> np.ndarray:
    """Its inverse; NaN where it has none."""
    try:
        return np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return np.full(information.shape, np.nan)


def same_hits(hits: Hits, used: Hits, of_used: np.ndarray) -> np.ndarray:
    """For each of `hits` the value of the used one with its event, pixel, time and charge, -1 where there is none."""
    columns = ("event_id", "pixel_id", "t", "charge")
    keys = [np.stack([getattr(some, name) for name in columns], axis=1).astype(np.float64) for some in (used, hits)]
    _, key = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    values = np.full(len(hits) + len(used), -1, dtype=np.int64)
    values[key.ravel()[: len(used)]] = of_used
    return values[key.ravel()[len(used) :]]
