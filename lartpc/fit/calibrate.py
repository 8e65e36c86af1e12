"""Calibrate: the detector's parameters, all at once, from energy deposits and the hits that they made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.checks import check_choice
from lartpc.contracts import ChainUnknowns
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.agreement import check_agreement
from lartpc.fit.ending import Endings
from lartpc.fit.optimizers import Optimizer, find_optimizer
from lartpc.fit.problem import Evaluation, Outcome, Problem, Record
from lartpc.fit.result import FitResult, make_result
from lartpc.fit.runs import Joint, Run, RunUnknowns, unknowns_of_runs
from lartpc.fit.stage import Stage, Stages
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
from lartpc.fit.unknowns import as_unknowns, check_events, check_start
from lartpc.goodness.cleaning import Cleaning
from lartpc.goodness.verdict import Verdict
from lartpc.losses.catalogue import OBJECTIVES, SQUARES
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


def calibrate(
    simulation: Simulation,
    segments: Segments,
    target: Target | Hits,
    unknowns: Sequence[str] | ChainUnknowns = SIX,
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
    varied = RunUnknowns.of(as_unknowns(simulation, unknowns))
    run = Run(simulation, segments, target)
    return calibrate_runs([run], varied, loss=loss, optimizer=optimizer, errors=errors, journal=journal)


@one_blas_thread
def calibrate_runs(
    runs: Sequence[Run],
    unknowns: Sequence[str] | RunUnknowns = SIX,
    *,
    per_run: Sequence[str] = (),
    loss: str | None = None,
    optimizer: str | Optimizer | None = None,
    errors: str = "gauss-newton",
    journal: Journal = Journal(),
) -> FitResult:
    """Fit the targets of several runs at once, whose detectors may differ: -log L is the sum of theirs.

    Parameters are common to all runs, but those of `per_run` have a value in each: lifetime.run0, lifetime.run1, ...;
    `unknowns`: names, or with start and bounds of one's own as `unknowns_of_runs` gives. The rest as in `calibrate`.

    Raises InputError as `calibrate` does, for no run at all, and where the targets of runs need different losses.
    """
    if not runs:
        raise InputError("runs: there is none, allowed are one or more")
    simulations = [run.simulation for run in runs]
    if isinstance(unknowns, RunUnknowns):
        varied = unknowns
    else:
        varied = unknowns_of_runs(simulations, unknowns, per_run)
    targets = [Target.of(run.target) for run in runs]
    loss = loss or common_loss(targets)
    check_choice("loss", loss, LOSSES)
    check_choice("errors", errors, ERRORS)
    squares = loss in SQUARES
    if errors != "gauss-newton" and loss != "likelihood":
        raise InputError(f"errors: {errors} needs the loss likelihood, found {loss}")
    if varied.constraints and not squares:
        raise InputError(f"constraint: needs the loss likelihood or residuals, found {loss}")
    optimizer = find_optimizer(optimizer, squares)
    check_start(varied)
    stages, left_out = [], []
    for run, target, own in zip(runs, targets, varied.of_run, strict=True):
        check_events(own.names, run.segments.events)
        target.check(run.simulation.detector, run.segments)
        check_agreement(target, run.simulation, own.names)
        usable, out = target.usable(run.simulation.detector)
        quiet = run.simulation.apart(own.names).without_noise()
        stages.append(Stage(quiet, run.segments, usable, own, loss, optimizer, journal.progress))
        left_out.append(out)
    record = Record(journal.done, journal.report)
    problem, outcome, verdicts, endings = fit(Stages(tuple(stages), varied, loss, optimizer), record)
    found = uncertainty_of(problem, outcome, loss, errors)
    verdicts = tuple(verdict.after(out) for verdict, out in zip(verdicts, left_out, strict=True))
    told = () if endings is None else endings.at(outcome).assumptions()
    truths = zip(targets, varied.of_run, strict=True)
    truth = varied.told([truth_of(target.truth, own.names) for target, own in truths])
    return make_result(problem, outcome, found, truth, loss, optimizer.name, verdicts, told)


def common_loss(targets: Sequence[Target]) -> str:
    """The loss that suits all targets."""
    found = list(dict.fromkeys(target.loss for target in targets))
    if len(found) > 1:
        raise InputError(f"loss: targets of the runs need {' and '.join(found)}, allowed is one: name it")
    return found[0]


def fit(stages: Stages, record: Record) -> tuple[Problem, Outcome, tuple[Verdict, ...], Endings | None]:
    """Fit the whole targets; where the model does not describe them, without what is no data of the model.

    What that is shows at the robust start first, which hits far off do not move, then where each fit ends.
    """
    clean = stages.clean
    objective, squares = stages.objective(clean), stages.loss in SQUARES
    start = stages.robust_start(objective, record) if squares else stages.unknowns.start
    endings = stages.endings(objective, clean) if squares else None
    problem, outcome = run(stages, objective, record, start, endings)
    seen = None if endings is None else endings.at(outcome).examined()
    examined = stages.examined(outcome.values) if seen is None else seen
    verdicts, cleanings = stages.verdicts(examined, clean), stages.spoilt(examined)
    if endings is None or (all(verdict.describes for verdict in verdicts) and same(cleanings, clean)):
        return problem, outcome, verdicts, endings
    values, before, at_start = start, clean, stages.spoilt(stages.examined(start))
    cleanings = cleanings if same(at_start, clean) else at_start
    for _ in range(ROUNDS):
        if same(cleanings, before):
            break
        objective = stages.objective(cleanings)
        endings = stages.endings(objective, cleanings)
        problem, outcome = run(stages, objective, record, values, endings)
        values, before, examined = outcome.values, cleanings, stages.examined(outcome.values)
        verdicts, cleanings = stages.verdicts(examined, cleanings), stages.spoilt(examined)
    return problem, outcome, verdicts, endings


def same(these: tuple[Cleaning, ...], others: tuple[Cleaning, ...]) -> bool:
    """Whether the same is left out of every run."""
    return all(one.same(other) for one, other in zip(these, others, strict=True))


def run(
    stages: Stages, objective: Joint, record: Record, start: np.ndarray, endings: Endings | None
) -> tuple[Problem, Outcome]:
    """Minimise from `start`."""
    problem = Problem(objective, record, endings=endings)
    return problem, stages.optimizer.run(problem, start)


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
