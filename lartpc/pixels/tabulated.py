"""The pixel readout with a tabulated response: the stages from clouds to currents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.adjoint.pixels.assign import assign_tangent
from lartpc.arrays import namespace
from lartpc.autodiff.launch import plain
from lartpc.charge.tables import Tables
from lartpc.contracts import Clouds, Launch
from lartpc.detector.detector import Detector
from lartpc.kernels.pixels.assign import assign
from lartpc.kernels.pixels.couple import couple, edge
from lartpc.kernels.pixels.reach import count_reached, reach
from lartpc.kernels.runtime.slots import INDUCTION_SCALE
from lartpc.pixels.pairs import find_pairs
from lartpc.pixels.response import Response
from lartpc.pixels.response_tables import make_response_tables
from lartpc.pixels.sites import most_sites
from lartpc.pixels.slopes import not_conserved, nothing
from lartpc.response.lattice import Shares, lattice_current, step_ticks
from lartpc.response.windows import Pairs, Windows
from lartpc.settings import Settings


class TabulatedReadout:
    """Pixels with a table of the response, which a cloud induces on its pixel and its neighbours.

    The charge of a cloud is shared over a lattice in x, y and time, on which the response is tabulated. The response is
    a sum of products of functions of position and time: so a pixel's pairs are summed first, each by its `coefficient`
    of every such function of time, and convolved with it together. Charge that starts below the table's begin counts as
    if it had come from there: a part of its current lies before its own time.
    """

    name = "tabulated"
    reach = 2
    parameters = ("induction_scale",)
    conserved = False

    def __init__(
        self,
        responses: Sequence[Response],
        detector: Detector,
        tables: Tables,
        settings: Settings,
        dtype: Any,
        xp: Any,
    ) -> None:
        self.detector, self.tables, self.settings = detector, tables, settings
        self.table = make_response_tables(responses, detector, dtype, xp)

    def currents(
        self, clouds: Clouds, batch: Any, parameters: Any, settle: int, launch: Launch
    ) -> tuple[Any, Pairs, Windows]:
        """Assign, reach, couple, deposit, convolve."""
        xp, table = namespace(clouds.x), self.table
        shares, site, sites, across = self.shares(clouds, batch, launch)
        pairs, windows = self.pairs(clouds, shares, batch, site, sites, settle)
        n_pairs, rank = len(pairs.step), table.space.shape[3]
        coefficient = xp.zeros((n_pairs, rank), dtype=clouds.x.dtype)
        launch(
            couple,
            n_pairs,
            pair_step=pairs.step,
            pair_x=pairs.x,
            pair_y=pairs.y,
            **site,
            **sites,
            **across,
            step_table=shares.table,
            bins=table.bins,
            space=table.space,
            parameters=parameters,
            step_module=clouds.module,
            coefficient=coefficient,
            adjoint_threads=len(clouds.x),
            first_pair=pairs.first,
            pair_place=pairs.place,
        )
        current = lattice_current(coefficient, pairs, windows, shares, table.lattice, 0, settle, launch)
        return current, pairs, windows

    def shares(
        self, clouds: Clouds, batch: Any, launch: Launch
    ) -> tuple[Shares, dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Where and when the charge of the clouds counts: in time, and first sites, their numbers and shares across."""
        xp, T, n = namespace(clouds.x), clouds.x.dtype.type, len(clouds.x)
        table, d = self.table, self.detector
        first = {name: xp.zeros(n, dtype=np.int64) for name in ("site_x", "site_y", "site_t")}
        count = {name: xp.zeros(n, dtype=np.int64) for name in ("sites_x", "sites_y", "sites_t")}
        wide = most_sites(clouds.sigma_T, float(d.pitch.min()) / table.bins)
        long = most_sites(clouds.sigma_t, d.tick / table.per_tick)
        shared = {"share_x": wide, "share_y": wide, "share_t": long}
        share = {name: xp.zeros((n, most), dtype=T) for name, most in shared.items()}
        step_table = table.of_tpc[clouds.tpc]
        columns = ("column", "row", "x", "y", "charge", "arrival", "sigma_t", "sigma_T")
        launch(
            assign,
            n,
            **{name: getattr(clouds, name) for name in columns},
            step_tpc=clouds.tpc,
            step_table=step_table,
            step_tick=batch.tick[clouds.segment],
            tpcs=self.tables.tpcs,
            bins=table.bins,
            per_tick=table.per_tick,
            tick=T(d.tick),
            shift=table.shift,
            **first,
            **count,
            **share,
        )
        shares = Shares(step_table, first.pop("site_t"), count.pop("sites_t"), share.pop("share_t"))
        return shares, first, count, share

    def pairs(
        self,
        clouds: Clouds,
        shares: Shares,
        batch: Any,
        site: dict[str, Any],
        sites: dict[str, Any],
        settle: int,
    ) -> tuple[Pairs, Windows]:
        """Which pixels see which clouds, and when."""
        table = self.table
        bins_x, bins_y = table.space.shape[1:3]
        reached = {**site, **sites, "step_tpc": clouds.tpc, "tpc_pixels": self.tables.tpc_pixels, "bins": table.bins}
        reached |= {"bins_x": bins_x, "bins_y": bins_y}
        first, last = step_ticks(table.lattice, shares)
        return find_pairs(count_reached, reach, reached, clouds, batch, first, last + settle, self.settings.block)

    def slopes(self, forward: dict[str, dict[str, Any]], columns: list[int], places: bool) -> dict[str, Any]:
        """What `pull` takes of the launches `forward`, and instead of moments nothing."""
        assign, of_pair = forward["assign"], forward["couple"]
        xp = namespace(assign["share_t"])
        slopes = {f"share_t_by_{name}": xp.empty_like(assign["share_t"]) for name in ("arrival", "sigma_t")}
        shares = {axis: f"share_{axis}" for axis in "xy"}
        across = {f"{share}_by_sigma_T": xp.empty_like(assign[share]) for share in shares.values()}
        for axis, share in shares.items():
            across[f"{share}_by_{axis}"] = xp.empty_like(assign[share]) if places else nothing(assign[share])
        plain(assign_tangent, len(assign["x"]), **(assign | slopes | across))
        coefficient = xp.zeros_like(of_pair["coefficient"])
        for share in shares.values():  # `couple` adds to what is there
            changed = {share: across[f"{share}_by_sigma_T"], "coefficient": coefficient}
            plain(couple, len(coefficient), **(of_pair | changed))
        for axis, share in shares.items():
            by = xp.zeros_like(coefficient) if places else nothing(coefficient)
            slopes[f"coefficient_by_{axis}"] = by
            if places:
                plain(couple, len(by), **(of_pair | {share: across[f"{share}_by_{axis}"], "coefficient": by}))
        if INDUCTION_SCALE in columns:
            slopes |= {"induction_column": columns.index(INDUCTION_SCALE), "coefficient_by_induction": induced(of_pair)}
        return slopes | {"coefficient_by_sigma_T": coefficient} | not_conserved(coefficient, assign["tick"])


def induced(of_pair: dict[str, Any]) -> Any:
    """The derivative of the coefficients (n_pairs, rank) by the scale of induction, of a launch of `couple`.

    It is what the part of the table that is scaled gives: that beside the pixel, without the charge.
    """
    xp, space, bins = namespace(of_pair["space"]), of_pair["space"].copy(), of_pair["bins"]
    space[..., 0] = 0.0
    space[:, : edge(bins), : edge(bins)] = 0.0
    coefficient, ones = xp.zeros_like(of_pair["coefficient"]), xp.ones_like(of_pair["parameters"])
    plain(couple, len(coefficient), **(of_pair | {"space": space, "parameters": ones, "coefficient": coefficient}))
    return coefficient
