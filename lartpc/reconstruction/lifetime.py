"""The electron lifetime from fast muons: by their joint fit, and as anyone can do it by hand.

A muon frees nearly the same charge on each centimetre, of which exp(-t/lifetime) is left after a drift of time t. What
it frees is known to some per cent only, as are gains: the factor of all charge is an unknown of its own (`OVERALL`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.data.hits import Hits
from lartpc.detector.detector import Detector
from lartpc.generator.stopping import PARTICLES
from lartpc.reconstruction.candidates import Candidate, CutFlow
from lartpc.reconstruction.cluster import positions
from lartpc.reconstruction.crossing import TUBE, nearest
from lartpc.reconstruction.polyline import path_length
from lartpc.reconstruction.result import HitsResult
from lartpc.reconstruction.through import find_through
from lartpc.reconstruction.track import TIME, Gaussian
from lartpc.reconstruction.used import Used
from lartpc.simulation.simulation import Simulation

LIFETIME, OVERALL = "lifetime", "Ab"
FEWEST_TRACKS = 5
CELL = 6.0  # [pitches] of a track across the drift whose charge is taken together
BINS, FEWEST = 8, 6  # of drift time, and cells in each
LOW, HIGH = 0.1, 0.3  # parts of the cells of a bin with least and most charge that its mean leaves out
DISAGREE = 4.0  # errors between both ways


class Cells(NamedTuple):
    """Pieces of tracks with all their charge (n,)."""

    time: np.ndarray  # [us] of drift
    density: np.ndarray  # [e/cm] that arrived


class Plain(NamedTuple):
    """A fit of c exp(-t/lifetime) to truncated means of charge per length in bins of drift time."""

    time: np.ndarray  # (k,) [us] mean of the bin
    mean: np.ndarray  # (k,) [e/cm]
    error: np.ndarray  # (k,)
    factor: float  # c [e/cm]
    inverse: float  # 1/lifetime [1/us]
    inverse_error: float  # times the root of what follows, where that is above 1
    square: float  # chi square over degrees of freedom

    @property
    def told(self) -> str:
        """In words."""
        return in_words(self.inverse, self.inverse_error)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; infinite ones are null."""
        return {
            "lifetime": finite(reciprocal(self.inverse)),
            "interval": [finite(end) for end in interval(self.inverse, self.inverse_error)],
            "inverse": self.inverse,
            "inverse_error": self.inverse_error,
            "chi_square_over_freedom": self.square,
            "bins": {name: getattr(self, name).tolist() for name in ("time", "mean", "error")},
        }


class LifetimeResult(NamedTuple):
    """Prints as lines, writes itself as JSON."""

    joint: HitsResult
    cells: Cells
    plain: Plain | None  # None where there are too few cells

    @property
    def value(self) -> float:
        """[us]."""
        return float(self.joint.fit.values[self.joint.fit.names.index(LIFETIME)])

    @property
    def inverse_error(self) -> float:
        """Of 1/lifetime [1/us]: what is nearly normal."""
        return float(self.joint.fit.errors[self.joint.fit.names.index(LIFETIME)]) / self.value**2

    @property
    def interval(self) -> tuple[float, float]:
        """One error to either side [us]; the longer end may be infinite."""
        return interval(1 / self.value, self.inverse_error)

    @property
    def told(self) -> str:
        """In words."""
        return in_words(1 / self.value, self.inverse_error)

    @property
    def good(self) -> bool:
        """Whether it may be used."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not to be used; none where it may be."""
        reasons, n = list(self.joint.reasons), len(self.joint.of_hits.tracks)
        if n < FEWEST_TRACKS:
            reasons.append(f"{n} tracks, {FEWEST_TRACKS} are needed")
        apart = self.apart
        if abs(apart) > DISAGREE:
            reasons.append(f"the truncated means say otherwise, by {apart:+.1f} errors of 1/lifetime")
        return tuple(reasons)

    @property
    def apart(self) -> float:
        """Difference of 1/lifetime of both ways over their errors; 0 without the plain one."""
        if self.plain is None:
            return 0.0
        return (self.plain.inverse - 1 / self.value) / float(np.hypot(self.plain.inverse_error, self.inverse_error))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What these tracks cannot tell."""
        low, high = self.interval
        remarks = list(self.joint.remarks)
        if not np.isfinite(high):
            remarks.append(f"no more is known than that it is above {low:.4g} us")
        return tuple(remarks)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; infinite ones are null."""
        own = {
            "lifetime": self.value,
            "interval": [finite(end) for end in self.interval],
            "inverse": 1 / self.value,
            "inverse_error": self.inverse_error,
            "truncated_mean": None if self.plain is None else self.plain.as_dict(),
        }
        return self.joint.answer_dict(own, self.remarks, self.reasons)

    def __str__(self) -> str:
        lines = [f"{OVERALL}, as the factor of all charge: {told_value(self.joint, OVERALL)}"]
        if self.plain is not None:
            square = f"chi square over degrees of freedom {self.plain.square:.2g}"
            lines.append(f"lifetime by truncated means of charge per length: {self.plain.told}; {square}")
        return self.joint.answer([*lines, f"lifetime: {self.told}"], self.remarks, self.reasons)


def through_in(
    simulation: Simulation, hits: Hits, particles: Sequence[str], t0: Gaussian
) -> tuple[list[Candidate], CutFlow]:
    """Candidates of fast muons, see `find_through`."""
    points = positions(hits, simulation.detector, simulation.parameters, t0.centre)
    return find_through(hits, points, simulation.detector, [PARTICLES[13]])


def reciprocal(inverse: float) -> float:
    """1/inverse; infinite where this is not above 0."""
    return 1 / inverse if inverse > 0 else np.inf


def interval(inverse: float, error: float) -> tuple[float, float]:
    """Lifetimes [us] one error of 1/lifetime shorter and longer; infinite where no charge need be lost."""
    return reciprocal(inverse + error), reciprocal(inverse - error)


def finite(value: float) -> float | None:
    """A number as JSON has it."""
    return value if np.isfinite(value) else None


def in_words(inverse: float, error: float) -> str:
    """A lifetime with its interval, from its reciprocal [1/us]."""
    value, (low, high) = reciprocal(inverse), interval(inverse, error)
    if not np.isfinite(high):
        return f"above {low:.4g} us" + (f", likeliest {value:.4g}" if np.isfinite(value) else "")
    return f"{value:.4g} us, +{high - value:.3g} -{value - low:.3g}"


def told_value(result: HitsResult, name: str) -> str:
    """A fitted value with its error, in words."""
    at = result.fit.names.index(name)
    return f"{result.fit.values[at]:.5g} +- {result.fit.errors[at]:.2g}"


def result_of_lifetime(joint: HitsResult, detector: Detector) -> LifetimeResult:
    """Of a joint fit of tracks that one run has."""
    cells = cells_of(joint.of_hits.tracks, detector)
    return LifetimeResult(joint, cells, plain_fit(cells))


def cells_of(tracks: Sequence[Used], detector: Detector) -> Cells:
    """Charge per length of tracks in cells of `CELL` pitches across the drift, whose pixels are all used."""
    time, density = [], []
    for one in tracks:
        hits, nodes = one.candidate.measured.hits, one.track.nodes(one.eta)
        flat = np.concatenate((nodes[:, :2], np.zeros((len(nodes), 1))), axis=1)
        s, across = path_length(nodes), path_length(flat)
        size = CELL * float(detector.pitch[hits.tpc[0]])
        edges = np.arange(0.0, across[-1], size)
        _, at = nearest(np.stack((hits.x, hits.y, np.zeros(len(hits))), axis=1), flat)
        cell = np.searchsorted(edges, at) - 1
        n = len(edges) - 1
        inside = (cell >= 0) & (cell < n)
        charge, weighted = (
            np.bincount(cell[inside], values[inside], n) for values in (hits.charge, hits.charge * hits.t)
        )
        full = charge > 0
        full[np.unique(np.clip(np.searchsorted(edges, unused(one.candidate, flat, detector)) - 1, 0, n - 1))] = False
        full[[0, -1]] = False
        length = np.diff(np.interp(edges, across, s))
        density.append((charge / length)[full])
        time.append(weighted[full] / charge[full] - one.eta[TIME])
    return Cells(np.concatenate(time), np.concatenate(density))


def unused(candidate: Candidate, flat: np.ndarray, detector: Detector) -> np.ndarray:
    """How far along a line (n, 3) in the plane of pixels those are that it is near to and of which nothing is used."""
    tpc, _, _, x, y = detector.locate(candidate.measured.masked)
    own = tpc == candidate.measured.hits.tpc[0]
    off, at = nearest(np.stack((x[own], y[own], np.zeros(own.sum())), axis=1), flat)
    return at[off < TUBE]


def plain_fit(cells: Cells) -> Plain | None:
    """The fit to means of bins with as many cells each; None of too few cells."""
    bins = min(BINS, len(cells.time) // FEWEST)
    if bins < 3:
        return None
    rows = np.array_split(np.argsort(cells.time, kind="stable"), bins)
    time = np.array([cells.time[own].mean() for own in rows])
    mean, error = np.array([truncated_mean(cells.density[own]) for own in rows]).T
    # ln mean = ln c - t/lifetime, linear in 1/lifetime
    root = mean / error
    columns = root[:, None] * np.stack((np.ones(bins), -time), axis=1)
    covariance = np.linalg.inv(columns.T @ columns)
    found = covariance @ columns.T @ (root * np.log(mean))
    square = float(np.sum((columns @ found - root * np.log(mean)) ** 2)) / (bins - 2)
    # Where the means scatter more than their errors say, as few pieces tell their tails badly, errors are larger.
    spread = float(np.sqrt(covariance[1, 1] * max(square, 1.0)))
    return Plain(time, mean, error, float(np.exp(found[0])), float(found[1]), spread, square)


def truncated_mean(values: np.ndarray) -> tuple[float, float]:
    """Mean of values (n,) without the `LOW` and `HIGH` parts, and its error by the winsorised variance."""
    ordered = np.sort(values)
    low, high = int(LOW * len(ordered)), len(ordered) - int(HIGH * len(ordered))
    kept = ordered[low:high]
    winsorised = np.clip(ordered, kept[0], kept[-1])
    return float(kept.mean()), float(winsorised.std(ddof=1) * len(ordered) ** 0.5 / len(kept))
