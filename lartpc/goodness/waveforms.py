"""The verdict on a model of waveforms: whether residuals are as the noise has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lartpc.goodness.statistics import Check
from lartpc.goodness.verdict import LIMIT, Verdict
from lartpc.losses.waveforms import WaveformObjective


class Squares(NamedTuple):
    """Residuals of n regions, whose sums over samples are chi-squared where the model describes them."""

    channel: np.ndarray  # (n,) int64
    ticks: np.ndarray  # (n,) int64, samples of each
    squares: np.ndarray  # (n,) sum over its samples

    def mean(self, rows: np.ndarray) -> float:
        """The mean square of the regions `rows`, a mask (n,) or indices."""
        return float(self.squares[rows].sum() / self.ticks[rows].sum())

    def significance(self, rows: np.ndarray) -> float:
        """By how many standard deviations that is off 1, see `off_noise`."""
        return off_noise(float(self.squares[rows].sum()), float(self.ticks[rows].sum()))


def off_noise(squares: float, samples: float) -> float:
    """By how many standard deviations a sum of squares is off that of noise: over m samples m, with sqrt(2 m)."""
    return (squares - samples) / float(np.sqrt(2.0 * samples))


def is_noise(mean_square: float, samples: int) -> bool:
    """Whether the mean square of the residuals of so many samples, over their noise, is as the noise has it."""
    return abs(off_noise(mean_square * samples, samples)) < LIMIT


def asked(objective: WaveformObjective, values: np.ndarray) -> list[Check]:
    """The change of each unknown alone that residuals ask for, the most certain first (C. R. Rao's score test).

    It is -g/I, g the slope of -log L and I its information, with the error 1/sqrt(I).

    A parameter that is off by many of its errors changes the mean square of the residuals by next to nothing.
    """
    at = objective(values)
    unknowns, squares = objective.unknowns, np.diag(at.information).tolist()
    found = []
    for name, unit, slope, square in zip(unknowns.names, unknowns.units, at.gradient.tolist(), squares, strict=True):
        if square > 0.0:
            what = f"{name} [{unit}]" if unit else name
            asks = f"change of {what} alone that residuals ask for"
            found.append(Check(asks, -slope / square, 0.0, -slope / square**0.5))
    return sorted(found, key=lambda check: -abs(check.significance))


def judge_waveforms(objective: WaveformObjective, values: np.ndarray, more: Sequence[Check] = ()) -> Verdict:
    """Whether mean squares of residuals with the unknowns at `values` are 1: of all samples, and of each plane.

    `more`: other checks, which count alike.
    """
    squares = np.concatenate([objective.squares(k, values) for k in range(len(objective.regions))])
    channel = np.concatenate([one.channel for one in objective.regions])
    ticks = np.concatenate([one.ticks for one in objective.regions])
    detector, found = objective.simulation.detector, Squares(channel, ticks, squares)
    kind = detector.channel_kind[channel]
    groups = {"all planes": np.ones(len(kind), dtype=bool)}
    groups |= {f"plane {plane.name}": kind == k for k, plane in enumerate(detector.kinds)}
    checks = [
        Check(f"mean square of the residuals on {name}", found.mean(rows), 1.0, found.significance(rows))
        for name, rows in groups.items()
        if rows.any()
    ]
    checks += more
    reasons = tuple(
        f"{check.name}: {check.found:.4g}, expected {check.expected:g}, {check.significance:+.1f} deviations off"
        for check in checks
        if abs(check.significance) > LIMIT
    )
    return Verdict(not reasons, reasons, tuple(checks), (), {}, (), found)
