"""Share: when the charge of a step counts, on the lattice in time of its table of the parametric response.

A Gaussian of spread sigma_t is one of spread `smooth`, which the table's waveforms hold, convolved with one of spread
s, s^2 = sigma_t^2 - smooth^2. So the charge counts at the sites m of the lattice with the shares

share_m = exp(-(m - u)^2/(2 s^2))/sum, u the arrival, u and s in units of the lattice.
"""

import math

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.special import edge_width

NOMINAL = 0.0443  # sigma_t/sqrt(distance) [us/cm^0.5] of the nominal parameters
NEAREST = 0.01  # distance [cm] below which it does not shrink any more
STEP = 0.5 * math.log(2.0)  # of the logarithm of sigma_t over its nominal value
MARGIN = 0.15  # by which the nominal spread lies over the next step of its scale, in such steps
NARROWEST = 0.5  # least s, for charge that is narrower than the last table's


@kernel("table", light=True)
def choose(i, distance, sigma_t, step_tpc, of_tpc, least, table):
    """The table of step i: the first of those of its TPC whose least spread [us] is not more than sigma_t.

    Which one must not depend on a fit parameter: it follows the distance [cm], with a scale that changes by steps of
    sqrt(2) with sigma_t over its nominal value. of_tpc (n_tpcs,): first table of a TPC; least: spreads of its
    tables, falling; table (n_steps,).
    """
    T = type(sigma_t[i])
    nominal = T(NOMINAL) * math.sqrt(max(distance[i], T(NEAREST)))
    step = math.floor(math.log(sigma_t[i] / nominal) * T(1.0 / STEP) + T(MARGIN))
    spread = nominal * math.exp((T(step) - T(MARGIN)) * T(STEP))
    n = 0
    while n < least.shape[0] - 1 and least[n] > spread:
        n += 1
    table[i] = of_tpc[step_tpc[i]] + n


@device
def lattice_spread(sigma_t, smooth, scale):
    """s, in units of the lattice; scale: sites a microsecond."""
    T = type(sigma_t)
    return math.sqrt(max((sigma_t * sigma_t - smooth * smooth) * scale * scale, T(NARROWEST * NARROWEST)))


@kernel("site_t", "sites_t", "share_t")
def share(i, arrival, sigma_t, step_table, step_tick, per_tick, smooth, tick, site_t, sites_t, share_t):
    """Shares of step i at the sites site_t[i] + m, m < sites_t[i]: share_t[i, m].

    Inputs (n_steps,): arrival [us] counted from step_tick, sigma_t [us], step_table; by table: per_tick, sites a tick,
    and smooth [us]. Outputs: site_t, int64, counted in tick/per_tick from 0; sites_t; share_t (n_steps, most sites).
    """
    T = type(tick)
    table = step_table[i]
    scale = T(per_tick[table]) / tick
    u = arrival[i] * scale
    s = lattice_spread(sigma_t[i], smooth[table], scale)
    reach = edge_width(u) * s
    first = int(math.ceil(u - reach))
    n = int(math.floor(u + reach)) - first + 1
    total = T(0.0)
    for m in range(n):
        z = (T(first + m) - u) / s
        share_t[i, m] = math.exp(T(-0.5) * z * z)
        total += share_t[i, m]
    for m in range(n):
        share_t[i, m] /= total
    for m in range(n, share_t.shape[1]):
        share_t[i, m] = T(0.0)
    site_t[i] = step_tick[i] * per_tick[table] + first
    sites_t[i] = n
