"""From charge on a lattice in time to currents, with the waveforms of a response: deposit, convolve."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import aligned, aligned_zeros, namespace, offsets, to_numpy
from lartpc.contracts import Launch
from lartpc.kernels.response.convolve import LANES, convolve
from lartpc.kernels.response.deposit import deposit
from lartpc.kernels.response.trains import count_trains, trains
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


class Trains(NamedTuple):
    """Values at sites in time that drive the waveforms of a window, those of each of its tables; see `convolve`."""

    of_window: Any  # (n_windows + 1,) first train of each
    table: Any  # (n_trains,)
    site: Any  # (n_trains,) first
    sites: Any  # (n_trains,)
    source: Any  # (n_trains + 1,) first value


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
    xp, n_windows = namespace(coefficient), len(windows.tick)
    of_windows = {"window_pair": windows.pair, "window_tick": windows.tick, "window_first": windows.first}
    of_windows |= {"pair_step": pairs.step, "step_table": shares.table, "lookback": lookback, "settle": settle}
    of_windows |= {name: getattr(lattice, name) for name in ("per_tick", "rank", "first_lag", "last_lag")}
    of_windows |= {"table_source": xp.empty((n_windows, len(lattice.rank)), dtype=np.int64)}
    count = xp.empty(2 * n_windows, dtype=np.int64)
    count_trains(n_windows, **of_windows, count=count)
    before = offsets(count)  # of trains, and from those of all on of values
    ends = to_numpy(before[n_windows :: max(n_windows, 1)])
    n_trains, n_values, window_train = int(ends[0]), int(ends[-1] - ends[0]), before[: n_windows + 1]
    table, first_site, sites = (xp.empty(n_trains, dtype=np.int64) for _ in range(3))
    begin, pair_source = xp.full(n_trains + 1, n_values, dtype=np.int64), xp.empty_like(pairs.step)
    found = {"train_table": table, "train_site": first_site, "train_sites": sites, "train_source": begin}
    of_trains = {"site_t": shares.site, "window_train": window_train, "window_source": before[n_windows:]}
    trains(n_windows, **of_windows, **of_trains, **found, pair_source=pair_source)
    of_window = Trains(window_train, table, first_site, sites, begin)
    source = deposited(coefficient, pairs, pair_source, n_values, windows, shares, lattice, launch)
    return convolved(source, of_window, windows, lattice, launch)


def deposited(
    coefficient: Any,
    pairs: Pairs,
    pair_source: Any,
    n_values: int,
    windows: Windows,
    shares: Shares,
    lattice: Lattice,
    launch: Launch,
) -> Any:
    """The values of all trains (n_values,), from the coefficients of pairs, whose first values are at `pair_source`."""
    source = aligned_zeros(namespace(coefficient), n_values, coefficient.dtype)
    launch(
        deposit,
        len(windows.tick),
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
    return source


def convolved(source: Any, trains: Trains, windows: Windows, lattice: Lattice, launch: Launch) -> Any:
    """Currents of all windows (n_samples,)."""
    xp, dtype, n = namespace(source), source.dtype, len(windows.tick)
    current = xp.empty(int(windows.first[-1]), dtype=dtype)
    launch(
        convolve,
        n,
        window_train=trains.of_window,
        window_tick=windows.tick,
        window_first=windows.first,
        train_table=trains.table,
        train_site=trains.site,
        train_sites=trains.sites,
        train_source=trains.source,
        per_tick=lattice.per_tick,
        rank=lattice.rank,
        first_lag=lattice.first_lag,
        last_lag=lattice.last_lag,
        basis=lattice.basis,
        tail=lattice.tail,
        decay=lattice.decay,
        source=source,
        state=xp.zeros((n, len(lattice.decay)), dtype=dtype),
        current=current,
        tail_back=lattice.tail_back,
    )
    return current
