"""Assign: share the diffused charge of a step over the lattice of a tabulated response, in x, y and time.

The table is linear between its bins and between its samples in time. The charge of a step, Gaussian along each axis, so
counts at site k of the lattice, at distance z from its centre in units of the lattice, with the share

w(z) = integral of N(u; s) hat(z - u) du = G(z + 1) - 2 G(z) + G(z - 1),  G(z) = z Phi(z/s) + s phi(z/s)

hat(z) = max(1 - |z|, 0). G is max(z, 0) and a rest that vanishes away from 0; the second difference of max(z, 0) is
hat(z). Shares are smooth in position and spread, and sum to 1 to the precision of the tails that are left out.
"""

import math

from lartpc.kernels.charge.split import PITCH
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.special import edge_width, tail_integral


@device
def sites(u, s):
    """First site and number of sites that the charge at u of spread s, in units of the lattice, reaches."""
    reach = edge_width(u) * s + type(u)(1.0)
    first = int(math.floor(u - reach)) + 1
    return first, int(math.ceil(u + reach)) - first


@device
def rest(z, s):
    """G(z) - max(z, 0)."""
    return s * tail_integral(abs(z) / s)


@device
def hat(z):
    T = type(z)
    return max(T(1.0) - abs(z), T(0.0))


@device
def lattice_position(position, pitch, bins):
    """Place in a pixel [cm] in units of the lattice, whose sites lie half a bin, one and a half ... from its centre."""
    T = type(position)
    return position * (T(bins) / pitch) - T(0.5) * T(1 - bins % 2)


@device
def assign_axis(i, u, s, first, n, amount, share):
    """`amount` times the shares of the n sites from `first` on."""
    T = type(u)
    before = rest(T(first - 1) - u, s)
    here = rest(T(first) - u, s)
    for k in range(n):
        z = T(first + k) - u
        after = rest(z + T(1.0), s)
        share[i, k] = amount * (hat(z) + (before - here) + (after - here))
        before = here
        here = after


@kernel("site_x", "site_y", "site_t", "sites_x", "sites_y", "sites_t", "share_x", "share_y", "share_t")
def assign(
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
    step_table,
    step_tick,
    tpcs,
    bins,
    per_tick,
    tick,
    shift,
    site_x,
    site_y,
    site_t,
    sites_x,
    sites_y,
    sites_t,
    share_x,
    share_y,
    share_t,
):
    """Shares of step i: its charge at site (site_x + j, site_y + k, site_t + m) is share_x share_y share_t.

    Inputs (n_steps,): column, row and x, y in that pixel [cm], as of `split`, charge [e], arrival [us] counted from
    step_tick, sigma_t [us], sigma_T [cm]. The lattice has `bins` sites a pitch and `per_tick` a tick; shift
    (n_tables,) [us] is how long before the arrival table step_table[i] begins. Outputs: first sites, int64, those in
    time counted in tick/per_tick from 0; numbers of sites; share_x [e], share_y, share_t [1] (n_steps, most sites).
    """
    T = type(tick)
    pitch = tpcs[step_tpc[i], PITCH]
    scale = T(bins) / pitch
    u = lattice_position(x[i], pitch, bins)
    first, sites_x[i] = sites(u, sigma_T[i] * scale)
    assign_axis(i, u, sigma_T[i] * scale, first, sites_x[i], charge[i], share_x)
    site_x[i] = column[i] * bins + first
    u = lattice_position(y[i], pitch, bins)
    first, sites_y[i] = sites(u, sigma_T[i] * scale)
    assign_axis(i, u, sigma_T[i] * scale, first, sites_y[i], T(1.0), share_y)
    site_y[i] = row[i] * bins + first
    scale = T(per_tick) / tick
    u = (arrival[i] - shift[step_table[i]]) * scale
    first, sites_t[i] = sites(u, sigma_t[i] * scale)
    assign_axis(i, u, sigma_t[i] * scale, first, sites_t[i], T(1.0), share_t)
    site_t[i] = step_tick[i] * per_tick + first
