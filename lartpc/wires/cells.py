"""Cells: where the charge of steps lies across the wires and in time, and which wires see it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace, offsets, owners
from lartpc.contracts import Clouds
from lartpc.detector.wireplanes import channel_at
from lartpc.kernels.wires.pair_wires import FIRST_CHANNEL, START, STEP, WIRES, WRAP, count_wires, pair_wires
from lartpc.response.lattice import Shares
from lartpc.response.windows import Pairs, Windows, blocks_of, group
from lartpc.wires.tables import WireTables

BLOCK = 4  # ticks: cells are whole numbers of blocks


class Cells(NamedTuple):
    """Parts of planes, as wide as a pitch around a wire and as long as there is charge (n_cells,)."""

    event: Any  # int64, index of the event
    plane: Any  # int64, row of the planes
    wire: Any  # int64; also where a plane would have wires beyond its edge
    site: Any  # int64, first in time
    first: Any  # (n_cells + 1,) int64, sites before each
    pair: Any  # (n_cells + 1,) int64, first of the pairs of each
    pairs: Pairs  # of steps and the wires whose cells they have charge in; x: wire, y: plane


def wires_seen(
    clouds: Clouds, views: dict[str, Any], table: WireTables, reach: int, beyond: int
) -> tuple[list[Any], Any]:
    """Step, wire, plane and channel of the pairs of steps and wires (n_pairs,) int64, and the first of each step.

    Of the wires within `reach` of the sites where a step has charge, and of places up to `beyond` a plane's edge.
    """
    xp, n = namespace(clouds.x), len(clouds.x)
    seen = {"step_tpc": clouds.tpc, "per_tpc": table.per_tpc, "plane_wires": table.plane_wires, "bins": table.bins}
    seen |= {"reach": reach, "beyond": beyond, **{name: views[name] for name in ("site_r", "sites_r")}}
    number = xp.zeros(n, dtype=np.int64)
    count_wires(n, **seen, pair_count=number)
    first = offsets(number)
    names = ("pair_step", "pair_wire", "pair_plane", "pair_channel")
    index = {name: xp.zeros(int(first[-1]), dtype=np.int64) for name in names}
    pair_wires(n, **seen, first_pair=first, **index)
    return list(index.values()), first


def make_cells(clouds: Clouds, shares: Shares, views: dict[str, Any], event: Any, table: WireTables) -> Cells:
    """The cells of all steps, whose events are `event` (n_steps,)."""
    per_tick = table.per_tick
    (step, wire, plane, _), first = wires_seen(clouds, views, table, 0, table.reach)
    before = offsets(table.plane_wires[:, WIRES] + 2 * table.reach)
    n_cells = int(before[-1])
    cell = event[step] * n_cells + before[plane] + wire + table.reach
    last = (shares.site + shares.sites - 1) // per_tick + 1
    blocks = blocks_of((shares.site // per_tick)[step], last[step], BLOCK)
    pairs, windows = group(step, wire, plane, cell, n_cells, blocks, first, BLOCK)
    at = windows.pair[:-1]
    of_event = windows.event[owners(windows.of_pixel, len(windows.tick))]
    sites = (windows.tick * per_tick, windows.first * per_tick)
    return Cells(of_event, pairs.y[at], pairs.x[at], *sites, windows.pair, pairs)


def seen_cells(cells: Cells, table: WireTables, n_channels: int, settle: int, block: int) -> tuple[Pairs, Windows]:
    """Pairs of cells and the wires within reach, and when channels see them; x: wire, y: plane."""
    xp, per_tick = namespace(cells.wire), table.per_tick
    low = xp.maximum(cells.wire - table.reach, 0)
    high = xp.minimum(cells.wire + table.reach, table.plane_wires[cells.plane, WIRES] - 1)
    first = offsets(xp.maximum(high - low + 1, 0))
    n = int(first[-1])
    cell = owners(first, n)
    wire = low[cell] + xp.arange(n) - first[cell]
    plane = cells.plane[cell]
    of_plane = table.plane_wires[plane]
    channel = channel_at(wire, *(of_plane[:, column] for column in (FIRST_CHANNEL, START, STEP, WRAP)))
    sites = xp.diff(cells.first)
    first_tick = (cells.site + table.first_lag) // per_tick
    last_tick = (cells.site + sites - 1 + table.last_lag) // per_tick + 1 + settle
    channel = cells.event[cell] * n_channels + channel
    blocks = blocks_of(first_tick[cell], last_tick[cell], block)
    return group(cell, wire, plane, channel, n_channels, blocks, first, block)
