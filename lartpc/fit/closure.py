"""A target that is simulated here, to see whether a fit finds what it was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lartpc.data.segments import Segments
from lartpc.data.selection import separate_tracks
from lartpc.fit.target import Target
from lartpc.fit.unknowns import check_names
from lartpc.parameters import Parameters, parameter
from lartpc.simulation.simulation import Simulation


def draw_truth(
    simulation: Simulation, names: Sequence[str], seed: int, given: Mapping[str, float] | None = None
) -> Parameters:
    """The simulation's parameters with `names` drawn evenly from their ranges, but for those that are `given`.

    Raises InputError where `names` cannot be fitted.
    """
    check_names(simulation, names)
    rng = np.random.default_rng(seed)
    drawn = {name: rng.uniform(*parameter(name).range) for name in names}
    return simulation.parameters.replace(**drawn).replace(**(given or {}))


def closure(
    simulation: Simulation,
    segments: Segments,
    truth: Parameters,
    *,
    noise: bool = True,
    seed: int = 0,
    optimizer: str | None = None,
) -> tuple[Segments, Target]:
    """Segments, and the hits that they make with the parameters `truth`, for a fit by `optimizer`.

    For adam every track is an event of its own, so that each batch has the hits of its own tracks.
    """
    if optimizer == "adam":
        segments = separate_tracks(segments)
    source = Simulation(
        simulation.detector,
        truth,
        recombination=simulation.recombination,
        response=simulation.response,
        noise=noise,
        seed=seed,
        device=simulation.device,
        dtype=simulation.dtype,
        settings=simulation.settings,
    )
    settings = {"parameters": truth.as_dict(), "noise": noise, "seed": seed, "detector": simulation.detector.name}
    return segments, Target(source(segments).hits, noise=noise, truth=truth, settings=settings)
