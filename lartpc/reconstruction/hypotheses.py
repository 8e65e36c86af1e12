"""What made a track and where it stopped: the hypotheses on a candidate, compared by F."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lartpc.reconstruction.candidates import SAME, Candidate, Seed, overlap
from lartpc.reconstruction.fast import FastTrack
from lartpc.reconstruction.likelihood import Near, TrackLikelihood
from lartpc.reconstruction.singles import Fitted, fit_singles
from lartpc.reconstruction.track import Gaussian, Track

# Steps, and of F: what a hypothesis may be behind to go on after them. Where fits begin the wrong particle is 4,000
# behind and more, as its charge is off by a factor.
STAGES = ((0, 3000.0), (6, 100.0), (30, 50.0))
BEHIND = 5.0  # the same for each hit, behind another candidate with most of its hits, after some steps


class Found(NamedTuple):
    """The best hypothesis on a candidate."""

    candidate: Candidate
    name: str
    fitted: Fitted
    others: dict[str, float]  # F of each other hypothesis less that of the best

    @property
    def value_per_hit(self) -> float:
        """F over the number of hits; the wrong particle or end has more of it, whatever its residuals."""
        return a_hit_of(self.fitted.near)

    @property
    def strain(self) -> float:
        """That of the fitted track."""
        return self.fitted.strain


def begin(seed: Seed, t0: Gaussian, density: float) -> tuple[Track, np.ndarray]:
    """The track of a hypothesis, and its unknowns where the fit begins."""
    return (FastTrack if seed.fast else Track).through(
        seed.points,
        seed.particle,
        t0=t0,
        rho=seed.rho,
        density=density,
        longest=seed.longest,
        cut=seed.cut,
        losses=seed.losses,
    )


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
    begun = [begin(seed, t0, density) for seed in seeds]
    tracks, etas = [track for track, _ in begun], [eta for _, eta in begun]
    fitted: dict[int, Fitted] = {}
    same = shared(candidates)
    going = list(range(len(rows)))
    for steps, behind in STAGES:
        again = fit_singles(
            likelihood,
            vector,
            [tracks[k] for k in going],
            [fitted[k].eta if fitted else etas[k] for k in going],
            near=[fitted[k].near for k in going] if fitted else None,
            rows=[rows[k] for k in going],
            iterations=steps,
            progress=progress,
        )
        fitted |= dict(zip(going, again, strict=True))
        best, a_hit = np.full((2, len(candidates)), np.inf)
        np.minimum.at(best, rows, [fitted[k].near.value for k in range(len(rows))])
        np.minimum.at(a_hit, rows, [a_hit_of(fitted[k].near) for k in range(len(rows))])
        going = [k for k in going if fitted[k].near.value < best[rows[k]] + behind]
        if steps:
            going = [k for k in going if a_hit_of(fitted[k].near) < a_hit[same[rows[k]]].min() + BEHIND]
    found = []
    for row, candidate in enumerate(candidates):
        own = [k for k in range(len(rows)) if rows[k] == row]
        values = [fitted[k].near.value for k in own]
        at = int(np.argmin(values))
        others = {seeds[k].name: value - values[at] for k, value in zip(own, values, strict=True) if k != own[at]}
        found.append(Found(candidate, seeds[own[at]].name, fitted[own[at]], others))
    return found


def a_hit_of(near: Near) -> float:
    """F over the number of hits."""
    return near.value / max(near.hits, 1)


def shared(candidates: Sequence[Candidate]) -> list[list[int]]:
    """The places of those that have most of their hits in common with each of the candidates, its own with them."""
    of_event: dict[int, list[int]] = {}
    for k, one in enumerate(candidates):
        of_event.setdefault(one.event, []).append(k)
    return [[k for k in of_event[one.event] if overlap(one.rows, candidates[k].rows) > SAME] for one in candidates]


def without_doubles(found: Sequence[Found]) -> list[int]:
    """Places of the tracks, but where some share most of their hits, as a line both of whose ends may be the stop, of
    the best of them alone.
    """
    kept: dict[int, list[int]] = {}
    for k in sorted(range(len(found)), key=lambda k: found[k].value_per_hit):
        own, others = found[k].candidate, kept.setdefault(found[k].candidate.event, [])
        if all(overlap(own.rows, found[other].candidate.rows) <= SAME for other in others):
            others.append(k)
    return sorted(k for of_event in kept.values() for k in of_event)
