"""Fitted voxels as blobs: what lies together, with its charge and place and their errors, and as energy deposits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import block_diag, csc_array
from scipy.sparse.linalg import splu

from lartpc.blas import one_blas_thread
from lartpc.charge.recombination import RECOMBINATION
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.target import Target
from lartpc.formats.tracks import BLOBS, Blobs
from lartpc.reconstruction.table import same_hits
from lartpc.reconstruction.voxelfit import FittedBlock, VoxelLikelihood, blocks_of, fit_voxels
from lartpc.reconstruction.voxels import make_voxels
from lartpc.simulation.simulation import Simulation

DEDX = 2.1  # [MeV/cm] of recombination: of what ionises least
WORST = 4.0  # mean square of a blob's residuals over that expected
ARRIVAL = 0.03  # [cm] of a blob along the drift: charge arrives by up to 0.1 cm later from a pixel's corners
AT_ONCE = 64  # columns of an inverse


class VoxelReconstruction(NamedTuple):
    """Blocks of voxels where their fits ended, and the blob of each hit (n_hits,)."""

    blocks: tuple[FittedBlock, ...]
    of_hits: np.ndarray


@one_blas_thread
def reconstruct_voxels(
    simulation: Simulation,
    target: Target | Hits,
    *,
    dEdx: float = DEDX,
    progress: Callable[[Iterable], Iterable] = lambda steps: steps,
) -> VoxelReconstruction:
    """The charge of all hits on voxels, see `voxels`, at the simulation's parameters.

    dEdx: of all of it [MeV/cm], from which recombination follows; dE follows from the charge with that.

    Raises InputError: dEdx not above 0, a recombination that depends on the angle of a track.
    """
    check_voxels(simulation, dEdx)
    target, _ = Target.of(target).usable(simulation.detector)
    quiet = simulation.without_pixels(target.unread).without_noise()
    unread = np.asarray(target.unread, dtype=np.int64)
    parameters, hits = quiet.parameters, target.hits
    voxels = make_voxels(hits, quiet.detector, parameters, quiet.recombination, dEdx, unread)
    likelihood = VoxelLikelihood(quiet, parameters.vector(np.float64), blocks_of(voxels, hits), target.rounded)
    return VoxelReconstruction(tuple(fit_voxels(likelihood, progress)), voxels.blob[: len(hits)])


def check_voxels(simulation: Simulation, dEdx: float, told: tuple[str, str] = ("dEdx", "recombination")) -> None:
    """Raise InputError for a wrong choice of `reconstruct_voxels`; `told`: what the choices are called."""
    if not 0 < dEdx < np.inf:
        raise InputError(f"{told[0]}: found {dEdx:g} MeV/cm, allowed is above 0")
    if RECOMBINATION[simulation.recombination].by_angle:
        plain = " or ".join(row.name for row in RECOMBINATION.values() if not row.by_angle)
        found = f"found {simulation.recombination!r}, but voxels have no angle"
        raise InputError(f"{told[1]}: {found}; allowed is {plain}")


class Fitted(NamedTuple):
    """All voxels of some blocks (n,)."""

    event: np.ndarray
    blob: np.ndarray
    pixel: np.ndarray
    hit: np.ndarray  # whether a voxel is that of a hit
    log_dE: np.ndarray  # (n,) places among the unknowns, and those of the shifts, -1 without one
    shift: np.ndarray
    start: np.ndarray  # (n, 3) [cm]
    end: np.ndarray
    dE: np.ndarray  # [MeV]
    dEdx: np.ndarray
    per_MeV: np.ndarray  # electrons freed [1/MeV]
    across: np.ndarray  # (n,) pitch [cm]


class Covariance(NamedTuple):
    """That of unknowns, as the factors of its inverse."""

    solve: Callable[[np.ndarray], np.ndarray]
    unknowns: int


def joined(blocks: tuple[FittedBlock, ...], pitch: Callable[[np.ndarray], np.ndarray]) -> tuple[Fitted, Covariance]:
    """The voxels of all blocks, and the covariance of their unknowns. `pitch` of pixels by their ids [cm]."""
    parts: list[list[Any]] = []
    first = 0
    for voxels, eta, _ in blocks:
        n, h = len(voxels.pixel), voxels.n_hits
        start, end, dE, dEdx, _ = voxels.segments(eta)
        hit = np.arange(n) < h
        shift = np.where(hit, first + n + np.arange(n), -1)
        of_voxels = [voxels.event, voxels.blob, voxels.pixel, hit, first + np.arange(n), shift]
        parts.append([*of_voxels, start, end, dE, dEdx, voxels.per_MeV, pitch(voxels.pixel)])
        first += len(eta)
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    factors = splu(csc_array(block_diag([one.near.information for one in blocks])))
    return Fitted(*columns), Covariance(factors.solve, first)


def errors(covariance: Covariance, weights: Callable[[int], tuple[np.ndarray, np.ndarray]], n: int) -> np.ndarray:
    """Errors of n sums; `weights` of the k-th: places among the unknowns, and derivatives by these."""
    found = np.zeros(n)
    for begin in range(0, n, AT_ONCE):
        own = range(begin, min(begin + AT_ONCE, n))
        columns = np.zeros((covariance.unknowns, len(own)))
        for c, k in enumerate(own):
            place, slope = weights(k)
            np.add.at(columns[:, c], place, slope)
        found[own.start : own.stop] = np.sqrt(np.sum(columns * covariance.solve(columns), axis=0))
    return found


def blobs_of(
    made: VoxelReconstruction, simulation: Simulation, hits: Hits, used: Hits, fit: Mapping[str, Any]
) -> Blobs:
    """Blobs as they are written. hits: of the input, of which `used` are those that the reconstruction had."""
    detector = simulation.detector
    fitted, covariance = joined(made.blocks, lambda pixel: detector.pitch[detector.tpc_of(pixel)])
    error = errors(covariance, lambda k: (fitted.log_dE[k : k + 1], fitted.dE[k : k + 1]), len(fitted.dE))
    order = np.lexsort((~fitted.hit, fitted.blob))
    table = table_of(made, fitted, covariance)
    return Blobs(
        segments_of(fitted, order), table, same_hits(hits, used, made.of_hits), error[order], fitted.hit[order], fit
    )


def segments_of(fitted: Fitted, order: np.ndarray) -> Segments:
    """Voxels as energy deposits; `traj_id` is the blob's number."""
    columns: dict[str, Any] = {"dE": fitted.dE, "dEdx": fitted.dEdx}
    for what, points in (("start", fitted.start), ("end", fitted.end)):
        columns |= {f"{axis}_{what}": points[:, k] for k, axis in enumerate("xyz")}
    n = len(order)
    return Segments(
        event_id=fitted.event[order],
        segment_id=np.arange(n),
        traj_id=fitted.blob[order],
        pdg_id=np.zeros(n, dtype=np.int64),
        t0=np.zeros(n),
        **{name: column[order].astype(np.float32) for name, column in columns.items()},
    )


def table_of(made: VoxelReconstruction, fitted: Fitted, covariance: Covariance) -> np.ndarray:
    """A row a blob, see `formats.tracks.BLOBS`; points in the file's frame.

    Errors of places contain that of where charge is above a pixel, pitch/sqrt(12) of each, and of when it arrives.
    """
    n = int(made.of_hits.max(initial=-1)) + 1
    table = np.zeros(n, dtype=BLOBS)
    rows = [np.flatnonzero(fitted.blob == k) for k in range(n)]
    charge = fitted.dE * fitted.per_MeV
    middle = 0.5 * (fitted.start + fitted.end)
    weights = []
    for k, own in enumerate(rows):
        total = charge[own].sum()
        place = charge[own] @ middle[own] / total
        row = table[k : k + 1]
        hit = own[fitted.hit[own]]
        row["event_id"], row["blob_id"] = fitted.event[own[0]], k
        row["pixels"], row["hits"], row["voxels"] = len(np.unique(fitted.pixel[hit])), len(hit), len(own)
        row["charge"], row["energy"] = total, fitted.dE[own].sum()
        row["z"], row["y"], row["x"] = place
        weights.append((fitted.log_dE[own], charge[own]))
        for axis in range(3):
            slope = charge[own] * (middle[own, axis] - place[axis]) / total
            moved = (fitted.shift[hit], charge[hit] / total) if axis == 2 else (np.zeros(0, int), np.zeros(0))
            weights.append((np.append(fitted.log_dE[own], moved[0]), np.append(slope, moved[1])))
    found = errors(covariance, weights.__getitem__, len(weights)).reshape(n, 4)
    within = [np.sum((charge[own] * fitted.across[own]) ** 2) / charge[own].sum() ** 2 / 12.0 for own in rows]
    table["charge_error"], table["x_error"] = found[:, 0], np.hypot(found[:, 3], ARRIVAL)
    table["energy_error"] = table["energy"] * found[:, 0] / table["charge"]
    for name, error in (("z", found[:, 1]), ("y", found[:, 2])):
        table[f"{name}_error"] = np.sqrt(error**2 + within)
    good = np.ones(n, dtype=bool)
    for one in made.blocks:
        own = np.unique(one.voxels.blob)
        square = one.near.squares / max(one.near.expected, 1.0)
        table["mean_square"][own] = np.maximum(table["mean_square"][own], square)
        good[own] &= one.converged
    table["converged"], table["good"] = good, good & (table["mean_square"] < WORST)
    return table
