"""Share wires: where the diffused charge of a step counts across the wires of each plane of its TPC, and when.

A plane has one axis, across its wires: r [pitches], whole numbers on wires. The response is linear between its `bins` a
pitch and its `per_tick` sites a tick, so that shares are those of `assign`, of one axis and of time.
"""

import math

from lartpc.kernels.pixels.assign import assign_axis, sites
from lartpc.kernels.runtime.launch import device, kernel

# Columns of the table `places`, one row a plane: r + 1/2 of a cell's lower corner is COLUMN column + ROW row + ORIGIN,
# each number told as one of few bits, whose products are exact, and the rest of it.
COLUMN = 0
ROW = 2
ORIGIN = 4
BY_X = 6  # [1/cm]
BY_Y = 7  # [1/cm]
PITCH = 8  # [cm]


@device
def wire_place(column, row, x, y, places, plane):
    """The wire which is nearest to a place, and where in that wire's cell it is, 0 to 1."""
    T = type(x)
    n, m = T(column), T(row)
    coarse = (n * places[plane, COLUMN] + m * places[plane, ROW]) + places[plane, ORIGIN]
    within = x * places[plane, BY_X] + y * places[plane, BY_Y]
    fine = (n * places[plane, COLUMN + 1] + m * places[plane, ROW + 1]) + (places[plane, ORIGIN + 1] + within)
    wire = math.floor(coarse + fine)
    return int(wire), (coarse - T(wire)) + fine


@device
def wire_lattice(place, bins):
    """A place in a cell in units of the lattice, whose sites are in the middle of bins."""
    T = type(place)
    return place * T(bins) - T(0.5)


@kernel("site_r", "sites_r", "share_r", "site_t", "sites_t", "share_t")
def share_wires(
    i,
    column,
    row,
    x,
    y,
    charge,
    arrival,
    sigma_t,
    sigma_T,
    step_tpc,
    step_tick,
    places,
    per_tpc,
    bins,
    per_tick,
    tick,
    site_r,
    sites_r,
    share_r,
    site_t,
    sites_t,
    share_t,
):
    """Shares of step i: on plane p of its TPC, view v = per_tpc i + p, its charge at the sites (site_r[v] + j,
    site_t[i] + m) is share_r[v, j] share_t[i, m].

    Inputs (n_steps,): column and row of a cell, x and y in it [cm], charge [e], arrival [us] counted from step_tick,
    sigma_t [us], sigma_T [cm], step_tpc; places (n_planes, 9), those of a TPC one after the other. Outputs: first
    sites, int64, across the wires in pitch/bins from the cell of wire 0 on, in time in tick/per_tick from 0, and their
    numbers; share_r [e] (n_views, most sites), share_t [1] (n_steps, most sites).
    """
    T = type(tick)
    scale = T(per_tick) / tick
    u = arrival[i] * scale
    first, sites_t[i] = sites(u, sigma_t[i] * scale)
    assign_axis(i, u, sigma_t[i] * scale, first, sites_t[i], T(1.0), share_t)
    site_t[i] = step_tick[i] * per_tick + first
    for p in range(per_tpc):
        v = per_tpc * i + p
        plane = per_tpc * step_tpc[i] + p
        wire, place = wire_place(column[i], row[i], x[i], y[i], places, plane)
        u = wire_lattice(place, bins)
        s = sigma_T[i] * (T(bins) / places[plane, PITCH])
        first, sites_r[v] = sites(u, s)
        assign_axis(v, u, s, first, sites_r[v], charge[i], share_r)
        site_r[v] = wire * bins + first
