"""What made a track and where it stopped: the hypotheses on a candidate, compared by F."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.reconstruction.candidates import SAME, Candidate, overlap
from lartpc.reconstruction.likelihood import TrackLikelihood
from lartpc.reconstruction.singles import Fitted, fit_singles
from lartpc.reconstruction.track import Gaussian, Track

FIRST = 8  # steps of every hypothesis
CLOSE = 50.0  # of F: the hypotheses that are fitted to their end


class Found(NamedTuple):
    """The best hypothesis on a candidate."""

    candidate: Candidate
    name: str
    fitted: Fitted
    others: dict[str, float]  # F of each other hypothesis less that of the best

    @property
    def value_per_hit(self) -> float:
        """F over the number of hits; the wrong particle or end has more of it, whatever its residuals."""
        return self.fitted.near.value / max(self.fitted.near.hits, 1)

    @property
    def strain(self) -> float:
        """(sum of squared residuals - 2 log prior)/(number of residuals): about 1 where the hypothesis is right."""
        near, (prior, _, _) = self.fitted.near, self.fitted.track.prior(self.fitted.eta)
        return (near.residual @ near.residual + 2.0 * prior) / max(len(near.residual), 1)


def compare(
    likelihood: TrackLikelihood,
    vector: np.ndarray,
    candidates: Sequence[Candidate],
    t0: Gaussian,
    density: float,
    progress: Callable[[Iterable], Iterable] = lambda steps: steps,
) -> list[Found]:
    """Fit each hypothesis on the candidates, whose hits the likelihood has in their order.

    t0: prior of the tracks' time [us]; density: of the argon that they lose energy in [g/cm3].
    """
    rows = [row for row, candidate in enumerate(candidates) for _ in candidate.seeds]
    seeds = [seed for candidate in candidates for seed in candidate.seeds]
    begun = [
        Track.through(
            seed.points,
            seed.particle,
            t0=t0,
            rho=seed.rho,
            length=seed.length,
            density=density,
            longest=seed.longest,
        )
        for seed in seeds
    ]
    tracks, etas = [track for track, _ in begun], [eta for _, eta in begun]
    fitted = fit_singles(likelihood, vector, tracks, etas, rows=rows, iterations=FIRST, progress=progress)
    best = np.full(len(candidates), np.inf)
    np.minimum.at(best, rows, [one.near.value for one in fitted])
    close = [k for k, row in enumerate(rows) if fitted[k].near.value < best[row] + CLOSE]
    again = fit_singles(
        likelihood,
        vector,
        [tracks[k] for k in close],
        [fitted[k].eta for k in close],
        near=[fitted[k].near for k in close],
        rows=[rows[k] for k in close],
        progress=progress,
    )
    for k, one in zip(close, again, strict=True):
        fitted[k] = one
    found = []
    for row, candidate in enumerate(candidates):
        own = [k for k in range(len(rows)) if rows[k] == row]
        values = [fitted[k].near.value for k in own]
        at = int(np.argmin(values))
        others = {seeds[k].name: value - values[at] for k, value in zip(own, values, strict=True) if k != own[at]}
        found.append(Found(candidate, seeds[own[at]].name, fitted[own[at]], others))
    return found


def without_doubles(found: Sequence[Found]) -> list[Found]:
    """Of those that share most of their hits, as a line between two ends that may be the stop, the better one."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: one.value_per_hit):
        if all(overlap(one.candidate.rows, other.candidate.rows) <= SAME for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: int(one.candidate.rows[0]))
