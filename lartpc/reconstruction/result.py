"""The result of a calibration from data alone: as that of a fit, and what is its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.fit.problem import Evaluation
from lartpc.fit.result import FitResult, at_bound
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.uncertainty import invert, open_components, told_open
from lartpc.parameters import common_name
from lartpc.reconstruction.calibrate import Half, HitsFit
from lartpc.reconstruction.candidates import CROSSING, KINDS, STOPPING, THROUGH
from lartpc.reconstruction.joint import DECREMENT, Reduced, State
from lartpc.reconstruction.likelihood import Near
from lartpc.reconstruction.track import LENGTH

ERRORS = "inverse information of hits and priors of the tracks, all tracks marginalised"
WIDTHS = (12, 10, 8, 12, 12, 12)  # of the columns of numbers
APART = 4.5  # errors of their difference by which the halves of a target may differ
# Mean square over that expected, of tracks that are described.
TIGHT, LOOSE = 0.5, {STOPPING: 1.3, CROSSING: 2.3, THROUGH: 2.3}
FIELD = "eField"


class HitsResult(NamedTuple):
    """Prints as a table, writes itself as JSON."""

    fit: FitResult
    of_hits: HitsFit
    mean_squares: dict[str, float]  # of the residuals of each kind of tracks, over what is expected

    @property
    def good(self) -> bool:
        """Whether the result may be used."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not to be used; none where it may be."""
        found, names = self.of_hits, self.fit.names
        reasons = list(self.fit.reasons)
        if self.fit.open_direction is not None:
            reasons.append(f"the covariance is singular: {told_open(self.fit.open_direction)}")
        reasons += [
            f"mean square of the residuals over that expected: {found:.3g} of tracks {kind}, {TIGHT} to {LOOSE[kind]} "
            "of a good model"
            for kind, found in self.mean_squares.items()
            if not TIGHT < found < LOOSE[kind]
        ]
        reasons += [
            f"{name}: both halves of the events are {pull:+.1f} errors apart"
            for name, pull in zip(names, self.halves_apart, strict=True)
            if abs(pull) > APART
        ]
        n = int(found.marginal.jumping.sum())
        if n > len(found.tracks) // 10:
            reasons.append(f"log det of {n} of {len(found.tracks)} tracks is not continuous in the parameters")
        return tuple(reasons)

    @property
    def halves_apart(self) -> np.ndarray:
        """Differences of the halves over their errors (p,), 0 where there are none or these are no errors."""
        if not self.of_hits.halves or self.fit.open_direction is not None:
            return np.zeros(len(self.fit.names))
        one, other = (straightened(self.fit.names, half) for half in self.of_hits.halves)
        return (one[0] - other[0]) / np.hypot(one[1], other[1])

    @property
    def remarks(self) -> tuple[str, ...]:
        """What these tracks cannot tell."""
        found, names = self.of_hits, self.fit.names
        remarks = []
        crossing = any(one.candidate.kind == CROSSING for one in found.tracks)
        held = {name for one in found.unknowns.constraints for name in one.names}
        fields = [name for name in names if name.split(".")[0] == FIELD and name not in held]
        if fields and not crossing:
            remarks.append(
                f"no track crosses the cathode and nothing else is known of {', '.join(fields)}: it rests on how far "
                "tracks reach along the drift"
            )
        if found.known.t0.width > 1.0:
            remarks.append("times of the tracks are hardly known: long_diff, tran_diff and lifetime tell them alone")
        return tuple(remarks)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; parameters as in the fit.json of other fits."""
        found, told = self.of_hits, self.fit.as_dict()
        for i, name in enumerate(self.fit.names):
            told["parameters"][name] |= {
                "most_likely": float(found.most_likely[i]),
                "most_likely_error": float(found.most_likely_errors[i]),
                "halves": [[float(half.values[i]), finite(half.errors[i])] for half in found.halves],
            }
        return told | {
            "good": self.good,
            "reasons": list(self.reasons),
            "remarks": list(self.remarks),
            "mean_squares": self.mean_squares,
            "tracks": len(found.tracks),
            "kinds": dict(Counter(one.candidate.kind for one in found.tracks)),
            "length": self.length,
            "cut_flow": [[cut, left] for cut, left in found.flow.cuts],
            "jumping": int(found.marginal.jumping.sum()),
            "track_density": found.known.density,
            "t0_width": found.known.t0.width,
            "t0_of": found.known.t0_of,
        }

    @property
    def length(self) -> float:
        """Of all tracks [cm]."""
        return float(sum(one.eta[LENGTH] for one in self.of_hits.tracks))

    def answer(self, own: Sequence[str], remarks: Sequence[str], reasons: Sequence[str]) -> str:
        """The text of one question that was asked of this fit: its `own` lines, with what is said of any fit."""
        squares = ", ".join(f"{square:.3g}" for square in self.mean_squares.values())
        lines = [str(self.of_hits.flow), ""]
        lines.append(f"{len(self.of_hits.tracks)} tracks of {self.length:.0f} cm: {self.fit.message}")
        lines += [f"mean square of the residuals over that expected: {squares}", *own]
        lines += [f"remark: {one}" for one in remarks]
        return "\n".join(
            [*lines, f"verdict: {'not to be used' if reasons else 'good'}", *(f"  {one}" for one in reasons)]
        )

    def answer_dict(self, own: dict[str, Any], remarks: Sequence[str], reasons: Sequence[str]) -> dict[str, Any]:
        """The same as plain numbers, for JSON; `fit` is as the fit.json of `calibrate`."""
        joint = self.as_dict()
        of_fit = {name: joint[name] for name in ("tracks", "length", "cut_flow")}
        told = {"good": not reasons, "reasons": list(reasons), "remarks": list(remarks)}
        return {**own, **of_fit, **told, "fit": joint}

    def __str__(self) -> str:
        found = self.of_hits
        lines = [str(found.flow), ""]
        lines.append(f"{len(found.tracks)} tracks of {self.length:.0f} cm, {self.fit.hits} hits: {self.fit.message}")
        truth = self.fit.truth
        columns = ("value", "error", "rel.", "MAP", "one half", "other half")
        head = f"{'':3}{'name':<12} " + " ".join(f"{c:>{w}}" for c, w in zip(columns, WIDTHS, strict=True)) + "  unit"
        lines.append(head + ("" if truth is None else "  (value - truth)/error"))
        for i, name in enumerate(self.fit.names):
            value, error = self.fit.values[i], self.fit.errors[i]
            halves = [f"{half.values[i]:12.6g}" for half in found.halves] or [f"{'-':>12}"] * 2
            line = f"{i:<3}{name:<12} {value:12.6g} {error:10.3g} {error / self.fit.size[i]:8.1e} "
            line += f"{found.most_likely[i]:12.6g} {' '.join(halves)}  {self.fit.units[i]}"
            if truth is not None:
                line = f"{line:<{len(head) + 4}} {(value - truth[i]) / error:+.2f}"
            lines.append(line + ("  at its bound" if at_bound(value, self.fit.bounds[i]) else ""))
        lines.append(f"errors: {ERRORS}; MAP: where tracks and parameters together are most likely, which is biased")
        squares = ", ".join(f"{found:.3g} of tracks {kind}" for kind, found in self.mean_squares.items())
        lines.append(f"mean square of the residuals over that expected: {squares}")
        lines += [str(one) for one in self.fit.contributions]
        lines += [f"remark: {one}" for one in self.remarks]
        lines.append(f"verdict: {'good' if self.good else 'not to be used'}")
        lines += [f"  {reason}" for reason in self.reasons]
        return "\n".join(lines)


def finite(error: float) -> float | None:
    """An error as JSON has it: null where it is infinite."""
    return float(error) if np.isfinite(error) else None


def straightened(names: Sequence[str], half: Half) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors (p,) of a half; of a lifetime those of its inverse, which the charge that is lost goes with."""
    inverse = np.array([common_name(name) == "lifetime" for name in names], dtype=bool)
    values = np.where(inverse, 1.0 / half.values, half.values)
    return values, np.where(inverse, half.errors / half.values**2, half.errors)


def evaluation(unknowns: RunUnknowns, phase: str, state: State, reduced: Reduced, hits: int) -> Evaluation:
    """A step of a joint fit as the history of a fit has it."""
    p = len(unknowns.names)
    return Evaluation(
        phase=phase,
        batch=-1,
        values=state.theta,
        value=state.value,
        gradient=reduced.gradient,
        information=reduced.information,
        spread=np.full((p, p), np.nan),
        events=0,
        hits=hits,
        unmatched=sum(near.missed for near in state.near),
        mean_square=mean_square(state.near),
    )


def mean_square(near: Sequence[Near]) -> float:
    """Sum of the squared residuals of tracks, over what is expected: they take a part of them."""
    return sum(one.squares for one in near) / max(sum(one.expected for one in near), 1.0)


def result_of(found: HitsFit) -> HitsResult:
    """The result of a fit."""
    unknowns, ended = found.unknowns, found.marginal
    size = unknowns.size(found.values)
    covariance, direction = invert(ended.reduced.information, size)
    reached = found.most_likely_left < DECREMENT
    converged = reached and ended.converged and direction is None
    steps = f"decrements {found.most_likely_left:.2g} (MAP), {ended.left:.2g} errors"
    message = f"{'converged' if converged else 'not converged'}: {steps}"
    bounded = [at_bound(value, bounds) for value, bounds in zip(found.values, unknowns.bounds, strict=True)]
    fit = FitResult(
        names=unknowns.names,
        units=unknowns.units,
        values=found.values,
        size=size,
        errors=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        intervals=None,
        start=unknowns.start,
        bounds=unknowns.bounds,
        truth=found.truth,
        loss="likelihood",
        optimizer="gauss-newton",
        value=ended.state.value,
        hits=sum(near.hits for near in ended.state.near),
        unmatched=sum(near.missed for near in ended.state.near),
        iterations=0,
        mean_square=mean_square(ended.state.near),
        converged=converged,
        message=message,
        errors_from=ERRORS,
        open_direction=open_components(unknowns.names, direction),
        pushed=tuple(name for name, at in zip(unknowns.names, bounded, strict=True) if at),
    )
    of_kind = {
        kind: [near for one, near in zip(found.tracks, ended.state.near, strict=True) if one.candidate.kind == kind]
        for kind in KINDS
    }
    squares = {kind: mean_square(near) for kind, near in of_kind.items() if near}
    return HitsResult(fit, found, squares)
