"""Calibrate with wires: the detector's parameters, all at once, from energy deposits and the waveforms they made.

Pulses that are apart by more than their width do not see each other, so that a velocity off by a percent has a
likelihood full of minima. So stages of blurred waveforms come first, with what moves pulses and scales them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.charge.velocity import with_velocity
from lartpc.contracts import ChainUnknowns
from lartpc.data.segments import Segments
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import Journal, truth_of
from lartpc.fit.forecast import Forecast, bound
from lartpc.fit.optimizers import GaussNewton, newton_step
from lartpc.fit.problem import Problem, Record
from lartpc.fit.profile import check, divided, profile_objective
from lartpc.fit.result import FitResult, make_result
from lartpc.fit.scan import Scan, check_grid, scan_objective
from lartpc.fit.uncertainty import from_information
from lartpc.fit.unknowns import as_unknowns, check_events, check_start, unknowns_of
from lartpc.goodness.verdict import Verdict
from lartpc.goodness.waveforms import asked, judge_waveforms
from lartpc.losses.catalogue import WAVEFORMS
from lartpc.losses.waveforms import WaveformObjective
from lartpc.parameters import Parameters, common_name, event_of
from lartpc.simulation.wires import WireSimulation, with_amplifier
from lartpc.wires.tables import FARTHEST, is_near

SEVEN = ("alpha_emb", "beta_90", "R_anisotropy", "lifetime", "vdrift", "tran_diff", "long_diff")
MOVES = ("vdrift", "eField", "t0_offset")  # what moves pulses
SCALES = ("alpha_emb", "alpha", "Ab")  # what scales all of them
LOSES = ("lifetime",)
CONSTANT = ("MeVToElectrons", "lArDensity", "temperature")  # what acts as others do, and is known
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


def calibrate_waveforms(
    simulation: WireSimulation,
    segments: Segments,
    read: Callable[[int, int, int, int], np.ndarray | None],
    unknowns: Sequence[str] | ChainUnknowns = SEVEN,
    *,
    truth: Parameters | None = None,
    charge_scale: float | None = None,
    journal: Journal = Journal(),  # noqa: B008  (immutable)
) -> FitResult:
    """Fit `unknowns`: parameters by their names, or with start and bounds of one's own as `unknowns_of` gives.

    `read(event_id, channel, start, ticks)`: the data of a channel, (ticks,) [mV] above its baseline, which `segments`
    and nothing else made, None where there are none, as `FrameTarget.read` has them; `truth`: their parameters, where
    known. `charge_scale`: as of `WaveformObjective`; errors are those with the charges of tracks free.

    Raises InputError: unknown or repeated name, one that nothing depends on, a start outside the bounds, no signal
    where data are read, another `charge_scale` than 1e-9 to 1e9, or infinite. Raises FloatingPointError where the
    likelihood is not finite.
    """
    varied = as_unknowns(simulation, unknowns)
    check_start(varied)
    check_events(varied.names, segments.events)
    objective = WaveformObjective(simulation, segments, read, varied, journal.progress, charge_scale)
    return fit_waveforms(objective, truth=truth, journal=journal)


@one_blas_thread
def fit_waveforms(
    objective: WaveformObjective,
    *,
    truth: Parameters | None = None,
    journal: Journal = Journal(),  # noqa: B008  (immutable)
) -> FitResult:
    """The same with the data of an objective, by its unknowns."""
    record = Record(journal.done, journal.report)
    values, names = objective.unknowns.start, objective.unknowns.names
    for step in SCHEDULE:
        values = _stage(objective, record, step, values)
    problem = Problem(objective, record)
    optimizer = GaussNewton()
    outcome = optimizer.run(problem, values)
    problem.phase = "errors"
    found = from_information(problem, outcome.last)
    verdict = judge_waveforms(objective, outcome.values)
    told_by = objective.simulation.detector.electronics
    known = truth_of(None if truth is None else with_amplifier(with_velocity(truth), told_by), names)
    told = (WAVEFORMS, optimizer.name, (verdict,))
    return make_result(problem, outcome, found, known, *told, counted="regions")


@one_blas_thread
def compare_waveforms(
    simulation: WireSimulation, segments: Segments, read: Callable[[int, int, int, int], np.ndarray | None]
) -> Verdict:
    """Whether `simulation`, with its parameters as they are, describes waveforms that `segments` made.

    By mean squares of residuals, and by how far residuals ask for another value of a parameter. `read` as
    `calibrate_waveforms` takes it. Raises InputError where there is no signal where data are read.
    """
    names = [name for name in together(simulation, segments.events) if name not in CONSTANT]
    objective = WaveformObjective(simulation, segments, read, unknowns_of(simulation, names))
    start = objective.unknowns.start
    return judge_waveforms(objective, start, asked(objective, start))


@one_blas_thread
def forecast_waveforms(simulation: WireSimulation, segments: Segments, names: Sequence[str] = SEVEN) -> Forecast:
    """The Cramer-Rao bound on the errors of `names`, fitted together, at the parameters of `simulation`.

    sqrt(diag(I^-1)), I the information of the likelihood of waveforms with the detector's noise (`losses.waveforms`),
    which does not depend on what is read. Raises InputError where there is no signal, and for names that cannot be
    fitted.
    """
    check_events(names, segments.events)
    objective = WaveformObjective(simulation, segments, nothing, unknowns_of(simulation, names))
    return bound(objective.unknowns, objective(objective.unknowns.start).information)


@one_blas_thread
def scan_waveforms(
    objective: WaveformObjective,
    over: Mapping[str, tuple[float, float] | None],
    *,
    points: int = 21,
    plane: bool = False,
    profile: bool = False,
    truth: Parameters | None = None,
    journal: Journal = Journal(),  # noqa: B008  (immutable)
) -> Scan:
    """The likelihood of an objective at `points` values of each of its unknowns, from low to high, as `scan` does.

    With `profile` as `profile_scan` does: `over` is of some of them, and the others are fitted at each point. Compared
    are the regions in which the objective has its data: those of signals where its unknowns start.
    """
    if profile:
        check(over, objective.unknowns, points, plane)
        first, rest = divided(journal)
        best = fit_waveforms(objective, truth=truth, journal=first)
        return profile_objective(objective, best, over, points, plane, rest())
    ranges = {name: limits for name, limits in over.items() if limits is not None}
    check_ranges(objective.simulation, ranges, points, plane)
    return scan_objective(objective, ranges, points, plane, journal, kind=WAVEFORMS, truth=truth)


def check_ranges(simulation: WireSimulation, over: Mapping[str, tuple[float, float]], points: int, plane: bool) -> None:
    """Raise InputError as `check_grid`, and for shaping times too far from that of the simulation."""
    check_grid(simulation, over, points, plane)
    own = simulation.readout.table.shapings[0].electronics.shaping
    low, high = over.get("shaping", (own, own))
    if not (is_near(low, own) and is_near(high, own)):
        allowed = f"{(1.0 - FARTHEST) * own:g} to {(1.0 + FARTHEST) * own:g}, near that of the simulation"
        raise InputError(f"range of shaping: found {low:g} to {high:g}, allowed is {allowed}")


def together(simulation: WireSimulation, events: np.ndarray) -> list[str]:
    """Names of all parameters that results depend on, as unknowns of a fit of `events`, ids.

    A time of all events is none of them where some have times of their own.
    """
    single, here = simulation.parameters.of_events, set(events.tolist())
    common = {common_name(name) for name in single}
    names = [name for name in simulation.acting() if name not in common]
    return [name for name in names if name not in single or event_of(name) in here]


def nothing(event_id: int, channel: int, start: int, ticks: int) -> np.ndarray:
    """Data of a channel in which there is no signal (ticks,) [mV]."""
    return np.zeros(ticks, dtype=np.float32)


def at_start(parameters: Parameters, names: Sequence[str], start: Mapping[str, float] | None = None) -> Parameters:
    """The parameters of the simulation with which a fit of `names` begins, from where `start` has them.

    A velocity that is to be fitted has a value, and tables are those of the shaping time.
    """
    near = parameters.replace(**{name: value for name, value in (start or {}).items() if name == "shaping"})
    return with_velocity(near) if "vdrift" in names else near


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
