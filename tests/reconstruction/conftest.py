"""Tracks of the generator, in argon without end."""

import numpy as np
import pytest

from lartpc.generator.samples import Box, Primaries
from lartpc.generator.transport import propagate


@pytest.fixture(scope="session")
def generated():
    """Makes n stopping tracks of a particle: (nodes (steps + 1, 3) [cm], deposits (steps,) [MeV]), from the stop."""

    def make(pdg, lowest, highest, n):
        rng = np.random.default_rng(5)
        kinetic = rng.uniform(lowest, highest, n)
        primaries = Primaries(np.full(n, pdg), kinetic, np.zeros((n, 3)), np.tile([0.6, 0.0, 0.8], (n, 1)))
        box = Box(np.full(3, -1e3), np.full(3, 1e3))
        track, start, end, _, deposit, *_ = propagate(box, [primaries], [rng])
        return [
            (np.concatenate([end[track == k][::-1], start[track == k][:1]]), deposit[track == k][::-1])
            for k in range(n)
        ]

    return make
