"""The wire readout: the stages from clouds to voltages of wires, without high passes and noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from lartpc.arrays import namespace, offsets
from lartpc.charge.tables import Tables
from lartpc.contracts import Clouds, Launch
from lartpc.detector.wires import WireDetector
from lartpc.kernels.wires.couple_wires import couple_wires
from lartpc.kernels.wires.pair_wires import count_wires, pair_wires
from lartpc.kernels.wires.share_wires import share_wires
from lartpc.pixels.sites import most_sites
from lartpc.response.lattice import Shares, lattice_current, step_ticks
from lartpc.response.windows import Pairs, Windows, group
from lartpc.settings import Settings
from lartpc.wires.fieldresponse import FieldResponse
from lartpc.wires.tables import make_wire_tables


class WireReadout:
    """Wires with a table of their field response and electronics, which a cloud induces on all wires within reach.

    The charge of a cloud is shared over a lattice across the wires of each plane and in time; see `share_wires`.
    """

    name = "wires"
    reach = 4
    parameters = ()

    def __init__(
        self,
        response: FieldResponse,
        detector: WireDetector,
        tables: Tables,
        settings: Settings,
        dtype: Any,
        xp: Any,
        per_tick: int = 1,
    ) -> None:
        self.detector, self.tables, self.settings = detector, tables, settings
        self.table = make_wire_tables(detector, response, per_tick, dtype, xp)

    def currents(
        self, clouds: Clouds, batch: Any, parameters: Any, settle: int, launch: Launch
    ) -> tuple[Any, Pairs, Windows]:
        """Share, couple, deposit, convolve: voltages [mV] of the channels, whose ids are pixels of `Windows`."""
        xp, table = namespace(clouds.x), self.table
        shares, views = self.shares(clouds, batch, launch)
        pairs, plane, windows = self.pairs(clouds, shares, views, batch, settle)
        coefficient = xp.empty((len(pairs.step), table.space.shape[2]), dtype=clouds.x.dtype)
        launch(
            couple_wires,
            len(pairs.step),
            pair_step=pairs.step,
            pair_wire=pairs.x,
            pair_plane=plane,
            per_tpc=table.per_tpc,
            **views,
            bins=table.bins,
            reach=table.reach,
            space=table.space,
            coefficient=coefficient,
            adjoint_threads=len(clouds.x),
            first_pair=pairs.first,
            pair_place=pairs.place,
        )
        kind = plane % table.per_tpc
        voltage = lattice_current(coefficient, pairs, kind, windows, shares, table.lattice, 0, settle, launch)
        return voltage, pairs, windows

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

    def pairs(
        self, clouds: Clouds, shares: Shares, views: dict[str, Any], batch: Any, settle: int
    ) -> tuple[Pairs, Any, Windows]:
        """Pairs of steps and wires with the plane of each (n_pairs,), and when channels see them."""
        xp, n, table = namespace(clouds.x), len(clouds.x), self.table
        reached = {"step_tpc": clouds.tpc, "per_tpc": table.per_tpc, "plane_wires": table.plane_wires}
        reached |= {"bins": table.bins, "reach": table.reach, **{name: views[name] for name in ("site_r", "sites_r")}}
        number = xp.zeros(n, dtype=np.int64)
        count_wires(n, **reached, pair_count=number)
        first = offsets(number)
        names = ("pair_step", "pair_wire", "pair_plane", "pair_channel")
        index = {name: xp.zeros(int(first[-1]), dtype=np.int64) for name in names}
        pair_wires(n, **reached, first_pair=first, **index)
        step, wire, plane, channel = index.values()
        first_tick, last_tick = step_ticks(self.table.lattice, shares)
        event, last = batch.event[clouds.segment[step]], last_tick[step] + settle
        pairs, windows = group(step, wire, plane, channel, event, first_tick[step], last, first, self.settings.block)
        return pairs, pairs.y, windows
