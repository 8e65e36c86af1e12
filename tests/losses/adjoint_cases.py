"""Random launches of the kernels of what a fit minimises."""

import numpy as np
from launches import Case
from loss_cases import LOSS_CASES
from window_samples import random_waveforms


def random_likelihood(rng, n=15):
    """Hits at random ticks, also between windows and before the end of the hold; currents of both signs."""
    hits = 4
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


def random_vetoes(rng):
    """As `random_likelihood`, with thresholds that charge between hits reaches, and reads that may be vetoed."""
    n = 60  # of which some reset
    arguments = dict(random_likelihood(rng, n).arguments)
    own = {"threshold": rng.uniform(2e3, 5e3, n), "reset_noise": 900.0, "uncorrelated_noise": 1500.0}
    names = ("during", "rate", "resume", "after")
    return n, {name: value for name, value in arguments.items() if name not in names} | own


def random_reset_path(rng):
    """Charges from the hit before that are so large that vetoed reads explain them."""
    n, arguments = random_vetoes(rng)
    shape = arguments["before"].shape
    own = {"pixel": np.arange(n), "before": rng.uniform(8e3, 3e4, shape), "lost": np.zeros(shape)}
    own["resets"] = np.zeros(shape, dtype=np.int64)
    return Case(n, arguments | own)


def random_reset_odds(rng):
    """Of every other pixel, on windows of their own."""
    n, arguments = random_vetoes(rng)
    del arguments["before"]
    of_pixel, first = arguments["pixel_window"], arguments["window_first"]
    pixel = np.arange(0, n, 2)
    window = np.concatenate([np.arange(of_pixel[k], of_pixel[k + 1]) for k in pixel])
    own = {"pixel": pixel, "sample": first[of_pixel[pixel]], "window_tick": arguments["window_tick"][window]}
    own["pixel_window"] = np.concatenate(([0], np.cumsum(np.diff(of_pixel)[pixel])))
    own["window_first"] = np.concatenate(([0], np.cumsum(np.diff(first)[window])))
    samples, shape = own["window_first"][-1], arguments["target_fraction"].shape
    own |= {"total": np.zeros(samples), "weight": np.zeros(samples), "lost": np.zeros(shape), "excess": np.zeros(shape)}
    own["log_silence"] = np.zeros(n)
    return Case(len(pixel), arguments | own, more={"pull": np.zeros(samples), "slope": np.zeros(samples)})


RANDOM = {
    "likelihood": random_likelihood,
    "reset_path": random_reset_path,
    "reset_odds": random_reset_odds,
    **{name: lambda rng, make=make: Case(*make(rng)) for name, make in LOSS_CASES.items()},
}
LINEAR = {"likelihood": ("waveform",), "reset_path": ("threshold",), "reset_odds": (), **dict.fromkeys(LOSS_CASES, ())}
LARGEST = {"reset_path": 1e-4}  # beyond, some pixel takes another path
