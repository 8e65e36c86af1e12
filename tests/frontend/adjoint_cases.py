"""Random launches of the front end's kernels."""

import numpy as np
from launches import Case
from window_samples import random_waveforms


def random_buffer(rng):
    """Windows of random currents and a rise time of some ticks; one window has no sample."""
    first = np.concatenate(([0, 0], np.cumsum(rng.integers(1, 40, 10))))
    ticks = rng.uniform(0.3, 5.0)
    factors = {"held_ticks": ticks, "decay": np.exp(-1.0 / ticks), "share": ticks * (1.0 - np.exp(-1.0 / ticks))}
    inputs = {"window_first": first, "waveform": rng.uniform(0.0, 5e3, first[-1])}
    return Case(len(first) - 1, {**inputs, **factors, "buffered": np.zeros(first[-1])})


def random_trigger(rng, **front_end):
    """Of the front end nothing but hold and noise, unless it is given."""
    n, hits = 15, 4
    waveforms, _ = random_waveforms(rng, n)
    integers, floats = np.zeros((n, hits), dtype=np.int64), np.zeros((n, hits))
    arguments = {
        **waveforms,
        "pixel_event": np.arange(n),
        "pixel_id": np.arange(n),
        "threshold": rng.uniform(3e3, 8e3, n),
        "tick": 0.1,
        "hold_ticks": 18,
        "reset_cycles": 0,
        "adc_busy_delay": 0,
        "seed": 5,
        "reset_noise": 900.0,
        "uncorrelated_noise": 500.0,
        "discriminator_noise": 0.0,
        "read_count": np.zeros(n, dtype=np.int64),
        **{name: integers for name in ("read_window", "read_tick", "hit_valid")},
        **{name: floats for name in ("read_part", "hit_time", "hit_charge")},
    }
    return Case(n, {**arguments, **front_end})


def random_digitize(rng):
    """Charges of which some give ADC values below 0 and above the highest."""
    n, hits = 10, 6
    arguments = {
        "hit_charge": rng.uniform(-2e5, 4e5, (n, hits)),
        "read_count": rng.integers(1, hits + 1, n),
        "gain": rng.uniform(3e-3, 5e-3, n),
        "offset": rng.uniform(280.0, 300.0, n),
        "full_scale": 1012.0,
        "adc_counts": 256.0,
        "rounded": False,
        "adc": np.zeros((n, hits)),
    }
    return Case(n, arguments)


RANDOM = {"buffer": random_buffer, "trigger": random_trigger, "digitize": random_digitize}
LINEAR = {"buffer": ("waveform",), "trigger": ("threshold",), "digitize": ("hit_charge", "gain", "offset")}
LARGEST = {"trigger": 1e-4}
