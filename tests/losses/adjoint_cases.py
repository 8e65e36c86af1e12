"""Random launches of the kernels of what a fit minimises."""

import numpy as np
from launches import Case
from loss_cases import LOSS_CASES
from window_samples import random_waveforms


def random_likelihood(rng):
    """Hits at random ticks, also between windows and before the end of the hold; currents of both signs."""
    n, hits = 15, 4
    waveforms, last = random_waveforms(rng, n, -3e3)
    arguments = {
        **waveforms,
        "target_count": rng.integers(0, hits + 1, n),
        "target_tick": np.sort(rng.integers(990, last[:, None] + 10, (n, hits)), axis=1),
        "target_fraction": rng.random((n, hits)),
        "tick": 0.1,
        "hold_ticks": 18,
        "reset_cycles": 2,
        **{name: np.zeros((n, hits)) for name in ("before", "during", "rate", "resume")},
        "after": np.zeros(n),
    }
    return Case(n, arguments)


RANDOM = {
    "likelihood": random_likelihood,
    **{name: lambda rng, make=make: Case(*make(rng)) for name, make in LOSS_CASES.items()},
}
LINEAR = {"likelihood": ("waveform",), **dict.fromkeys(LOSS_CASES, ())}
