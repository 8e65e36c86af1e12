"""Calibrate: the detector's parameters, all at once, from energy deposits and the hits that they made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from lartpc.checks import check_choice, nearest
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.data.selection import length_batches
from lartpc.exceptions import InputError
from lartpc.fit.optimizers import Outcome, check_optimizer
from lartpc.fit.problem import Evaluation, Problem, Record
from lartpc.fit.result import FitResult, make_result
from lartpc.fit.robust import Robust, warm_up
from lartpc.fit.target import Target
from lartpc.fit.uncertainty import EXPECTED, GAUSS_NEWTON, Errors, from_hessian, from_information, profile, sandwich
from lartpc.losses.catalogue import OBJECTIVES, SQUARES, check_noise
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import TABLE, Parameters, common_name, is_known, parameter
from lartpc.simulation.simulation import Simulation

SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
LOSSES = tuple(name for name in OBJECTIVES if name != "matched")
ERRORS = ("gauss-newton", "hessian", "profile")
WARM_STEPS_PER_BATCH = 16384  # the robust start needs no more than the first batch of about this many steps
BATCH_LENGTH = 100.0  # [cm]


def calibrate(
    simulation: Simulation,
    segments: Segments,
    target: Target | Hits,
    *,
    names: Sequence[str] = SIX,
    loss: str | None = None,
    optimizer: str | None = None,
    iterations: int | None = None,
    batch_length: float = BATCH_LENGTH,
    seed: int = 0,
    errors: str = "gauss-newton",
    start: dict[str, float] | None = None,
    history: Sequence[Evaluation] = (),
    report: Callable[[Evaluation], None] = lambda evaluation: None,
    progress: Callable[[Iterable], Iterable] = lambda batches: batches,
) -> FitResult:
    """Fit the parameters `names`, starting from `start` (default: the simulation's), within the ranges of `TABLE`.

    `target`: hits that `segments` and nothing else made; plain hits are taken as measured, see `Target`. `loss`, by
    default the one that suits the target: likelihood, where it has the detector's noise, or residuals, where it has
    none. These two begin with a robust fit of matched hits on the first events. The others, of `losses.LOSSES`, compare
    hit lists. `optimizer`: one of `OPTIMIZERS`, by default gauss-newton, and l-bfgs-b for losses that are no sums of
    squares; adam goes through batches of whole events, shuffled with `seed` and filled to `batch_length` [cm].
    `iterations`: evaluations (epochs of adam) at most. `errors` of a likelihood: by its gauss-newton form, its hessian,
    or profile; those of the losses of hit lists are from the spread of the events. `history`: evaluations of the same
    fit that are already done. The simulation's own `noise` is not used.

    Raises InputError: unknown or repeated name, one that nothing depends on, a start outside the range or of what is
    not fitted, an unknown loss, optimizer or errors or ones that do not go together, a likelihood with discriminator
    noise, no hit, hits of another detector or of other events than the segments', no hit where the segments give
    charge. Raises FloatingPointError where a loss is not finite.
    """
    target = Target.of(target)
    loss = loss or target.loss
    check_names(simulation, names)
    simulation = simulation.apart(names).without_pixels(target.unread)
    check_choice("loss", loss, LOSSES)
    check_noise(loss, simulation.detector)
    check_choice("errors", errors, ERRORS)
    squares = loss in SQUARES
    if errors != "gauss-newton" and loss != "likelihood":
        raise InputError(f"errors: {errors} needs the loss likelihood, found {loss}")
    optimizer = optimizer or ("gauss-newton" if squares else "l-bfgs-b")
    minimise, most, _ = check_optimizer(optimizer, squares)
    start_values = start_of(simulation, names, start or {})
    target.check(simulation.detector, segments)
    hits = TargetHits(target.hits, simulation.detector, target.rounded)
    quiet = simulation.without_noise()
    bounds = np.array([parameter(name).range for name in names])
    record = Record(history, report)
    values = start_values
    if squares:
        first = quiet.batches(segments, WARM_STEPS_PER_BATCH, whole=False)[:1]
        matched: Any = Robust(Objective("matched", quiet, first, hits, names))
        values = warm_up(Problem(matched, names, bounds, record, "warm-up"), values)
    if optimizer == "adam":
        chosen = length_batches(segments, batch_length, seed)
        batches = [quiet.batch(segments.select(rows)) for rows in chosen]
    else:
        batches = quiet.batches(segments, whole=not squares)
    problem = Problem(Objective(loss, quiet, batches, hits, names, progress), names, bounds, record)
    outcome = minimise(problem, values, iterations or most)
    found = errors_of(problem, outcome, loss, errors)
    return make_result(problem, outcome, found, start_values, truth_of(target.truth, names), loss, optimizer)


def truth_of(truth: Parameters | None, names: Sequence[str]) -> np.ndarray | None:
    """The values (n,) of `names`; None where not known, or where modules differ in what is to be common."""
    if truth is None or {common_name(name) for name in truth.modules} & set(names):
        return None
    return np.array([truth.value(name) for name in names], dtype=np.float64)


def start_of(simulation: Simulation, names: Sequence[str], start: dict[str, float]) -> np.ndarray:
    """Where a fit starts (n,). Raises InputError."""
    for name in start:
        if name not in names:
            raise InputError(f"start: {name} is not fitted, allowed are {', '.join(names)}")
    nominal = simulation.parameters.as_dict()
    values = np.array([start.get(name, nominal[name]) for name in names], dtype=np.float64)
    for name, value in zip(names, values, strict=True):
        low, high = parameter(name).range
        if not low <= value <= high:
            raise InputError(f"start of {name}: found {value:g}, allowed is {low:g} to {high:g}")
    return values


def errors_of(problem: Problem, outcome: Outcome, loss: str, kind: str) -> Errors:
    """The errors that go with a loss, of the kind that was asked for."""
    problem.phase = "errors"
    if loss not in SQUARES:
        return sandwich(problem, outcome.last)
    if kind == "hessian":
        return from_hessian(problem, outcome.last)
    found = from_information(problem, outcome.last, GAUSS_NEWTON if loss == "likelihood" else EXPECTED)
    return profile(problem, outcome.last, found) if kind == "profile" else found


def check_names(simulation: Simulation, names: Sequence[str]) -> None:
    """Raise InputError where `names` cannot be fitted."""
    if not names:
        raise InputError(f"fit: no parameter is named, allowed are {', '.join(simulation.acting())}")
    for name in names:
        if not is_known(name):
            raise InputError(f"fit: parameter {name} is not known, nearest is {nearest(name, TABLE)}")
    simulation = simulation.apart(names)
    acting, single = simulation.acting(), simulation.parameters.modules
    for name in names:
        own = [other for other in single if other != name and common_name(other) == name]
        if own:
            raise InputError(f"fit: {name} is that of all modules, but {', '.join(own)} are of single ones: fit these")
        if name not in acting:
            raise InputError(
                f"fit: nothing depends on {name} with recombination {simulation.recombination} and "
                f"vdrift {simulation.parameters.vdrift or 'linked to the field'}; allowed are {', '.join(acting)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"fit: a parameter is named twice in {', '.join(names)}")
