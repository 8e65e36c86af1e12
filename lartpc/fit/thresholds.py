"""Thresholds of single pixels, estimated from hits at fixed parameters of everything else.

The threshold of pixel p is that of the detector and d_p, normal with mean m and spread s over the pixels. At fixed
parameters -log L is a sum over pixels, each a function of its own d_p alone: with slope g and curvature h there,

d_p = m - s^2 k/(1 + s^2 h), k = g + h (m - d_p) at the d_p before, with the error s/sqrt(1 + s^2 h),

and m, s are where the product over the pixels of the likelihood's integral over d_p, here by Laplace's approximation,
is largest (N. E. Breslow, D. G. Clayton, J. Am. Stat. Assoc. 88 (1993) 9). That is right at s = 0, too.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from lartpc.blas import one_blas_thread
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PixelValues, values_of
from lartpc.exceptions import InputError
from lartpc.files.atomic import new_file
from lartpc.fit.compare import examined
from lartpc.fit.target import Target
from lartpc.goodness.cleaning import find_spoilt
from lartpc.losses.catalogue import check_noise
from lartpc.losses.target import TargetHits
from lartpc.losses.thresholds import ThresholdTerms, join_terms, threshold_terms
from lartpc.simulation.simulation import Simulation

STEP = 1.0  # [e] of differences of slopes
CLOSE = 0.1  # [e] change of a threshold from which the iteration ends
ROUNDS = 30
WIDEST = 1e4  # [e] that the spread is looked for up to
ROUNDING = 1e-6  # of an information
CHIP = 3.0  # deviations of the mean of a chip that is named


@dataclasses.dataclass(frozen=True, eq=False)
class Thresholds:
    """Estimated thresholds of n pixels, and the normal population [e] that they are taken to be from; columns (n,).

    To these thresholds the parameter `threshold_offset` is added, as to all of a detector. Pixels that the target says
    nothing of have the mean and its spread.
    """

    pixel: np.ndarray  # int64, ids, ascending
    values: np.ndarray  # [e]
    errors: np.ndarray  # [e]
    hits: np.ndarray  # int64, of the target
    information: np.ndarray  # [1/e^2] of the target by itself
    informed: np.ndarray  # whether that is as much as the time of one hit tells
    pulls: np.ndarray  # of what the target by itself says from the mean, over the error of that and the spread
    mean: float  # of what is added to the thresholds as they were
    mean_error: float
    spread: float
    spread_error: float  # of a spread that is 0, how large it can be
    left_out: str  # what of the target was not used
    table: PixelValues  # of all pixels

    def applied(self, detector: Detector) -> Detector:
        """The detector with these thresholds; what no channel reads stays so."""
        changed = dataclasses.replace(detector, thresholds=self.table)
        return changed.without_pixels(detector.unread) if len(detector.unread) else changed

    def write(
        self, path: str | os.PathLike, detector: Detector, channels: Channels | None = None, overwrite: bool = False
    ) -> None:
        """An npz that `read_pixel_values` reads: keys, values, default [e], and errors [e], hits, mean, spread.

        Keys are pixel ids; or channels, where they are given and ids are ambiguous, see `check_ids`.
        """
        check_ids(detector, channels)
        keys, values = self.table.keys, self.table.values
        errors = values_of(PixelValues(self.pixel, self.errors, self.spread), keys)
        hits = values_of(PixelValues(self.pixel, self.hits.astype(np.float64), 0.0), keys).astype(np.int64)
        if channels is not None and ambiguous(detector):
            keys = channels.of_pixels(detector, keys)
            read = keys[:, 0] >= 0
            keys, values, errors, hits = keys[read], values[read], errors[read], hits[read]
        columns: dict[str, Any] = {"keys": keys, "values": values, "errors": errors, "hits": hits, **self.as_dict()}
        with new_file(path, overwrite) as temporary, open(temporary, "wb") as file:
            np.savez(file, default=self.table.default, **columns)

    def of_chips(self, detector: Detector, channels: Channels) -> list[str]:
        """Chips whose pixels are together off the mean by more than `CHIP` deviations, the farthest first."""
        weight = self.information / (1.0 + self.spread**2 * self.information)
        found = channels.of_pixels(detector, self.pixel)
        used = (weight > 0.0) & (found[:, 0] >= 0)
        chips, chip = np.unique(found[used, :3], axis=0, return_inverse=True)
        chip = chip.reshape(-1)
        off = np.bincount(chip, (self.pulls * np.sqrt(weight))[used]) / np.sqrt(np.bincount(chip, weight[used]))
        return [
            "io_group {}, io_channel {}, chip {}: {:+.1f} deviations".format(*chips[k], off[k])
            for k in np.argsort(-np.abs(off), kind="stable")
            if abs(off[k]) > CHIP
        ]

    def as_dict(self) -> dict[str, float]:
        """Of the population, as plain numbers, for JSON."""
        names = ("mean", "mean_error", "spread", "spread_error")
        counts = {"pixels": len(self.pixel), "informed": int(self.informed.sum())}
        return {name: float(getattr(self, name)) for name in names} | counts

    def __str__(self) -> str:
        informed, n = self.informed, len(self.pixel)
        typical = np.median(self.values) if n else self.table.default
        lines = [
            f"thresholds of {n} pixels: median {typical:.0f} e, mean {self.mean:+.0f} +- {self.mean_error:.0f} e off, "
            f"spread {self.spread:.0f} +- {self.spread_error:.0f} e",
            f"{informed.sum()} of them have information of their own, typical error "
            f"{np.median(self.errors[informed]) if informed.any() else self.spread:.0f} e; "
            f"{n - informed.sum()} have too little and are near the mean",
        ]
        return "\n".join(lines + [f"left out: {self.left_out}"] * bool(self.left_out))


@one_blas_thread
def estimate_thresholds(simulation: Simulation, segments: Segments, target: Target | Hits) -> Thresholds:
    """The thresholds of the pixels that `segments` give charge, with all else as in `simulation`, from their hits.

    What `compare` leaves out of a target is left out. `target`: plain hits are taken as measured, see `Target`.

    Raises InputError: no hit, hits of another detector or of other events than the segments', a detector without reset
    or readout noise or with discriminator noise, an exact target without noise.
    """
    target, simulation = Target.of(target), with_detector(simulation, with_table(simulation.detector)).without_noise()
    check(simulation, segments, target)
    target, _ = target.usable(simulation.detector)
    vector = simulation.vector()
    spoilt = find_spoilt(examined(simulation, segments, target, vector, 0), target.hits)
    found = thresholds_of(simulation, spoilt.kept(segments), target.without(spoilt), vector)
    return dataclasses.replace(found, left_out=str(spoilt))


def check(simulation: Simulation, segments: Segments, target: Target) -> None:
    """Raise InputError where thresholds cannot be estimated."""
    check_noise("likelihood", simulation.detector)
    target.check(simulation.detector, segments)
    if not (target.noise or target.rounded):
        raise InputError("thresholds: the target has no noise, allowed is one with noise, or of ticks and counts")


def with_table(detector: Detector) -> Detector:
    """The same detector with thresholds of pixels, which are all its own where it has none of theirs."""
    table = PixelValues(np.zeros(0, dtype=np.int64), np.zeros(0), detector.threshold)
    return detector if detector.thresholds is not None else dataclasses.replace(detector, thresholds=table)


def with_detector(simulation: Simulation, detector: Detector) -> Simulation:
    """The same simulation with a detector that differs in values of pixels alone."""
    other = copy.copy(simulation)
    other.detector = detector
    return other


def thresholds_of(
    simulation: Simulation,
    segments: Segments,
    target: Target,
    vector: Any,
    population: tuple[float, float] | None = None,
) -> Thresholds:
    """The same from all of a target, at the parameters `vector` of the chain.

    And at the mean and spread of a `population` that is known, or else at those found.
    """
    before = simulation.detector
    simulation = simulation.without_pixels(target.unread)
    detector = simulation.detector
    hits = TargetHits(target.hits, detector, target.rounded, target.ignored)
    batches = simulation.batches(segments, whole=False)
    terms = join_terms([threshold_terms(simulation, batch, vector, hits) for batch in batches])
    pixel, of_pixel = np.unique(terms.pixel, return_inverse=True)
    read = ~np.isin(pixel, detector.unread)
    d, curvature, score, mean, spread = minimise(terms, of_pixel, read, population)
    weight = read / (1.0 + spread**2 * curvature)
    total = float(np.sum(weight * curvature))
    mean_error = 1.0 / np.sqrt(total) if total > 0.0 else np.inf
    errors = np.sqrt(spread**2 * weight + (weight * mean_error) ** 2)
    of_square = np.sqrt(2.0 / max(float(np.sum((weight * curvature) ** 2)), 1e-300))  # of the error of spread^2
    pulls = np.divide(-score * np.sqrt(weight), np.sqrt(curvature), out=np.zeros(len(d)), where=curvature > 0.0)
    values = before.of_pixels("threshold", pixel) + d
    pixel, values, errors, pulls, curvature = (column[read] for column in (pixel, values, errors, pulls, curvature))
    return Thresholds(
        pixel=pixel,
        values=values,
        errors=errors,
        hits=np.bincount(of_pixel, terms.hits).astype(np.int64)[read],
        information=curvature,
        informed=curvature * detector.reset_noise**2 >= 1.0 - ROUNDING,
        pulls=pulls,
        mean=mean,
        mean_error=mean_error,
        spread=spread,
        spread_error=float(of_square / (2.0 * spread) if 4.0 * spread**2 > of_square else np.sqrt(of_square)),
        left_out="",
        table=table_of(before, pixel, values, mean),
    )


def minimise(
    terms: ThresholdTerms, of_pixel: np.ndarray, read: np.ndarray, population: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """d_p, h and k of the pixels (n,), m and s; `of_pixel` (n_spots,) of the terms, `read` (n,) whether it is used."""

    def slopes(d: np.ndarray) -> np.ndarray:
        return np.where(read, np.bincount(of_pixel, terms.slope(d[of_pixel]), len(read)), 0.0)

    d = np.zeros(len(read))
    mean, spread = population or (0.0, 0.0)
    for _ in range(ROUNDS):
        low, high = slopes(d - STEP), slopes(d + STEP)
        slope, curvature = 0.5 * (low + high), np.maximum(high - low, 0.0) / (2.0 * STEP)
        if population is None:
            mean, spread = population_of(d, slope, curvature)
        score = slope + curvature * (mean - d)
        moved = mean - spread**2 * score / (1.0 + spread**2 * curvature)
        change, d = float(np.max(np.abs(moved - d), initial=0.0)), moved
        if change < CLOSE:
            break
    return d, curvature, score, mean, spread


def population_of(d: np.ndarray, slope: np.ndarray, curvature: np.ndarray) -> tuple[float, float]:
    """m and s where the integrals over d_p of the likelihoods, parabolas with these derivatives at d, are largest."""

    def mean_of(square: float) -> float:
        weight = 1.0 / (1.0 + square * curvature)
        total = float(np.sum(weight * curvature))
        return float(np.sum(weight * (curvature * d - slope)) / total) if total > 0.0 else 0.0

    def loss(spread: float) -> float:
        square, mean = spread**2, mean_of(spread**2)
        more, score = 1.0 + square * curvature, slope + curvature * (mean - d)
        at_mean = (mean - d) * (slope + 0.5 * curvature * (mean - d))
        return float(np.sum(at_mean - 0.5 * square * score**2 / more + 0.5 * np.log(more)))

    found = minimize_scalar(loss, bounds=(0.0, WIDEST), method="bounded", options={"xatol": 0.01})
    spread = float(found.x) if found.fun < loss(0.0) else 0.0
    return mean_of(spread**2), spread


def table_of(detector: Detector, pixel: np.ndarray, values: np.ndarray, mean: float) -> PixelValues:
    """The `values` of these pixels, and of all others what the detector had, with `mean` added."""
    table: Any = detector.thresholds
    known = np.setdiff1d(table.keys, np.union1d(pixel, detector.unread))
    keys = np.concatenate((pixel, known))
    every = np.concatenate((values, values_of(table, known) + mean))
    order = np.argsort(keys, kind="stable")
    return PixelValues(keys[order], every[order], table.default + mean)


def ambiguous(detector: Detector) -> bool:
    """Whether pixel ids in a file may be of several modules, as larnd-sim counts them."""
    return bool(np.ptp(detector.n_x * detector.n_y))


def check_ids(detector: Detector, channels: Channels | None) -> None:
    """Raise InputError where a file of thresholds cannot name the pixels."""
    if channels is None and ambiguous(detector):
        raise InputError(
            f"thresholds: pixel ids of detector {detector.name} are ambiguous in files, as its modules differ in their "
            "number of pixels: needs --detector FILE and --layout FILE, whose channels name them"
        )
