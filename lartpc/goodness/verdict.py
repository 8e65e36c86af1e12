"""The verdict on a model: whether it describes a target, and the reasons why not."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.goodness.cleaning import Cleaning
from lartpc.goodness.items import FAR, SURE, Examined
from lartpc.goodness.statistics import OF_HITS, Check, Trend, checks, groups, labels_of, trends, worst

LIMIT = 4.5  # standard deviations: of 22 normal numbers, 16 with one side, one is beyond it in 10,000 good fits
NOISE = 0.05  # share of hits that may be on pixels without charge
EXACT = 1e-2  # mean square of the residuals of a target without noise
MOST = 5  # of each kind that are named
COMMON = 0.5  # share of what is off that one group must have to be named as the place


class Verdict(NamedTuple):
    """Whether the model describes the target, why not, and where."""

    describes: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    trends: tuple[Trend, ...]
    where: dict[str, dict[str, float]]  # of each kind of group those with the largest shares of what is off
    common: tuple[str, ...]  # groups that have most of it
    examined: Any  # what all this is of: of hits `Examined`, of waveforms `Squares`
    cleaning: Cleaning = Cleaning()  # what of the target was left out before

    def after(self, left_out: Cleaning) -> Verdict:
        """With what had been left out before the target was compared: hits that are off or twice, and limits."""
        before = {name: getattr(left_out, name) for name in ("bad", "limited", "twice")}
        return self._replace(cleaning=dataclasses.replace(self.cleaning, **before))

    def __str__(self) -> str:
        lines = [f"left out: {told}"] if (told := str(self.cleaning)) else []
        lines.append("the model describes the target" if self.describes else "the model does not describe the target")
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [f"  most of it is in {group}" for group in self.common]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return {
            "describes": self.describes,
            "reasons": list(self.reasons),
            "checks": [
                {**check._asdict(), "found": number(check.found), "expected": number(check.expected)}
                for check in self.checks
            ],
            "trends": [
                {
                    name: value.tolist() if isinstance(value, np.ndarray) else value
                    for name, value in trend._asdict().items()
                }
                for trend in self.trends
            ],
            "where": self.where,
            "common": list(self.common),
        }


def number(value: float) -> float | None:
    """For JSON."""
    return float(value) if np.isfinite(value) else None


def judge(examined: Examined, segments: Segments, detector: Detector) -> Verdict:
    """The verdict on the model that `examined` was made with."""
    found, reasons = judge_drawn(examined) if examined.drawn else judge_exact(examined)
    by = trends(examined, segments, detector)
    reasons += impossible(examined)
    for what in OF_HITS:
        seen = [one for one in by if one.what == what and one.significance > LIMIT]
        if seen:
            told = ", ".join(f"{one.by} ({one.significance:.1f})" for one in seen)
            reasons.append(f"residuals of the {what} depend on {told}; in brackets how many deviations")
    where, common = places(examined, segments, detector)
    return Verdict(not reasons, tuple(reasons), tuple(found), tuple(by), where, common if reasons else (), examined)


def judge_drawn(examined: Examined) -> tuple[list[Check], list[str]]:
    """Numbers of a target next to those of the drawn ones, and reasons."""
    found = checks(examined)
    reasons = [
        f"{check.name}: {check.found:.4g}, expected {check.expected:.4g}, {check.significance:+.1f} deviations off"
        for check in found
        if abs(check.significance) > LIMIT
    ]
    return found, reasons


def judge_exact(examined: Examined) -> tuple[list[Check], list[str]]:
    """The same of an exact target without noise: its residuals are 0 but for the rounding of numbers."""
    found = [
        Check(f"mean square of the {what}", float(np.nanmean(getattr(examined.target, name) ** 2)), 0.0, 0.0)
        for what, name in OF_HITS.items()
    ]
    reasons = [
        f"{check.name}: {check.found:.3g} of the noise, expected below {EXACT:g}"
        for check in found
        if not check.found < EXACT
    ]
    return found, reasons


def impossible(examined: Examined) -> list[str]:
    """Reasons that no statistics needs."""
    spots, target = examined.spots, examined.target
    reasons, all_hits = [], int(target.hits.sum()) + target.unmatched
    silent = (spots.log_silence < SURE) & (target.hits == 0)
    if silent.any():
        share = spots.charge[silent].sum() / spots.charge.sum()
        reasons.append(f"{silent.sum()} pixels that must have hits have none, {share:.1%} of all charge")
    off = np.unique(spots.event_id[target.hits > 0])
    lit = np.unique(spots.event_id[spots.log_silence < SURE])
    if len(gone := np.setdiff1d(lit, off)):
        reasons.append(f"events without any hit: {named(gone)}")
    if target.unmatched > NOISE * all_hits:
        reasons.append(f"{target.unmatched} of {all_hits} hits are on pixels without charge")
    if target.far.any():
        reasons.append(f"{target.far.sum()} of {all_hits} hits are more than {FAR:g} times the noise off")
    return reasons


def named(ids: Any) -> str:
    """The first few of some ids, and how many more."""
    shown = ", ".join(str(one) for one in ids[:MOST])
    return shown if len(ids) <= MOST else f"{shown} and {len(ids) - MOST} more"


def places(examined: Examined, segments: Segments, detector: Detector) -> tuple[dict, tuple[str, ...]]:
    """The groups with the largest shares of what is off, and those that have most of it, but not of the spots."""
    off = np.maximum(worst(examined), 0.0)
    total, where, common = float(off.sum()), {}, []
    for kind, column in groups(examined, segments, detector).items():
        labels, group = np.unique(column, axis=0, return_inverse=True)
        group = group.reshape(-1)
        share = np.bincount(group, off, len(labels)) / total if total > 0.0 else np.zeros(len(labels))
        of_spots = np.bincount(group, minlength=len(labels)) / max(len(off), 1)
        order = np.argsort(-share, kind="stable")[:MOST]
        where[kind] = {label: float(share[k]) for label, k in zip(labels_of(labels[order]), order, strict=True)}
        if len(order) and share[order[0]] > COMMON and of_spots[order[0]] < 0.5 * share[order[0]]:
            common.append(f"{kind} {labels_of(labels[order[:1]])[0]}")
    return where, tuple(common)
