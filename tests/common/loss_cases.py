"""Random launches of the loss kernels, as (threads, arguments, threads of the adjoint, what it needs beyond them)."""

import numpy as np

from lartpc.arrays import offsets, owners


def soft_dtw(rng, T=np.float64):
    """Sequences of lengths from 1, of values that differ by at least 0.5 so that small steps do not change a sign."""
    n, m = np.array([1, 6, 3, 9, 1]), np.array([4, 1, 7, 5, 1])
    value = rng.integers(80, 90, n.sum()).astype(T)
    arguments = {
        "value": value,
        "first": offsets(n),
        "target": rng.integers(80, 90, m.sum()).astype(T) + T(0.5),
        "target_first": offsets(m),
        "table_first": offsets(n * m),
        "gamma": T(1.0),
        "table": np.zeros((n * m).sum(), dtype=T),
        "loss": np.zeros(len(n), dtype=T),
    }
    return len(n), arguments, None, {"scratch": np.zeros(3 * len(value), dtype=T)}


def sides(rng, T):
    """Points in events of which some have none on one side, and what the adjoint needs of them."""
    n, m = np.array([4, 3, 0, 8]), np.array([5, 0, 2, 6])
    first, other_first = offsets(n), offsets(m)
    arguments = {
        "point": rng.normal(0.0, 2.0, (4, n.sum())).astype(T),
        "point_event": owners(first, n.sum()),
        "other": rng.normal(0.0, 2.0, (4, m.sum())).astype(T),
        "other_first": other_first,
    }
    return n.sum(), m.sum(), arguments, {"point_first": first, "other_event": owners(other_first, m.sum())}


def chamfer(rng, T=np.float64):
    n, m, arguments, more = sides(rng, T)
    return n, {**arguments, "nearest": np.zeros(n, dtype=np.int64), "square": np.zeros(n, dtype=T)}, n + m, more


def mmd(rng, T=np.float64):
    n, m, arguments, more = sides(rng, T)
    return n, {**arguments, "width": np.array([1.0, 4.0], dtype=T), "similarity": np.zeros(n, dtype=T)}, n + m, more


def mse(rng, T=np.float64):
    """Hits of which every third has no partner."""
    n = 20
    partner = rng.permutation(n)
    partner[1::3] = -1
    arguments = {
        "time": rng.uniform(0.0, 200.0, n).astype(T),
        "charge": rng.uniform(5e3, 5e4, n).astype(T),
        "partner": partner,
        "target_time": rng.uniform(0.0, 200.0, n).astype(T),
        "target_charge": rng.uniform(5e3, 5e4, n).astype(T),
        "time_scale": T(1.0),
        "charge_scale": T(5000.0),
        "square": np.zeros(n, dtype=T),
    }
    return n, arguments, None, None


LOSS_CASES = {"soft_dtw": soft_dtw, "chamfer": chamfer, "mmd": mmd, "mse": mse}
