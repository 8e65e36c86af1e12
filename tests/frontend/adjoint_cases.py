"""Random launches of the front end's kernels."""

import numpy as np
from launches import Case
from window_samples import random_waveforms


def random_electronics(rng, n):
    """Rise times of some ticks of 0.1 us, and thresholds, gains and pedestals that are a little off."""
    columns = (rng.uniform(0.03, 0.5, n), rng.normal(0.0, 500.0, n), rng.uniform(0.9, 1.1, n), rng.normal(0.0, 5.0, n))
    return np.stack(columns, axis=1)


def random_buffer(rng):
    """Windows of random currents, two or three of each pixel; one window has no sample."""
    first = np.concatenate(([0, 0], np.cumsum(rng.integers(1, 40, 10))))
    pixel_window = np.array([0, 2, 5, 7, 9, 11])
    inputs = {
        "window_first": first,
        "window_pixel": np.repeat(np.arange(5), np.diff(pixel_window)),
        "waveform": rng.uniform(0.0, 5e3, first[-1]),
        "electronics": random_electronics(rng, 5),
        "tick": 0.1,
    }
    arguments = {**inputs, "buffered": np.zeros(first[-1])}
    return Case(len(first) - 1, arguments, 5, {"pixel_window": pixel_window})


def random_adjust(rng):
    n = 12
    base = {"base_threshold": (5e3, 9e3), "base_gain": (3e-3, 5e-3), "base_offset": (250.0, 320.0)}
    arguments = {name: rng.uniform(*ends, n) for name, ends in base.items()}
    outputs = {name: np.zeros(n) for name in ("threshold", "gain", "offset")}
    return Case(n, {**arguments, "electronics": random_electronics(rng, n), **outputs})


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
        "periodic_reset_cycles": 0,
        "seed": 5,
        "reset_noise": 900.0,
        "uncorrelated_noise": 500.0,
        "discriminator_noise": 0.0,
        "read_count": np.zeros(n, dtype=np.int64),
        **{name: integers for name in ("read_window", "read_tick", "read_reset", "hit_valid")},
        **{name: floats for name in ("read_fraction", "hit_time", "hit_charge")},
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


RANDOM = {"buffer": random_buffer, "adjust": random_adjust, "trigger": random_trigger, "digitize": random_digitize}
LINEAR = {
    "buffer": ("waveform",),
    "adjust": ("base_threshold", "base_gain", "base_offset", "electronics"),
    "trigger": ("threshold",),
    "digitize": ("hit_charge", "gain", "offset"),
}
LARGEST = {"trigger": 1e-4}
