"""The wire readout: the stages from clouds to voltages of wires, without high passes and noise."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.arrays import aligned_zeros, namespace, offsets, owners
from lartpc.charge.tables import Tables
from lartpc.checks import check_choice
from lartpc.contracts import Clouds, Launch
from lartpc.detector.waveforms import Electronics
from lartpc.detector.wires import WireDetector
from lartpc.kernels.wires.couple_cells import couple_cells
from lartpc.kernels.wires.couple_wires import couple_wires
from lartpc.kernels.wires.lay_cells import lay_cells
from lartpc.kernels.wires.share_wires import share_wires
from lartpc.pixels.sites import most_sites
from lartpc.response.lattice import Shares, Trains, convolved, deposited
from lartpc.response.windows import Pairs, Windows, blocks_of, group
from lartpc.settings import Settings
from lartpc.wires.cells import Cells, make_cells, seen_cells, wires_seen
from lartpc.wires.fieldresponse import FieldResponse
from lartpc.wires.tables import make_wire_tables

ORDERS = ("pairs", "cells")
DENSE = 0.6  # ratio of products by pairs to those by cells from which on cells are quicker, as measured


class WireReadout:
    """Wires with tables of their field responses and electronics, which a cloud induces on all wires within reach.

    The charge of a cloud is shared over a lattice across the wires of each plane and in time; see `share_wires`. Then
    wires see it of steps, pair by pair, or of cells, in which the charge of all steps has been put together: the same
    sums in two orders, of which the one with less to do is taken. `order` names one.
    """

    name = "wires"
    reach = 4
    parameters = ()

    def __init__(
        self,
        responses: Sequence[FieldResponse],
        detector: WireDetector,
        electronics: Electronics,
        tables: Tables,
        settings: Settings,
        dtype: Any,
        xp: Any,
        per_tick: int = 1,
        order: str | None = None,
    ) -> None:
        if order is not None:
            check_choice("order", order, ORDERS)
        self.detector, self.tables, self.settings, self.order = detector, tables, settings, order
        self.table = make_wire_tables(detector, responses, electronics, per_tick, dtype, xp)

    def currents(
        self, clouds: Clouds, batch: Any, parameters: Any, settle: int, launch: Launch
    ) -> tuple[Any, Pairs, Windows]:
        """Share, couple and deposit, or lay and couple, convolve: voltages [mV] of channels, the pixels of `Windows`.

        `Pairs` are those of steps or of cells, and wires.
        """
        shares, views = self.shares(clouds, batch, launch)
        cells = make_cells(clouds, shares, views, batch.event[clouds.segment], self.table)
        if self.by_cells(shares, views, cells):
            source, pairs, windows, trains = self.of_cells(shares, views, cells, settle, launch)
        else:
            source, pairs, windows, trains = self.of_pairs(clouds, shares, views, batch, settle, launch)
        return convolved(source, trains, windows, self.table.lattice, launch), pairs, windows

    def amplified(self, gain: float, shaping: float) -> WireReadout:
        """The same at a gain [mV/fC] and a shaping time [us]."""
        other = copy.copy(self)
        other.table = self.table.amplified(gain, shaping)
        return other

    def by_cells(self, shares: Shares, views: dict[str, Any], cells: Cells) -> bool:
        """Whether it is less to do by cells."""
        if self.order is not None:
            return self.order == "cells"
        table = self.table
        by_pairs = int(views["sites_r"].sum()) + table.per_tpc * int(shares.sites.sum())
        return by_pairs > DENSE * table.bins * int(cells.first[-1])

    def of_pairs(
        self,
        clouds: Clouds,
        shares: Shares,
        views: dict[str, Any],
        batch: Any,
        settle: int,
        launch: Launch,
    ) -> tuple[Any, Pairs, Windows, Trains]:
        """What drives the waveforms (n_values,), from pairs of steps and wires."""
        xp, table, n = namespace(clouds.x), self.table, len(clouds.x)
        (step, wire, plane, channel), first = wires_seen(clouds, views, table, table.reach, 0)
        n_channels, block = self.detector.n_channels, self.settings.block
        channel = batch.event[clouds.segment[step]] * n_channels + channel
        begin = (shares.site + table.first_lag) // table.per_tick
        end = (shares.site + shares.sites - 1 + table.last_lag) // table.per_tick + 1 + settle
        blocks = blocks_of(begin[step], end[step], block)
        pairs, windows = group(step, wire, plane, channel, n_channels, blocks, first, block)
        trains = self.trains(windows, settle)
        window = owners(windows.pair, len(pairs.step))
        coefficient = xp.empty((len(pairs.step), table.space.shape[2]), dtype=clouds.x.dtype)
        launch(
            couple_wires,
            len(pairs.step),
            pair_step=pairs.step,
            pair_wire=pairs.x,
            pair_plane=pairs.y,
            pair_table=trains.table[window],
            per_tpc=table.per_tpc,
            **views,
            bins=table.bins,
            reach=table.reach,
            space=table.space,
            coefficient=coefficient,
            adjoint_threads=n,
            first_pair=pairs.first,
            pair_place=pairs.place,
        )
        of_site = trains.source[window] + (shares.site[pairs.step] - trains.site[window]) * table.space.shape[2]
        of_values = (of_site, int(trains.source[-1]), windows, shares, table.lattice, launch)
        source = deposited(coefficient, pairs, *of_values)
        return source, pairs, windows, trains

    def of_cells(
        self, shares: Shares, views: dict[str, Any], cells: Cells, settle: int, launch: Launch
    ) -> tuple[Any, Pairs, Windows, Trains]:
        """The same from cells, in which all charge has been put together."""
        xp, table, dtype = namespace(shares.site), self.table, shares.share.dtype
        of_cells = {"cell_site": cells.site, "cell_first": cells.first}
        charge = xp.zeros((int(cells.first[-1]), table.bins), dtype=dtype)
        launch(
            lay_cells,
            len(cells.site),
            cell_pair=cells.pair,
            pair_step=cells.pairs.step,
            pair_wire=cells.pairs.x,
            pair_plane=cells.pairs.y,
            per_tpc=table.per_tpc,
            **views,
            site_t=shares.site,
            sites_t=shares.sites,
            share_t=shares.share,
            bins=table.bins,
            **of_cells,
            charge=charge,
            adjoint_threads=len(shares.site),
            first_pair=cells.pairs.first,
            pair_place=cells.pairs.place,
            pair_cell=owners(cells.pair, len(cells.pairs.step)),
        )
        pairs, windows = seen_cells(cells, table, self.detector.n_channels, settle, self.settings.block)
        trains = self.trains(windows, settle)
        source = aligned_zeros(xp, int(trains.source[-1]), dtype)
        launch(
            couple_cells,
            len(windows.tick),
            window_pair=windows.pair,
            window_table=trains.table,
            pair_cell=pairs.step,
            pair_wire=pairs.x,
            cell_wire=cells.wire,
            **of_cells,
            charge=charge,
            bins=table.bins,
            reach=table.reach,
            space=table.space,
            train_site=trains.site,
            train_source=trains.source,
            source=source,
            adjoint_threads=len(cells.site),
            first_pair=pairs.first,
            pair_place=pairs.place,
            pair_window=owners(windows.pair, len(pairs.step)),
        )
        return source, pairs, windows, trains

    def trains(self, windows: Windows, settle: int) -> Trains:
        """Those of windows of channels, each of which has one table."""
        xp, table, n = namespace(windows.tick), self.table, len(windows.tick)
        of_window = table.of_channel[windows.pixel[owners(windows.of_pixel, n)]]
        site = windows.tick * table.per_tick - table.first_lag
        end = (windows.tick + xp.diff(windows.first) - settle) * table.per_tick - table.last_lag
        n_values = offsets((end - site) * table.space.shape[2])
        return Trains(xp.arange(n + 1), of_window, site, end - site, n_values)

    def shares(self, clouds: Clouds, batch: Any, launch: Launch) -> tuple[Shares, dict[str, Any]]:
        """When the charge of the clouds counts, and across the wires of each view: first sites, numbers, shares."""
        xp, T, n, table, d = namespace(clouds.x), clouds.x.dtype.type, len(clouds.x), self.table, self.detector
        n_views = n * table.per_tpc
        site_t, sites_t = (xp.zeros(n, dtype=np.int64) for _ in range(2))
        views = {name: xp.zeros(n_views, dtype=np.int64) for name in ("site_r", "sites_r")}
        wide = most_sites(clouds.sigma_T, float(d.planes.pitch.min()) / table.bins)
        long = most_sites(clouds.sigma_t, d.tick / table.per_tick)
        views["share_r"] = xp.zeros((n_views, wide), dtype=T)
        share_t = xp.zeros((n, long), dtype=T)
        columns = ("column", "row", "x", "y", "charge", "arrival", "sigma_t", "sigma_T")
        launch(
            share_wires,
            n,
            **{name: getattr(clouds, name) for name in columns},
            step_tpc=clouds.tpc,
            step_tick=batch.tick[clouds.segment],
            places=table.places,
            per_tpc=table.per_tpc,
            bins=table.bins,
            per_tick=table.per_tick,
            tick=T(d.tick),
            **views,
            site_t=site_t,
            sites_t=sites_t,
            share_t=share_t,
        )
        return Shares(xp.zeros(n, dtype=np.int64), site_t, sites_t, share_t), views
