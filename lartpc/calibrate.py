"""Calibrate: the detector's parameters, all at once, from energy deposits and the hits that they made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from .errors import InputError
from .fit import Iteration, gauss_newton, warm_up
from .hits import Hits
from .objectives import Objective
from .parameters import TABLE, Parameters, nearest
from .result import FitResult, make_result
from .segments import Segments
from .simulation import Simulation, check_choice
from .target import Target

SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
LOSSES = ("likelihood", "residuals")
WARM_STEPS_PER_BATCH = 16384  # the robust start needs no more than the first batch of about this many steps


def calibrate(
    simulation: Simulation,
    segments: Segments,
    hits: Hits,
    *,
    names: Sequence[str] = SIX,
    loss: str = "likelihood",
    start: dict[str, float] | None = None,
    truth: Parameters | None = None,
    iterations: int = 20,
    history: Sequence[Iteration] = (),
    report: Callable[[Iteration], None] = lambda iteration: None,
    progress: Callable[[Iterable], Iterable] = lambda batches: batches,
) -> FitResult:
    """Fit the parameters `names`, starting from `start` (default: the simulation's), within the ranges of `TABLE`.

    `hits` are the target, made by `segments` and nothing else. `loss` likelihood: for a target with the detector's
    noise; residuals: for one without. A robust fit of matched hits on the first events comes first; then Gauss-Newton
    on the loss with all. `history`: iterations already done, of which the last is repeated. The simulation's own
    `noise` is not used.

    Raises InputError: unknown or repeated name, one that nothing depends on, a start outside the range or of what is
    not fitted, an unknown loss, no hit, hits of other events than the segments', no hit where the segments give charge.
    """
    check_names(simulation, names)
    check_choice("loss", loss, LOSSES)
    for name in start or ():
        if name not in names:
            raise InputError(f"start: {name} is not fitted, allowed are {', '.join(names)}")
    nominal = simulation.parameters.as_dict()
    start_values = np.array([(start or {}).get(name, nominal[name]) for name in names], dtype=np.float64)
    bounds = np.array([TABLE[name].range for name in names])
    for name, value, (low, high) in zip(names, start_values, bounds, strict=True):
        if not low <= value <= high:
            raise InputError(f"start of {name}: found {value:g}, allowed is {low:g} to {high:g}")
    target = Target(hits, simulation.detector)
    missing = np.setdiff1d(hits.event_id, segments.event_id)
    if len(missing):
        raise InputError(f"target: has hits of event {missing[0]}, which the segments do not have")
    quiet = simulation.without_noise()
    batches = quiet.batches(segments)
    small = quiet.batches(segments, WARM_STEPS_PER_BATCH)
    done = list(history)
    repeat = done.pop() if done else None
    values = start_values if repeat is None else repeat.values
    if repeat is None or repeat.phase == "warm-up":
        first = Objective("matched", quiet, small[:1], target, names)
        values, done = warm_up(first, values, names, bounds, done, report)
    objective = Objective(loss, quiet, batches, target, names, progress)
    minimum = gauss_newton(objective, values, names, bounds, iterations, done, report)
    known = None if truth is None else np.array([truth.as_dict()[name] for name in names])
    return make_result(minimum, start_values, bounds, known, loss)


def check_names(simulation: Simulation, names: Sequence[str]) -> None:
    """Raise InputError where `names` cannot be fitted."""
    acting = simulation.acting()
    if not names:
        raise InputError(f"fit: no parameter is named, allowed are {', '.join(acting)}")
    for name in names:
        if name not in TABLE:
            raise InputError(f"fit: parameter {name} is not known, nearest is {nearest(name, TABLE)}")
        if name not in acting:
            raise InputError(
                f"fit: nothing depends on {name} with recombination {simulation.recombination} and "
                f"vdrift {simulation.parameters.vdrift or 'linked to the field'}; allowed are {', '.join(acting)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"fit: a parameter is named twice in {', '.join(names)}")
