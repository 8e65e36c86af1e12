"""Calibrate with wires: the detector's parameters, all at once, from energy deposits and the waveforms they made.

Pulses that are apart by more than their width do not see each other, so that a velocity off by a percent has a
likelihood full of minima. So stages of blurred waveforms come first, with what moves pulses and scales them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.charge.velocity import with_velocity
from lartpc.contracts import ChainUnknowns
from lartpc.data.segments import Segments
from lartpc.fit.calibrate import Journal, truth_of
from lartpc.fit.optimizers import GaussNewton, newton_step
from lartpc.fit.problem import Problem, Record
from lartpc.fit.result import FitResult, make_result
from lartpc.fit.uncertainty import from_information
from lartpc.fit.unknowns import as_unknowns, check_start
from lartpc.goodness.statistics import Check
from lartpc.goodness.verdict import LIMIT, Verdict
from lartpc.losses.waveforms import WaveformObjective
from lartpc.parameters import Parameters, common_name
from lartpc.simulation.wires import WireSimulation

SEVEN = ("alpha_emb", "beta_90", "R_anisotropy", "lifetime", "vdrift", "tran_diff", "long_diff")
MOVES = ("vdrift", "eField", "t0_offset")  # what moves pulses
SCALES = ("alpha_emb", "alpha", "Ab")  # what scales all of them
LOSES = ("lifetime",)
SMOOTHS = ("tran_diff", "long_diff")


class Step(NamedTuple):
    """Gauss-Newton steps with waveforms blurred by `sigma` [us] and these free alone, at most so many."""

    sigma: float
    free: tuple[str, ...]
    most: int


SCHEDULE = (
    Step(16.0, MOVES + SCALES, 3),
    Step(8.0, MOVES + SCALES, 2),
    Step(3.0, MOVES + SCALES, 2),
    Step(2.0, MOVES + SCALES + LOSES, 2),
    Step(0.0, MOVES + SCALES + LOSES + SMOOTHS, 2),
)
LARGEST = {"vdrift": 0.02, "eField": 0.05, "alpha_emb": 0.06, "alpha": 0.06, "Ab": 0.06, "lifetime": 1.0}
OTHERS = 0.5  # relative size of a step of the others, at most
SMALL = 0.3  # of an error: the step after which a stage has no more to do


@one_blas_thread
def calibrate_waveforms(
    simulation: WireSimulation,
    segments: Segments,
    read: Callable[[int, int, int, int], np.ndarray | None],
    unknowns: Sequence[str] | ChainUnknowns = SEVEN,
    *,
    truth: Parameters | None = None,
    journal: Journal = Journal(),  # noqa: B008  (immutable)
) -> FitResult:
    """Fit `unknowns`: parameters by their names, or with start and bounds of one's own as `unknowns_of` gives.

    `read(event_id, channel, start, ticks)`: the data of a channel, (ticks,) [mV] above its baseline, which `segments`
    and nothing else made, None where there are none, as `FrameTarget.read` has them; `truth`: their parameters, where
    known.

    Raises InputError: unknown or repeated name, one that nothing depends on, a start outside the bounds, no signal
    where data are read. Raises FloatingPointError where the likelihood is not finite.
    """
    varied = as_unknowns(simulation, unknowns)
    check_start(varied)
    objective = WaveformObjective(simulation, segments, read, varied, journal.progress)
    record = Record(journal.done, journal.report)
    values = varied.start
    for step in SCHEDULE:
        values = _stage(objective, record, step, values)
    problem = Problem(objective, record)
    optimizer = GaussNewton()
    outcome = optimizer.run(problem, values)
    problem.phase = "errors"
    found = from_information(problem, outcome.last)
    verdict = judge_waveforms(objective, outcome.values)
    known = truth_of(None if truth is None else with_velocity(truth), varied.names)
    told = ("waveform likelihood", optimizer.name, (verdict,))
    return make_result(problem, outcome, found, known, *told, counted="regions")


def at_start(parameters: Parameters, names: Sequence[str]) -> Parameters:
    """The parameters with which a fit of `names` begins: a velocity that is to be fitted has a value."""
    return with_velocity(parameters) if "vdrift" in names else parameters


def _stage(objective: WaveformObjective, record: Record, step: Step, values: np.ndarray) -> np.ndarray:
    """The values after a step of the schedule."""
    names = objective.unknowns.names
    free = np.array([common_name(name) in step.free for name in names])
    if not free.any():
        return values
    problem = Problem(objective.blurred(step.sigma, free), record, phase=f"blurred by {step.sigma:g} us")
    widest = np.array([LARGEST.get(common_name(name), OTHERS) for name in names])
    for _ in range(step.most):
        at = problem(values)
        held = np.diag(np.where(free, 0.0, 1.0 / problem.scale**2))
        move = newton_step(problem, at._replace(information=at.information + held)) * problem.scale
        most = widest * problem.unknowns.size(values)
        move = np.clip(move, -most, most)
        values = np.clip(values + move, *problem.bounds.T)
        if (np.abs(move) * np.sqrt(np.diag(at.information)) < SMALL)[free].all():
            break
    return values


def judge_waveforms(objective: WaveformObjective, values: np.ndarray) -> Verdict:
    """Whether sums of squared residuals are as the noise has them: of all samples, and of each plane.

    The sum over n samples is chi-squared with n degrees of freedom.
    """
    squares, samples, kinds = [], [], []
    for k, regions in enumerate(objective.regions):
        squares.append(objective.squares(k, values))
        samples.append(regions.ticks)
        kinds.append(objective.simulation.detector.channel_kind[regions.channel])
    total, n, kind = (np.concatenate(column) for column in (squares, samples, kinds))
    groups = {"all planes": np.ones(len(kind), dtype=bool)}
    groups |= {f"plane {plane.name}": kind == k for k, plane in enumerate(objective.simulation.detector.kinds)}
    checks, reasons = [], []
    for name, rows in groups.items():
        if rows.any():
            count = float(n[rows].sum())
            off = (float(total[rows].sum()) - count) / np.sqrt(2.0 * count)
            checks.append(Check(f"mean square of the residuals on {name}", total[rows].sum() / count, 1.0, float(off)))
    reasons = [
        f"{check.name}: {check.found:.4g}, expected 1, {check.significance:+.1f} deviations off"
        for check in checks
        if abs(check.significance) > LIMIT
    ]
    return Verdict(not reasons, tuple(reasons), tuple(checks), (), {}, (), None)
