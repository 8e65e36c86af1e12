"""The result of a fit: values, errors, correlation; prints as a table, writes itself as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.contracts import Unknowns
from lartpc.fit.assumptions import Assumption
from lartpc.fit.constraint import Contribution, contributions, penalty
from lartpc.fit.problem import Evaluation, Outcome, Problem
from lartpc.fit.shown import listed, others, shown, spread_of
from lartpc.fit.smooth import spans_decades
from lartpc.fit.uncertainty import Uncertainty, invert, open_components, told_open
from lartpc.goodness.verdict import LIMIT, Verdict
from lartpc.parameters import event_of

MOST = 3  # of what a target asks for that are named
AT_BOUND = 1e-4  # of the bounds, or their logarithms where they span decades


class FitResult(NamedTuple):
    """Arrays in the order of `names`; `truth` where the target's parameters are known."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    size: np.ndarray  # what changes are told relative to: the values, or a typical size of those that are 0 nominally
    errors: np.ndarray  # infinite where the data leave a direction open
    covariance: np.ndarray
    intervals: np.ndarray | None  # (n, 2) of the profile likelihood, where asked for
    start: np.ndarray
    bounds: np.ndarray
    truth: np.ndarray | None
    loss: str
    optimizer: str
    value: float
    hits: int
    unmatched: int
    iterations: int  # evaluations of the loss and its derivatives, without those for the errors
    mean_square: float  # of the residuals: 1 where model and noise describe the target, 0 for one without; or NaN
    converged: bool
    message: str
    errors_from: str
    open_direction: dict[str, float] | None  # components of the direction, relative to the values, that data leave open
    open_events: tuple[str, ...] = ()  # parameters of single events of which no hit is used; they are where they began
    pushed: tuple[str, ...] = ()  # parameters at a bound beyond which the loss falls
    verdicts: tuple[Verdict, ...] = ()  # on the model: whether it describes the target; one a run
    assumptions: Sequence[Assumption] = ()  # what was taken for granted
    contributions: Sequence[Contribution] = ()  # of data and constraints, where there are constraints
    counted: str = "hits"  # what `hits` are

    @property
    def describes(self) -> bool:
        """Whether the model describes the targets of all runs."""
        return all(verdict.describes for verdict in self.verdicts)

    def of_runs(self, told: Callable[[Verdict], Iterable[str]]) -> list[str]:
        """Lines of each run's verdict, with the run where there are several."""
        several = len(self.verdicts) > 1
        return [
            f"run {k}: {line}" if several else line for k, verdict in enumerate(self.verdicts) for line in told(verdict)
        ]

    @property
    def good(self) -> bool:
        """Whether the minimiser converged and the model describes the target."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the result is not to be used; none where it may be."""
        reasons = [] if self.converged else [f"the minimiser has not converged: {self.message}"]
        reasons += [f"{name} is at its bound, and the loss falls beyond it" for name in self.pushed]
        if told := asked(self.assumptions):
            reasons.append(told)
        reasons += [
            f"data and constraint of {one.name} are {one.tension:+.1f} of their errors apart"
            for one in self.contributions
            if abs(one.tension) > LIMIT
        ]
        return (*reasons, *self.of_runs(lambda verdict: verdict.reasons))

    @property
    def correlation(self) -> np.ndarray:
        """(n, n); 0 where an error is infinite."""
        safe = np.where(np.isfinite(self.errors) & (self.errors > 0.0), self.errors, np.inf)
        return np.where(np.isfinite(self.covariance), self.covariance, 0.0) / np.outer(safe, safe)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; an infinite error is null."""
        parameters = {}
        for i, name in enumerate(self.names):
            parameters[name] = {
                "value": float(self.values[i]),
                "error": float(self.errors[i]) if np.isfinite(self.errors[i]) else None,
                "interval": None
                if self.intervals is None
                else [v if np.isfinite(v) else None for v in self.intervals[i].tolist()],
                "unit": self.units[i],
                "start": float(self.start[i]),
                "bounds": self.bounds[i].tolist(),
                "truth": None if self.truth is None else float(self.truth[i]),
            }
        keep = (
            "loss",
            "optimizer",
            "value",
            "hits",
            "unmatched",
            "iterations",
            "converged",
            "message",
            "errors_from",
        )
        return {
            "parameters": parameters,
            "correlation": self.correlation.tolist(),
            "open_direction": self.open_direction,
            "open_events": list(self.open_events),
            "mean_square": self.mean_square if np.isfinite(self.mean_square) else None,
            "good": self.good,
            "describes": self.describes,
            "reasons": list(self.reasons),
            "verdict": one_or_all([verdict.as_dict() for verdict in self.verdicts]),
            "left_out": one_or_all([verdict.cleaning.as_dict() for verdict in self.verdicts]),
            "constraints": {one.name: one.as_dict() for one in self.contributions},
            "assumptions": [one.as_dict() for one in self.assumptions],
            **{name: getattr(self, name) for name in keep},
        }

    def __str__(self) -> str:
        head = f"{'':3}{'name':<15} {'value':>13} {'error':>11} {'rel. error':>10} {'start':>11}  unit"
        used = f"{self.hits} {self.counted}, {self.iterations} iterations of {self.optimizer}"
        head_line = f"{self.loss}: {self.value:.6g}, {used}"
        lines = [f"{head_line}, {self.message}"]
        if np.isfinite(self.mean_square):
            lines.append(
                f"mean square of the residuals: {self.mean_square:.3g} (about 1 if the model describes the target)"
            )
        known = self.truth is not None
        lines.append(head + ("   (value - truth)/truth     /error" if known else ""))
        for i in shown(self.names):
            name, value, error = self.names[i], self.values[i], self.errors[i]
            line = f"{i:<3}{name:<15} {value:13.7g} {error:11.3g} {error / self.size[i]:10.1e} {self.start[i]:11.5g}"
            line += f"  {self.units[i]}"
            if self.truth is not None:
                off = value - self.truth[i]
                line = f"{line:<{len(head) + 4}} {off / (self.truth[i] or self.size[i]):+15.2e} {off / error:+13.2f}"
            if self.intervals is not None:
                low, high = self.intervals[i] - value
                line += f"   profile {low:+.3g} {high:+.3g}"
            if at_bound(value, self.bounds[i]):
                line += "  at its bound"
            lines.append(line)
        if others(self.names):
            of_events = [i for i, name in enumerate(self.names) if event_of(name) is not None]
            spread = spread_of([self.names[i] for i in of_events], self.values[of_events], self.units[of_events[0]])
            lines.append(f"   {spread}; all are in fit.json")
        lines.append(f"errors: {self.errors_from}")
        if self.open_direction is not None:
            lines.append(told_open(self.open_direction))
        if self.open_events:
            named = listed(self.open_events, self.open_events)
            lines.append(f"no hit is used that tells of {named}: where the fit began, with infinite errors")
        lines += [str(one) for one in self.contributions]
        lines += [f"left out: {told}" for told in self.of_runs(lambda one: filter(None, [str(one.cleaning)]))]
        lines += [f"not tested by the target: {one}" for one in self.assumptions if not one.tested]
        lines.append(f"verdict: {'good' if self.good else 'not to be used'}")
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [f"  most of it is in {group}" for group in self.of_runs(lambda verdict: verdict.common)]
        return "\n".join(lines)


def one_or_all(of_runs: list[Any]) -> Any:
    """What there is of a single run, a list of several."""
    return of_runs[0] if len(of_runs) == 1 else of_runs


def asked(assumptions: Sequence[Assumption]) -> str:
    """What the target asks for, one of them in place of the others: the most significant first; empty if nothing."""
    found = sorted(
        (one for one in assumptions if abs(one.significance) > LIMIT), key=lambda one: -abs(one.significance)
    )
    told = [
        f"{one.name} = {one.value + one.step:.6g} {one.unit}".rstrip()
        + f", {one.significance:+.1f} of its errors from the {one.value:g} taken"
        for one in found[:MOST]
    ]
    told += [f"{len(found) - MOST} others"] if len(found) > MOST else []
    return f"the target asks for {'; or instead for '.join(told)}" if told else ""


def at_bound(value: float, bounds: np.ndarray) -> bool:
    """Whether a value is at one of its bounds (2,), which smooth transforms only come close to."""
    if spans_decades(bounds[None])[0]:
        value, bounds = np.log(value), np.log(bounds)
    return bool(np.min(np.abs(bounds - value)) < AT_BOUND * (bounds[1] - bounds[0]))


def contributions_at(unknowns: Unknowns, last: Evaluation) -> tuple[Contribution, ...]:
    """What data and constraints contribute to a fit that ended there."""
    of_data = last.information - penalty(unknowns, last.values).information
    covariance, _ = invert(of_data, unknowns.size(last.values))
    return contributions(unknowns, last.values, last.gradient, covariance)


def make_result(
    problem: Problem,
    outcome: Outcome,
    uncertainty: Uncertainty,
    truth: np.ndarray | None,
    loss: str,
    optimizer: str,
    verdicts: tuple[Verdict, ...] = (),
    assumptions: Sequence[Assumption] = (),
    counted: str = "hits",
) -> FitResult:
    """The result of a fit that ended at `outcome`."""
    names, values, last = problem.names, outcome.values, outcome.last
    message, converged = outcome.message, outcome.ended
    if uncertainty.left > 1.0:
        converged = False
        left = f"a Newton step of {uncertainty.left:.2g} times what is allowed is left"
        message += f"; {left if np.isfinite(uncertainty.left) else 'the loss still falls in some direction'}"
    if uncertainty.open_direction is not None:
        converged = False
        message += ", but the data leave a direction open"
    bounded = [n for n, v, b in zip(names, values, problem.bounds, strict=True) if at_bound(v, b)]
    low, high = problem.bounds.T
    outward = np.where(values - low < high - values, last.gradient > 0.0, last.gradient < 0.0)
    pushed = [name for name, out in zip(names, outward, strict=True) if out and name in bounded]
    if bounded:
        message += f", at the bound of {', '.join(bounded)}, where errors mean little"
    return FitResult(
        names=names,
        units=problem.unknowns.units,
        values=values,
        size=problem.unknowns.size(values),
        errors=np.sqrt(np.diag(uncertainty.covariance)),
        covariance=uncertainty.covariance,
        intervals=uncertainty.intervals,
        start=problem.unknowns.start,
        bounds=problem.bounds,
        truth=truth,
        loss=loss,
        optimizer=optimizer,
        value=last.value,
        hits=last.hits,
        unmatched=last.unmatched,
        iterations=sum(evaluation.phase != "errors" for evaluation in problem.record.history),
        mean_square=last.mean_square,
        converged=converged,
        message=message,
        errors_from=uncertainty.made_from,
        open_direction=open_components(names, uncertainty.open_direction),
        open_events=tuple(name for name, untold in zip(names, problem.untold(last), strict=True) if untold),
        pushed=tuple(pushed),
        verdicts=verdicts,
        assumptions=assumptions,
        contributions=contributions_at(problem.unknowns, last) if problem.unknowns.constraints else (),
        counted=counted,
    )
