"""What drives the waveforms of a response, and the currents that it gives: the launches of deposit and convolve."""

from __future__ import annotations

from typing import Any, NamedTuple

from lartpc.arrays import namespace
from lartpc.contracts import Launch
from lartpc.kernels.response.convolve import convolve
from lartpc.kernels.response.deposit import deposit
from lartpc.response.lattice import Lattice, Shares
from lartpc.response.windows import Pairs, Windows


class Trains(NamedTuple):
    """Values at sites in time that drive the waveforms of a window, those of each of its tables; see `convolve`."""

    of_window: Any  # (n_windows + 1,) first train of each
    table: Any  # (n_trains,)
    site: Any  # (n_trains,) first
    sites: Any  # (n_trains,)
    source: Any  # (n_trains + 1,) first value


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
    source = namespace(coefficient).zeros(n_values, dtype=coefficient.dtype)
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
