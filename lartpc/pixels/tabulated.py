"""The pixel readout with a tabulated response: the stages from clouds to currents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lartpc.adjoint.pixels.assign import assign_tangent
from lartpc.arrays import all_to_numpy, namespace, owners
from lartpc.autodiff.launch import plain
from lartpc.autodiff.tape import empty
from lartpc.charge.tables import Tables
from lartpc.contracts import Clouds, Launch
from lartpc.detector.detector import Detector
from lartpc.kernels.pixels.assign import assign
from lartpc.kernels.pixels.cells import CELL
from lartpc.kernels.pixels.coarsen import coarsen
from lartpc.kernels.pixels.couple import couple
from lartpc.kernels.pixels.pool import pool
from lartpc.kernels.pixels.project import project
from lartpc.kernels.pixels.refine import refine
from lartpc.kernels.pixels.relay import relay
from lartpc.kernels.pixels.transfer import transfer
from lartpc.kernels.runtime.slots import INDUCTION_SCALE
from lartpc.pixels.blocks import Seen, make_blocks, make_windows
from lartpc.pixels.response import Response
from lartpc.pixels.response_tables import make_response_tables
from lartpc.pixels.sites import most_sites
from lartpc.pixels.slopes import not_conserved, nothing
from lartpc.response.lattice import Shares
from lartpc.response.windows import Windows
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
    ) -> tuple[Any, Seen, Windows]:
        """Assign, pool, project, transfer, coarsen, relay, refine."""
        xp, table = namespace(clouds.x), self.table
        shares, site, sites, across = self.shares(clouds, batch, launch)
        event = batch.event[clouds.segment]
        seen = Seen(clouds, shares, {**site, **sites}, event, table, self.tables.tpc_pixels, self.detector.n_pixels)
        blocks, of_steps = make_blocks(seen)
        pairs, windows, spans = make_windows(seen, blocks, of_steps, settle, self.settings.block)
        n_blocks, n_windows, dtype = len(blocks.x), len(windows.tick), clouds.x.dtype
        runs = (blocks.first, spans.first, spans.late, spans.coarse, windows.first)
        in_blocks, in_spans, n_late, n_coarse, n_samples = (int(of[0]) for of in all_to_numpy([a[-1:] for a in runs]))
        ticks, n_rows = in_blocks * table.per_tick, len(table.parity)
        charge = xp.zeros(table.side**2 * ticks, dtype=dtype)
        launch(
            pool,
            n_blocks,
            block_pair=blocks.pair,
            block_first=blocks.first,
            block_tick=blocks.tick,
            block_x=blocks.x,
            block_y=blocks.y,
            pair_step=of_steps.step,
            **site,
            site_t=shares.site,
            **sites,
            sites_t=shares.sites,
            **across,
            share_t=shares.share,
            bins=table.bins,
            side=table.side,
            per_tick=table.per_tick,
            charge=charge,
            adjoint_threads=len(clouds.x),
            first_pair=of_steps.first,
            pair_place=of_steps.place,
            pair_block=owners(blocks.pair, len(of_steps.step)),
        )
        projected = xp.empty(n_rows * ticks, dtype=dtype)
        launch(
            project,
            n_blocks,
            block_first=blocks.first,
            block_table=blocks.table,
            side=table.side,
            per_tick=table.per_tick,
            parity=table.parity,
            same=table.same,
            weight=table.weight,
            charge=charge,
            folded=xp.empty_like(charge),
            projected=projected,
        )
        del charge  # large, and of no use any more
        of_pairs = {
            "window_pair": windows.pair,
            "pair_block": pairs.step,
            "pair_x": pairs.x,
            "pair_y": pairs.y,
            "block_first": blocks.first,
            "block_tick": blocks.tick,
            "block_x": blocks.x,
            "block_y": blocks.y,
            "block_module": blocks.module,
            "block_event": blocks.event,
            "parameters": parameters,
            "span_tick": spans.tick,
            "adjoint_threads": n_blocks,
            "first_pair": pairs.first,
            "pair_place": pairs.place,
            "pair_window": owners(windows.pair, len(pairs.step)),
        }
        late = xp.empty(n_late, dtype=dtype)
        launch(
            transfer,
            n_windows,
            **of_pairs,
            block_table=blocks.table,
            near=table.near,
            per_tick=table.per_tick,
            reach=table.reach,
            moments=table.moments,
            far=table.far,
            late_first=spans.late,
            late_rank=spans.rank,
            rank=table.rank,
            far_rank=table.far_rank,
            projected=projected,
            late=late,
        )
        driven = xp.empty(0, dtype=dtype)
        if table.slow_rank:
            sites_of_all = in_blocks // CELL + 2 * n_blocks
            offset = (2 * table.reach + 1) ** 2 * table.slow_rank
            slow = xp.empty(sites_of_all * offset, dtype=dtype)
            launch(
                coarsen,
                n_blocks,
                block_first=blocks.first,
                block_table=blocks.table,
                per_tick=table.per_tick,
                n_rows=n_rows,
                offsets=offset,
                spline=table.spline_charge,
                drive=table.drive,
                projected=projected,
                moment=xp.empty((sites_of_all, table.slow_moments), dtype=dtype),
                slow=slow,
            )
            driven = xp.empty((in_spans // CELL + 2 * n_windows) * table.slow_rank, dtype=dtype)
            launch(
                relay,
                n_windows,
                **of_pairs,
                reach=table.reach,
                slow_rank=table.slow_rank,
                span_first=spans.first,
                slow=slow,
                driven=driven,
            )
        del projected
        current = xp.empty(n_samples, dtype=dtype)
        launch(
            refine,
            n_windows,
            window_tick=windows.tick,
            window_first=windows.first,
            window_table=spans.table,
            span_tick=spans.tick,
            span_first=spans.first,
            per_tick=table.per_tick,
            late_first=spans.late,
            late_rank=spans.rank,
            late=late,
            waveform=table.waveform,
            first_late=table.first_late,
            slow_rank=table.slow_rank,
            driven=driven,
            early=table.early,
            first_early=table.first_early,
            coarse_first=spans.coarse,
            spline=table.spline,
            coarse=xp.empty(n_coarse, dtype=dtype),
            current=current,
            spline_charge=table.spline_charge,
            seen=seen,
            seen_windows=windows,
        )
        return current, seen, windows

    def shares(
        self, clouds: Clouds, batch: Any, launch: Launch
    ) -> tuple[Shares, dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Where and when the charge of the clouds counts: in time, and first sites, their numbers and shares across."""
        xp, T, n = namespace(clouds.x), clouds.x.dtype.type, len(clouds.x)
        table, d = self.table, self.detector
        first = {name: xp.empty(n, dtype=np.int64) for name in ("site_x", "site_y", "site_t")}
        count = {name: xp.empty(n, dtype=np.int64) for name in ("sites_x", "sites_y", "sites_t")}
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

    def slopes(self, forward: dict[str, dict[str, Any]], columns: list[int], places: bool) -> dict[str, Any]:
        """What `back_levels` and `pull` take of the launches `forward`, and instead of moments nothing."""
        assign, of = forward["assign"], self.of_pairs(forward)
        xp = namespace(assign["share_t"])
        slopes = {f"share_t_by_{name}": xp.empty_like(assign["share_t"]) for name in ("arrival", "sigma_t")}
        shares = {axis: f"share_{axis}" for axis in "xy"}
        across = {f"{share}_by_sigma_T": xp.empty_like(assign[share]) for share in shares.values()}
        for axis, share in shares.items():
            across[f"{share}_by_{axis}"] = xp.empty_like(assign[share]) if places else nothing(assign[share])
        plain(assign_tangent, len(assign["x"]), **(assign | slopes | across))
        coefficient = xp.zeros_like(of["coefficient"])
        for share in shares.values():  # `couple` adds to what is there
            changed = {share: across[f"{share}_by_sigma_T"], "coefficient": coefficient}
            plain(couple, len(coefficient), **(of | changed))
        for axis, share in shares.items():
            by = xp.zeros_like(coefficient) if places else nothing(coefficient)
            slopes[f"coefficient_by_{axis}"] = by
            if places:
                plain(couple, len(by), **(of | {share: across[f"{share}_by_{axis}"], "coefficient": by}))
        if INDUCTION_SCALE in columns:
            by = xp.zeros_like(coefficient)
            alone = {"space": of["induced"], "parameters": xp.ones_like(of["parameters"]), "coefficient": by}
            plain(couple, len(by), **(of | alone))
            slopes |= {"induction_column": columns.index(INDUCTION_SCALE), "coefficient_by_induction": by}
        return of | slopes | {"coefficient_by_sigma_T": coefficient} | not_conserved(coefficient, assign["tick"])

    def of_pairs(self, forward: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Pairs of steps and pixels, of the launches `forward`, their coefficients, and what `back_levels` takes."""
        assign, refine, transfer, table = forward["assign"], forward["refine"], forward["transfer"], self.table
        share = assign["share_t"]
        xp, seen = namespace(share), refine["seen"]
        pairs, window_pair = seen.of_steps(refine["seen_windows"])
        window, n_pairs, all_rank = owners(window_pair, len(pairs.step)), len(pairs.step), table.space.shape[3]
        site = (
            assign["site_t"][pairs.step] + (refine["span_first"][window] - refine["span_tick"][window]) * table.per_tick
        )
        of = {
            "pair_step": pairs.step,
            "pair_x": pairs.x,
            "pair_y": pairs.y,
            "window_pair": window_pair,
            "pair_source": site * all_rank,
            "rank": xp.full(len(table.space), all_rank, dtype=np.int64),
            "all_rank": all_rank,
            "far_rank": table.far_rank,
            "space": table.space,
            "induced": table.induced,
            "parameters": transfer["parameters"],
            "step_module": seen.clouds.module,
            "coefficient": xp.zeros((n_pairs, all_rank), dtype=share.dtype),
            "coarse": empty(refine["coarse"]),
            "grad_late": empty(refine["late"]),
            "grad_driven": empty(refine["driven"]),
            "grad_source": xp.empty(int(refine["span_first"][-1]) * table.per_tick * all_rank, dtype=share.dtype),
        }
        of = assign | refine | of
        plain(couple, n_pairs, **of)
        return of
