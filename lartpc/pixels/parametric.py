"""The pixel readout with the parametric response: the stages from clouds to currents."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lartpc.adjoint.pixels.induce import induce_tangent
from lartpc.adjoint.pixels.share import share_tangent
from lartpc.adjoint.pixels.spread import spread_tangent
from lartpc.arrays import aligned, namespace
from lartpc.autodiff.launch import plain
from lartpc.charge.tables import Tables
from lartpc.contracts import Clouds, Launch
from lartpc.detector.detector import Detector
from lartpc.kernels.pixels.conserve import conserve
from lartpc.kernels.pixels.induce import induce
from lartpc.kernels.pixels.pair import count_pairs, pair
from lartpc.kernels.pixels.share import choose, share
from lartpc.kernels.pixels.spread import spread
from lartpc.pixels.pairs import find_pairs
from lartpc.pixels.parametric_tables import make_parametric_tables
from lartpc.pixels.sites import most_sites
from lartpc.pixels.slopes import PLACES, nothing
from lartpc.response.lattice import LANES, Shares, lattice_current, step_ticks
from lartpc.response.windows import Pairs, Windows
from lartpc.settings import Settings


class ParametricReadout:
    """Pixels with the parametric response, which a cloud induces on its own pixel alone."""

    name = "parametric"
    reach = 1
    parameters = ()
    conserved = True

    def __init__(self, detector: Detector, tables: Tables, settings: Settings, dtype: Any, xp: Any) -> None:
        self.detector, self.tables, self.settings = detector, tables, settings
        self.table = make_parametric_tables(detector, settings, dtype, xp)
        self.lookback = round(settings.lookback / detector.tick)  # ticks, back from the response's first lag

    def currents(
        self, clouds: Clouds, batch: Any, parameters: Any, settle: int, launch: Launch
    ) -> tuple[Any, Pairs, Windows]:
        """Share, spread, induce, deposit, convolve, conserve."""
        xp, T, d = namespace(clouds.x), clouds.x.dtype.type, self.detector
        table, tables, settings = self.table, self.tables, self.settings
        shares = self.shares(clouds, batch, launch)
        pairs, windows = self.pairs(clouds, shares, batch, settle)
        n, lattice, is_used = len(pairs.step), table.lattice, xp.zeros(len(table.degree), dtype=bool)
        is_used[shares.table] = True
        used = xp.flatnonzero(is_used)
        most, most_rank = whole_lanes(table.degree[used]), whole_lanes(lattice.rank[used])
        moments = {name: xp.empty((n, most), dtype=T) for name in ("moment_x", "moment_y")}
        columns = ("column", "row", "x", "y", "distance", "charge", "sigma_T")
        launch(
            spread,
            n,
            **{name: getattr(clouds, name) for name in columns},
            step_tpc=clouds.tpc,
            tpcs=tables.tpcs,
            step_table=shares.table,
            degree=table.degree,
            pair_step=pairs.step,
            pair_x=pairs.x,
            pair_y=pairs.y,
            width=T(settings.width),
            whole=T(math.erf(settings.width / math.sqrt(2.0))),
            nodes=settings.nodes,
            gauss_point=tables.gauss_point,
            gauss_weight=tables.gauss_weight,
            **moments,
            adjoint_threads=len(clouds.x),
            first_pair=pairs.first,
            pair_place=pairs.place,
        )
        coefficient = xp.empty((n, most_rank), dtype=T)
        launch(
            induce,
            n,
            pair_step=pairs.step,
            step_table=shares.table,
            **moments,
            degree=table.degree,
            rank=lattice.rank,
            space=aligned(table.space[: int(used.max()) + 1 if n else 0, :most, :most_rank, :most]),
            coefficient=coefficient,
        )
        current = lattice_current(coefficient, pairs, windows, shares, lattice, self.lookback, settle, launch)
        waveform = xp.empty_like(current)
        launch(
            conserve,
            len(windows.tick),
            window_pair=windows.pair,
            window_first=windows.first,
            **moments,
            tick=T(d.tick),
            current=current,
            waveform=waveform,
        )
        return waveform, pairs, windows

    def shares(self, clouds: Clouds, batch: Any, launch: Launch) -> Shares:
        """When the charge of the clouds counts on the lattice of the response."""
        xp, T, d = namespace(clouds.x), clouds.x.dtype.type, self.detector
        n, table, lattice = len(clouds.x), self.table, self.table.lattice
        step_table, site_t, sites_t = (xp.zeros(n, dtype=np.int64) for _ in range(3))
        choose(
            n,
            distance=clouds.distance,
            sigma_t=clouds.sigma_t,
            step_tpc=clouds.tpc,
            of_tpc=table.of_tpc,
            least=table.least,
            table=step_table,
        )
        share_t = xp.empty((n, most_sites(clouds.sigma_t, d.tick / lattice.per_tick[step_table])), dtype=T)
        launch(
            share,
            n,
            arrival=clouds.arrival,
            sigma_t=clouds.sigma_t,
            step_table=step_table,
            step_tick=batch.tick[clouds.segment],
            per_tick=lattice.per_tick,
            smooth=table.smooth,
            tick=T(d.tick),
            site_t=site_t,
            sites_t=sites_t,
            share_t=share_t,
        )
        return Shares(step_table, site_t, sites_t, share_t)

    def pairs(self, clouds: Clouds, shares: Shares, batch: Any, settle: int) -> tuple[Pairs, Windows]:
        """Which pixels see which clouds, and when."""
        reached = {name: getattr(clouds, name) for name in ("column", "row", "x", "y", "sigma_T")}
        reached |= {"step_tpc": clouds.tpc, "tpcs": self.tables.tpcs, "tpc_pixels": self.tables.tpc_pixels}
        reached |= {"width": clouds.x.dtype.type(self.settings.width)}
        first, last = step_ticks(self.table.lattice, shares)
        ticks = (first - self.lookback, last + settle)
        return find_pairs(count_pairs, pair, reached, clouds, batch, *ticks, self.settings.block)

    def slopes(self, forward: dict[str, dict[str, Any]], columns: list[int], places: bool) -> dict[str, Any]:
        """What `pull` takes of the launches `forward`, and work space."""
        share, spread, of_pair, conserve = (forward[name] for name in ("share", "spread", "induce", "conserve"))
        xp, n = namespace(share["share_t"]), len(spread["pair_step"])
        slopes = {f"share_t_by_{name}": xp.empty_like(share["share_t"]) for name in ("arrival", "sigma_t")}
        plain(share_tangent, len(share["arrival"]), **(share | slopes))
        moments = [spread["moment_x"], spread["moment_y"]]
        moments_by = {f"moment_{axis}_by_sigma_T": xp.empty_like(moments[0]) for axis in "xy"}
        kind = xp.empty_like if places else nothing
        moments_by |= {f"moment_{name}": kind(moments[0]) for name in PLACES}
        plain(spread_tangent, n, **(spread | moments_by))
        coefficient_by = {"coefficient_by_sigma_T": xp.empty_like(of_pair["coefficient"])}
        plain(induce_tangent, n, **(of_pair | moments_by | coefficient_by))
        for axis in "xy":  # a coefficient is linear in the moments of each
            by = f"coefficient_by_{axis}"
            coefficient_by[by] = kind(of_pair["coefficient"])
            if places:
                changed = {f"moment_{axis}": moments_by[f"moment_{axis}_by_{axis}"], "coefficient": coefficient_by[by]}
                plain(induce, n, **(of_pair | changed))
        lowest = {"moment_x": moments[0], "moment_y": moments[1]} | moments_by
        lowest = {name: xp.ascontiguousarray(moment[:, :1]) for name, moment in lowest.items()}
        work = {f"grad_{name}": xp.empty_like(lowest[name]) for name in ("moment_x", "moment_y")}
        of_conserve = {"current": conserve["current"], "tick": conserve["tick"]}
        return slopes | coefficient_by | lowest | work | of_conserve


def whole_lanes(numbers: Any) -> int:
    """The largest of some numbers, up to a multiple of LANES."""
    return -(-int(numbers.max()) // LANES) * LANES if len(numbers) else LANES
