"""From charge on a lattice in time to currents, with the waveforms of a response: deposit, convolve."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import aligned, namespace, offsets, owners
from lartpc.contracts import Launch
from lartpc.kernels.response.convolve import LANES, convolve
from lartpc.kernels.response.deposit import deposit
from lartpc.response.windows import Pairs, Windows


class Lattice(NamedTuple):
    """Waveforms by table, on a lattice in time of `per_tick` sites a tick: see `convolve`."""

    per_tick: Any  # (n_tables,) int64
    rank: Any  # (n_tables,) int64, multiples of LANES
    first_lag: Any  # (n_tables,) int64
    last_lag: Any  # (n_tables,) int64
    basis: Any  # (n_tables, most lags rank) [1/us]
    tail: Any  # (n_tables, most per_tick, most rank, poles) [1/us]
    tail_back: Any  # tail with its last axes exchanged
    decay: Any  # (poles,)


class Shares(NamedTuple):
    """When the charge of each step counts (n_steps,): see `share` and `assign`."""

    table: Any
    site: Any
    sites: Any
    share: Any  # (n_steps, most sites)


def make_lattice(
    waveforms: list[np.ndarray],
    per_tick: list[int],
    first_lag: list[int],
    tails: list[np.ndarray],
    rates: np.ndarray,
    tick: float,
    dtype: Any,
    xp: Any,
) -> Lattice:
    """`Lattice` of tables: waveforms (rank, lags) [1/us], from first_lag on; tails (rank, poles) of exp(rate time).

    Before the first lag a waveform is the sum of its tail times exp(rate time), the time [us] from there on, negative.
    """
    used, lags = np.array([table.shape for table in waveforms]).T
    rank, each_tick = -(-used // LANES) * LANES, np.array(per_tick)
    basis = np.zeros((len(used), (rank * lags).max()))
    tail = np.zeros((len(used), each_tick.max(), rank.max(), len(rates)))
    for t, waveform in enumerate(waveforms):
        latest_first = np.pad(waveform.T[::-1], ((0, 0), (0, rank[t] - used[t])))
        basis[t, : latest_first.size] = latest_first.ravel()
        before = np.arange(1, per_tick[t] + 1)[:, None, None] * tick / per_tick[t]
        tail[t, : per_tick[t], : used[t]] = tails[t] * np.exp(-before * rates)
    arrays = (basis, tail, np.ascontiguousarray(tail.transpose(0, 1, 3, 2)), np.exp(-rates * tick))
    lag = np.array(first_lag)
    numbers = (each_tick, rank, lag, lag + lags - 1)
    return Lattice(
        *(xp.asarray(number.astype(np.int64)) for number in numbers),
        *(aligned(xp.asarray(array.astype(dtype))) for array in arrays),
    )


def step_ticks(lattice: Lattice, shares: Shares) -> tuple[Any, Any]:
    """The ticks from the first to the last (not included) that see the charge of each step through the basis."""
    n, table = lattice.per_tick[shares.table], shares.table
    first = (shares.site + lattice.first_lag[table]) // n
    last = (shares.site + shares.sites - 1 + lattice.last_lag[table]) // n + 1
    return first, last


def lattice_current(
    coefficient: Any,
    pairs: Pairs,
    windows: Windows,
    shares: Shares,
    lattice: Lattice,
    lookback: int,
    settle: int,
    launch: Launch,
) -> Any:
    """Current of every window [e/us], from the coefficients of its pairs.

    Windows begin `lookback` ticks before the first tick of their steps and end `settle` ticks after the last.
    """
    xp, dtype = namespace(coefficient), coefficient.dtype
    n_pairs, n_windows, n_tables = len(pairs.step), len(windows.tick), len(lattice.rank)
    pair_window, pair_table = owners(windows.pair, n_pairs), shares.table[pairs.step]

    has = xp.zeros(n_windows * n_tables, dtype=bool)
    has[pair_window * n_tables + pair_table] = True
    trains = xp.flatnonzero(has)
    number = xp.cumsum(has) - 1
    of_window, table = trains // n_tables, trains % n_tables
    window_train = offsets(has.reshape(n_windows, n_tables).sum(axis=1))
    n = lattice.per_tick[table]
    length = xp.diff(windows.first)[of_window]
    first_site = (windows.tick[of_window] + lookback) * n - lattice.first_lag[table]
    sites = (windows.tick[of_window] + length - settle) * n - lattice.last_lag[table] - first_site
    begin = offsets(sites * lattice.rank[table])

    train = number[pair_window * n_tables + pair_table]
    pair_source = begin[train] + (shares.site[pairs.step] - first_site[train]) * lattice.rank[pair_table]
    source = xp.zeros(int(begin[-1]), dtype=dtype)
    launch(
        deposit,
        n_windows,
        window_pair=windows.pair,
        pair_step=pairs.step,
        pair_source=pair_source,
        step_table=shares.table,
        rank=lattice.rank,
        site_t=shares.site,
        sites_t=shares.sites,
        share_t=shares.share,
        coefficient=coefficient,
        source=source,
        adjoint_threads=len(shares.site),
        first_pair=pairs.first,
        pair_place=pairs.place,
    )
    current = xp.empty(int(windows.first[-1]), dtype=dtype)
    launch(
        convolve,
        n_windows,
        window_train=window_train,
        window_tick=windows.tick,
        window_first=windows.first,
        train_table=table,
        train_site=first_site,
        train_sites=sites,
        train_source=begin,
        per_tick=lattice.per_tick,
        rank=lattice.rank,
        first_lag=lattice.first_lag,
        last_lag=lattice.last_lag,
        basis=lattice.basis,
        tail=lattice.tail,
        decay=lattice.decay,
        source=source,
        state=xp.zeros((n_windows, len(lattice.decay)), dtype=dtype),
        current=current,
        tail_back=lattice.tail_back,
    )
    return current
