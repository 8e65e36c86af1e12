"""Calibrate: the detector's parameters, all at once, from energy deposits and the hits that they made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.contracts import Unknowns
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.data.selection import length_batches
from lartpc.exceptions import InputError
from lartpc.fit.optimizers import Adam, Optimizer, find_optimizer
from lartpc.fit.problem import Evaluation, Outcome, Problem, Record
from lartpc.fit.result import FitResult, make_result
from lartpc.fit.robust import Robust, warm_up
from lartpc.fit.target import Target
from lartpc.fit.uncertainty import (
    EXPECTED,
    GAUSS_NEWTON,
    Uncertainty,
    from_hessian,
    from_information,
    profile,
    sandwich,
)
from lartpc.fit.unknowns import as_unknowns, check_start
from lartpc.losses.catalogue import OBJECTIVES, SQUARES
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters, common_name
from lartpc.simulation.simulation import Simulation

SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
LOSSES = tuple(name for name in OBJECTIVES if name != "matched")
ERRORS = ("gauss-newton", "hessian", "profile")
WARM_STEPS_PER_BATCH = 16384  # the robust start needs no more than the first batch of about this many steps


@dataclasses.dataclass(frozen=True)
class Journal:
    """The evaluations of a fit that are already done, who is told each one, and what wraps each pass over batches."""

    done: Sequence[Evaluation] = ()
    report: Callable[[Evaluation], None] = lambda evaluation: None
    progress: Callable[[Iterable], Iterable] = lambda batches: batches


@one_blas_thread
def calibrate(
    simulation: Simulation,
    segments: Segments,
    target: Target | Hits,
    unknowns: Sequence[str] | Unknowns = SIX,
    *,
    loss: str | None = None,
    optimizer: str | Optimizer | None = None,
    errors: str = "gauss-newton",
    journal: Journal = Journal(),
) -> FitResult:
    """Fit `unknowns`: parameters by their names, or with start and bounds of one's own as `unknowns_of` gives.

    `target`: hits that `segments` and nothing else made; plain hits are taken as measured, see `Target`. `loss`, by
    default the one that suits the target: likelihood, where it has the detector's noise, or residuals, where it has
    none. These two begin with a robust fit of matched hits on the first events. The others, of `hit_losses.LOSSES`,
    compare hit lists.
    `optimizer`: the name of one of `OPTIMIZERS`, or one with options, as `GaussNewton(iterations=20)`; by default
    gauss-newton, and l-bfgs-b for losses that are no sums of squares. `errors` of a likelihood: by its gauss-newton
    form, its hessian, or profile; those of the losses of hit lists are from the spread of the events. The simulation's
    own `noise` is not used.

    Raises InputError: unknown or repeated name, one that nothing depends on, a start outside the bounds, an unknown
    loss, optimizer or errors or ones that do not go together, a likelihood with discriminator noise, no hit, hits of
    another detector or of other events than the segments', no hit where the segments give charge. Raises
    FloatingPointError where a loss is not finite.
    """
    target = Target.of(target)
    loss = loss or target.loss
    varied = as_unknowns(simulation, unknowns)
    check_choice("loss", loss, LOSSES)
    check_choice("errors", errors, ERRORS)
    squares = loss in SQUARES
    if errors != "gauss-newton" and loss != "likelihood":
        raise InputError(f"errors: {errors} needs the loss likelihood, found {loss}")
    optimizer = find_optimizer(optimizer, squares)
    check_start(varied)
    target.check(simulation.detector, segments)
    hits = TargetHits(target.hits, simulation.detector, target.rounded)
    quiet = simulation.apart(varied.names).without_pixels(target.unread).without_noise()
    if isinstance(optimizer, Adam):
        chosen = length_batches(segments, optimizer.batch_length, optimizer.seed)
        batches = [quiet.batch(segments.select(rows)) for rows in chosen]
    else:
        batches = quiet.batches(segments, whole=not squares)
    objective = Objective(loss, quiet, batches, hits, varied, journal.progress)
    record = Record(journal.done, journal.report)
    values = varied.start
    if squares:
        first = quiet.batches(segments, WARM_STEPS_PER_BATCH, whole=False)[:1]
        matched: Any = Robust(Objective("matched", quiet, first, hits, varied))
        values = warm_up(Problem(matched, record, "warm-up"), values)
    problem = Problem(objective, record)
    outcome = optimizer.run(problem, values)
    found = uncertainty_of(problem, outcome, loss, errors)
    return make_result(problem, outcome, found, truth_of(target.truth, varied.names), loss, optimizer.name)


def truth_of(truth: Parameters | None, names: Sequence[str]) -> np.ndarray | None:
    """The values (n,) of `names`; None where not known, or where modules differ in what is to be common."""
    if truth is None or {common_name(name) for name in truth.modules} & set(names):
        return None
    return np.array([truth.value(name) for name in names], dtype=np.float64)


def uncertainty_of(problem: Problem, outcome: Outcome, loss: str, kind: str) -> Uncertainty:
    """The errors that go with a loss, of the kind that was asked for."""
    problem.phase = "errors"
    if loss not in SQUARES:
        return sandwich(problem, outcome.last)
    if kind == "hessian":
        return from_hessian(problem, outcome.last)
    found = from_information(problem, outcome.last, GAUSS_NEWTON if loss == "likelihood" else EXPECTED)
    return profile(problem, outcome.last, found) if kind == "profile" else found
