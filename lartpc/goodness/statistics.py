"""Statistics of a target next to those of targets drawn from the model, and how the residuals depend on what.

A mean over the m hits of a target is compared with that over all hits of the K drawn ones, which know of truncation by
thresholds, vetoes and rounding what no formula does: its error is s sqrt(1/m + 1/M), s the spread of the M drawn hits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.goodness.items import Examined, Seen

BINS = 8  # of a trend, with as many spots each
FEW = 20  # hits below which a mean says nothing
OF_HITS = {"times": "r", "charges": "u"}


class Check(NamedTuple):
    """A number of the target, what the model gives for it, and how many standard deviations lie between."""

    name: str
    found: float
    expected: float
    significance: float


class Trend(NamedTuple):
    """Mean residuals of `what` in bins or groups `by`, less those of the model, with errors; k bins."""

    what: str  # times or charges
    by: str
    center: np.ndarray  # (k,) mean of the feature; of groups their number
    mean: np.ndarray  # (k,); of a target without noise as they are
    error: np.ndarray  # (k,)
    significance: float  # of the sum of squares


def checks(examined: Examined) -> list[Check]:
    """Mean squares and means of the residuals, the number of hits, and the pixels without any."""
    found = []
    for what, name in OF_HITS.items():
        target, drawn = residuals_of(examined, name)
        for title, power in ((f"mean square of the {what}", 2), (f"mean of the {what}", 1)):
            found.append(of_means(title, target**power, drawn**power))
    found.append(of_numbers(examined))
    p = np.exp(examined.spots.log_silence)
    silent, expected = float(np.sum(examined.target.hits == 0)), float(p.sum())
    spread = np.sqrt(np.sum(p * (1.0 - p)) + 1.0 / len(examined.drawn))
    found.append(Check("pixels without hits", silent, expected, (silent - expected) / spread))
    return found


def residuals_of(examined: Examined, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of the target (m,) and of all that were drawn (M,)."""

    def known(seen: Seen) -> np.ndarray:
        values = getattr(seen, name)
        return values[np.isfinite(values)]

    return known(examined.target), np.concatenate([known(seen) for seen in examined.drawn])


def of_means(name: str, target: np.ndarray, drawn: np.ndarray) -> Check:
    """Of two samples, the means."""
    if len(target) < FEW or len(drawn) < FEW:
        return Check(name, float("nan"), float("nan"), 0.0)
    error = np.std(drawn) * np.sqrt(1.0 / len(target) + 1.0 / len(drawn))
    found, expected = float(np.mean(target)), float(np.mean(drawn))
    return Check(name, found, expected, (found - expected) / float(error))


def of_numbers(examined: Examined) -> Check:
    """The number of all hits on pixels with charge.

    Its variance is the sum of those of the pixels, at least that of having none, where nothing is drawn with noise.
    """
    numbers = np.array([seen.hits for seen in examined.drawn])
    expected = float(numbers.sum(axis=1).mean())
    p = np.exp(examined.spots.log_silence)
    variance = max(float(numbers.var(axis=0, ddof=1).sum()), float(np.sum(p * (1.0 - p))), 1.0)
    spread = np.sqrt(variance * (1.0 + 1.0 / len(numbers)))
    found = float(examined.target.hits.sum())
    return Check("hits", found, expected, (found - expected) / spread)


def trends(examined: Examined, segments: Segments, detector: Detector) -> list[Trend]:
    """How the residuals depend on drift, dE/dx and angle, and on module, TPC, event, track and pixel."""
    known = list(features(examined, segments, detector))
    return [trend(what, name, *feature, examined) for what, name in OF_HITS.items() for feature in known]


def features(
    examined: Examined, segments: Segments, detector: Detector
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Name of each feature, the bin or group of each spot (n,), and its values (n,), None for groups."""
    spots = examined.spots
    for by, values in (("drift", spots.drift), ("dE/dx", spots.dEdx), ("cosine", spots.cosine)):
        edges = np.quantile(values, np.linspace(0.0, 1.0, BINS + 1)[1:-1]) if len(values) else np.zeros(0)
        yield by, np.searchsorted(np.unique(edges), values, side="right"), values
    for by, labels in groups(examined, segments, detector).items():
        yield by, np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1), None


def groups(examined: Examined, segments: Segments, detector: Detector) -> dict[str, np.ndarray]:
    """What spots may have in common: columns (n,), or (n, 2)."""
    spots = examined.spots
    tpc = detector.tpc_of(spots.pixel_id)
    track = np.stack((spots.event_id, segments.traj_id[spots.segment]), axis=1)
    columns = {"module": detector.module[tpc], "TPC": tpc, "event": spots.event_id, "track": track}
    return columns | {"pixel": spots.pixel_id}


def trend(what: str, name: str, by: str, group: np.ndarray, center: np.ndarray | None, examined: Examined) -> Trend:
    """The means of a residual in the groups (n,) of spots."""
    n = int(group.max(initial=-1)) + 1
    m, total, of_target = _sums(getattr(examined.target, name), group[examined.target.spot], n)
    place = np.arange(n, dtype=np.float64)
    if center is not None:
        place = np.bincount(group, center, n) / np.maximum(np.bincount(group, minlength=n), 1)
    if not examined.drawn:
        m, total, of_target, place = (column[m > 0] for column in (m, total, of_target, place))
        mean = total / m
        return Trend(what, by, place, mean, np.sqrt(np.maximum(of_target / m - mean**2, 0.0) / m), 0.0)
    drawn = [_sums(getattr(seen, name), group[seen.spot], n) for seen in examined.drawn]
    M, drawn_total, squares = (np.sum(part, axis=0) for part in zip(*drawn, strict=True))
    both = (m > 0) & (M > 0)
    if M.sum() < FEW or m.sum() < FEW or not both.any():
        return Trend(what, by, np.zeros(0), np.zeros(0), np.zeros(0), 0.0)
    spread = np.sqrt(squares.sum() / M.sum() - (drawn_total.sum() / M.sum()) ** 2)
    m, M = m[both], M[both]
    mean = total[both] / m - drawn_total[both] / M
    error = spread * np.sqrt(1.0 / m + 1.0 / M)
    return Trend(what, by, place[both], mean, error, significance(float(np.sum((mean / error) ** 2)), len(m)))


def _sums(values: np.ndarray, group: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, sum and sum of squares of the finite values in each of n groups."""
    known = np.isfinite(values)
    values, group = values[known], group[known]
    return np.bincount(group, minlength=n), np.bincount(group, values, n), np.bincount(group, values**2, n)


def significance(chi_square: float, degrees: int) -> float:
    """The standard deviations of a normal deviate as probable as a chi square or more (Wilson and Hilferty, 1931)."""
    width = 2.0 / (9.0 * degrees)
    return float(((chi_square / degrees) ** (1.0 / 3.0) - (1.0 - width)) / np.sqrt(width))


def worst(examined: Examined) -> np.ndarray:
    """How much each spot (n,) is off: r^2 + u^2 of its hits and -2 log of the silence after, less the model's mean."""

    def deviance(seen: Seen) -> np.ndarray:
        values = seen.r**2 + np.nan_to_num(seen.u) ** 2
        return np.bincount(seen.spot, values, len(seen.hits)) - 2.0 * seen.left

    expected = np.mean([deviance(seen) for seen in examined.drawn], axis=0) if examined.drawn else 0.0
    return deviance(examined.target) - expected


def labels_of(column: Any) -> list[str]:
    """Labels of the rows of a column (n,) or (n, 2), the second as event/track."""
    return ["/".join(str(part) for part in np.atleast_1d(row)) for row in column]
