"""Random launches of the kernels from charge on a lattice to currents."""

from types import SimpleNamespace

import numpy as np
from launches import Case


def random_trains(rng):
    """Six windows with one or two trains of three tables: (what `deposit` and `convolve` need, length of `source`)."""
    per_tick, rank = np.array([1, 2, 3]), np.array([8, 16, 8])
    length = rng.integers(20, 60, 6)
    first = np.concatenate(([0], np.cumsum(length)))
    train = np.concatenate(([0], np.cumsum(rng.integers(1, 3, 6))))
    table = rng.integers(0, 3, train[-1])
    sites = rng.integers(5, 20, train[-1])
    return SimpleNamespace(
        tick=rng.integers(-100, 100, 6),
        first=first,
        train=train,
        table=table,
        sites=sites,
        begin=np.concatenate(([0], np.cumsum(sites * rank[table]))),
        per_tick=per_tick,
        rank=rank,
        window=np.repeat(np.arange(6), np.diff(train)),
    )


def random_deposit(rng):
    """Steps with two pairs each, somewhere in one of the trains of a table."""
    n, trains = 10, random_trains(rng)
    of_step = rng.integers(0, len(trains.table), n)
    sites_t = np.array([rng.integers(1, trains.sites[c] + 1) for c in of_step])
    # The other pair of a step is in any train of the same table that has as many sites.
    train, step = [], []
    for s, c in enumerate(of_step):
        fits = np.flatnonzero((trains.table == trains.table[c]) & (trains.sites >= sites_t[s]))
        train += [c, rng.choice(fits)]
        step += [s, s]
    order = np.argsort(trains.window[train], kind="stable")
    train, step = np.array(train)[order], np.array(step)[order]
    site = rng.integers(0, trains.sites[train] - sites_t[step] + 1)
    arguments = {
        "window_pair": np.searchsorted(trains.window[train], np.arange(7)),
        "pair_step": step,
        "pair_source": trains.begin[train] + site * trains.rank[trains.table[train]],
        "step_table": trains.table[of_step],
        "rank": trains.rank,
        "site_t": rng.integers(-50, 50, n),
        "sites_t": sites_t,
        "share_t": rng.normal(size=(n, 20)),
        "coefficient": rng.normal(size=(2 * n, 16)),
        "source": np.zeros(trains.begin[-1]),
    }
    return Case(6, arguments, n, {"first_pair": 2 * np.arange(n + 1), "pair_place": np.argsort(order)})


def random_convolve(rng):
    """Trains anywhere in their windows, waveforms of random numbers, before which four exponentials go on."""
    trains = random_trains(rng)
    first_lag, last_lag = np.array([-7, -3, 2]), np.array([4, 12, 20])
    n = trains.per_tick[trains.table]
    end = (trains.tick + np.diff(trains.first))[trains.window] * n - last_lag[trains.table]
    lags = last_lag - first_lag + 1
    basis = rng.normal(size=(3, (lags * trains.rank).max()))
    tail = rng.normal(size=(3, 3, 16, 4))
    arguments = {
        "window_train": trains.train,
        "window_tick": trains.tick,
        "window_first": trains.first,
        "train_table": trains.table,
        "train_site": end - trains.sites - rng.integers(0, 30, len(n)),
        "train_sites": trains.sites,
        "train_source": trains.begin,
        "per_tick": trains.per_tick,
        "rank": trains.rank,
        "first_lag": first_lag,
        "last_lag": last_lag,
        "basis": basis,
        "tail": tail,
        "decay": rng.uniform(0.5, 0.95, 4),
        "source": rng.normal(size=trains.begin[-1]),
        "state": np.zeros((6, 4)),
        "current": np.zeros(trains.first[-1]),
    }
    return Case(6, arguments, more={"tail_back": tail.transpose(0, 1, 3, 2).copy()})


RANDOM = {"deposit": random_deposit, "convolve": random_convolve}
LINEAR = {"deposit": ("share_t", "coefficient"), "convolve": ("source",)}
