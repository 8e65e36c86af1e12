"""Parameters and the thresholds of single pixels from the same hits.

At the parameters p each pixel's threshold d is where its own likelihood, times that of the population, is largest
(thresholds.py). The derivative g of -log L by p, there, is that of what is left when all d follow p, and so is

H = H_pp - sum_pixels b b^T s^2/(1 + s^2 h),  h = sum t^2, b = sum t J

its second one, over the rows of a pixel with their derivatives J by p and t by its threshold: with p goes the mean of
the population. Newton's method with both, and the errors from H^-1, know that thresholds are not.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.contracts import ChainUnknowns
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.pixelvalues import with_values
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import SIX, Journal, calibrate
from lartpc.fit.compare import DRAWN, examined
from lartpc.fit.constraint import penalty
from lartpc.fit.optimizers import GaussNewton, Optimizer
from lartpc.fit.problem import Evaluation
from lartpc.fit.result import FitResult
from lartpc.fit.stage import Stage
from lartpc.fit.target import Target
from lartpc.fit.thresholds import Thresholds, check, thresholds_of, with_detector, with_table
from lartpc.fit.uncertainty import invert
from lartpc.fit.unknowns import as_unknowns, unknowns_of
from lartpc.goodness.cleaning import Cleaning
from lartpc.goodness.items import FIRST_SEED
from lartpc.goodness.verdict import Verdict
from lartpc.parameters import common_name
from lartpc.simulation.collect import concatenate
from lartpc.simulation.simulation import Simulation

OFFSET = "threshold_offset"
ROUNDS = 4
CLOSE = 0.05  # of an error, from which the steps end: each takes most of what is left
ERRORS = "; the thresholds of pixels are from the same hits, which the errors know"


@one_blas_thread
def calibrate_with_thresholds(
    simulation: Simulation,
    segments: Segments,
    target: Target | Hits,
    unknowns: Sequence[str] | ChainUnknowns = SIX,
    *,
    optimizer: str | Optimizer | None = None,
    journal: Journal = Journal(),  # noqa: B008  (immutable)
) -> tuple[FitResult, Thresholds]:
    """Fit `unknowns` as `calibrate` does, by the likelihood, together with the thresholds of all pixels.

    The verdict is on the model with these thresholds; those of the targets that it is compared with are estimated, too.

    Raises InputError: the unknowns have threshold_offset, which the population's mean is, and as `calibrate` and
    `estimate_thresholds` do.
    """
    target, simulation = Target.of(target), with_detector(simulation, with_table(simulation.detector)).without_noise()
    varied: Any = as_unknowns(simulation, unknowns)
    if any(common_name(name) == OFFSET for name in varied.names):
        raise InputError(f"{OFFSET}: is what estimated thresholds have in common, allowed is to fit one of them")
    check(simulation, segments, target)
    seen: list[Evaluation] = []

    def report(evaluation: Evaluation) -> None:
        seen.append(evaluation)
        journal.report(evaluation)

    told = dataclasses.replace(journal, report=report)
    options: dict[str, Any] = {"loss": "likelihood", "optimizer": optimizer}
    first = calibrate(simulation, segments, target, varied, **options, journal=told)
    usable, left_out = target.usable(simulation.detector)
    stage = Stage(simulation.apart(varied.names), segments, usable, varied, "likelihood", GaussNewton(), list)
    model = Combined(stage, first.verdicts[0].cleaning)
    values = first.values
    for _ in range(ROUNDS):
        found = model.at(values, model.thresholds(values))
        values = np.clip(values + found.step, *varied.bounds.T)
        if (np.abs(found.step) <= CLOSE * np.sqrt(np.diag(found.covariance))).all():
            break
    thresholds = model.thresholds(values)
    rest = dataclasses.replace(journal, done=journal.done[len(seen) :])
    started = dataclasses.replace(varied, start=values)
    result = calibrate(model.known(thresholds), segments, target, started, **options, journal=rest)
    known = model.at(result.values, thresholds)
    result = result._replace(
        start=varied.start,
        covariance=known.covariance,
        errors=np.sqrt(np.diag(known.covariance)),
        errors_from=result.errors_from + ERRORS,
        mean_square=known.mean_square,
        verdicts=(model.verdict(result.values, thresholds).after(left_out),),
    )
    return result, dataclasses.replace(thresholds, left_out=str(result.verdicts[0].cleaning))


class Local(NamedTuple):
    """What n unknowns are near some values, with the thresholds that follow them."""

    step: np.ndarray  # (n,) that Newton's method adds
    covariance: np.ndarray  # (n, n)
    mean_square: float  # of the residuals, and the thresholds' over the spread: 1 where the model is right


class Combined(NamedTuple):
    """A fit of one run whose pixels have thresholds that are not known."""

    stage: Stage
    cleaning: Cleaning  # what is left out of the target

    def thresholds(self, values: np.ndarray) -> Thresholds:
        """With the unknowns at `values`."""
        kept = self.cleaning.kept(self.stage.segments), self.stage.target.without(self.cleaning)
        return thresholds_of(self.stage.simulation, *kept, self.stage.vector(values))

    def known(self, thresholds: Thresholds) -> Simulation:
        """The simulation with these thresholds."""
        simulation = self.stage.simulation
        return with_detector(simulation, thresholds.applied(simulation.detector))

    def at(self, values: np.ndarray, thresholds: Thresholds) -> Local:
        """With the unknowns at `values` (n,), and `thresholds` estimated there."""
        simulation, unknowns, n = self.stage.simulation, self.stage.unknowns, len(values)
        start, bounds = (dict(zip(unknowns.names, of.tolist(), strict=True)) for of in (values, unknowns.bounds))
        wide = unknowns_of(simulation, (*unknowns.names, OFFSET), start, bounds)
        stage = self.stage._replace(simulation=self.known(thresholds), unknowns=wide)
        found: Any = stage.objective(self.cleaning)(wide.start)
        _, pixel = np.unique(found.pixel, return_inverse=True)
        # Rows b of the unknowns, h the last.
        own = np.stack([np.bincount(pixel, found.jacobian[:, -1] * column) for column in found.jacobian.T])
        square = thresholds.spread**2
        information = found.information - (own * square / (1.0 + square * own[-1])) @ own.T
        added = penalty(unknowns, values)
        information[:n, :n] += added.information
        covariance, _ = invert(information, np.append(unknowns.size(values), wide.scale[-1]))
        covariance = covariance[:n, :n]
        off = thresholds.values - simulation.detector.of_pixels("threshold", thresholds.pixel) - thresholds.mean
        squares = float(np.sum(found.residual**2)) + (float(np.sum(off**2)) / square if square > 0.0 else 0.0)
        step = -covariance @ (found.gradient[:n] + added.gradient)
        return Local(step, covariance, squares / len(found.residual))

    def verdict(self, values: np.ndarray, thresholds: Thresholds) -> Verdict:
        """On the model there, next to drawn targets whose thresholds are estimated, too."""
        vector, simulation, segments = self.stage.vector(values), self.stage.simulation, self.stage.segments

        def found_in(one: Target, estimated: Thresholds) -> Any:
            return examined(self.known(estimated), segments, one, vector, 0)

        found, drawn = found_in(self.stage.target, thresholds), []
        for k in range(DRAWN):
            one = dataclasses.replace(self.stage.target, hits=self.drawn(vector, thresholds, FIRST_SEED + k))
            population = thresholds.mean, thresholds.spread
            drawn.append(found_in(one, thresholds_of(simulation, segments, one, vector, population)).target)
        stage = self.stage._replace(simulation=self.known(thresholds))
        return stage.verdict(found._replace(drawn=drawn), stage.spoilt(found))

    def drawn(self, vector: Any, thresholds: Thresholds, seed: int) -> Hits:
        """Hits that the model makes with thresholds from the population."""
        target = self.stage.target
        source = copy.copy(self.stage.simulation.without_pixels(target.unread))
        source.noise, source.seed = target.noise, seed
        detector, pixel = source.detector, thresholds.pixel
        moved = thresholds.mean + thresholds.spread * np.random.default_rng(seed).normal(size=len(pixel))
        table: Any = detector.thresholds
        given = with_values(table, pixel, detector.of_pixels("threshold", pixel) + moved)
        source.detector = dataclasses.replace(detector, thresholds=given)
        batches = source.batches(self.stage.segments, whole=False)
        return concatenate(Hits, [source.simulate(batch, vector, False)[0] for batch in batches])
