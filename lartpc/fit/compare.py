"""Compare a target with a model whose parameters are known, without a fit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lartpc.blas import one_blas_thread
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.fit.target import Target
from lartpc.goodness.cleaning import Cleaning, find_spoilt
from lartpc.goodness.items import Examined, examine
from lartpc.goodness.verdict import Verdict, judge
from lartpc.losses.catalogue import check_resets
from lartpc.losses.target import TargetHits, in_rows
from lartpc.simulation.simulation import Simulation

DRAWN = 4  # targets that are drawn from the model to compare with


@one_blas_thread
def compare(simulation: Simulation, segments: Segments, target: Target | Hits) -> Verdict:
    """Whether `simulation`, with its parameters as they are, describes hits that `segments` made; prints as reasons.

    Copies of hits, hits on pixels that are off and what `goodness.cleaning.find_spoilt` finds are left out first, as
    `calibrate` does, and named in `Verdict.cleaning`. `target`: plain hits are taken as measured, see `Target`. The
    simulation's own `noise` is not used.

    Raises InputError: no hit, hits of another detector or of other events than the segments', a time or charge that is
    not finite, a detector of periodic resets.
    """
    check_resets("a comparison", "0", simulation.detector)
    target = Target.of(target)
    target.check(simulation.detector, segments)
    (target, left_out), quiet = target.usable(simulation.detector), simulation.without_noise()
    found = examined(quiet, segments, target, quiet.vector())
    return verdict(quiet, segments, target, found, find_spoilt(found, target.hits)).after(left_out)


def verdict(simulation: Simulation, segments: Segments, target: Target, found: Examined, cleaning: Cleaning) -> Verdict:
    """On the model that a target was examined with, without what `cleaning` leaves out of the target."""
    spots, hits = found.spots, target.without(cleaning).hits
    lost = cleaning.wholly(spots.event_id, spots.pixel_id)
    kept = found.select(~(lost | in_rows(spots.event_id, spots.pixel_id, cleaning.spots)))
    places = np.stack((spots.event_id, spots.pixel_id), axis=1)
    unmatched = int(np.sum(~in_rows(hits.event_id, hits.pixel_id, places)))
    kept = kept._replace(target=kept.target._replace(unmatched=unmatched))
    cleaning = dataclasses.replace(cleaning, noise=unmatched)
    return judge(kept, segments, simulation.detector)._replace(cleaning=cleaning)


def examined(simulation: Simulation, segments: Segments, target: Target, vector: Any, n_drawn: int = DRAWN) -> Examined:
    """The target as it is given, and `n_drawn` that the model makes, none where all of it is exact."""
    simulation = simulation.without_pixels(target.unread)
    hits = TargetHits(target.hits, simulation.detector, target.rounded)
    batches = simulation.batches(segments, whole=False)
    return examine(simulation, batches, hits, vector, number_drawn(target, n_drawn), target.noise)


def number_drawn(target: Target, n_drawn: int = DRAWN) -> int:
    """How many targets are drawn: `n_drawn`, none where all of it is exact."""
    return n_drawn if target.noise or target.rounded else 0
