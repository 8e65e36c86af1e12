"""Calibrate: the detector's parameters, all at once, from energy deposits and the hits that they made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.contracts import Unknowns
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.agreement import check_agreement
from lartpc.fit.ending import Ending
from lartpc.fit.optimizers import Optimizer, find_optimizer
from lartpc.fit.problem import Evaluation, Outcome, Problem, Record
from lartpc.fit.result import FitResult, make_result
from lartpc.fit.stage import Stage
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
from lartpc.goodness.cleaning import Cleaning
from lartpc.goodness.verdict import Verdict
from lartpc.losses.catalogue import OBJECTIVES, SQUARES
from lartpc.losses.objective import Objective
from lartpc.parameters import Parameters, common_name
from lartpc.simulation.simulation import Simulation

SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
LOSSES = tuple(name for name in OBJECTIVES if name != "matched")
ERRORS = ("gauss-newton", "hessian", "profile")
ROUNDS = 3  # of fits that leave out what the one before found


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
    if varied.constraints and not squares:
        raise InputError(f"constraint: needs the loss likelihood or residuals, found {loss}")
    optimizer = find_optimizer(optimizer, squares)
    check_start(varied)
    target.check(simulation.detector, segments)
    check_agreement(target, simulation, varied.names)
    target, left_out = target.usable(simulation.detector)
    quiet = simulation.apart(varied.names).without_noise()
    stage = Stage(quiet, segments, target, varied, loss, optimizer, journal.progress)
    record = Record(journal.done, journal.report)
    problem, outcome, verdict, ending = fit(stage, record)
    found = uncertainty_of(problem, outcome, loss, errors)
    verdict = verdict.after(left_out)
    told = () if ending is None else ending.at(outcome).assumptions()
    truth = truth_of(target.truth, varied.names)
    return make_result(problem, outcome, found, truth, loss, optimizer.name, verdict, told)


def fit(stage: Stage, record: Record) -> tuple[Problem, Outcome, Verdict, Ending | None]:
    """Fit the whole target; where the model does not describe it, without what is no data of the model.

    What that is shows at the robust start first, which hits far off do not move, then where each fit ends.
    """
    objective, squares = stage.objective(Cleaning()), stage.loss in SQUARES
    start = stage.robust_start(objective, record) if squares else stage.unknowns.start
    ending = stage.ending(objective, Cleaning()) if squares else None
    problem, outcome = run(stage, objective, record, start, ending)
    examined = stage.examined(outcome.values) if ending is None else ending.at(outcome).examined()
    verdict, cleaning = stage.verdict(examined, Cleaning()), stage.spoilt(examined)
    if ending is None or (verdict.describes and cleaning.empty):
        return problem, outcome, verdict, ending
    values, before, at_start = start, Cleaning(), stage.spoilt(stage.examined(start))
    cleaning = cleaning if at_start.empty else at_start
    for _ in range(ROUNDS):
        if cleaning.same(before):
            break
        objective = stage.objective(cleaning)
        ending = stage.ending(objective, cleaning)
        problem, outcome = run(stage, objective, record, values, ending)
        values, before, examined = outcome.values, cleaning, stage.examined(outcome.values)
        verdict, cleaning = stage.verdict(examined, cleaning), stage.spoilt(examined)
    return problem, outcome, verdict, ending


def run(
    stage: Stage, objective: Objective, record: Record, start: np.ndarray, ending: Ending | None
) -> tuple[Problem, Outcome]:
    """Minimise from `start`."""
    problem = Problem(objective, record, ending=ending)
    return problem, stage.optimizer.run(problem, start)


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
