"""Trains of windows: those of the tables that their steps have, each as long as its ticks see."""

import numpy as np

from lartpc.arrays import offsets
from lartpc.kernels.response.trains import count_trains, trains

LOOKBACK, SETTLE = 7, 3


def test_every_pair_has_its_place_in_the_train_of_its_table():
    rng = np.random.default_rng(0)
    n_windows, n_steps, n_pairs = 12, 30, 80
    lattice = {"per_tick": np.array([1, 2, 3]), "rank": np.array([8, 16, 8])}
    lattice |= {"first_lag": np.array([-7, -3, 2]), "last_lag": np.array([4, 12, 20])}
    table, site = rng.integers(0, 3, n_steps), rng.integers(-50, 50, n_steps)
    window = np.sort(rng.integers(0, n_windows - 1, n_pairs))  # the last has no pair
    step, tick = rng.integers(0, n_steps, n_pairs), rng.integers(-99, 99, n_windows)
    first = offsets(rng.integers(40, 60, n_windows))
    of_windows = {"window_pair": offsets(np.bincount(window, minlength=n_windows)), "pair_step": step}
    of_windows |= {"window_tick": tick, "window_first": first, "step_table": table, **lattice}
    of_windows |= {"lookback": LOOKBACK, "settle": SETTLE, "table_source": np.empty((n_windows, 3), dtype=np.int64)}
    count = np.empty(2 * n_windows, dtype=np.int64)
    count_trains(n_windows, **of_windows, count=count)
    present = np.unique(np.stack((window, table[step])), axis=1)
    np.testing.assert_array_equal(count[:n_windows], np.bincount(present[0], minlength=n_windows))

    of_window, own = present
    per_tick, rank, first_lag, last_lag = (column[own] for column in lattice.values())
    begin = (tick[of_window] + LOOKBACK) * per_tick - first_lag
    sites = (tick + np.diff(first) - SETTLE)[of_window] * per_tick - last_lag - begin
    source = offsets(sites * rank)
    found = {name: np.empty(len(own), dtype=np.int64) for name in ("train_table", "train_site", "train_sites")}
    found |= {"train_source": np.full(len(own) + 1, source[-1]), "pair_source": np.empty(n_pairs, dtype=np.int64)}
    before = {"window_train": offsets(count[:n_windows]), "window_source": 5 + offsets(count[n_windows:])}
    trains(n_windows, **of_windows, site_t=site, **before, **found)
    expected = {"train_table": own, "train_site": begin, "train_sites": sites, "train_source": source}
    of_pair = [np.flatnonzero((of_window == w) & (own == t))[0] for w, t in zip(window, table[step], strict=True)]
    expected |= {"pair_source": source[of_pair] + (site[step] - begin[of_pair]) * rank[of_pair]}
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
